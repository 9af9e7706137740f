"""A new model is taken, proves itself or goes; a process killed at any step leaves the old one or the new."""

import contextlib
import hashlib
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agent.__main__ import main
from agent.device import updates
from agent.device.updates import Store, UpdateError
from tests.conftest import ROOT

OLD, NEW, THIRD = (b"\x20\0\0\0TFL3" + text for text in (b"old", b"new", b"third"))


def good(_: Path) -> float:
    return 1.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With OLD, proved."""
    store = Store(tmp_path / "state" / "models")
    store.install(written(tmp_path, "old.tflite", OLD), test=good)
    store.keep()
    return store


@pytest.fixture
def full_disk() -> contextlib.AbstractContextManager[None]:
    """No file can grow: what the kernel answers is another number than that of a full disk, but an OSError too."""

    @contextlib.contextmanager
    def full() -> Iterator[None]:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return full()


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def running(store: Store) -> bytes:
    chosen = store.begin()
    return chosen.read_bytes() if chosen else b""


def test_without_updates_the_configs_model_runs_and_nothing_is_written(tmp_path: Path) -> None:
    assert Store(tmp_path / "models").begin() is None
    assert not list(tmp_path.iterdir())


def test_a_good_model_is_taken_with_its_sidecars_and_kept(store: Store, tmp_path: Path) -> None:
    (tmp_path / "new.labels.txt").write_text("person\n")
    store.install(written(tmp_path, "new.tflite", NEW), hashlib.sha256(NEW).hexdigest(), good)
    assert running(store) == NEW
    assert (store.path(store.state.chosen) or tmp_path).with_suffix(".labels.txt").read_text() == "person\n"
    store.keep()
    assert [running(store) for _ in range(9)] == [NEW] * 9


def test_a_model_with_which_the_agent_does_not_stay_up_is_rolled_back_and_refused(store: Store, tmp_path: Path) -> None:
    bad = written(tmp_path, "bad.tflite", NEW)
    store.install(bad, test=good)

    assert [running(store) for _ in range(6)] == [NEW] * updates.STARTS + [OLD] * (6 - updates.STARTS)
    with pytest.raises(UpdateError, match="was refused before"):
        store.install(bad, test=good)
    assert running(store) == OLD


def test_stops_that_were_asked_for_do_not_count(store: Store, tmp_path: Path) -> None:
    store.install(written(tmp_path, "new.tflite", NEW), test=good)
    for _ in range(9):
        assert running(store) == NEW
        store.ended_well()


def test_a_model_on_trial_is_never_what_is_gone_back_to(store: Store, tmp_path: Path) -> None:
    store.install(written(tmp_path, "new.tflite", NEW), test=good)
    store.install(written(tmp_path, "third.tflite", THIRD), test=good)
    store.roll_back("test")

    assert running(store) == OLD


def test_the_first_update_goes_back_to_the_configs_model(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    store.install(written(tmp_path, "new.tflite", NEW), test=good)

    assert [running(store) for _ in range(5)] == [NEW] * 3 + [b"", b""]


def fails(_: Path) -> float:
    raise UpdateError("self-test failed")


@pytest.mark.parametrize(
    ("data", "sha256", "test", "words"),
    [
        (NEW, "0" * 64, good, "sha256 is .*, not 000000000000..; nothing has changed"),
        (b"not a model at all", "", good, "not a TFLite file"),
        (NEW, "", fails, "self-test failed"),
    ],
)
def test_what_is_not_taken_changes_nothing(
    store: Store, tmp_path: Path, data: bytes, sha256: str, test: object, words: str
) -> None:
    before = sorted(path.name for path in store.folder.iterdir())
    with pytest.raises(updates.LookoutError, match=words):
        store.install(written(tmp_path, "new.tflite", data), sha256, test)  # type: ignore[arg-type]

    assert running(store) == OLD
    assert sorted(path.name for path in store.folder.iterdir()) == before


def test_a_model_that_is_too_large_or_missing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpdateError, match=r"nowhere\.tflite: cannot be copied: No such file"):
        store.install(tmp_path / "nowhere.tflite", test=good)
    monkeypatch.setattr(updates, "_LARGEST", 4)
    with pytest.raises(UpdateError, match="larger than"):
        store.install(written(tmp_path, "new.tflite", NEW), test=good)


def test_only_what_may_still_be_needed_is_kept(store: Store, tmp_path: Path) -> None:
    for n in range(5):
        store.install(written(tmp_path, "m.tflite", NEW + bytes([n])), test=good)
        store.keep()

    assert len([path for path in store.folder.iterdir() if path.is_dir()]) == 2


def test_versions_only_rise_and_a_roll_back_does_not_lower_them(store: Store, tmp_path: Path) -> None:
    new, third = written(tmp_path, "new.tflite", NEW), written(tmp_path, "third.tflite", THIRD)
    store.install(new, test=good, version=7)
    assert (store.state.version, store.state.accepted) == (7, 7)
    store.roll_back("test")
    assert (running(store), store.state.version, store.state.accepted) == (OLD, 0, 7)
    for version in (3, 7):
        with pytest.raises(UpdateError, match=rf"third\.tflite: version {version} is not above 7"):
            store.install(third, test=good, version=version)
    with pytest.raises(UpdateError, match="was refused before"):
        store.install(new, test=good, version=8)
    store.install(third, test=good, version=8)
    assert (running(store), store.state.version, store.state.accepted) == (THIRD, 8, 8)


def test_a_version_stays_with_its_model(store: Store, tmp_path: Path) -> None:
    store.install(written(tmp_path, "new.tflite", NEW), test=good, version=7)
    store.keep()
    store.install(written(tmp_path, "third.tflite", THIRD), test=good)  # by hand: without a manifest
    assert store.state.version == 0
    store.roll_back("test")
    assert (running(store), store.state.version) == (NEW, 7)
    store.install(written(tmp_path, "new.tflite", NEW), test=good, version=9)  # the same bytes, signed anew
    assert (running(store), store.state.version, store.state.accepted) == (NEW, 9, 9)


def test_a_state_of_a_newer_release_is_read(store: Store) -> None:
    state = json.loads((store.folder / "state.json").read_text())
    (store.folder / "state.json").write_text(json.dumps(state | {"invented": "later"}))
    assert running(store) == OLD


def test_a_state_that_cannot_be_read_leaves_the_configs_model(store: Store) -> None:
    (store.folder / "state.json").write_bytes(b'{"chosen": ')
    assert store.begin() is None


def test_a_model_that_has_gone_leaves_the_configs(store: Store) -> None:
    shutil.rmtree(store.folder / str(store.state.chosen))
    assert store.begin() is None


def test_a_full_disk_keeps_no_agent_from_starting_nor_from_going_back(
    store: Store, tmp_path: Path, full_disk: contextlib.AbstractContextManager[None]
) -> None:
    store.install(written(tmp_path, "new.tflite", NEW), test=good)
    with full_disk:
        assert [running(store) for _ in range(updates.STARTS + 1)] == [NEW] * updates.STARTS + [OLD]
        store.ended_well()
    assert running(Store(store.folder)) == NEW  # nothing of that could be written: judged anew


KILLED = """
import sys
from collections.abc import Iterator
from pathlib import Path
from tests.device import killed

