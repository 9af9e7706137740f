"""Ranges become scales; nothing stays float; the tool is silent."""

import numpy as np
import pytest

from agent.detect.letterbox import pixel_table
from agent.modelfile import Tensor
from convert import ConvertError
from convert.int8 import quantize, ranges
from convert.tflite import finalise, graph
from tests.convert import tiny


def model():
    return finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)


def some_ranges(**changes):
    return dict.fromkeys(graph.read(model()).activations(), (-4.0, 4.0)) | changes


def test_everything_is_int8_and_scales_are_the_ranges():
    g = graph.read(quantize.static_int8(model(), some_ranges(**{"logit/conv": (-10.0, 2.75)})))
    assert graph.float_operators(g) == []
    assert {t.dtype for t in g.tensors if not t.constant} == {"int8"}
    logit = g.tensors[g.outputs["logit"]]
    # a reshape has no scale of its own: the convolution before it decides
    assert logit.scales == pytest.approx([12.75 / 255])
    assert logit.zero_points == (72,)  # 10 / 0.05 - 128


def test_the_same_ranges_give_the_same_bytes():
    assert quantize.static_int8(model(), some_ranges()) == quantize.static_int8(model(), some_ranges())


@pytest.mark.parametrize("limits", [(0.0, 255.0), (0.0, 1.0), (-1.0, 1.0)])
def test_usual_pixels_reach_the_input_by_a_plain_xor(limits):
    g = graph.read(quantize.static_int8(model(), some_ranges(image=ranges.of_input(limits))))
    image = g.tensors[g.inputs["image"]]
    tensor = Tensor("image", image.shape, image.dtype, image.scales[0], image.zero_points[0])
    assert pixel_table(limits, tensor) is None


def test_an_activation_without_a_range_is_an_error():
    incomplete = some_ranges()
    del incomplete["conv2"]
    with pytest.raises(ConvertError, match=r"ranges: none for 'conv2' \(1 missing\); they belong to another model"):
        quantize.static_int8(model(), incomplete)


def test_the_quantizer_says_nothing(capfd):
    quantize.static_int8(model(), some_ranges())
    out, err = capfd.readouterr()
    assert out == ""
    assert "Quantiz" not in err
    assert "%|" not in err


def test_int8_answers_are_near_the_float_ones():
    """All values within ±4 here, so a step is 8/255 at most; errors add up over five layers."""
    from convert.tuning.scoring import loaded

    picture = np.random.default_rng(1).integers(0, 256, (1, 32, 48, 3), np.uint8)
    wide = some_ranges(image=ranges.of_input((-1.0, 1.0)), conv1=(0.0, 6.0), conv2=(0.0, 6.0), conv3=(0.0, 6.0))
    wide |= dict.fromkeys(("box", "logit", "box/conv", "logit/conv"), (-16.0, 16.0))
    answers = []
    for flatbuffer in (model(), quantize.static_int8(model(), wide)):
        with loaded(flatbuffer, tiny.CARD) as runner:
            view = runner.backend.input
            view[...] = (picture ^ 0x80).view(np.int8) if view.dtype == np.int8 else picture / 127.5 - 1
            del view
            tensor = runner.backend.outputs[0]
            values = runner.backend.run()[0].astype(np.float32)
            answers.append((values - tensor.zero_point) * (tensor.scale or 1.0))
    assert np.abs(answers[0]).max() > 1
    np.testing.assert_allclose(answers[1], answers[0], atol=0.5)


def test_named_operators_stay_in_float_and_no_others():
    g = graph.read(quantize.static_int8(model(), some_ranges(), ["conv2"]))
    islands = {o.name for o in graph.float_operators(g)}
    assert islands == {"DEPTHWISE_CONV_2D", "DEQUANTIZE", "QUANTIZE"}
    assert sum(o.name == "DEPTHWISE_CONV_2D" for o in graph.float_operators(g)) == 1


def test_a_name_is_not_taken_for_a_pattern():
    """`conv.` would be conv1, conv2 and conv3, were it a regular expression."""
    g = graph.read(quantize.static_int8(model(), some_ranges(), ["conv."]))
    assert graph.float_operators(g) == []
