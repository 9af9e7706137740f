"""JPEGs, and of each track the picture that shows it best."""

from __future__ import annotations

import cv2
import numpy as np

from agent.data import Array, Scene

_BETTER = 1.15  # a new picture must be so much better: copying one costs more than comparing two
_MARGIN = 0.15  # of the box's longer side, around it
_KEPT = 64  # tracks; a crowd must not fill the memory


def jpeg(image: Array, quality: int) -> bytes:
    """(H, W, 3) uint8 RGB -> JPEG; `quality` 1..100."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)


class Best:
    """The best view of each live track: confident and large."""

    def __init__(self) -> None:
        self._best: dict[tuple[str, int], tuple[float, Array]] = {}  # (camera, track) -> score, (h, w, 3) uint8 RGB

    def look(self, scene: Scene) -> None:
        """Keep a copy of what is better than before; tracks that are only predicted do not count."""
        image, tracks = scene.frame.image, scene.tracks
        if 0 in image.strides:  # a picture that was dropped on the way here
            return
        for row in np.flatnonzero(tracks.missed == 0).tolist():
            x1, y1, x2, y2 = tracks.xyxy[row].tolist()
            score = float(tracks.confidence[row]) * max(0.0, x2 - x1) * max(0.0, y2 - y1)
            key = (scene.camera, int(tracks.track_id[row]))
            if score > _BETTER * self._best.get(key, (0.0, image))[0]:
                self._best.pop(key, None)
                self._best[key] = score, _cut(image, (x1, y1, x2, y2))
        while len(self._best) > _KEPT:
            del self._best[next(iter(self._best))]

    def take(self, camera: str, track: int | None) -> Array | None:
        """The track has ended: its picture, if there is one."""
        return self._best.pop((camera, track), (0.0, None))[1] if track is not None else None


def _cut(image: Array, xyxy: tuple[float, float, float, float]) -> Array:
    x1, y1, x2, y2 = xyxy
    margin = _MARGIN * max(x2 - x1, y2 - y1)
    height, width = image.shape[:2]
    rows = slice(max(0, int(y1 - margin)), min(height, int(y2 + margin) + 1))
    columns = slice(max(0, int(x1 - margin)), min(width, int(x2 + margin) + 1))
    return image[rows, columns].copy()
