"""A new model that cannot brick: verified, tried in a child process, switched by one rename, kept once proved.

    <state_dir>/models/
      state.json               which folder is chosen, which was before, whether on trial, which were refused
      9f2c61d07a3b44e1/        a model with its sidecars; named by the sha256 of its bytes
        mine.tflite  mine.json

state.json is the only switch, replaced whole: a process that is killed at any step leaves the old model or the new.
A chosen model is on trial until the agent has looked at frames with it for `TRIAL_S` (trial.py says what ends it
earlier). If the agent had to be started more than `STARTS` times before that (crash, watchdog, a file that does not
load), the one before is chosen again and this one refused for good. Where nothing is chosen the config's model runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from agent import disk, modelfile
from agent.data import NOT_JSON, LookoutError
from agent.detect import proof
from agent.detect.model import Model

log = logging.getLogger(__name__)
STARTS = 3
TRIAL_S = 600.0
_LARGEST = 256 << 20  # bytes
_TEST_S = 120.0
_SIDECARS = (".json", ".labels.txt")


class UpdateError(LookoutError):
    """A model that is not taken; the one before stays."""


class State(msgspec.Struct, frozen=True):
    """state.json; what a newer release wrote into it beside these is left out."""

    chosen: str | None = None  # a folder's name; None = the config's model
    before: str | None = None  # what was chosen before; None = the config's model
    starts: int | None = None  # of the agent with a model on trial; None = it has proved itself
    refused: tuple[str, ...] = ()
    accepted: int = 0  # the highest version of a manifest that was ever taken; it never falls
    versions: dict[str, int] = {}  # of the folders there are, where they came with one

    @property
    def version(self) -> int:
        """Of the chosen model; 0 for one that came without a manifest."""
        return self.versions.get(self.chosen or "", 0)


class Store:
    """Models beside the config's, and which of them runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unwritten: State | None = None  # what the disk did not take

    @property
    def state(self) -> State:
        """As it stands on the disk, or should; the config's model where that cannot be read."""
        if self._unwritten:
            return self._unwritten
        try:
            return msgspec.json.decode((self.folder / "state.json").read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, *NOT_JSON) as error:
            log.warning("updates: %s cannot be read (%s); the config's model runs", self.folder / "state.json", error)
            return State()

    def path(self, name: str | None) -> Path | None:
        """The model in a folder; None where there is none."""
        return next(iter(sorted((self.folder / name).glob("*.tflite"))), None) if name else None

    def install(
        self, file: Path, sha256: str = "", test: Callable[[Path], float] | None = None, *, version: int = 0
    ) -> str:
        """Take a model, to run from the next start on; the name of its folder.

        `sha256` is that of the file, as its maker told it, `version` its manifest's (0: it has none), which must be
        above all that were taken before. Raises UpdateError or ModelError: nothing has changed.
        """
        state = self.state
        if version and version <= state.accepted:
            raise UpdateError(f"model {file.name}: version {version} is not above {state.accepted}, which was taken")
        incoming = self._copied(file, sha256)
        try:
            name = _digest(incoming / file.name)[:16]
            if name in state.refused:
                raise UpdateError(f"model {file}: was refused before, when it was on trial")
            if name == state.chosen:
                if version:
                    self._write(_taken(state, name, version))
                return name
            modelfile.read(incoming / file.name)
            (test or self_test)(incoming / file.name)
            if self.path(name) is None:
                shutil.rmtree(self.folder / name, ignore_errors=True)
                incoming.rename(self.folder / name)
                disk.sync_folder(self.folder)
            proved = state.chosen if state.starts is None else state.before
            changed = msgspec.structs.replace(state, chosen=name, before=proved, starts=0)
            self._write(_taken(changed, name, version))
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        self._prune()
        return name

    def begin(self) -> Path | None:
        """The model to run now, None for the config's. Called once a start; a start too many ends the trial."""
        state = self.state
        if state.starts is not None and state.starts >= STARTS:
            self.roll_back(f"it was started {state.starts} times and never ran for {TRIAL_S:.0f} s")
        elif state.starts is not None:
            self._note(msgspec.structs.replace(state, starts=state.starts + 1))
        chosen = self.path(self.state.chosen)
        if self.state.chosen and chosen is None:
            log.error("updates: model %s is not there any more; the config's model runs", self.state.chosen)
        return chosen

    def keep(self) -> None:
        """It has proved itself."""
        log.info("updates: model %s has proved itself and is kept", self.state.chosen)
        self._note(msgspec.structs.replace(self.state, starts=None))

    def ended_well(self) -> None:
        """The agent was told to stop: this start says nothing against the model."""
        state = self.state
        if state.starts:
            self._note(msgspec.structs.replace(state, starts=state.starts - 1))

    def roll_back(self, why: str) -> None:
        """The model before is chosen again; one that was on trial is refused from now on."""
        state = self.state
        refused = (*state.refused, state.chosen) if state.chosen and state.starts is not None else state.refused
        back = state.before if self.path(state.before) else None
        log.error("updates: back from model %s to %s: %s", state.chosen, back or "the config's", why)
        self._note(msgspec.structs.replace(state, chosen=back, before=None, starts=None, refused=refused))

    def _copied(self, file: Path, sha256: str) -> Path:
        """A folder with a copy of the model and its sidecars, on the disk; what is verified is what will run."""
        try:
            if file.stat().st_size > _LARGEST:
                raise UpdateError(f"model {file}: larger than {_LARGEST >> 20} MB; refused")
            self.folder.mkdir(parents=True, exist_ok=True)
            incoming = self.folder / f".incoming-{os.getpid()}"
            shutil.rmtree(incoming, ignore_errors=True)
            incoming.mkdir()
            for source in (file, *(file.with_suffix(suffix) for suffix in _SIDECARS)):
                if source is file or source.is_file():
                    disk.write(incoming / source.name, source.read_bytes())
            disk.sync_folder(incoming)
        except OSError as error:
            raise UpdateError(f"model {file}: cannot be copied: {error.strerror}; nothing has changed") from error
        found = _digest(incoming / file.name)
        if sha256 and found != sha256.lower():
            shutil.rmtree(incoming)
            raise UpdateError(f"model {file}: sha256 is {found[:12]}.., not {sha256[:12]}..; nothing has changed")
        self._hand_over()
        return incoming

    def _note(self, state: State) -> None:
        """Write it; where the disk refuses it holds until the agent ends, and the start after that is judged anew."""
        try:
            self._write(state)
        except OSError as error:
            self._unwritten = state
            log.warning("updates: %s: %s; until it can be written this is known to this run alone", self.folder, error)

    def _write(self, state: State) -> None:
        known = {name: n for name, n in state.versions.items() if name in (state.chosen, state.before)}
        state = msgspec.structs.replace(state, versions=known)
        disk.replace(self.folder / "state.json", msgspec.json.encode(state) + b"\n")
        self._unwritten = None
        self._hand_over()

    def _hand_over(self) -> None:
        """What root writes belongs to the service's user."""
        if os.geteuid() == 0:
            owner = self.folder.parent.stat()
            for path in (self.folder, *self.folder.rglob("*")):
                with contextlib.suppress(OSError):
                    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def _prune(self) -> None:
        state = self.state
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in (state.chosen, state.before):
                shutil.rmtree(path, ignore_errors=True)


