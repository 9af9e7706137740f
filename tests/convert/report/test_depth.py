"""The error along the graph: bits lost show as decibels, at the place where they were lost."""

import numpy as np
import pytest

from convert.report import depth
from convert.tflite import graph
from tests.convert import tiny
from tests.convert.report import made


def test_a_finer_range_is_a_better_signal(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    fine, coarse = (
        made.evidence(tmp_path / name, made.detector(), tiny.CARD, reach=reach)
        for name, reach in (("a", 8), ("b", 128))
    )
    found = [{d.name: d.sqnr for d in depth.along(e.reference_model, e.model, e.card, e.paths)} for e in (fine, coarse)]
    assert found[0].keys() == found[1].keys()
    assert {"box", "logit", "conv1", "conv2", "conv3"} <= found[0].keys()
    assert found[0]["conv1"] > found[1]["conv1"] + 12  # 16 times coarser: 4 bits, 24 dB of ideal noise


def test_a_model_against_itself_has_no_error(tmp_path):
    model = made.detector()
    paths = made.pictures(tmp_path)
    assert {d.sqnr for d in depth.along(model, model, tiny.CARD, paths)} == {80.0}


def test_the_measure_is_signal_over_noise(tmp_path):
    evidence = made.evidence(tmp_path, made.detector(), tiny.CARD)
    mine = {
        d.name: d.sqnr for d in depth.along(evidence.reference_model, evidence.model, evidence.card, evidence.paths)
    }
    place = next(i for i, t in enumerate(evidence.reference.tensors) if t.name == "logit")
    own = next(i for i, t in enumerate(evidence.recording.tensors) if t.name == "logit")
    tensor = evidence.recording.tensors[own]
    signal = noise = 0.0
    for a, b in list(zip(evidence.reference.seen, evidence.recording.seen, strict=True))[: depth.PICTURES]:
        real = (b.outputs[own].astype(float) - tensor.zero_point) * tensor.scale
        signal += float((a.outputs[place] ** 2).sum())
        noise += float(((a.outputs[place] - real) ** 2).sum())
    assert mine["logit"] == pytest.approx(10 * np.log10(signal / noise), abs=0.6)


def test_a_model_that_the_plain_kernels_refuse_costs_the_plot_and_no_more(tmp_path, caplog):
    evidence = made.evidence(tmp_path, made.detector(), tiny.CARD)
    model = graph.unpack(evidence.model)
    (conv,) = (t for t in model.subgraphs[0].tensors if t.name == b"conv1")
    conv.quantization.scale = np.array([1e-13], np.float32)
    assert depth.along(evidence.reference_model, graph.pack(model), evidence.card, evidence.paths) == []
    assert "no_integer_overflow_from_quantization" in caplog.text
    assert depth.shown([]) is None


def test_the_steepest_falls_are_named_first():
    level = [40, 40, 40, 12, 30, 30, 30, 25]
    found = [depth.Depth(i, "CONV_2D", f"t{i}", float(v)) for i, v in enumerate(level)]
    assert next(d.name for d in depth.steepest(found)) == "t3"


def test_equalised_channels_are_compared_at_the_float_model_s_size():
    generator = np.random.default_rng(0)
    a = generator.normal(size=(1, 6, 7, 4))
    noisy = a + generator.normal(0, 0.01, a.shape)
    np.testing.assert_allclose(depth.levelled(a, noisy * [1, 8, 32, 2]), noisy, rtol=1e-12)


def test_channels_that_are_wrong_stay_wrong():
    a = np.random.default_rng(0).normal(size=(1, 6, 7, 2))
    for wrong in (a * [1, 0], a * [1, -1], a * [1, 3], np.clip(a, -0.1, 0.1)):
        np.testing.assert_array_equal(depth.levelled(a, wrong), wrong)
