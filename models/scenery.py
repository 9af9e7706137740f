"""Pictures made of pictures: what a camera will meet and few photographs show. RGB (h, w, 3) uint8 in and out.

light     a lamp from one side, or a shadow's edge across
clouds    haze in patches, as over land seen from above, or steam
paste     the middle of the picture, cut out softly, on the blurred scene of another one
defect    a scratch, a pit or a stain on a clean surface
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from agent.data import Array

Kind = Callable[[np.random.Generator, Array, Array], Array]  # generator, picture, another picture of the same size


def light(generator: np.random.Generator, image: Array, other: Array) -> Array:
    """Brighter towards one side by up to half; every second time with an edge of shadow."""
    del other
    height, width = image.shape[:2]
    angle = generator.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    across = x * np.cos(angle) + y * np.sin(angle)  # -1.4..1.4
    gain = 1.0 + generator.uniform(0.1, 0.5) * across
    if generator.random() < 0.5:
        gain = gain * np.where(across > generator.uniform(-0.6, 0.6), generator.uniform(0.4, 0.8), 1.0)
    return _clipped(image * gain[:, :, None])


def clouds(generator: np.random.Generator, image: Array, other: Array) -> Array:
    """White over up to six tenths of it, thick or thin by a field of noise of three scales."""
    del other
    height, width = image.shape[:2]
    field = np.zeros((height, width))
    for cells in (3, 6, 12):
        noise = generator.random((cells, cells)).astype(np.float32)
        field += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / cells
    level = np.quantile(field, 1.0 - generator.uniform(0.1, 0.6))
    thick = np.clip((field - level) / (field.max() - level + 1e-6), 0, 1) * generator.uniform(0.4, 1.0)
    return _clipped(image * (1 - thick[:, :, None]) + generator.uniform(200, 255) * thick[:, :, None])


def paste(generator: np.random.Generator, image: Array, other: Array) -> Array:
    """The middle ellipse, eight to ten tenths wide, on the other picture out of focus."""
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    axes = tuple(round(side / 2 * generator.uniform(0.75, 0.95)) for side in (width, height))
    cv2.ellipse(mask, (width // 2, height // 2), axes, 0.0, 0.0, 360.0, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), max(1.0, width / 40))[:, :, None]
    scene = cv2.GaussianBlur(other, (0, 0), width / 12)
    return _clipped(image * mask + scene * (1 - mask))


def defect(generator: np.random.Generator, image: Array, other: Array) -> Array:
    """A scratch (a bent thin line), a pit (small, sharp) or a stain (large, soft), darker or brighter."""
    del other
    height, width = image.shape[:2]
    mask = np.zeros((height, width), np.float32)
    middle = generator.uniform(0.2, 0.8, 2) * (width, height)
    which = generator.integers(3)
    if which == 0:
        steps = np.cumsum(generator.normal(0, 1, (6, 2)) + generator.normal(0, 2, 2), axis=0) * width / 25
        points = np.round(middle + steps).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(mask, [points], False, 1.0, int(generator.integers(1, max(2, width // 40) + 1)), cv2.LINE_AA)
    else:
        most = width / 12 if which == 1 else width / 4
        axes = tuple(max(1, round(v)) for v in generator.uniform(most / 4, most, 2))
        place = (round(float(middle[0])), round(float(middle[1])))
        cv2.ellipse(mask, place, axes, float(generator.uniform(0, 180)), 0.0, 360.0, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.7 if which < 2 else width / 25)
    change = generator.choice([-1.0, 1.0], p=[0.7, 0.3]) * generator.uniform(30, 110)
    grain = generator.normal(1.0, 0.2, (height, width, 1))
    return _clipped(image + change * mask[:, :, None] * grain)


KINDS: dict[str, Kind] = {"light": light, "clouds": clouds, "paste": paste, "defect": defect}


def _clipped(values: Array) -> Array:
    return np.asarray(np.clip(np.round(values), 0, 255).astype(np.uint8))
