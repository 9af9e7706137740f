"""Pictures on the disk: whole or not there, within their limits, found by id alone, and there again after a restart."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agent.publish.clock import uuid7
from agent.sections import Snapshots
from agent.web import album
from agent.web.album import Album
from tests.conftest import ROOT
from tests.fakes.clock import FixedClock
from tests.fakes.mosquitto import until
from tests.fakes.scenes import anomaly, event
from tests.web.served import Served, noisy
from tests.web.test_server import entered, messages

Serve = Callable[..., Served]
ON = "\n[web.snapshots]\nenabled = true\nfree_mb = 0.0\n"
NOW = 1_800_000_000.0  # Unix s


def told(at: float = NOW, **more: Any) -> dict[str, Any]:
    return {"id": uuid7(at), "kind": "zone_enter", **more}


class Unsure(FixedClock):
    """Of a board that has just been switched on."""

    def trusted(self) -> bool:
        return False


class Kept:
    """An album whose pictures are awaited."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.album = Album(Snapshots(enabled=True, **{"free_mb": 0.0, **options}), folder, FixedClock(NOW))
        self.album.start()

    def add(self, *messages: dict[str, Any], always: bool = True) -> None:
        for message in messages:
            until(lambda: self.album._jobs.qsize() < 3, "room in the queue")
            assert self.album.keep(message, noisy(0), None, always=always)

    def names(self) -> list[str]:
        """What is there once all is written."""
        self.album.close()
        return sorted(path.name for path in self.folder.iterdir())


def readable(path: Path) -> bool:
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_picture_carries_its_message_and_is_an_ordinary_jpeg(tmp_path: Path) -> None:
    kept, message = Kept(tmp_path / "a", width=320), told(label="person", detail={"count": 3})
    kept.add(message)
    assert kept.names() == [f"{message['id']}.jpg"]
    data = (kept.folder / kept.names()[0]).read_bytes()
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (240, 320, 3)
    again = Kept(tmp_path / "a").album
    assert again.recent(9) == [message]
    assert again.picture(message["id"]) == data


