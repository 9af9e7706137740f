"""The default clip: `vtest.avi`, a street with walkers (768 x 576, 10 fps, 795 frames), from Debian's opencv-doc.

Fetched once, without root, by `apt-get download`, into the user's cache: Lookout may not ship it, Debian may.

    apt-get download ──▶ opencv-doc.deb (95 MB) ──▶ dpkg-deb --fsys-tarfile ──▶ one member ──▶ sha256 ──▶ vtest.avi
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import logging
import os
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from agent.data import LookoutError

_log = logging.getLogger(__name__)
NAME = "vtest.avi"
SHA256 = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"
_SIZE = 8_131_690  # bytes
_PACKAGE = "opencv-doc"
_TOOLS = ("apt-get", "dpkg-deb")
_OPTIONS = ("-q", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")
_PATIENCE = 3600.0  # s for 95 MB; apt itself gives up much sooner where nothing comes


class ClipError(LookoutError):
    """The default clip cannot be had, why, and that the synthetic scene takes its place."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"street clip: {reason}; going on with the synthetic scene")


def default_clip(cache: Path | None = None) -> Path:
    """The street clip's path, checked; fetched first if `cache` (default: the user's cache folder) has none.

    Takes a minute and logs one line before it does. Two processes at once fetch it once. Raises ClipError.
    """
    folder = cache or _cache()
    clip = folder / NAME
    try:
        if _is_good(clip):
            return clip
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing:
            raise ClipError(f"{missing[0]} is not on this machine, and {NAME} comes from Debian's {_PACKAGE}")
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder) as work:
            if not _is_good(clip):  # the one before us may have fetched it
                _fetch(work, clip)
    except OSError as error:
        raise ClipError(f"{error.filename or folder}: {error.strerror or error}") from error
    return clip


def _cache() -> Path:
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "lookout"


def _is_good(clip: Path) -> bool:
    """Whether the clip is there and whole; one that is not whole is removed."""
    if not clip.exists():
        return False
    with clip.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == SHA256:
            return True
    clip.unlink(missing_ok=True)
    return False


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[Path]:
    """A work folder inside `folder` that is ours alone; empty at first, whatever died here before, and gone after."""
    work = folder / "fetching"
    with (folder / "lock").open("w") as lock:
        try:  # the kernel lets go of it however we end
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("another Lookout is fetching the street clip; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _fetch(work: Path, clip: Path) -> None:
    _log.info("fetching the street clip from Debian's opencv-doc (95 MB, once)")
    package = _download(work)
    part = work / NAME
    _extract(package, part)
    if not _is_good(part):
        raise ClipError(f"{NAME} in {package.name} is not the one that is known (sha256 differs); refused and removed")
    part.replace(clip)


def _download(work: Path) -> Path:
    """The package in `work`: by the machine's package lists, else by fresh lists of our own, which need no root."""
    troubles = [_apt(work, "download", _PACKAGE)]
    if troubles[0]:
        own = ["-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}/cache"]
        for name in ("lists/partial", "cache/archives/partial"):
            (work / name).mkdir(parents=True)
        troubles.append(_apt(work, "update", "-o", "APT::Update::Error-Mode=any", *own))  # an error may not matter
        troubles.append(_apt(work, "download", _PACKAGE, *own))
    found = sorted(work.glob("*.deb"))
    if troubles[-1] or not found:  # "cannot be found" is what follows from not reaching the archive: that is told first
        told = sorted(filter(None, troubles), key=lambda trouble: "Unable to locate" in trouble)
        raise ClipError(f"apt-get download {_PACKAGE}: {told[0] if told else 'brought nothing'}")
    return found[0]


def _apt(work: Path, *words: str) -> str:
    """Run apt-get in `work`; "" when it succeeded, else its first complaint."""
    try:
        done = subprocess.run(  # noqa: S603
            ["apt-get", *_OPTIONS, *words],  # noqa: S607  whichever apt-get this machine has
            cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            env={**os.environ, "LC_ALL": "C"}, timeout=_PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"nothing in {_PATIENCE / 60:.0f} min"
    if done.returncode == 0:
        return ""
    complaints = [" ".join(line[2:].split()) for line in done.stderr.splitlines() if line.startswith("E:")]
    return complaints[0] if complaints else f"exit code {done.returncode}"


def _extract(package: Path, part: Path) -> None:
    """Write the clip, and nothing else, from the package to `part`."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as unpacking:  # noqa: S603
        assert unpacking.stdout is not None
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
                found = _find(archive)
                if found is None:
                    raise ClipError(f"there is no {NAME} in {package.name}")
                part.write_bytes(found.read(_SIZE + 1))  # one byte more shows that it is too long
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ClipError(f"{package.name} cannot be read ({error})") from error
        finally:
            unpacking.kill()  # the rest of the package is not needed


def _find(archive: tarfile.TarFile) -> IO[bytes] | gzip.GzipFile | None:
    """The clip inside the package, which some releases compress."""
    for member in archive:
        name = Path(member.name).name
        file = archive.extractfile(member) if member.isfile() and name in (NAME, f"{NAME}.gz") else None
        if file is not None:
            return file if name == NAME else gzip.GzipFile(fileobj=file)
    return None
