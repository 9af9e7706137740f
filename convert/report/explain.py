"""What in a picture a classifier looks at.

    occlusion   any model: a grey patch moves over the picture; where it lowers the label's score, the map is bright
                (Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014)
    grad_cam    the Keras file: gradients of the label's score on the last grid of features, in a child that has
                TensorFlow (Selvaraju et al., Grad-CAM, 2017)

Both give maps (h, w) float32, 0..1; all zeros where nothing lowers the score.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent import modelfile, plugins
from agent.data import Array
from agent.detect.letterbox import Letterbox
from agent.detect.model import Model
from agent.modelfile import Card, Quant, Tensor
from convert.process import environment, sandbox

CELLS = 8  # the picture's grid
_PATCH = 2  # cells a side
_GREY = 114


def occlusion(flatbuffer: bytes, card: Card, images: Sequence[Array], labels: Sequence[int]) -> list[Array]:
    """(CELLS, CELLS) maps, one a picture (H, W, 3) uint8 RGB, for one label each."""
    with tempfile.TemporaryDirectory(prefix="lookout-explain-") as folder:
        path = Path(folder) / "model.tflite"
        bare = msgspec.structs.replace(card, quant=Quant())  # the float model goes by the same card
        path.write_bytes(modelfile.pack(flatbuffer, bare)[0])
        model = Model(path)
        head = plugins.get("detect/heads", card.head).Head(bare, model.backend.outputs)
        letterbox = Letterbox(card.input, model.backend.inputs[0])

        def score(image: Array, label: int) -> float:
            letterbox.fill(model.backend.input, image)
            return float(head.scores(model.backend.run())[label])

        return [
            heat(image, lambda x, label=label: score(x, label)) for image, label in zip(images, labels, strict=True)
        ]


def heat(image: Array, score: Any) -> Array:
    """One map: how far `score(image)` falls under each patch, in the mean over the patches that cover a cell."""
    whole = score(image)
    fall, times = np.zeros((CELLS, CELLS)), np.zeros((CELLS, CELLS))
    height, width = image.shape[:2]
    for row in range(CELLS - _PATCH + 1):
        for column in range(CELLS - _PATCH + 1):
            covered = image.copy()
            y, x = (
                slice(n * size // CELLS, (n + _PATCH) * size // CELLS) for n, size in ((row, height), (column, width))
            )
            covered[y, x] = _GREY
            cells = slice(row, row + _PATCH), slice(column, column + _PATCH)
            fall[cells] += whole - score(covered)
            times[cells] += 1
    return _scaled(fall / times)


def grad_cam(keras: Path, card: Card, images: Sequence[Array], labels: Sequence[int]) -> list[Array]:
    """(h, w) maps over the model's input, one a picture. Raises ConvertError: no TensorFlow, or not a net of grids."""
    width, height = card.input.size
    tensor = Tensor("image", (1, height, width, 3), "float32")
    letterbox = Letterbox(card.input, tensor)
    fed = np.empty((len(images), height, width, 3), np.float32)
    for i, image in enumerate(images):
        letterbox.fill(fed[i : i + 1], image)
    with sandbox.scratch("gradcam") as work:
        np.savez(work / "asked.npz", images=fed, labels=np.array(labels, np.int64), path=np.array(str(keras.resolve())))
        sandbox.python(
            environment.tensorflow(),
            "convert.report.explain_keras",
            work,
            what=f"Grad-CAM of {keras.name}",
            tool="TensorFlow",
            limits=sandbox.Limits(seconds=180.0),
        )
        with np.load(work / "maps.npz", allow_pickle=False) as found:
            return [_scaled(m) for m in found["maps"]]


def _scaled(values: Array) -> Array:
    positive = np.clip(values, 0, None)
    most = float(positive.max(initial=0.0))
    return np.asarray(positive / most if most > 0 else positive, np.float32)
