"""Files that Keras itself writes, of every task, made here and converted: their answers are Keras' own."""

import os
import subprocess
import sys

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from convert import sources
from convert.sources import Request
from tests.convert.sources.test_keras import needs_tensorflow

pytestmark = needs_tensorflow
MAKE = """
import sys
import keras
import numpy as np

layers, folder = keras.layers, sys.argv[1]
keras.utils.set_random_seed(3)
picture = np.random.default_rng(0).uniform(0, 255, (1, 16, 24, 3)).astype("float32")


def trunk():
    image = keras.Input((16, 24, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    return image, layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)


def written(name, image, answer):
    model = keras.Model(image, answer)
    np.save(f"{folder}/{name}.npy", np.asarray(model(picture, training=False)))
    model.save(f"{folder}/{name}.keras")
    return model


image, x = trunk()
flat = layers.GlobalAveragePooling2D()(x)
written("classify", image, layers.Dense(4, activation="softmax")(flat)).export(f"{folder}/saved", verbose=False)
written("embed", image, layers.Dense(5)(flat))
image, x = trunk()
written("segment", image, layers.Conv2D(3, 1, activation="softmax")(x))
image, x = trunk()
written("reconstruct", image, layers.Conv2DTranspose(3, 3, strides=2, padding="same", activation="sigmoid")(x))
np.save(f"{folder}/picture.npy", picture)
"""
FILES = {
    "classify.keras": ("classify", "logit", (1, 4)),
    "saved": ("classify", "logit", (1, 4)),
    "segment.keras": ("segment", "logit", (1, 8, 12, 3)),
    "embed.keras": ("embed", "vector", (1, 5)),
    "reconstruct.keras": ("reconstruct", "image", (1, 16, 24, 3)),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of models, and what each answers to picture.npy."""
    folder = tmp_path_factory.mktemp("keras")
    python = os.environ.get("LOOKOUT_TENSORFLOW", sys.executable)
    subprocess.run([python, "-c", MAKE, str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", FILES)
def test_what_keras_writes_answers_as_it_does_in_keras(made, name):
    task, role, shape = FILES[name]
    found = sources.read(Request(made / name, task=task))
    assert (found.card.task, found.card.input.size) == (task, (24, 16))
    assert [(o.role, o.shape) for o in found.card.outputs] == [(role, shape)]
    if name != "saved":  # whose layers cannot be looked into
        assert found.card.input.range == (0, 255)
    picture = np.load(made / "picture.npy")
    (answer,) = Interpreter(model_content=found.model).get_signature_runner()(image=picture).values()
    if role == "logit":  # cut before its softmax
        answer = np.exp(answer) / np.exp(answer).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(answer, np.load(made / f"{task}.npy"), atol=1e-4)
