"""How many crops a frame may have: so many a second for all cameras together, shared fairly.

Each camera earns an equal part of the invokes and saves up a second of it at most. What a camera does not use runs
over into a common pot, from which busy ones help themselves; the pot holds a second as well. So a busy camera lives on
its own part and on what is left over, never on a quiet one's part.
"""

from __future__ import annotations

_SAVED_S = 1.0  # of income that is kept
_GONE_S = 10.0  # a camera that gave no frame for so long has no part


class Budget:
    """Invokes, earned and spent; times are those of the frames, so a replay spends what the live run would."""

    def __init__(self, per_second: float, per_frame: int) -> None:
        self._per_second, self._per_frame = per_second, per_frame
        self._saved: dict[str, float] = {}  # invokes by camera
        self._paid: dict[str, float] = {}  # s, when a camera was last paid
        self._pot = 0.0

    def allowance(self, camera: str, t: float) -> int:
        """How many crops this camera may have in its frame of time `t` (s)."""
        for other in [c for c, paid in self._paid.items() if t - paid > _GONE_S]:
            del self._saved[other], self._paid[other]
        begins = camera not in self._paid
        income = self._per_second / (len(self._paid) + begins)
        earned = _SAVED_S * income if begins else income * max(0.0, t - self._paid[camera])
        saved = self._saved.get(camera, 0.0) + earned
        most = max(1.0, _SAVED_S * income, earned)  # frames rarer than one a second lose nothing of it
        self._pot = min(max(1.0, _SAVED_S * self._per_second), self._pot + max(0.0, saved - most))
        self._saved[camera], self._paid[camera] = min(saved, most), t
        return min(self._per_frame, int(self._saved[camera] + self._pot + 1e-6))

    def spend(self, camera: str, crops: int) -> None:
        """Crops that were run; first from the camera's own part, then from the pot."""
        own = min(self._saved[camera], float(crops))
        self._saved[camera] -= own
        self._pot = max(0.0, self._pot - (crops - own))