pristine, home, file = map(Path, sys.argv[1:])

def take(store):
    store.install(file, test=lambda _: 1.0)

def running(store):
    return store.begin().read_bytes()[8:].decode()

killed.at_every_step(pristine, home, take, running, again=take)
"""


def test_killed_at_any_step_leaves_the_old_model_or_the_new(store: Store, tmp_path: Path) -> None:
    new, home = written(tmp_path, "new.tflite", NEW), tmp_path / "home"
    command = [sys.executable, "-c", KILLED, store.folder.parent, home, new]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=ROOT)
    code, outcomes = json.loads(done.stdout.splitlines()[-1])
    left = [after_kill for after_kill, _ in outcomes]

    assert code == 0  # the last round was not killed any more
    assert len(outcomes) > 15
    assert {again for _, again in outcomes} == {"new"}
    assert left[0] == "old"
    assert left[-1] == "new"
    assert left == sorted(left, reverse=True)  # old, ..., old, new, ..., new: one switch, and no way back


def test_the_self_test_passes_a_real_model(tmp_path: Path, data_dir: Path) -> None:
    for name in ("ssd_mobilenet_v1_coco_uint8.tflite", "ssd_mobilenet_v1_coco_uint8.labels.txt"):
        shutil.copy(data_dir / "models" / name, tmp_path)

    assert updates.self_test(tmp_path / "ssd_mobilenet_v1_coco_uint8.tflite") > 0


def test_the_self_test_survives_a_model_that_is_cut_short(tmp_path: Path, data_dir: Path) -> None:
    data = (data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite").read_bytes()
    with pytest.raises(UpdateError, match=r"self-test (failed|crashed)"):
        updates.self_test(written(tmp_path, "cut.tflite", data[: len(data) // 2]))


def test_the_self_test_is_ended_when_it_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "_TEST_S", 0.01)
    with pytest.raises(UpdateError, match="took more than"):
        updates.self_test(written(tmp_path, "new.tflite", NEW))


@pytest.mark.parametrize(("output", "words"), [(1.0, "the same outputs"), (float("nan"), "not numbers")])
def test_outputs_that_say_nothing_are_refused(monkeypatch: pytest.MonkeyPatch, output: float, words: str) -> None:
    backend = SimpleNamespace(
        inputs=[SimpleNamespace(shape=(1, 4, 6, 3), dtype="uint8")],
        input=np.zeros((1, 4, 6, 3), np.uint8),
        run=lambda: [np.full((1, 5), output, np.float32)],
    )
    model = SimpleNamespace(backend=backend, card=SimpleNamespace(confidence=0.5), head=lambda _: None)
    monkeypatch.setattr(updates, "Model", lambda *_, **__: model)

    with pytest.raises(UpdateError, match=words):
        updates._test_here(Path("x.tflite"))


def test_the_command_takes_and_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(updates, "self_test", good)
    model, state = written(tmp_path, "new.tflite", NEW), str(tmp_path)

    assert main(["update", "--state", state, "--back"]) == 2
    assert main(["update", "--state", state]) == 2
    assert main(["update", "--state", state, str(model), "--sha256", "12"]) == 2
    assert main(["update", "--state", state, str(model)]) == 0
    assert "from the next start on: new.tflite" in capsys.readouterr().out
    assert running(Store(tmp_path / "models")) == NEW
    assert main(["update", "--state", state, "--back"]) == 0
    assert running(Store(tmp_path / "models")) == b""