def self_test(path: Path) -> float:
    """Load it and look at three pictures, in a child with limits; ms an inference. Raises UpdateError: what failed."""
    try:
        told = proof.child(__name__, path, _TEST_S)
    except modelfile.ModelError as error:
        raise UpdateError(f"model {path.name}: self-test {error}; nothing has changed") from error
    return float(json.loads(told.splitlines()[-1])["ms"])


def _test_here(path: Path) -> float:
    model = Model(path, threads=1, is_apart=True)
    model.head(model.card.confidence)
    backend, rng = model.backend, np.random.default_rng(0)
    seen, begin = set(), time.perf_counter()
    for _ in range(3):
        picture = rng.integers(0, 256, backend.inputs[0].shape).astype(np.uint8)
        backend.input[:] = picture if backend.inputs[0].dtype != "int8" else (picture ^ 0x80).view(np.int8)
        outputs = [np.array(output) for output in backend.run()]
        if not all(np.isfinite(output).all() for output in outputs):
            raise UpdateError("outputs that are not numbers")
        seen.add(b"".join(output.tobytes() for output in outputs))
    if len(seen) == 1:
        raise UpdateError("the same outputs for any picture")
    return (time.perf_counter() - begin) / 3 * 1e3


def _taken(state: State, name: str, version: int) -> State:
    """With the version of a model that has come."""
    accepted, versions = max(state.accepted, version), {**state.versions, name: version or state.versions.get(name, 0)}
    return msgspec.structs.replace(state, accepted=accepted, versions=versions)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    proof.confine(_TEST_S)
    try:
        sys.stdout.write(json.dumps({"ms": _test_here(Path(sys.argv[1]))}) + "\n")
    except (LookoutError, MemoryError) as problem:
        sys.exit(str(problem) or type(problem).__name__)
