"""Pictures inside the page: small JPEGs as data URIs."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from agent.data import Array
from convert import ConvertError
from convert.report.markup import Html, tag

WIDTH = 360  # px
_QUALITY = 72


def small(image: Array, width: int = WIDTH) -> tuple[Array, float]:
    """An RGB picture at most `width` px wide and high, and what its px were multiplied by."""
    scale = min(1.0, width / max(image.shape[:2]))
    if scale == 1.0:
        return image, 1.0
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)), scale


def embedded(image: Array, caption: str | Html, alt: str) -> Html:
    """A figure with an RGB picture (H, W, 3) uint8."""
    done, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ConvertError("report: a picture could not be stored as JPEG")
    source = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
    height, width = image.shape[:2]
    picture = tag("img", src=source, alt=alt, width=width, height=height, loading="lazy")
    return tag("figure", picture, tag("figcaption", caption))


def heated(image: Array, heat: Array) -> Array:
    """A picture (H, W, 3) with a map (h, w), 0..1, laid over it: what matters is red, what does not stays."""
    full = cv2.resize(heat.astype(np.float32), (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC)
    weight = np.clip(full, 0, 1)[:, :, None] * 0.65
    colors = cv2.applyColorMap(np.round(np.clip(full, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    return np.asarray(np.round(image * (1 - weight) + colors * weight).astype(np.uint8))


def painted(image: Array, mask: Array, color_of: Array) -> Array:
    """A picture with a mask (H, W) int of classes over it; `color_of` (C, 3) uint8; class 0 and below stay clear."""
    full = cv2.resize(mask.astype(np.int32), (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
    colors = color_of[np.clip(full, 0, len(color_of) - 1)]
    mixed = np.round(image * 0.45 + colors * 0.55).astype(np.uint8)
    return np.where((full > 0)[:, :, None], mixed, image)
