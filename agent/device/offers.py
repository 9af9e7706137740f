"""What models the maker offers: looked for now and then, fetched when asked. Never in the loop's thread.

    NAME.manifest.json, .sig ─▶ signed by [updates] public_key? ─▶ version above all that were taken? ─▶ told
                                      asked: NAME.tflite ─▶ size, sha256 ─▶ self-test, switch, trial (updates.py)

Where to look stands in the config and nowhere else: no message can make the device fetch from another place.
"""

from __future__ import annotations

import contextlib
import logging
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

from agent.data import LookoutError
from agent.device import manifest
from agent.device.fetch import fetch
from agent.device.manifest import Manifest, Standing
from agent.device.updates import Store, UpdateError
from agent.sections import Updates

log = logging.getLogger(__name__)
_FETCHED = ".fetched-"  # begins the names of folders that are being filled
_FIRST_S = 5.0  # after the start: cameras and broker come first
_MANIFEST_S, _MODEL_S = 30.0, 1800.0  # s to fetch each; 256 MB in half an hour are 1.2 Mbit/s
_SPREAD = 0.1  # of the pause between two looks, so that a hundred devices do not come at once


class Offers:
    """Of one maker, for one device."""

    def __init__(self, options: Updates, store: Store, tell: Callable[[Manifest], None]) -> None:
        """`tell` hears of each new offer once, in a thread of this."""
        self._options, self._store, self._tell = options, store, tell
        self._offered: Manifest | None = None
        self._trouble = ""
        self._version = store.state.version  # of the model that runs
        self._told = 0  # version
        self._wake, self._thread = threading.Event(), threading.Thread(target=self._work, name="offers", daemon=True)

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._thread.start()

    def take_over(self, options: Updates) -> None:
        """Another config, or another model runs."""
        self._version = self._store.state.version
        if options != self._options:
            self._options, self._offered, self._trouble = options, None, ""
            self._wake.set()

    def standing(self) -> Standing:
        """What is known now; costs nothing to ask."""
        offered = self._offered
        return Standing(self._version, offered.version if offered else self._version, self._trouble)

    @contextlib.contextmanager
    def fetched(self) -> Iterator[tuple[Path, Manifest]]:
        """The newest model in a folder of its own, and its manifest. Raises LookoutError: there is none to be taken."""
        with newest(self._options, self._store) as found:
            yield found
        self._offered = None

    def _work(self) -> None:
        self._wake.wait(_FIRST_S)
        while True:
            self._wake.clear()
            if self._options.manifest and self._options.check_h:
                self._look()
            hours = self._options.check_h
            self._wake.wait(hours * 3600 * random.uniform(1 - _SPREAD, 1 + _SPREAD) if hours else None)  # noqa: S311

    def _look(self) -> None:
        options, trouble = self._options, ""
        try:
            with tempfile.TemporaryDirectory(prefix="lookout-") as folder:
                found = _signed(options, Path(folder))
            is_new = _is_new(found, self._store)
        except (LookoutError, OSError) as error:
            is_new, trouble = False, str(error)
        except Exception as error:  # the next look may find out more
            log.exception("updates: unexpected")
            is_new, trouble = False, f"unexpected {type(error).__name__}"
        if options != self._options:
            return  # asked somebody who does not count any more
        if trouble and trouble != self._trouble:
            log.warning("updates: %s; looked for again in %g h", trouble, options.check_h)
        self._trouble = trouble
        if trouble:
            return
        self._offered = found if is_new else None
        if is_new and found.version != self._told:
            self._told = found.version
            log.info("updates: version %d is there: %s, %d bytes", found.version, found.file, found.size)
            self._tell(found)


@contextlib.contextmanager
def newest(options: Updates, store: Store) -> Iterator[tuple[Path, Manifest]]:
    """What is offered, fetched and verified, for as long as the `with` lasts.

    Raises FetchError, ManifestError, or UpdateError: nothing above what was taken before.
    """
    if not options.manifest:
        raise UpdateError("update: [updates] names no manifest; nothing is looked for")
    with _folder(store) as folder:
        found = _signed(options, folder)
        if not _is_new(found, store):
            raise UpdateError(f"update: version {found.version} is the newest there is, and was taken before")
        file = folder / found.file
        url = urljoin(options.manifest, found.file)
        fetch(url, file, largest=found.size, limit_s=_MODEL_S, ca_file=options.ca_file)
        manifest.check_file(found, file)
        yield file, found


def _signed(options: Updates, folder: Path) -> Manifest:
    """The manifest, if its signature is good."""
    assert options.manifest
    assert options.public_key
    texts = []
    for suffix in ("", manifest.SIGNATURE_SUFFIX):
        file, url = folder / f"manifest{suffix}", options.manifest + suffix
        fetch(url, file, largest=manifest.LARGEST, limit_s=_MANIFEST_S, ca_file=options.ca_file)
        texts.append(file.read_bytes())
    return manifest.verified(texts[0], texts[1], options.public_key)


def _is_new(found: Manifest, store: Store) -> bool:
    """Whether it may be taken. Raises UpdateError for one older than what was: replayed, or put back by mistake."""
    state = store.state
    if found.version < state.accepted:
        raise UpdateError(f"update: version {found.version} is older than {state.accepted}, which was taken; refused")
    return found.version > state.accepted and found.sha256[:16] not in state.refused


@contextlib.contextmanager
def _folder(store: Store) -> Iterator[Path]:
    """For what is fetched, beside the models; goes at the end, and what a kill has left of others as well."""
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        for left in store.folder.glob(f"{_FETCHED}*"):
            if time.time() - left.stat().st_mtime > 2 * _MODEL_S:
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_FETCHED, dir=store.folder))
    except OSError as error:
        raise UpdateError(f"update: {store.folder}: {error.strerror}; nothing has changed") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
