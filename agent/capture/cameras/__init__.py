"""A kind of camera is a file here: `Options`, its section of agent.toml, and `frames(options)`.

`frames` opens the camera, yields Frames until the source has really ended (a clip's end; a live camera has
none) and releases it when the generator is closed. Images are RGB, C-contiguous and never written to again;
`seq` rises by one a frame read, `t` never falls. It raises CameraError on trouble, one line that names the
device, and never retries, drops frames or hides a stall: the supervisor owns that. `LIVE` says that trouble
may pass, so that reopening makes sense (a clip that is missing stays missing); `NOISY`, that two pictures of
the sensor are never equal, so equal ones mean a frozen camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from agent.data import Frame, LookoutError


class CameraError(LookoutError):
    """A camera that cannot be opened or read: which one, and why."""


class Camera(Protocol):
    """What a camera's module has."""

    Options: type[Any]
    LIVE: bool
    NOISY: bool

    def frames(self, options: Any) -> Iterator[Frame]:
        """Frames until the source ends. Raises CameraError."""
        ...
