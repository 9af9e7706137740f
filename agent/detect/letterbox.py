"""A crop of a frame -> the model's input tensor, and boxes back to px of the crop.

    crop (H, W, 3) uint8 RGB                input tensor view (1, h, w, 3)
    ┌───────────────┐   resize straight    ┌───────────────┐
    │               │   into the tensor    │░░░░░ pad ░░░░░│  colour order and pixel values are
    │               │  ─────────────────►  ├───────────────┤  changed in place, afterwards
    └───────────────┘                      │    picture    │
                                           ├───────────────┤
                                           │░░░░░░░░░░░░░░░│
                                           └───────────────┘

What pixel p becomes is settled once, at construction: it stands for the real value
low + p·(high - low)/255 (the card's `range`), stored as real/scale + zero_point. For the usual int8 input
that is p - 128, a single xor with 0x80; for a uint8 one it is p itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from agent import modelfile
from agent.data import Array

_SIGN = np.uint8(0x80)  # u8 ^ 0x80, read as int8, is u8 - 128


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a crop went in the model's input: x_model = x_crop · scale_x + offset_x, the same for y."""

    scale: tuple[float, float]  # (x, y) model px per crop px
    offset: tuple[float, float]  # (x, y) model px

    def to_crop(self, xyxy: Array) -> Array:
        """(N, 4) px of the model's input -> (N, 4) float32 px of the crop; not clipped."""
        offset = np.array(self.offset * 2, np.float32)
        scale = np.array(self.scale * 2, np.float32)
        return np.asarray((xyxy - offset) / scale, np.float32)

    def cells(self, grid: tuple[int, ...], shape: tuple[int, ...], size: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of a grid (h, w) over the model's input of `size` that a crop of shape (H, W, ..) fills."""
        cell = np.array([grid[1], grid[0]]) / size  # a px of the input, in cells
        start = np.array(self.offset) * cell
        end = start + np.array([shape[1], shape[0]]) * self.scale * cell
        (left, top), (right, bottom) = np.floor(start).astype(int), np.ceil(end - 1e-6).astype(int)
        return slice(top, bottom), slice(left, right)


class Letterbox:
    """Fills one model's input tensor with crops, by that model's card."""

    def __init__(self, wanted: modelfile.Input, tensor: modelfile.Tensor) -> None:
        """Raises ModelError where the tensor is not what the card says it is."""
        width, height = wanted.size
        self._planes = wanted.layout == "NCHW"
        shape = (1, 3, height, width) if self._planes else (1, height, width, 3)
        if tensor.shape != shape or tensor.dtype not in ("int8", "uint8", "float32"):
            raise modelfile.ModelError(
                f"model input {tensor.name!r} is {tensor.dtype} {list(tensor.shape)}; its card wants 8-bit or float32"
                f" {list(shape)}; the card belongs to another model"
            )
        self.wanted = wanted
        self._table = pixel_table(wanted.range, tensor)
        self._picture: Array | None = None  # (h, w, 3) uint8; 8-bit NHWC tensors are their own picture
        if tensor.dtype == "float32" or self._planes:
            self._picture = np.empty((height, width, 3), np.uint8)

    def fill(self, view: Array, crop: Array, small: Array | None = None) -> Placement:
        """Write a crop (H, W, 3) uint8 RGB, which may be a slice of a frame, into the view of the input tensor.

        `small` shows the same with fewer pixels, well scaled down. Where they are enough they are taken: of a large
        picture the resize here sees only some pixels, each with all of its noise.
        """
        picture: Array = view[0].view(np.uint8) if self._picture is None else self._picture
        size, (left, top) = self._place(crop.shape[1], crop.shape[0])
        right, bottom = left + size[0], top + size[1]
        for bar in (picture[:top], picture[bottom:], picture[top:bottom, :left], picture[top:bottom, right:]):
            bar[...] = self.wanted.pad  # every time: the interpreter may have used the tensor as scratch memory
        inner = picture[top:bottom, left:right]
        shown = crop
        if small is not None and small.shape[1] >= size[0] and small.shape[0] >= size[1]:
            shown = small
        cv2.resize(shown, size, dst=inner, interpolation=cv2.INTER_LINEAR)
        if self.wanted.color == "BGR":
            cv2.cvtColor(inner, cv2.COLOR_RGB2BGR, dst=inner)
        if self._planes:
            self._to_planes(picture, view[0])
        else:
            self._to_values(picture, view[0])
        return Placement((size[0] / crop.shape[1], size[1] / crop.shape[0]), (left, top))

    def _place(self, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Size of the picture of a width × height crop in the model's input, and its top-left corner."""
        wide, high = self.wanted.size
        if self.wanted.resize == "stretch":
            return (wide, high), (0, 0)
        scale = min(wide / width, high / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        if self.wanted.align == "top-left":
            return size, (0, 0)
        return size, ((wide - size[0]) // 2, (high - size[1]) // 2)

    def _to_values(self, picture: Array, values: Array) -> None:
        """Pixels (h, w, 3) uint8 -> what the tensor stores; in place where both are the same memory."""
        if self._table is not None:
            target = values if self._picture is not None else picture
            cv2.LUT(picture, self._table, dst=target)
        elif values.dtype == np.int8:
            np.bitwise_xor(picture, _SIGN, out=picture)

    def _to_planes(self, picture: Array, values: Array) -> None:
        """Pixels (h, w, 3) uint8 -> what an NCHW tensor stores (3, h, w)."""
        for pixels, plane in zip(cv2.split(picture), values, strict=True):
            if self._table is not None:
                cv2.LUT(pixels, self._table, dst=plane.view(self._table.dtype))
            else:
                np.bitwise_xor(pixels, _SIGN if plane.dtype == np.int8 else np.uint8(0), out=plane.view(np.uint8))


def pixel_table(limits: tuple[float, float], tensor: modelfile.Tensor) -> Array | None:
    """(256,) what each pixel value is in the tensor: float32, or uint8 holding the tensor's 8 bits.

    None where no table is needed, because within half a step the tensor wants p (uint8) or p - 128 (int8).
    """
    low, high = limits
    real = low + np.arange(256) * ((high - low) / 255)  # (256,) float64
    if tensor.dtype == "float32":
        return real.astype(np.float32)
    ideal = real / (tensor.scale or 1.0) + tensor.zero_point  # in steps; scale 0: the tensor holds plain numbers
    plain = np.arange(256) - (128 if tensor.dtype == "int8" else 0)
    if np.abs(ideal - plain).max() <= 0.5 + 1e-3:  # scales are float32
        return None
    limit = np.iinfo(tensor.dtype)
    return np.asarray(np.clip(np.floor(ideal + 0.5), limit.min, limit.max), tensor.dtype).view(np.uint8)
