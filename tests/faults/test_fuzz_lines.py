"""HTTP's and MQTT's bytes changed on the way, in both directions: the agent lives, and all comes right after."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.fakes import tcp
from tests.fakes.agent import HEAD, YARD, Process, Running
from tests.fakes.mosquitto import Broker, Listener, until
from tests.fakes.webcam import Webcam
from tests.faults.conftest import full
from tests.faults.mutants import Line
from tests.faults.test_04_half_open import webcam
from tests.faults.test_24_broker_and_publisher_killed import came

__all__ = ["webcam"]  # a fixture
SECONDS = 20.0  # of a bad line
GATE = '[cameras.gate]\nkind = "rtsp"\nurl = "{}"\nopen_timeout_s = 2.0\nread_timeout_s = 1.5\nstale_s = 60\n'


def watch(start: Callable[..., Running], port: int, url: str) -> None:
    """A network camera over a line that goes bad and good again, beside a camera that nobody harms."""
    back, forth = Line(1), Line(2)
    server = tcp.Server(tcp.proxy(port, back, forth))
    agent = start(YARD + GATE.format(url.format(server.port))).online("gate")
    for share in (0.02, 0.3, 1.0):
        back.share = forth.share = share
        time.sleep(SECONDS / 3)
        assert agent.process.alive(), agent.process.log()
    assert back.harmed > 3
    agent.frames("yard")
    back.share = forth.share = 0.0
    agent.wait(lambda: agent.of("gate/status")[-1] == b"online", "the camera there")
    agent.wait(lambda: time.sleep(1.1) or agent.snapshot("gate"), "a picture of it")
    assert "Traceback" not in agent.process.log()
    server.close()


@full
def test_mjpeg(start: Callable[..., Running], webcam: Webcam) -> None:
    watch(start, webcam.port, "http://127.0.0.1:{}/stream")


@full
def test_mqtt_and_a_whole_agent(tmp_path: Path, start: Callable[..., Running]) -> None:
    broker = Broker(tmp_path)
    back, forth = Line(3), Line(4)
    server = tcp.Server(tcp.proxy(broker.port, back, forth))
    agent = start(YARD, head=HEAD.replace("{port}", str(server.port)), broker=broker)
    for share in (0.2, 0.5, 1.0):
        back.share = forth.share = share
        time.sleep(SECONDS / 3)
        assert agent.process.alive(), agent.process.log()
    agent.wait(lambda: back.harmed + forth.harmed > 3, "pieces that are changed; a connection may hang on one for 10 s")
    back.share = forth.share = 0.0
    agent.wait(lambda: agent.retained().get("lookout/pi/status") == b"online", "the agent there")
    agent.frames()
    assert "Traceback" not in agent.process.log()
    server.close()


@full
def test_mqtt_loses_nothing_that_was_not_acknowledged(tmp_path: Path) -> None:
    """Neither MQTT nor TCP has a checksum against this: an acknowledgement that the line made up is believed.

    No more are lost than pieces were changed, and none that the publisher still holds.
    """
    broker = Broker(tmp_path, durable=True).start()
    listener = Listener(broker.port, "lookout/pi/yard/events", client_id="consumer")
    back, forth = Line(5), Line(6)
    server = tcp.Server(tcp.proxy(broker.port, back, forth))
    feeder = Process(tmp_path / "log", "-m", "tests.faults.feeder", str(server.port), str(tmp_path), "100").start()
    until(lambda: listener.messages, "the first event")
    back.share = forth.share = 0.02
    time.sleep(SECONDS)
    assert feeder.alive(), feeder.log()
    back.share = forth.share = 0.0
    time.sleep(0.5)
    accepted = (tmp_path / "accepted").read_text().split()
    assert came(accepted[-1], listener, 60), feeder.log()
    held = set(accepted) - set((tmp_path / "acked").read_text().split())
    told = b"\n".join(listener.of("lookout/pi/yard/events"))
    lost = [one for one in accepted if one.encode() not in told]
    print(f"{len(accepted)} accepted, {back.harmed + forth.harmed} pieces changed, {len(lost)} lost")
    assert back.harmed + forth.harmed
    assert not held & set(lost)
    assert len(lost) <= back.harmed + forth.harmed
    assert "Traceback" not in feeder.log()
    feeder.stop()
    listener.close()
    broker.kill()
    server.close()