def test_a_message_too_long_for_a_comment_loses_its_detail_and_not_its_picture(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.add(told(detail={"path": [0.1234] * 20_000}))
    (name,) = kept.names()
    assert readable(tmp_path / name)
    assert Kept(tmp_path).album.recent(1)[0]["detail"] == {}


def test_the_oldest_go_when_there_are_too_many_bytes(tmp_path: Path) -> None:
    kept = Kept(tmp_path, max_mb=1.0)
    written = [told(NOW + n) for n in range(14)]
    kept.add(*written)
    names = kept.names()
    assert sum((tmp_path / name).stat().st_size for name in names) <= 1e6
    assert 2 < len(names) < 14
    assert names == [f"{message['id']}.jpg" for message in written[-len(names) :]]


def test_what_is_too_old_goes_but_not_while_the_clock_may_be_wrong(tmp_path: Path) -> None:
    old, new = told(NOW - 15 * 86400), told(NOW - 13 * 86400)
    kept = Kept(tmp_path, max_days=100.0)
    kept.add(old, new)
    assert len(kept.names()) == 2
    for clock, left in ((Unsure(NOW), 2), (FixedClock(NOW), 1)):
        later = Album(Snapshots(enabled=True, free_mb=0.0), tmp_path, clock)
        later._make_room(0)
        assert len(list(tmp_path.iterdir())) == left
    assert next(tmp_path.iterdir()).name.startswith(new["id"])
    last = Album(Snapshots(enabled=True, free_mb=0.0), tmp_path, FixedClock(NOW + 2 * 86400))
    last.start()  # at once, without a new picture
    until(lambda: not list(tmp_path.iterdir()), "nothing left")


def test_a_disk_below_its_floor_costs_the_oldest_then_the_new_and_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(tmp_path, free_mb=100.0)
    kept.add(told(NOW), told(NOW + 1))
    until(lambda: len(list(tmp_path.glob("*.jpg"))) == 2, "two pictures")
    room = namedtuple("room", "f_bavail f_frsize")
    monkeypatch.setattr(album.os, "statvfs", lambda _: room(99, 1_000_000))
    kept.add(told(NOW + 2), told(NOW + 3))
    assert kept.names() == []
    assert [record.message for record in caplog.records] == [
        f"snapshots: {tmp_path}: less than 100 MB are free; pictures are not kept until that is mended"
    ]


def test_a_full_disk_costs_one_warning_and_leaves_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def full(path: Path, data: bytes) -> None:
        tried.append(path)
        path.with_name(f".{path.name}").write_bytes(data[:100])
        raise OSError(28, os.strerror(28))

    kept = Kept(tmp_path)
    real = album.disk.replace
    monkeypatch.setattr(album.disk, "replace", full)
    kept.add(told(), told(), told())
    until(lambda: len(tried) == 3, "all to be tried")
    monkeypatch.setattr(album.disk, "replace", real)
    kept.add(good := told())
    assert kept.names() == [f"{good['id']}.jpg"]
    assert [record.message for record in caplog.records] == [
        f"snapshots: {tmp_path}: No space left on device; pictures are not kept until that is mended"
    ]


def test_a_folder_that_cannot_be_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("a file")
    kept = Album(Snapshots(enabled=True), tmp_path / "state", FixedClock())
    kept.start()
    kept.keep(told(), noisy(0), None, always=True)
    kept.close()
    assert len(caplog.records) == 1
    assert kept.recent(5) == []


def test_a_disk_that_hangs_holds_nobody_up_and_few_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(tmp_path)
    monkeypatch.setattr(album.disk, "replace", lambda *_: time.sleep(60))
    taken = [kept.album.keep(told(), noisy(0), None, always=True) for _ in range(20)]
    assert 4 <= sum(taken) <= 5


def test_events_are_kept_so_often_and_anomalies_always(tmp_path: Path) -> None:
    kept = Album(Snapshots(enabled=True, per_hour=60, free_mb=0.0), tmp_path, FixedClock())
    scenes = [noisy(n, anomalies=()) for n in range(3)]
    taken = 0
    for n in range(600):
        taken += kept.keep(told(), scenes[n % 3], None, always=False)
        while not kept._jobs.empty():
            kept._jobs.get()
    assert taken == 10
    assert kept.keep(told(), scenes[0], None, always=True)


def test_a_kill_leaves_whole_pictures_and_no_drafts(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from tests.web.test_album import Kept, told
kept = Kept(Path({str(tmp_path / "a")!r}))
print("going", flush=True)
while True:
    kept.add(told())
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    until(lambda: len(list((tmp_path / "a").glob("[!.]*.jpg"))) > 3, "some pictures")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    Album(Snapshots(enabled=True), tmp_path / "a", FixedClock())
    left = list((tmp_path / "a").iterdir())
    assert left
    assert all(readable(path) for path in left)
    assert not [path for path in left if path.name.startswith(".")]


def test_what_is_not_ours_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", ".hidden", "x.jpg", f"{uuid7(NOW)}.png"):
        (tmp_path / name).write_text("mine")
    kept = Kept(tmp_path, max_mb=1.0)
    kept.add(*(told(NOW + n) for n in range(8)))
    assert {"notes.txt", ".hidden", "x.jpg"} <= set(kept.names())
    assert kept.album.picture("x") is None


@pytest.fixture
def restarted(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Served]]:
    """The same page, again and again, one at a time."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    open_ = contextlib.ExitStack()

    def again() -> Served:
        open_.close()
        served = serve(ON)
        open_.callback(served.close)
        return served

    yield again
    open_.close()


def happened(served: Served, count: int) -> list[dict[str, Any]]:
    return [one for kind, one in messages(served.ask("/events"), count + 1) if kind == "happened"]


def test_after_a_restart_the_page_shows_what_happened_with_its_pictures(restarted: Callable[[], Served]) -> None:
    first = restarted()
    first.site.on_scene(noisy(0, events=(entered(), event("track_end", age_s=1.0)), anomalies=(anomaly(t=9.0),)))
    before = {one["kind"]: one for one in happened(first, 3)}
    assert [kind for kind, one in before.items() if one["snapshot"]] == ["loitering", "zone_enter"]
    second = restarted()
    second.site.on_scene(noisy(1, events=(entered("gate"),)))
    after = happened(second, 3)
    assert [(one["number"], one["kind"], one["picture"]) for one in after] == [
        (1, "loitering", False),
        (2, "zone_enter", False),
        (3, "zone_enter", True),
    ]
    assert len({one["boot_id"] for one in after}) == 1  # the page would take two for a restart of the agent
    for one in after[:2]:
        assert one["snapshot"] == before[one["kind"]]["snapshot"]
        data = second.ask(f"/snapshot/{one['snapshot']}").read()
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[0] > 100


def test_nothing_is_written_unless_asked_for(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    served = serve()
    served.site.on_scene(noisy(0, events=(entered(),), anomalies=(anomaly(),)))
    assert [one["snapshot"] for one in happened(served, 2)] == [None, None]
    served.close()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "name", ["..%2f..%2fagent.toml", "../agent.toml", "x", "%00", "019ab3c4-d5e6-7000-8000-000000000000", "{id}.jpg"]
)
def test_only_an_id_that_is_there_is_found(restarted: Callable[[], Served], name: str) -> None:
    served = restarted()
    served.site.on_scene(noisy(0, anomalies=(anomaly(),)))
    kept = happened(served, 1)[0]["snapshot"]
    until(lambda: served.status(f"/snapshot/{kept}") == 200, "the picture")
    assert served.status(f"/snapshot/{name.format(id=kept)}") == 404
