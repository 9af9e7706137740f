"""Tables of agent.toml that a device may do without: live page, second looks, updates. agent/config.py reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

_HTTPS = r"^https://[^?#@\s]+/[^/?#@\s]+\.manifest\.json$"
_Manifest = Annotated[str, Meta(pattern=_HTTPS, description="an https:// address that ends in NAME.manifest.json")]
_PublicKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{43}=$", description="32 bytes in base64")]
_Unit = Annotated[float, Meta(ge=0, le=1)]


class Snapshots(Struct, frozen=True, forbid_unknown_fields=True):
    """[web.snapshots]: pictures of what happened, kept in state_dir/snapshots over restarts; 6 to 50 kB each."""

    enabled: bool = False  # nothing is written
    width: Annotated[int, Meta(ge=160, le=4096)] = 640  # px; longer sides are made so long
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 80
    per_hour: Annotated[int, Meta(ge=1, le=3600)] = 60  # of events, at most; anomalies are always kept
    max_mb: Annotated[float, Meta(ge=1, le=1_000_000)] = 256.0  # beyond this the oldest go
    max_days: Annotated[float, Meta(gt=0, le=3650)] = 14.0  # older ones go
    free_mb: Annotated[float, Meta(ge=0, le=1_000_000)] = 512.0  # of the disk stay free: the oldest go, none is added


class Web(Struct, frozen=True, forbid_unknown_fields=True):
    """[web]: the live page; needs the extra of this name."""

    enabled: bool = False
    host: str = "127.0.0.1"  # "0.0.0.0" is everybody who can reach this machine: with a password only
    port: Annotated[int, Meta(ge=0, le=65535)] = 8484  # 0 = any that is free
    password_file: Path | None = None  # its hash, as `lookout password` prints it
    names: tuple[str, ...] = ()  # further host names under which browsers come, beside the machine's own
    fps: Annotated[float, Meta(ge=0.1, le=60)] = 10.0  # pictures a second for each who looks, at most
    width: Annotated[int, Meta(ge=160, le=4096)] = 960  # px; longer sides are made so long
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 75
    snapshots: Snapshots = Snapshots()

    def __post_init__(self) -> None:
        if self.host not in ("127.0.0.1", "::1", "localhost") and self.password_file is None:
            raise ValueError(f"host {self.host!r} lets others in: it needs a password_file (`lookout password`)")


class Second(Struct, frozen=True, forbid_unknown_fields=True):
    """[second.NAME]: what every kind of second look has beside its own options: at whom or where, and how often."""

    kind: str  # a file in agent/detect/secondary/kinds/
    options: Any
    labels: tuple[str, ...] = ()  # at tracks of these labels
    region: tuple[_Unit, _Unit, _Unit, _Unit] | None = None  # or at this place: x_min, y_min, x_max, y_max, 0..1
    cameras: tuple[str, ...] = ()  # of these; empty = of all
    per_second: Annotated[float, Meta(gt=0, le=100)] = 2.0  # looks at most, for all cameras together
    best: Annotated[int, Meta(ge=1, le=32)] = 5  # sharpest looks at a track, or last ones at a place, that decide
    least_px: Annotated[int, Meta(ge=1, le=4096)] = 24  # shorter side of a box; less is not looked at
    part: Literal["whole", "upper"] = "whole"  # of a box; upper = the upper third, where heads are

    def __post_init__(self) -> None:
        if bool(self.labels) == bool(self.region):
            raise ValueError("needs either labels, for tracks, or a region, for one place")
        if self.region and not (self.region[0] < self.region[2] and self.region[1] < self.region[3]):
            raise ValueError("region must be x_min, y_min, x_max, y_max, each max above its min")

    @property
    def about(self) -> str:
        """For people: "match at person, upper part"."""
        if self.region:
            return f"{self.kind} at one place"
        return f"{self.kind} at {', '.join(self.labels)}" + (", upper part" if self.part == "upper" else "")


class Updates(Struct, frozen=True, forbid_unknown_fields=True):
    """[updates]: where new models are offered and whose they must be; the models lie beside their manifest."""

    manifest: _Manifest | None = None  # `python -m convert sign` makes it, and NAME.manifest.json.sig
    public_key: _PublicKey | None = None  # whose signature it must bear
    check_h: Annotated[float, Meta(ge=0, le=8760)] = 6.0  # between two looks; 0 = only when asked
    ca_file: Path | None = None  # who signs the server's certificate; None = whom the system trusts

    def __post_init__(self) -> None:
        if self.manifest and not self.public_key:
            raise ValueError("manifest needs a public_key; `python -m convert sign --new-key FILE` prints one")
