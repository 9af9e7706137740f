"""What may be asked of the agent, in which words, and how often. No command names a file, a program or a URL."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from agent.areas import MAX_POINTS, Point, Zone
from agent.data import NOT_JSON, LookoutError

MAX_BYTES = 16_384
BURST, PER_S = 10, 1.0  # commands at once, and in the long run
_POLYGON = Annotated[tuple[Point, ...], Meta(min_length=3, max_length=MAX_POINTS)]
_Masks = Annotated[tuple[_POLYGON, ...], Meta(max_length=16)]
_NAME = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class CommandError(LookoutError):
    """A command that is not carried out, and why."""


class Snapshot(Struct, frozen=True, forbid_unknown_fields=True):
    """command/snapshot: a JPEG of the latest frame on <camera>/snapshot."""

    camera: _NAME


class Set(Struct, frozen=True, forbid_unknown_fields=True):
    """command/set: what is not named stays as it is; null is what the config says."""

    camera: _NAME
    detection: bool | msgspec.UnsetType | None = msgspec.UNSET
    confidence: Annotated[float, Meta(ge=0.01, le=1)] | msgspec.UnsetType | None = msgspec.UNSET
    fps: Annotated[float, Meta(ge=0.1, le=240)] | msgspec.UnsetType | None = msgspec.UNSET
    motion_masks: _Masks | msgspec.UnsetType | None = msgspec.UNSET  # instead of the config's
    privacy_masks: _Masks | msgspec.UnsetType | None = msgspec.UNSET  # beside the config's


class Reload(Struct, frozen=True, forbid_unknown_fields=True):
    """command/reload: read agent.toml again and take it over; one that is not good changes nothing."""


class UpdateModel(Struct, frozen=True, forbid_unknown_fields=True):
    """command/update_model: a file in the agent's `models_dir`, or the newest that the maker of [updates] offers.

    It is tried, taken over and put on trial.
    """

    file: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.tflite$")] = ""  # a name: no folder, no URL
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}$")] = ""  # of the file
    newest: bool = False

    def __post_init__(self) -> None:
        if [bool(self.file), bool(self.sha256)] != [not self.newest] * 2:
            raise ValueError('Either {"newest": true} or both `file` and `sha256`')


class ResetCounts(Struct, frozen=True, forbid_unknown_fields=True):
    """command/reset_counts: the counts of a zone or line go back to 0, on one camera or on all."""

    name: _NAME
    camera: _NAME | None = None


VERBS: dict[str, type[Struct]] = {
    "reload": Reload,
    "reset_counts": ResetCounts,
    "set": Set,
    "snapshot": Snapshot,
    "update_model": UpdateModel,
}


def parse(verb: str, payload: bytes) -> Any:
    """The typed arguments. Raises CommandError for anything that is not exactly what the verb takes."""
    if verb not in VERBS:
        raise CommandError(f"unknown; there are: {', '.join(VERBS)}")
    if len(payload) > MAX_BYTES:
        raise CommandError(f"larger than {MAX_BYTES} bytes")
    try:
        arguments = msgspec.json.decode(payload or b"{}", type=VERBS[verb])
    except NOT_JSON as error:
        raise CommandError(str(error)) from error
    for key in ("motion_masks", "privacy_masks"):
        for n, polygon in enumerate(getattr(arguments, key, None) or ()):
            if flaw := Zone(polygon).flaw():
                raise CommandError(f"{key}[{n}] {flaw}")
    return arguments


class Limiter:
    """A bucket of tokens that refills."""

    def __init__(self, burst: int = BURST, per_s: float = PER_S) -> None:
        self._burst, self._per_s = float(burst), per_s
        self._tokens, self._t = self._burst, float("-inf")

    def allows(self, now: float) -> bool:
        """Whether one more may pass at `now` (s, monotonic)."""
        self._tokens = min(self._burst, self._tokens + (now - self._t) * self._per_s)
        self._t = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
