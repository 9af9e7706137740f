"""How strange a picture is to a net that has only seen normal ones, and how well that parts the strange from the rest.

seeing    pixels -> what a trunk sees at each place
narrow    that, drawn again through few numbers: the autoencoder
judging   both in one: how wrongly each place was drawn, beyond what is usual there
Scars     draws into pictures what does not belong there
by_map    a file that says how strange each place is -> how strange each picture is
auroc     normal and strange values -> chance that a strange one is the greater
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from agent.cli.detect import read_image
from agent.data import Array
from agent.detect import outputs
from agent.detect.secondary.memory import strongest
from agent.detect.secondary.network import Network
from agent.detect.secondary.novelty import Novelty
from models import backbones, pictures
from models.augment import Augment
from models.pictures import Pictures

_MOST = 4  # scars a picture
TAPS = ("blocks.4.add", "blocks.10.add")  # of efficientnet-lite0: strides 8 and 16


@dataclass(frozen=True, slots=True)
class Scars:
    """Call it with a generator and a batch: scarred pictures, and what they were before."""

    augment: Augment

    def __call__(self, generator: np.random.Generator, x: Array, y: Array) -> tuple[Array, Array]:
        """(N, h, w, 3) uint8 -> pictures with scars, and the same without; `y` is not looked at."""
        clean, _ = self.augment(generator, x, y[:, :1, :1])
        scarred = clean.copy()
        for row, image in enumerate(scarred):
            other = clean[generator.integers(len(clean))]
            for _ in range(int(generator.integers(_MOST + 1))):
                scarred[row] = _scarred(generator, image, other)
        return scarred, clean


def _scarred(generator: np.random.Generator, image: Array, other: Array) -> Array:
    """One blot or stroke, filled with another picture's content, a grey level, or noise."""
    height, width = image.shape[:2]
    side, mask = min(height, width), np.zeros((height, width), np.uint8)
    middle = (int(generator.integers(width)), int(generator.integers(height)))
    if generator.random() < 0.5:
        axes = [max(1, int(a)) for a in generator.uniform(0.02, 0.15, 2) * side]
        cv2.ellipse(mask, middle, axes, float(generator.uniform(0, 180)), 0, 360, 1, -1)
    else:
        end = np.array(middle) + generator.uniform(-0.5, 0.5, 2) * side
        cv2.line(mask, middle, end.astype(int).tolist(), 1, int(generator.integers(1, max(2, side // 24) + 1)))
    kind, level = generator.integers(3), float(generator.uniform(-80, 80))
    if kind == 0:
        fill = np.roll(other, generator.integers(side, size=2), axis=(0, 1))
    elif kind == 1:
        fill = np.clip(image + level, 0, 255)
    else:
        fill = np.clip(image + generator.normal(0, abs(level), (height, width, 1)), 0, 255)
    image[mask > 0] = fill[mask > 0]
    return image


def seeing(trunk: str, size: tuple[int, int], x: Array) -> Any:
    """Pixels 0..255 -> (h/8, w/8, C): what the trunk sees at each place, of mean 0 and spread 1 over pictures `x`."""
    from keras import Model, layers  # noqa: PLC0415

    whole = backbones.trunk(trunk, size)
    fine, coarse = (whole.get_layer(tap).output for tap in TAPS)
    both = layers.Concatenate()([fine, layers.UpSampling2D(interpolation="bilinear")(coarse)])
    found = Model(whole.input, both).predict(x.astype(np.float32), batch_size=32, verbose=0)
    usual = layers.BatchNormalization(epsilon=1e-9, center=False, scale=False)
    model = Model(whole.input, usual(both))
    spread = found.var(axis=(0, 1, 2))
    usual.set_weights([found.mean(axis=(0, 1, 2)), spread + 1e-3 * spread.mean()])
    model.trainable = False
    return model


def narrow(channels: int, numbers: int, width: int = 128) -> Any:
    """(h, w, C) -> the same, each place through so many numbers."""
    from keras import Input, Model, layers  # noqa: PLC0415

    def wide(x: Any) -> Any:
        return layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(layers.Conv2D(width, 1, use_bias=False)(x)))

    seen = Input((None, None, channels))
    few = layers.Conv2D(numbers, 1)(wide(seen))
    return Model(seen, layers.Conv2D(channels, 1)(wide(few)))


def judging(see: Any, draw: Any, usual: Array) -> Any:
    """Pixels 0..255 -> (h/8, w/8, 1): how wrongly each place is drawn, beyond what `usual` features are there.

    In spreads of their error at that place; 0 where one of a hundred of their places is stranger.
    """
    from keras import Input, Model, layers  # noqa: PLC0415

    seen = Input(usual.shape[1:])
    drawn = draw(seen)
    apart = [layers.ReLU()(layers.Subtract()(pair)) for pair in ((seen, drawn), (drawn, seen))]
    mean = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(layers.Concatenate()(apart))
    measure = Model(seen, layers.AveragePooling2D(3, strides=1, padding="same")(mean))
    error = measure.predict(usual, batch_size=32, verbose=0).reshape(len(usual), -1)
    spread = error.std(axis=0) + 0.1 * error.std()
    limit = np.quantile((error - error.mean(axis=0)) / spread, 0.99)
    beyond = layers.DepthwiseConv2D(1)  # of places that are channels for a moment: each has its own scale
    places = beyond(layers.Reshape((1, 1, error.shape[1]))(measure(see.output)))
    beyond.set_weights([1 / spread[None, None, :, None], -error.mean(axis=0) / spread - limit])
    return Model(see.input, layers.Reshape((*usual.shape[1:3], 1))(places))


def scarred(folder: Path, found: Pictures, size: tuple[int, int]) -> Pictures:
    """The pictures at `size` (width, height) as FOLDER/CLASS/NAME.png, and each a second time with scars."""
    x = pictures.load(found.paths, size)
    still = Augment(degrees=0.0, zoom=0.0, shift=0.0, light=0.0)
    spoilt, _ = Scars(still)(np.random.default_rng(0), x, x)
    return pictures.write(folder, np.concatenate([x, spoilt]), np.tile(found.labels, 2), found.names)


def by_map(model: Path, paths: Sequence[Path]) -> Array:
    """(N,) of an int8 file that answers with how strange each place is, as the agent runs it."""
    network = Network(model)
    tensor = network.model.backend.outputs[0]
    return np.array([strongest(outputs.dequantise(network.run(read_image(p))[0][0], tensor)) for p in paths])


def by_novelty(model: Path, paths: Sequence[Path]) -> Array:
    """(N,) of a file of `python -m convert novelty`."""
    eye = Novelty(model)
    return np.array([eye.look(read_image(path))[0] for path in paths])


def auroc(normal: ArrayLike, strange: ArrayLike) -> float:
    """Share of pairs in which the strange one is greater; ties count half. Of (A,) and (B,); nan where one is empty."""
    low, high = np.sort(normal), np.asarray(strange)
    if not len(low) or not len(high):
        return float("nan")
    below = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float(np.mean(np.add(*below)) / 2 / len(low))
