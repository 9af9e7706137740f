"""The power goes after every single call that writes: what was promised is on the disk, whole, and nothing is torn.

One run is written down call by call (tests/fakes/written.c). For each length of that list, two disks are made of it:
one that kept only what was synced, and one that kept every name at once but of the bytes only what was synced.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from agent.device import updates
from agent.publish import store
from agent.publish.switches import FILE, Wanted
from tests.conftest import ROOT
from tests.faults.conftest import FULL, Row
from tests.faults.keeping import model

STEP = 1 if FULL else 23  # of the calls; a full run cuts after each


class Disk:
    """What a power cut leaves."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[int, bytearray] = {}  # inode -> bytes
        self._safe: dict[int, bytes] = {}
        self.names: dict[str, int] = {}
        self.safe_names: dict[str, int] = {}

    def take(self, what: str, inode: int, number: int, data: bytes) -> None:
        """One record of written.c."""
        file = self._files.setdefault(inode, bytearray())
        match what:
            case "C":
                if self.names.get(data.decode()) != inode or number:  # an inode's number may come again
                    file.clear()
                self.names[data.decode()] = inode
            case "W":
                file.extend(bytes(max(0, number - len(file))))
                file[number : number + len(data)] = data
            case "T":
                del file[number:]
            case "S":
                self._safe[inode] = bytes(file)
            case "D":
                folder = data.decode() + "/"
                inside = {n: i for n, i in self.names.items() if n.startswith(folder)}
                self.safe_names = {n: i for n, i in self.safe_names.items() if not n.startswith(folder)} | inside
            case "R":
                old, new = data.decode().split("\0")
                moved = {n: i for n, i in self.names.items() if n == old or n.startswith(old + "/")}
                self.names = {n: i for n, i in self.names.items() if n not in moved}
                self.names |= {new + n.removeprefix(old): i for n, i in moved.items()}
            case "U":
                self.names.pop(data.decode(), None)

    def content(self, name: str) -> bytes:
        """Before the cut."""
        return bytes(self._files[self.names[name]]) if name in self.names else b""

    def lay_out(self, names: dict[str, int], folder: Path) -> None:
        """The files there are after the cut."""
        shutil.rmtree(folder, ignore_errors=True)
        for name, inode in names.items():
            path = folder / Path(name).relative_to(self._root)
            if not name.endswith("-shm"):  # of shared memory; made anew
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._safe.get(inode, b""))


def records(path: Path) -> Iterator[tuple[str, int, int, bytes]]:
    data, at = path.read_bytes(), 0
    while at < len(data):
        what, inode, number, size = struct.unpack_from("=cqqq", data, at)
        yield what.decode(), inode, number, data[at + 25 : at + 25 + size]
        at += 25 + size


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, int, int, bytes]]]:
    """The folder that was written to, and how."""
    if not shutil.which("cc"):
        pytest.skip("no C compiler (apt install gcc)")
    base = tmp_path_factory.mktemp("power")
    library, source = base / "written.so", ROOT / "tests" / "fakes" / "written.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    (home := base / "home").mkdir()
    environ = {**os.environ, "LD_PRELOAD": str(library), "WATCHED": str(home), "WRITTEN": str(base / "list")}
    subprocess.run([sys.executable, "-m", "tests.faults.keeping", home], cwd=ROOT, env=environ, check=True)
    return home, list(records(base / "list"))


def kept(folder: Path) -> dict[str, int]:
    """What the next start finds; raises where anything is torn."""
    found = {"event": 0, "fps": 0, "model": 0}
    if (folder / "outbox.db").exists():
        outbox = store.Store(folder / "outbox.db")
        seqs = [seq for seq, _, _ in outbox.found]
        outbox.close()
        assert seqs == list(range(1, len(seqs) + 1))
        assert not outbox.damaged
        found["event"] = len(seqs)
    if (folder / FILE).exists():
        found["fps"] = int(msgspec.json.decode((folder / FILE).read_bytes(), type=dict[str, Wanted])["yard"].fps or 0)
    models = updates.Store(folder / "models")
    if (folder / "models" / "state.json").exists():
        state = msgspec.json.decode((folder / "models" / "state.json").read_bytes(), type=updates.State)
        if state.chosen:
            path = models.path(state.chosen)
            assert path, "the chosen model is not there"
            assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] == state.chosen
            found["model"] = next(n for n in range(20) if model(n) == path.read_bytes())
    return found


@pytest.mark.parametrize("names_first", [False, True], ids=["only what was synced", "names before bytes"])
def test_what_was_promised_is_there_whenever_the_power_goes(
    tmp_path: Path,
    written: tuple[Path, list[tuple[str, int, int, bytes]]],
    row: Callable[..., Row],
    names_first: bool,
) -> None:
    told = row("power cut", "unsynced writes dropped after each call (LD_PRELOAD)", "all that was promised, whole")
    home, calls = written
    disk, cuts = Disk(home), 0
    for n, call in enumerate(calls):
        disk.take(*call)
        if n % STEP and n < len(calls) - 1:
            continue
        cuts += 1
        disk.lay_out(disk.names if names_first else disk.safe_names, tmp_path / "after")
        found = kept(tmp_path / "after")
        promises = dict(line.split() for line in disk.content(f"{home}/promised").decode().splitlines())
        assert all(found[what] >= int(least) for what, least in promises.items()), (n, call[0], found, promises)
    assert promises == {"event": "24", "fps": "8", "model": "6"}, "nothing was written down"
    told.seen = f"{cuts} of {cuts} cuts, outbox, settings and models, each as two disks"
