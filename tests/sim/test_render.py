import json
import time

import pytest

from agent.sim.heard import Heard
from agent.sim.render import Counters, Moment, columns, fit, ms, plain_line, plural, screen, summary

WALL = 1_800_000_000.0  # 2027-01-15T08:00:00Z
COMMAND = "mosquitto_sub -h 127.0.0.1 -t 'lookout/office/#' -v"
AT_12 = Moment(0.5, "12:00:03", "127.0.0.1:1883", COMMAND, (60, 24))


@pytest.fixture(autouse=True)
def two_hours_east(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "Etc/GMT-2")  # POSIX counts westward
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def track(number: int, label: str = "person") -> dict[str, object]:
    return {"id": number, "label": label, "confidence": 0.87, "age": 3.2}


def told(*messages: tuple[str, object], now: float = 0.0) -> Heard:
    heard = Heard("office")
    add(heard, *messages, now=now)
    return heard


def add(heard: Heard, *messages: tuple[str, object], now: float = 0.0) -> None:
    for tail, payload in messages:
        raw = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
        heard.take(f"lookout/office/{tail}", raw, False, now, WALL)


def seen(*tracks: dict[str, object], fps: float = 10.0) -> dict[str, object]:
    times = {"letterbox": 0.61, "invoke": 9.84}
    return {"time": "2027-01-15T07:59:59.986Z", "fps": fps, "times_ms": times, "tracks": list(tracks)}


STREET = [("status", "online"), ("street/status", "online"), ("street/detections", seen(*map(track, range(1, 8))))]
EVENT = {"kind": "track_start", "time": "2027-01-15T09:59:58.500Z", "camera": "street", "track": 7, "label": "person"}


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ([], "12:00:03  waiting for the first message"),
        ([("status", "online")], "12:00:03  nothing in sight · 1 message"),
        (STREET, "12:00:03  7 persons · 10.0 fps · 14 ms frame→subscriber · 3 messages"),
        ([("s/detections", seen(track(1)))], "12:00:03  1 person · 10.0 fps · 14 ms frame→subscriber · 1 message"),
        (
            [("s/detections", seen(track(1, "bus"), track(2, "car"), track(3, "bus")))],
            "12:00:03  2 buses, 1 car · 10.0 fps · 14 ms frame→subscriber · 1 message",
        ),
        ([("s/detections", seen())], "12:00:03  nothing in sight · 10.0 fps · 14 ms frame→subscriber · 1 message"),
        (
            [("a/detections", seen(track(1), fps=5)), ("b/detections", seen(track(1), fps=2.5))],
            "12:00:03  2 persons · 7.5 fps · 14 ms frame→subscriber · 2 messages",
        ),
        ([*STREET, ("street/status", "offline")], "12:00:03  street offline · 10.0 fps · 14 ms frame→subscriber"
         " · 4 messages"),
        ([*STREET, ("status", "offline")], "12:00:03  agent offline · 10.0 fps · 14 ms frame→subscriber · 4 messages"),
        (
            [("status", "online"), ("s/detections", "{")],
            "12:00:03  nothing in sight · 2 messages · 1 unreadable (s/detections: Input data was truncated)",
        ),
        ([("s/detections", {"tracks": [{"id": 1}]})], "12:00:03  1 ? · 1 message"),
    ],
)  # fmt: skip
def test_the_plain_line(messages: list[tuple[str, object]], line: str) -> None:
    assert plain_line(told(*messages), AT_12) == line


def test_objects_of_a_camera_that_fell_silent_are_not_shown_as_if_they_were_there() -> None:
    late = Moment(5.0, "12:00:05")
    assert plain_line(told(*STREET), late) == "12:00:05  silent for 5 s · 3 messages"
    assert not any("person" in line for line in screen(told(*STREET), late))


def test_a_quiet_street_is_not_a_silent_camera() -> None:
    heard = told(*STREET, ("street/detections", seen()))
    assert plain_line(heard, Moment(60.0, "12:01:00")) == "12:01:00  nothing in sight · 4 messages"


def test_the_screen() -> None:
    assert screen(told(*STREET, ("street/events", EVENT)), AT_12) == [
        "Lookout · office · 127.0.0.1:1883                   12:00:03",
        "street: online · 10.0 fps · 14 ms frame→subscriber",
        "letterbox 0.6 ms · invoke 9.8 ms",
        "",
        "In sight: 7 persons",
        "      1  person            87%     3.2 s",
        "      2  person            87%     3.2 s",
        "      3  person            87%     3.2 s",
        "      4  person            87%     3.2 s",
        "      5  person            87%     3.2 s",
        "      6  person            87%     3.2 s",
        "      7  person            87%     3.2 s",
        "",
        "",
        "Last events",
        "  11:59:58  track_start        7  person  street",
        "",
        "",
        "",
        "",
        "4 messages",
        "",
        "Try: mosquitto_sub -h 127.0.0.1 -t 'lookout/office/#' -v",
    ]


def test_rows_keep_their_places_while_their_contents_change() -> None:
    def places(heard: Heard) -> list[int]:
        lines = screen(heard, AT_12)
        return [lines.index(line) for line in lines if line.startswith(("In sight", "Last events", "Try"))]

    heard = told(("street/status", "online"))
    quiet = places(heard)
    add(heard, *STREET, *[("street/events", EVENT)] * 9, ("street/detections", "{"))
    assert places(heard) == quiet


def test_more_objects_than_rows_are_told_by_their_number() -> None:
    lines = screen(told(("street/detections", seen(*map(track, range(1, 31))))), AT_12)
    assert lines[4] == "In sight: 30 persons"
    assert lines[11:13] == ["      7  person            87%     3.2 s", "         and 23 more"]


