"""What the page is told: the newest picture, nothing encoded for nobody, what happened, numbers."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from agent import config
from agent.data import Event
from agent.device.health import Board
from agent.publish import Stats
from agent.web import now
from tests.fakes import scenes
from tests.fakes.mosquitto import until
from tests.web.served import TOML, Served, noisy

MASKED = "\nprivacy_masks = [[[0.0, 0.0], [0.2, 0.0], [0.2, 0.2]]]"
Serve = Callable[..., Served]


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A number for each JPEG that is made."""
    made: list[int] = []
    real = now.jpeg

    def counted(image: Any, quality: int) -> bytes:
        made.append(len(made))
        return real(image, quality)

    monkeypatch.setattr(now, "jpeg", counted)
    return made


def part(stream: Any) -> tuple[dict[str, str], Any]:
    """The next picture of an MJPEG stream: its headers, and (H, W, 3) BGR."""
    while not stream.readline().startswith(b"--lookout"):
        pass
    head = dict(line.decode().rstrip().split(": ", 1) for line in iter(stream.readline, b"\r\n"))
    data = np.frombuffer(stream.read(int(head["Content-Length"])), np.uint8)
    return head, cv2.imdecode(data, cv2.IMREAD_COLOR)


def messages(stream: Any, count: int) -> list[tuple[str, Any]]:
    """The next events of a server-sent stream."""
    found: list[tuple[str, Any]] = []
    kind = ""
    while len(found) < count:
        line = stream.readline().decode().strip()
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: "):
            found.append((kind, msgspec.json.decode(line[6:])))
    return found


def entered(zone: str = "door") -> Event:
    return Event("zone_enter", 10.0, 1, zone, 1, {"label": "person", "inside_s": 0.5, "count": 3, "count_all": 4})


def test_nothing_is_encoded_while_nobody_looks(serve: Serve, encoded: list[int]) -> None:
    served = serve()
    for seq in range(30):
        served.site.on_scene(noisy(seq, events=(entered(),)))
    assert served.status("/api/state") == 200
    assert served.status("/metrics") == 200
    assert not encoded


def test_who_looks_gets_the_newest_picture_with_what_is_in_it(serve: Serve, encoded: list[int]) -> None:
    served = serve()
    for seq in range(5):
        served.site.on_scene(noisy(seq))
    stream = served.ask("/stream/yard?scenes=1")
    head, image = part(stream)
    assert image.shape == (480, 640, 3)
    told = msgspec.json.decode(head["X-Scene"])
    assert told["seq"] == 4
    assert told["tracks"][0]["label"] == "person"
    served.site.on_scene(noisy(9))
    assert msgspec.json.decode(part(stream)[0]["X-Scene"])["seq"] == 9
    stream.close()
    assert len(encoded) == 2


def test_boxes_are_drawn_on_request(serve: Serve) -> None:
    served = serve()
    served.site.on_scene(noisy(0))
    plain, boxed = (part(served.ask(f"/stream/yard{query}"))[1].astype(int) for query in ("", "?boxes=1"))
    different = abs(plain - boxed).max(axis=2) > 60
    assert different[48:146, 62:130].any()
    assert not different[200:, 200:].any()


def test_pictures_are_no_wider_than_asked_and_encoded_once_for_all(serve: Serve, encoded: list[int]) -> None:
    served = serve("width = 320\n")
    served.site.on_scene(noisy(0))
    assert [part(served.ask("/stream/yard"))[1].shape for _ in range(3)] == [(240, 320, 3)] * 3
    assert len(encoded) <= 3  # a client that left may take the last one's picture along
    clients = [served.ask("/stream/yard") for _ in range(4)]
    for client in clients:
        part(client)
    before = len(encoded)
    served.site.on_scene(noisy(1))
    for client in clients:
        part(client)
    assert len(encoded) == before + 1


def test_who_reads_nothing_gets_fewer_and_holds_nobody_up(serve: Serve, encoded: list[int]) -> None:
    served = serve("fps = 60\n")
    lazy = served.stalled("/stream/yard")
    stopping = threading.Event()

    def feed() -> None:
        for seq in range(100_000):
            if stopping.wait(0.02):
                return
            served.site.on_scene(noisy(seq % 8))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        until(lambda: encoded, "the first picture")
        time.sleep(2.0)
        alone = len(encoded)
        reader = served.ask("/stream/yard")
        for _ in range(5):
            part(reader)
    finally:
        stopping.set()
        feeder.join()
        lazy.close()
    assert alone <= 12  # what fits into the sockets' buffers; a reader would have had a hundred


def test_what_happened_is_told_once_and_again_from_where_a_client_was(serve: Serve) -> None:
    served = serve()
    wrong = {
        "kind": "loitering",
        "reason": "stands for 60 s",
        "value": 60.0,
        "limit": 45.0,
        "episode": 1,
        "severity": 0.3,
    }
    served.site.on_scene(noisy(0, events=(entered(),), anomalies=(Event("anomaly_start", 10.0, 1, "bench", 1, wrong),)))
    told = [message for kind, message in messages(served.ask("/events"), 3) if kind == "happened"]
    assert [one["kind"] for one in told] == ["loitering", "zone_enter"]
    assert (told[1]["label"], told[1]["source"], told[1]["detail"]["count_all"]) == ("person", "door", 4)
    assert told[0]["reason"] == "stands for 60 s"
    again = [message for kind, message in messages(served.ask("/events", Last_Event_ID="1"), 2) if kind == "happened"]
    assert [one["number"] for one in again] == [2]


