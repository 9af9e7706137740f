"""Statistics of activations against a naive recount, and which pictures are used."""

import cv2
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st

from agent.data import LookoutError
from agent.detect.letterbox import Letterbox
from agent.modelfile import Tensor
from convert import ConvertError
from convert.int8 import calibration
from convert.tflite import finalise
from tests.convert import tiny


@pytest.fixture
def folder(tmp_path):
    return pictures_in(tmp_path / "images", 5)


def pictures_in(folder, count):
    rng = np.random.default_rng(7)
    folder.mkdir()
    for i in range(count):
        blocks = rng.integers(0, 256, (5, 6, 3), np.uint8)
        cv2.imwrite(str(folder / f"{i:03}.png"), cv2.resize(blocks, (61, 47), interpolation=cv2.INTER_NEAREST))
    return folder


def float_model():
    return finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)


def test_statistics_are_those_of_a_recount(folder):
    """Oracle: the outputs of a plain interpreter, and the pixels, each picture by itself."""
    paths = calibration.pictures(folder)
    found = calibration.collect(float_model(), tiny.CARD.input, paths)
    interpreter = Interpreter(model_content=float_model())
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    letterbox = Letterbox(tiny.CARD.input, Tensor("image", tuple(detail["shape"]), "float32"))
    column, everything = found.names.index("logit"), []
    for row, path in enumerate(paths):
        image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        view = np.zeros(detail["shape"], np.float32)
        letterbox.fill(view, image)
        interpreter.set_tensor(detail["index"], view)
        interpreter.invoke()
        logits = next(
            interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details() if d["name"] == "logit"
        )
        everything.append(logits.ravel())
        assert found.low[row, column] == pytest.approx(logits.min(), abs=1e-4)
        assert found.high[row, column] == pytest.approx(logits.max(), abs=1e-4)
        assert found.high[row, found.names.index("image")] == pytest.approx(view.max())
    assert found.counts[column].sum() == sum(map(len, everything))
    values = np.sort(np.concatenate(everything))
    edges = np.linspace(found.low[:, column].min(), found.high[:, column].max(), calibration.BINS + 1)
    below = np.searchsorted(values, edges[1 + calibration.BINS // 2])
    assert found.counts[column][: calibration.BINS // 2 + 1].sum() == pytest.approx(below, abs=3)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_every_value_is_counted_once_in_its_place(values):
    array = np.array(values, np.float32)
    low, high = float(array.min()), float(array.max())
    counts = calibration.histogram(array, low, high)
    assert counts.sum() == (len(values) if high > low else 0)
    if high - low > 1e-2 * max(abs(low), abs(high), 1e-6):  # where float32 can still tell bins apart
        edges = np.linspace(low, high, calibration.BINS + 1)
        for edge in (100, 1000, 2000):
            below = counts[:edge].sum()
            slack = (high - low) / calibration.BINS
            assert (array < edges[edge] - slack).sum() <= below <= (array < edges[edge] + slack).sum()


def test_values_nearer_than_float32_bins_are_counted_too():
    assert calibration.histogram(np.array([70.84375, 70.8359375], np.float32), 70.8359375, 70.84375).sum() == 2


def test_every_activation_is_seen_and_no_constant(folder):
    found = calibration.collect(float_model(), tiny.CARD.input, calibration.pictures(folder)[:1])
    assert set(found.names) == {"image", "conv1", "conv2", "conv3", "box/conv", "logit/conv", "box", "logit"}


def test_relu6_stays_in_its_range(folder):
    found = calibration.collect(float_model(), tiny.CARD.input, calibration.pictures(folder))
    column = found.names.index("conv1")
    assert found.low[:, column].min() >= 0
    assert found.high[:, column].max() <= 6


def test_the_order_depends_on_names_and_seed_only(folder):
    paths = calibration.pictures(folder)
    shuffled = calibration.shuffle(paths)
    assert calibration.shuffle(list(reversed(paths))) == shuffled
    assert sorted(shuffled) == paths
    assert shuffled != paths
    assert calibration.shuffle(paths, seed=1) != shuffled
    assert [p.stem for p in shuffled] == ["001", "000", "003", "004", "002"]


def test_the_checksum_tells_other_pictures_and_another_order(folder):
    paths = calibration.pictures(folder)
    before = calibration.checksum(paths)
    assert calibration.checksum(paths) == before
    assert calibration.checksum(paths[::-1]) != before
    paths[0].write_bytes(paths[1].read_bytes())
    assert calibration.checksum(paths) != before


def test_pictures_lie_in_the_folder_or_in_its_images_folder(folder):
    assert calibration.pictures(folder.parent) == calibration.pictures(folder)
    (folder / "notes.txt").write_text("not a picture")
    assert len(calibration.pictures(folder)) == 5


def test_a_folder_without_pictures_is_an_error(tmp_path):
    with pytest.raises(ConvertError, match="there are none"):
        calibration.pictures(tmp_path)


def test_a_picture_that_cannot_be_read_is_an_error_that_names_it(folder):
    (folder / "002.png").write_bytes(b"\x89PNG, but no more")
    with pytest.raises(LookoutError, match=r"002\.png"):
        calibration.collect(float_model(), tiny.CARD.input, calibration.pictures(folder))
