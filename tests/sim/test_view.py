import io
import json
import logging
import os
import re
import socket
import subprocess
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.sim.broker import Broker
from agent.sim.render import Counters
from agent.sim.view import View, ViewError
from tests.fakes.mosquitto import Broker as Mosquitto
from tests.fakes.mosquitto import until
from tests.sim.conftest import free_port, hang_up, wait_until
from tests.sim.terminal import terminal

ROOT = Path(__file__).parent.parent.parent
NOTHING = Counters(0, 0, 0, 0)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seen(objects: int) -> str:
    tracks = [{"id": n, "label": "person", "confidence": 0.9, "age": 1.0, "box": [0, 0, 1, 1]} for n in range(objects)]
    return json.dumps({"time": now(), "fps": 10.0, "times_ms": {"invoke": 9.8}, "tracks": tracks, "new": [1, {}]})


@contextmanager
def agent(port: int):
    """Something that publishes as the agent does."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def publish(tail: str, payload: str | bytes, retain: bool = False) -> None:
        client.publish(f"lookout/office/{tail}", payload, qos=1, retain=retain).wait_for_publish(10)

    yield publish
    hang_up(client)


def test_a_log_gets_plain_lines_from_a_real_subscription(broker: Broker) -> None:
    out = io.StringIO()
    with View(broker.host, broker.port, "office", out=out, period=0.05) as view, agent(broker.port) as publish:
        publish("status", "online", retain=True)
        publish("street/status", "online", retain=True)
        publish("street/detections", seen(7))
        publish("street/detections", b"\x00 no JSON")
        assert wait_until(lambda: "4 messages" in out.getvalue())
    assert view.finish(Counters(1, 0, 7, 7)) == 0
    first, *lines = out.getvalue().splitlines()
    assert first == f"Try in another window: mosquitto_sub -h 127.0.0.1 -p {broker.port} -t 'lookout/office/#' -v"
    shown = [line for line in lines if "4 messages" in line]
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  7 persons · 10\.0 fps · [\d.]+ ms frame→subscriber · 4 messages"
        r" · 1 unreadable \(street/detections: .*\)",
        shown[0],
    )
    assert "agent       1 frame, 0 dropped, 7 detections, 7 tracks" in lines
    assert "subscriber  4 messages, 1 on detections with 7 objects, 7 tracks" in lines
    assert "\x1b" not in out.getvalue()


def test_it_works_with_mosquitto_too(mosquitto: int) -> None:
    out = io.StringIO()
    with agent(mosquitto) as publish:
        publish("street/status", "online", retain=True)  # before the view: kept by the broker
        with View("127.0.0.1", mosquitto, "office", out=out) as view:
            publish("street/detections", seen(1))
    assert (view.heard.messages, view.heard.live, view.heard.objects) == (2, 1, 1)
    assert view.finish(NOTHING) == 0
    assert "                 1 of them from before, kept by the broker" in out.getvalue().splitlines()


def test_what_was_sent_before_the_block_ends_still_counts(broker: Broker) -> None:
    with View(broker.host, broker.port, "office", out=io.StringIO()) as view, agent(broker.port) as publish:
        for _ in range(500):
            publish("street/events", '{"kind": "track_end"}')
    assert view.heard.live == 500


def test_other_devices_are_not_looked_at(broker: Broker) -> None:
    with View(broker.host, broker.port, "cellar", out=io.StringIO()) as view, agent(broker.port) as publish:
        publish("street/detections", seen(1))
    assert view.heard.messages == 0


def test_nothing_received_ends_with_code_1_and_one_line(broker: Broker) -> None:
    out = io.StringIO()
    with View(broker.host, broker.port, "office", out=out) as view:
        out.truncate(0)
        out.seek(0)
    assert view.finish(Counters(12, 0, 0, 0)) == 1
    assert re.fullmatch(
        rf"nothing was received on lookout/office/# from 127\.0\.0\.1:{broker.port} in \d\.\d s;"
        r" the agent counted 12 frames\n",
        out.getvalue(),
    )


def test_what_a_broker_kept_from_an_earlier_run_does_not_pass_for_this_one(broker: Broker) -> None:
    with agent(broker.port) as publish:
        publish("status", "offline", retain=True)
        with View(broker.host, broker.port, "office", out=io.StringIO()) as view:
            pass
    assert view.heard.messages == 1
    assert view.finish(NOTHING) == 1


def test_a_broker_that_comes_later_is_found(tmp_path: Path) -> None:
    mosquitto = Mosquitto(tmp_path)
    with View("127.0.0.1", mosquitto.port, "office", out=io.StringIO(), is_tty=False, period=60) as view:
        assert view.heard.messages == 0
        mosquitto.start()
        try:
            with agent(mosquitto.port) as publish:

                def heard() -> bool:
                    publish("street/detections", seen(1))
                    return view.heard.live > 0

                until(heard, "a message")
        finally:
            mosquitto.kill()


def test_a_broker_that_never_comes_ends_with_code_1_and_one_line() -> None:
    port, out = free_port(), io.StringIO()
    with View("127.0.0.1", port, "office", out=out, is_tty=False, period=60) as view:
        pass
    assert view.finish(NOTHING) == 1
    assert (
        out.getvalue()
        .splitlines()[-1]
        .startswith(f"nothing was received on lookout/office/# from 127.0.0.1:{port} in ")
    )


def test_a_refused_client_is_one_line() -> None:
    def refuse(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"\x20\x02\x00\x05")  # CONNACK, not authorized

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=refuse, args=(server,))
        thread.start()
        with pytest.raises(ViewError) as error:
            View("127.0.0.1", port, "office", out=io.StringIO()).__enter__()
        thread.join()
    assert str(error.value) == f"broker 127.0.0.1:{port}: connection refused (Not authorized); nothing can be shown"


def test_a_reader_that_went_away_does_not_stop_the_run(broker: Broker) -> None:
    reader, writer = os.pipe()
    out = os.fdopen(writer, "w")
    with View(broker.host, broker.port, "office", out=out, period=0.01) as view, agent(broker.port) as publish:
        os.close(reader)
        for _ in range(20):
            publish("street/detections", seen(1))
    assert view.heard.live == 20
    assert view.finish(NOTHING) == 0
    with suppress(BrokenPipeError):
        out.close()


def test_a_terminal_that_knows_no_arrows_gets_question_marks(broker: Broker) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    with View(broker.host, broker.port, "office", out=out, period=0.05), agent(broker.port) as publish:
        publish("street/detections", seen(1))
        assert wait_until(lambda: b"1 person" in raw.getvalue())
    assert b"ms frame?subscriber" in raw.getvalue()
    out.detach()


PROGRAM = """
import logging, sys, time
from agent.sim.view import View
from agent.sim.render import Counters
logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
with View("127.0.0.1", {port}, "office", period=0.05) as view:
    logging.info("all is well")
    logging.warning("one thing is odd")
    try:
        while True:
            time.sleep(0.05)
    except KeyboardInterrupt:
        pass