def test_objects_name_their_camera_where_there_are_several() -> None:
    lines = screen(told(("yard/detections", seen(track(1))), ("gate/detections", seen(track(2)))), AT_12)
    assert "      2  person            87%     3.2 s  gate" in lines
    assert "      1  person            87%     3.2 s  yard" in lines


def test_what_a_second_look_says_stands_beside_its_track_and_at_the_end() -> None:
    known = track(7) | {"recognised": {"look": {"value": "anna", "confidence": 0.9}}}
    unknown = track(8) | {"recognised": {"look": {"value": None, "confidence": 0.2}}}
    heard = told(("street/detections", seen(known, unknown, track(9))))
    rows = [line for line in screen(heard, AT_12) if "person" in line]
    assert sum("anna" in row for row in rows) == 1
    assert next(row for row in rows if "anna" in row).lstrip().startswith("7")
    assert "second look anna 1, unknown 1 (tracks)" in summary(heard, Counters(1, 0, 3, 3), 1.0)


def test_the_newest_events_stand_first() -> None:
    events = [("street/events", {**EVENT, "track": n}) for n in range(1, 8)]
    lines = screen(told(*events), AT_12)
    first = lines.index("Last events") + 1
    assert [line.split()[2] for line in lines[first : first + 4]] == ["7", "6", "5", "4"]


def test_a_low_terminal_gets_what_fits() -> None:
    lines = screen(told(*STREET), Moment(0.5, "12:00:03", "h:1", COMMAND, (60, 8)))
    assert len(lines) == 7
    assert lines[0].startswith("Lookout")
    assert lines[4] == "In sight: 7 persons"
    assert COMMAND not in "".join(lines)


def test_a_terminal_without_room_for_the_command_is_still_filled() -> None:
    lines = screen(told(*STREET), Moment(0.5, "12:00:03", "h:1", COMMAND, (10, 18)))
    assert len(lines) == 17
    assert COMMAND not in "".join(lines)


def test_a_command_that_wraps_leaves_room_for_its_second_row() -> None:
    lines = screen(told(*STREET), Moment(0.5, "12:00:03", "h:1", COMMAND, (40, 24)))
    assert lines[-1] == f"Try: {COMMAND}"
    assert len(lines) == 22


def test_color_only_where_it_is_wanted() -> None:
    assert not any("\x1b" in line for line in screen(told(*STREET), AT_12))
    colored = screen(told(*STREET), Moment(0.5, "12:00:03", "h:1", COMMAND, (60, 24), color=True))
    assert colored[1] == "street: \x1b[32monline\x1b[0m · 10.0 fps · 14 ms frame→subscriber"


def test_the_summary() -> None:
    heard = told(*STREET, ("street/events", EVENT), ("street/events", "?"))
    add(heard, ("street/detections", seen(track(7), track(8))))
    heard.take("lookout/office/status", b"online", True, 0.0, WALL)
    assert summary(heard, Counters(1, 2, 11, 1, {"letterbox": 0.61, "invoke": 12.3}), 12.34) == [
        "ran         12.3 s",
        "agent       1 frame, 2 dropped, 11 detections, 1 track",
        "subscriber  7 messages, 2 on detections with 9 objects, 8 tracks",
        "                 2 on status",
        "                 2 on street/detections",
        "                 2 on street/events",
        "                 1 on street/status",
        "                 1 of them from before, kept by the broker",
        "unreadable  1 message; the last: street/events: JSON is malformed: invalid character (byte 0)",
        "latency     frame→subscriber 14 ms median, 14 ms for the slowest 5 %",
        "a frame     letterbox 0.6 ms, invoke 12 ms",
    ]


def test_a_summary_of_many_topics_stays_short() -> None:
    lines = summary(told(*[(f"t{n:03d}", "x") for n in range(40)]), Counters(0, 0, 0, 0), 1.0)
    assert len(lines) == 3 + 12 + 1
    assert lines[-1] == "                   and 28 more topics"


@pytest.mark.parametrize(
    ("n", "word", "text"),
    [
        (0, "person", "0 persons"), (1, "person", "1 person"), (2, "person", "2 persons"), (2, "bus", "2 buses"),
        (2, "bench", "2 benches"), (2, "toothbrush", "2 toothbrushes"), (2, "knife", "2 knives"),
        (2, "mouse", "2 mice"), (2, "sheep", "2 sheep"), (2, "skis", "2 skis"), (2, "teddy bear", "2 teddy bears"),
        (2, "body", "2 bodies"), (2, "toy", "2 toys"), (2, "y", "2 ys"),
    ],
)  # fmt: skip
def test_plurals(n: int, word: str, text: str) -> None:
    assert plural(n, word) == text


@pytest.mark.parametrize(("s", "text"), [(0, "0.0 ms"), (0.0042, "4.2 ms"), (0.00996, "10 ms"), (1.5, "1500 ms")])
def test_milliseconds(s: float, text: str) -> None:
    assert ms(s) == text


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abc", 3, "abc"), ("abcd", 3, "abc"), ("abc", 0, ""), ("abc", -1, ""), ("日本", 3, "日"),
        ("e\u0301te\u0301", 3, "e\u0301te\u0301"), ("a\x1b[2Jb", 9, "a?[2Jb"), ("a\nb\x07", 9, "a?b?"),
        ("\u202eabc", 9, "?abc"),
    ],
)  # fmt: skip
def test_text_is_cut_by_columns_and_cannot_steer_the_terminal(text: str, width: int, shown: str) -> None:
    assert fit(text, width) == shown
    assert columns(shown) <= max(0, width)
