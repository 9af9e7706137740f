"""The same picture again, a little different: turned, nearer or further, moved, mirrored, in other light.

What a picture may become without becoming another class is the user's to say: a mirrored 2 is no digit, a mirrored
arrow another sign; seen from above, everything may be mirrored both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from agent.data import Array

FLIPS = ("none", "horizontal", "both", "any")


@dataclass(frozen=True, slots=True)
class Augment:
    """How far pictures are changed; call it with a generator and a batch."""

    degrees: float = 30.0  # turned by at most, either way
    zoom: float = 0.15  # share by which they come nearer or go further at most
    shift: float = 0.08  # share of the side by which they move at most
    flips: Literal["none", "horizontal", "both", "any"] = "none"  # any: quarter turns besides both
    light: float = 0.2  # share by which contrast and, of the range, brightness change at most
    stops: float = 0.0  # by which they are darker or brighter at most: 1 is half or twice the light
    color: float = 0.0  # share by which red, green and blue change, each for itself
    blur: float = 0.0  # share of the side that every second picture is out of focus by at most (Gaussian deviation)

    def __call__(self, generator: np.random.Generator, x: Array, y: Array) -> tuple[Array, Array]:
        """(N, h, w, 3) uint8 and labels, or masks (N, h, w) that are changed along: new ones, of the same kind."""
        images = np.empty_like(x)
        masks = np.empty_like(y) if y.shape[:3] == x.shape[:3] else None
        for row in range(len(x)):
            matrix = self.matrix(generator, (x.shape[2], x.shape[1]))
            images[row] = self.focused(generator, self.lit(generator, warped(x[row], matrix, cv2.INTER_LINEAR)))
            if masks is not None:
                masks[row] = warped(y[row], matrix, cv2.INTER_NEAREST)
        return images, y if masks is None else masks

    def matrix(self, generator: np.random.Generator, size: tuple[int, int]) -> Array:
        """(2, 3) float64: px of the picture -> px of the changed one; for boxes too."""
        width, height = size
        angle = np.deg2rad(generator.uniform(-self.degrees, self.degrees))
        scale = 1.0 + generator.uniform(-self.zoom, self.zoom)
        mirror = [1.0, 1.0]
        if self.flips != "none" and generator.random() < 0.5:
            mirror[0] = -1.0
        if self.flips in ("both", "any") and generator.random() < 0.5:
            mirror[1] = -1.0
        if self.flips == "any" and generator.random() < 0.5:
            angle += np.pi / 2
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale @ np.diag(mirror)
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        moved = middle + generator.uniform(-self.shift, self.shift, 2) * size - turn @ middle
        return np.concatenate([turn, moved[:, None]], axis=1)

    def lit(self, generator: np.random.Generator, image: Array) -> Array:
        """A picture (h, w, 3) uint8 in other light."""
        gain = 1.0 + generator.uniform(-self.light, self.light) + generator.uniform(-self.color, self.color, 3)
        offset = 255.0 * generator.uniform(-self.light, self.light) / 2
        if self.stops:
            gain *= 2 ** generator.uniform(-self.stops, self.stops)
        table = np.clip(np.arange(256)[:, None] * gain + offset, 0, 255).astype(np.uint8)  # (256, 3)
        return np.asarray(cv2.LUT(image, table[None]))

    def focused(self, generator: np.random.Generator, image: Array) -> Array:
        """A picture (h, w, 3) uint8 as it is, or out of focus."""
        if not self.blur or generator.random() < 0.5:
            return image
        return np.asarray(cv2.GaussianBlur(image, (0, 0), generator.uniform(0.1, 1.0) * self.blur * image.shape[1]))


def warped(image: Array, matrix: Array, how: int) -> Array:
    """A picture or mask, moved; what comes in from outside is what is near, mirrored."""
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=how, borderMode=cv2.BORDER_REFLECT_101))