sys.exit(view.finish(Counters(1, 0, 7, 7)))
"""


def test_the_live_view_in_a_terminal_of_60_columns(broker: Broker) -> None:
    with terminal(PROGRAM.format(port=broker.port)) as window, agent(broker.port) as publish:
        assert wait_until(lambda: "one thing is odd" in window.raw, 20)
        publish("street/status", "online")
        publish("street/events", json.dumps({"kind": "track_start", "time": now(), "track": 3, "label": "person"}))
        publish("street/detections", seen(7))
        assert wait_until(lambda: "In sight: 7 persons" in window.screen.lines)
        assert wait_until(lambda: not window.screen.cursor)
        lines = list(window.screen.lines)
        assert lines[0].startswith(f"Lookout · office · 127.0.0.1:{broker.port}  ")
        assert len(lines[0]) == 60
        assert lines[1].startswith("street: online · 10.0 fps · ")
        assert lines[5:12] == [f"  {n:5d}  person            90%     1.0 s" for n in range(7)]
        assert "3 messages" in lines
        assert "WARNING one thing is odd" in lines
        assert "\x1b[32monline\x1b[0m" in window.raw

        assert window.interrupt() == 0
        assert wait_until(lambda: "subscriber  3 messages" in window.raw)
        assert wait_until(lambda: window.screen.cursor)
        after = window.raw.rpartition("\x1b[?25h")[2]
        assert after.index("WARNING one thing is odd") < after.index("agent       1 frame")
        assert "all is well" not in after


def test_a_view_that_shrinks_leaves_nothing_behind(broker: Broker) -> None:
    with terminal(PROGRAM.format(port=broker.port)) as window, agent(broker.port) as publish:
        assert wait_until(lambda: "one thing is odd" in window.raw, 20)
        publish("street/status", "online")
        publish("street/detections", seen(7))
        assert wait_until(lambda: "In sight: 7 persons" in window.screen.lines)
        publish("street/detections", seen(2))
        assert wait_until(lambda: "In sight: 2 persons" in window.screen.lines and window.screen.lines[7] == "")
        assert sum("person  " in line for line in window.screen.lines) == 2
        window.resize(60, 12)
        assert wait_until(lambda: window.raw.rpartition("\x1b[H")[2].count("\n") == 11)
        assert "In sight: 2 persons" in window.raw.rpartition("\x1b[H")[2]


def test_no_color_is_respected(broker: Broker) -> None:
    with terminal(PROGRAM.format(port=broker.port), NO_COLOR="1") as window, agent(broker.port) as publish:
        assert wait_until(lambda: "one thing is odd" in window.raw, 20)
        publish("street/status", "online")
        assert wait_until(lambda: "street: online" in window.screen.lines)
        assert not re.search(r"\x1b\[\d+m", window.raw)


def test_a_dumb_terminal_gets_plain_lines(broker: Broker) -> None:
    with terminal(PROGRAM.format(port=broker.port), TERM="dumb") as window, agent(broker.port) as publish:
        assert wait_until(lambda: "one thing is odd" in window.raw, 20)
        publish("street/detections", seen(1))
        assert wait_until(lambda: "1 person · 10.0 fps" in window.raw)
        assert "\x1b" not in window.raw


def test_the_log_is_given_back_after_the_view(broker: Broker) -> None:
    root, screenish = logging.getLogger(), io.StringIO()
    screenish.isatty = lambda: True  # type: ignore[method-assign]
    handler = logging.StreamHandler(screenish)
    root.addHandler(handler)
    before = list(root.handlers)
    os.environ["TERM"], term = "xterm", os.environ.get("TERM")
    try:
        with View(broker.host, broker.port, "office", out=io.StringIO(), is_tty=True):
            assert handler not in root.handlers
        assert sorted(map(id, root.handlers)) == sorted(map(id, before))
    finally:
        root.removeHandler(handler)
        os.environ.pop("TERM") if term is None else os.environ.update(TERM=term)


def test_the_hint_works_as_printed(broker: Broker) -> None:
    view = View(broker.host, broker.port, "office", out=io.StringIO())
    if subprocess.run(["sh", "-c", "command -v mosquitto_sub"], capture_output=True, check=False).returncode:
        pytest.skip("no mosquitto_sub on this machine; apt-get install mosquitto-clients")
    with agent(broker.port) as publish:
        publish("status", "online", retain=True)
        command = f"{view.command} -C 1 -W 10"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "lookout/office/status online\n"
