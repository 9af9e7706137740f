"""Keras files, through TensorFlow where there is one (in this Python, or named by LOOKOUT_TENSORFLOW)."""

import importlib.util
import os

import numpy as np
import pytest

from convert import ConvertError, sources
from convert.sources import Request, kerasconfig, kerasgraph
from convert.tflite import graph

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None and not os.environ.get("LOOKOUT_TENSORFLOW"),
    reason="TensorFlow is not installed; pip install '.[tensorflow]', or LOOKOUT_TENSORFLOW=a Python that has it",
)


@needs_tensorflow
@pytest.mark.parametrize(
    ("name", "size", "classes", "high", "pixel"),
    [("pretrainedResnet", (32, 32), 10, 255.0, "114"), ("vww_96", (96, 96), 2, 1.0, "0.431")],
)
def test_trained_keras_2_files_are_converted(data_dir, name, size, classes, high, pixel):
    found = sources.read(Request(data_dir / "models" / f"{name}.h5"))
    assert (found.card.task, found.card.input.size, len(found.card.labels)) == ("classify", size, classes)
    assert found.card.input.range == (0.0, high)
    assert f"the mean pixel it was trained on is {pixel}" in found.notes[0]
    known = graph.read(found.model)
    assert known.tensors[known.inputs["image"]].shape == (1, size[1], size[0], 3)
    assert "SOFTMAX" not in {o.name for o in known.operators}


@pytest.mark.parametrize("name", ["pretrainedResnet", "vww_96"])
def test_the_config_of_real_files_is_accepted(data_dir, name):
    kerasconfig.check(kerasconfig.read(data_dir / "models" / f"{name}.h5"))


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (0.0, 1.0), (-1.0, 1.0)])
def test_the_range_is_read_off_the_means_that_a_network_has_seen(low, high):
    rng = np.random.default_rng(4)
    pictures = np.clip(rng.normal(0.44, 0.03, 500), 0, 1) * (high - low) + low
    sums = rng.normal(0, 1, 16)
    means = (pictures[:, None] * sums).mean(0) + rng.normal(0, 0.01 * (high - low), 16)
    assert kerasgraph.from_means(sums, means)[0] == (low, high)


def test_means_that_no_grey_explains_are_a_guess():
    rng = np.random.default_rng(5)
    known, why = kerasgraph.from_means(rng.normal(0, 1, 16), rng.normal(0, 1, 16))
    assert known is None
    assert "guess" in why


@pytest.mark.parametrize(
    ("shape", "size", "line"),
    [
        ([None, None, None, 3], None, r"leaves its input's size open \(\?, \?, \?, 3\); give --size"),
        ([None, 96, 96, 3], [64, 64], "is made for 96x96, --size says 64x64"),
        ([None, 96, 96, 1], None, r"takes \(\?, 96, 96, 1\); pictures of the form"),
        ([None, 100], None, r"takes \(\?, 100\); pictures of the form"),
        ([None, 90000, 90000, 3], None, "takes pictures of 90000x90000"),
    ],
)
def test_inputs_that_are_no_picture_are_refused(shape, size, line):
    with pytest.raises(ConvertError, match=line):
        kerasgraph.fixed_shape(shape, size)


def test_an_open_size_is_filled_in():
    assert kerasgraph.fixed_shape([None, None, None, 3], [96, 64]) == [1, 64, 96, 3]
