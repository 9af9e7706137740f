"""Pictures that leave the agent: every one is made here, so that what is private is in none of them.

scene ──▶ shown: the whole frame ─┬─▶ fitted ──▶ jpeg
     └──▶ cut: a box of it ───────┘
"""

from __future__ import annotations

import cv2
import numpy as np

from agent.data import Array, Scene

_BETTER = 1.15  # a new picture must be so much better: copying one costs more than comparing two
_MARGIN = 0.2  # of a box's longer side, around it
_KEPT = 64  # tracks; a crowd must not fill the memory
_CELLS, _CELL_PX = 6, 4  # across the shorter side of what is private, at most; and a cell at least so large
_BEYOND = 0.1  # of its longer side, around it: a box is not exact


def jpeg(image: Array, quality: int) -> bytes:
    """(H, W, 3) uint8 RGB -> JPEG; `quality` 1..100."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)


def shown(scene: Scene) -> Array:
    """The frame as it may leave, (H, W, 3) uint8 RGB: itself where nothing in it is private, else a copy."""
    if not len(scene.private):
        return scene.frame.image
    picture = scene.frame.image.copy()
    _veil(picture, scene.private)
    return picture


def cut(scene: Scene, xyxy: tuple[float, float, float, float]) -> Array:
    """A copy of a box (px) and a little around it, as it may leave; never empty."""
    (width, height), (x1, y1, x2, y2) = scene.frame.size, xyxy
    margin = _MARGIN * max(x2 - x1, y2 - y1)
    left, right = _span(x1 - margin, x2 + margin, width)
    top, bottom = _span(y1 - margin, y2 + margin, height)
    picture = scene.frame.image[top:bottom, left:right].copy()
    _veil(picture, scene.private - np.array([left, top, left, top], np.float32))
    return picture


def given(scene: Scene, xyxy: tuple[float, float, float, float]) -> Array | None:
    """The part of the frame in which the model found what is in a box (px): the smallest, as it may leave.

    None where it was not looked at in this frame.
    """
    if scene.seen is None:
        return shown(scene)
    x1, y1, x2, y2 = xyxy
    at = np.array([(x1 + x2) / 2, (y1 + y2) / 2] * 2)  # within, if both signs are those of a box around it
    around = scene.seen[((scene.seen - at) * (-1, -1, 1, 1) >= 0).all(axis=1)]
    if not len(around):
        return None
    left, top, right, bottom = around[np.argmin((around[:, 2:] - around[:, :2]).prod(axis=1))].astype(int).tolist()
    return shown(scene)[max(0, top) : bottom, max(0, left) : right]


def fitted(image: Array, longest: int) -> Array:
    """No side longer than `longest` px; the same picture where none is."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def box_of(scene: Scene, track: int | None) -> tuple[float, float, float, float] | None:
    """px xyxy of a track that the scene tells of."""
    rows = np.flatnonzero(scene.tracks.track_id == (track or -1))  # ids begin with 1
    if not len(rows):
        return None
    x1, y1, x2, y2 = scene.tracks.xyxy[rows[0]].tolist()
    return x1, y1, x2, y2


def _span(first: float, last: float, end: int) -> tuple[int, int]:
    """At least two px, of a picture that has `end`."""
    begin = min(int(max(0.0, first)), end - 2)
    return begin, max(begin + 2, int(last) + 1)


def _veil(picture: Array, xyxy: Array) -> None:
    """Coarse cells in place of what lies in the boxes, (K, 4) px of this picture."""
    height, width = picture.shape[:2]
    for x1, y1, x2, y2 in xyxy.tolist():
        beyond = _BEYOND * max(x2 - x1, y2 - y1)
        rows = slice(max(0, int(y1 - beyond)), max(0, min(height, int(y2 + beyond) + 1)))
        columns = slice(max(0, int(x1 - beyond)), max(0, min(width, int(x2 + beyond) + 1)))
        place = picture[rows, columns]
        if place.size:
            high, wide = place.shape[:2]
            cell = max(_CELL_PX, min(high, wide) / _CELLS)  # px
            coarse = cv2.resize(
                place, (max(1, int(wide / cell)), max(1, int(high / cell))), interpolation=cv2.INTER_AREA
            )
            place[...] = cv2.resize(coarse, (wide, high), interpolation=cv2.INTER_NEAREST)


class Best:
    """The best view of each live track: confident and large."""

    def __init__(self) -> None:
        self._best: dict[tuple[str, int], tuple[float, Array]] = {}  # (camera, track) -> score, (h, w, 3) uint8 RGB
        self._hidden: dict[str, object] = {}  # camera -> what was black in the last frame

    def look(self, scene: Scene) -> None:
        """Keep a copy of what is better than before; tracks that are only predicted do not count.

        Where something else is hidden than in the frame before, older views may show it: they are forgotten.
        """
        image, tracks = scene.frame.image, scene.tracks
        if self._hidden.get(scene.camera, ()) != scene.hidden:
            self._best = {key: best for key, best in self._best.items() if key[0] != scene.camera}
        self._hidden[scene.camera] = scene.hidden
        if 0 in image.strides:  # a picture that was dropped on the way here
            return
        for row in np.flatnonzero(tracks.missed == 0).tolist():
            x1, y1, x2, y2 = tracks.xyxy[row].tolist()
            score = float(tracks.confidence[row]) * max(0.0, x2 - x1) * max(0.0, y2 - y1)
            key = (scene.camera, int(tracks.track_id[row]))
            if score > _BETTER * self._best.get(key, (0.0, image))[0]:
                self._best.pop(key, None)
                self._best[key] = score, cut(scene, (x1, y1, x2, y2))
        while len(self._best) > _KEPT:
            del self._best[next(iter(self._best))]

    def take(self, camera: str, track: int | None) -> Array | None:
        """The track has ended: its picture, if there is one."""
        return self._best.pop((camera, track), (0.0, None))[1] if track is not None else None