def test_a_picture_is_kept_of_what_matters_and_cut_to_who_did_it(serve: Serve) -> None:
    served = serve()
    served.site.on_scene(noisy(0, events=(entered(), Event("track_start", 10.0, 1, "", 1, {"class_id": 0}))))
    image = cv2.imdecode(np.frombuffer(served.ask("/picture/1").read(), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[0] > image.shape[1]  # a person's box, upright
    assert max(image.shape) <= 240
    assert served.status("/picture/2") == 404


def test_pictures_and_happenings_are_bounded(serve: Serve) -> None:
    served = serve()
    for seq in range(3 * now.KEPT):
        served.site.on_scene(scenes.scene(1, seq=seq, events=(entered(),)))
    kept = [one for kind, one in messages(served.ask("/events"), now.KEPT) if kind == "happened"]
    assert kept[-1]["number"] == 3 * now.KEPT
    assert sum(one["picture"] for one in kept) == now.PICTURES
    assert served.status(f"/picture/{3 * now.KEPT}") == 200
    assert served.status("/picture/1") == 404


def test_a_crowd_that_enters_at_once_gets_few_pictures(serve: Serve) -> None:
    served = serve()
    served.site.on_scene(noisy(0, events=(entered(),) * 9))
    told = [one for kind, one in messages(served.ask("/events"), 9) if kind == "happened"]
    assert [one["picture"] for one in told] == [True] * 4 + [False] * 5


def test_the_crop_of_a_track_is_there_while_it_is_followed(serve: Serve) -> None:
    served = serve()
    served.site.on_scene(noisy(0))
    assert served.status("/crop/yard/1") == 200
    served.site.on_scene(scenes.scene(0, seq=1, t=11.0))
    assert served.status("/crop/yard/1") == 404


def test_what_the_model_was_given_is_shown_where_it_looked(serve: Serve) -> None:
    served = serve()
    looked = np.array([[0, 0, 400, 400], [32, 16, 160, 176], [300, 300, 400, 400]], np.float32)
    for seen, size in ((looked, (160, 128)), (None, (225, 300))):  # a crop as it is, a frame as large as the input
        served.site.on_scene(replace(noisy(0), seen=seen))
        picture = np.frombuffer(served.ask("/given/yard/1").read(), np.uint8)
        assert cv2.imdecode(picture, cv2.IMREAD_COLOR).shape[:2] == size
    served.site.on_scene(replace(noisy(1), seen=looked[2:]))
    assert served.status("/given/yard/1") == 204
    assert served.status("/given/yard/2") == 404


def test_a_new_privacy_mask_takes_the_last_picture_of_a_camera_that_is_away(serve: Serve) -> None:
    served = serve()
    served.site.on_scene(noisy(0))
    same, masked = (config.parse(TOML.replace("# no camera", f"{more}\n#"), served.path) for more in ("", MASKED))
    served.site.take_over(same, served.model)
    assert served.status("/crop/yard/1") == 200
    served.site.take_over(masked, served.model)
    assert served.status("/crop/yard/1") == 404
    assert not served.site._now.scenes


def test_scenes_come_as_events_too(serve: Serve) -> None:
    served = serve()
    served.site.on_scene(noisy(3))
    kind, told = messages(served.ask("/events?camera=yard"), 1)[0]
    assert (kind, told["seq"]) == ("scene", 3)


def test_metrics_are_what_prometheus_reads(serve: Serve) -> None:
    served = serve()
    served.site.on_scene(noisy(0))
    served.site.on_health(Board().look(), Stats(state="online", published=7))
    answer = served.ask("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.read().decode().splitlines()
    sample = re.compile(r'^lookout_[a-z_]+(\{(camera|stage)="[\w-]+"\})? -?[0-9.e+-]+$')
    assert [line for line in lines if not line.startswith("# ") and not sample.match(line)] == []
    assert 'lookout_camera_online{camera="yard"} 1' in lines
    assert "lookout_mqtt_published_total 7" in lines
    assert len([line for line in lines if line.startswith("# TYPE")]) == len(
        {line.split()[2] for line in lines if line.startswith("# TYPE")}
    )


def test_the_model_and_the_config_can_be_read(serve: Serve) -> None:
    served = serve('\n[cameras.gate]\nkind = "rtsp"\nurl = "rtsp://me:secret@192.168.1.9/stream"\n')
    assert served.json("/api/model")["report"]["agreement"]["int8"]["f1"] > 0.9
    told = served.json("/api/config")
    assert "secret" not in told["text"]
    assert "rtsp://***@192.168.1.9/stream" in told["text"]
    assert served.json("/api/state")["cameras"]["yard"]["zones"]["door"]["enter_s"] == 2.0
