"""What can happen to a camera, planted into good pictures at three strengths, and what is no fault."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from agent.data import Array

Fault = Callable[[Array, Array, np.random.Generator], Array]  # picture, the first picture of the fault, dice -> picture
STRENGTHS = ("weak", "middle", "strong")


def covered(share: float) -> Fault:
    """Something flat before the lens, over a share of the picture."""

    def plant(image: Array, first: Array, dice: np.random.Generator) -> Array:
        height, width = image.shape[:2]
        made, level = image.copy(), int(first[0, 0, 0]) % 3 * 90 + 10
        columns = round(width * share)
        noise = dice.normal(0, 2, (height, columns, 1))
        made[:, :columns] = np.clip(level + noise, 0, 255).astype(np.uint8)
        return made

    return plant


def defocused(sigma: float) -> Fault:
    """Blurred by so many thousandths of its width."""
    return lambda image, _, __: cv2.GaussianBlur(image, (0, 0), sigma * image.shape[1] / 1000)


def moved(share: float) -> Fault:
    """Turned aside by a share of the width; what comes into view is a mirror of what was at the border."""

    def plant(image: Array, _: Array, __: np.random.Generator) -> Array:
        columns = round(image.shape[1] * share)
        return np.ascontiguousarray(np.concatenate([image[:, columns:], image[:, -columns:][:, ::-1]], axis=1))

    return plant


def frozen(share: float) -> Fault:
    """The first picture for ever; a share of its pixels dithers by a grey level."""

    def plant(_: Array, first: Array, dice: np.random.Generator) -> Array:
        dither = (dice.random(first.shape[:2]) < share)[..., None]
        return np.where(dither & (first < 255), first + 1, first).astype(np.uint8)

    return plant


def lit(gain: float) -> Fault:
    """Every grey level times `gain`."""
    return lambda image, _, __: cv2.convertScaleAbs(image, alpha=gain)


def noisy(sigma: float) -> Fault:
    """Gaussian noise, grey levels."""

    def plant(image: Array, _: Array, dice: np.random.Generator) -> Array:
        noise = dice.normal(0, sigma, image.shape[:2]).astype(np.float32)[..., None]
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    return plant


FAULTS: dict[str, tuple[Fault, Fault, Fault]] = {
    "covered": (covered(0.85), covered(0.93), covered(1.0)),
    "defocused": (defocused(4.0), defocused(8.0), defocused(16.0)),
    "moved": (moved(0.06), moved(0.15), moved(0.35)),
    "frozen": (frozen(0.1), frozen(0.02), frozen(0.0)),
    "too_dark": (lit(0.2), lit(0.1), lit(0.04)),
    "over_exposed": (lit(3.0), lit(5.0), lit(10.0)),
    "noise": (noisy(20.0), noisy(35.0), noisy(60.0)),
}


def lorry(image: Array, phase: float, dice: np.random.Generator) -> Array:
    """Something large and striped drives through, from left (phase 0) to right (1); it hides up to 70 % of the view."""
    height, width = image.shape[:2]
    length, left = round(0.8 * width), round((2 * phase - 0.9) * width)
    made = image.copy()
    columns = np.arange(max(0, left), min(width, left + length))
    if len(columns):
        stripes = (90 + 60 * ((columns - left) // max(8, width // 20) % 2)).astype(np.uint8)
        made[height // 10 :, columns] = stripes[None, :, None] + dice.integers(0, 5, (1, len(columns), 1), np.uint8)
    return made


def day(image: Array, hour: float, dice: np.random.Generator) -> Array:
    """The same view at an hour 0..24: dusk and dawn take an hour, clouds pass, at night the infrared light is on."""
    sun = float(np.clip((np.sin((hour - 6) / 12 * np.pi) + 0.25) / 0.5, 0, 1))
    clouds = 1 + 0.15 * np.sin(hour * 37) * np.sin(hour * 11)
    if sun < 0.15:  # the filter is switched: grey, darker, noisier
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
        made = 20 + 0.4 * np.repeat(grey, 3, axis=2) + dice.normal(0, 5, image.shape[:2])[..., None]
    else:
        made = image * (0.35 + 0.65 * sun) * clouds + dice.normal(0, 2 + 3 * (1 - sun), image.shape[:2])[..., None]
    return np.clip(made, 0, 255).astype(np.uint8)
