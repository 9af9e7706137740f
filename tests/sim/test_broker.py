import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from agent.sim.broker import Broker, BrokerError
from tests.sim.conftest import answers, free_port, hang_up, wait_until

ROOT = Path(__file__).parent.parent.parent


class Peer:
    """A client that is connected, and what came to it: (topic, payload, retained)."""

    def __init__(self, port: int, topic: str = "") -> None:
        self.got: list[tuple[str, bytes, bool]] = []
        self._ready = threading.Event()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda *_: self.client.subscribe(topic, qos=1) if topic else self._ready.set()
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = lambda _c, _u, m: self.got.append((m.topic, m.payload, m.retain))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._ready.wait(10), "not connected"

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        info = self.client.publish(topic, payload, qos=1, retain=retain)
        info.wait_for_publish(10)
        assert info.is_published(), f"{topic} was not acknowledged"

    def close(self) -> None:
        hang_up(self.client)


@contextmanager
def peers(*clients: Peer):
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def test_a_message_reaches_those_who_want_it(broker: Broker) -> None:
    with peers(Peer(broker.port), Peer(broker.port, topic="a/+/#"), Peer(broker.port, topic="a/+")) as (out, into, no):
        out.publish("a/b/c/d", b"live")
        assert wait_until(lambda: into.got == [("a/b/c/d", b"live", False)])
        assert no.got == []


def test_a_new_subscriber_gets_the_retained_states_and_no_others(broker: Broker) -> None:
    with peers(Peer(broker.port)) as (out,):
        out.publish("lookout/a/status", b"old", retain=True)
        out.publish("lookout/a/status", b"online", retain=True)
        out.publish("lookout/a/yard/status", b"online", retain=True)
        out.publish("lookout/a/street/status", b"online", retain=True)
        out.publish("lookout/a/street/status", b"", retain=True)  # removed
        with peers(Peer(broker.port, topic="lookout/+/+/status"), Peer(broker.port, topic="lookout/#")) as (
            some,
            every,
        ):
            assert wait_until(lambda: len(every.got) >= 2 and some.got)
            assert some.got == [("lookout/a/yard/status", b"online", True)]
            assert sorted(every.got) == [
                ("lookout/a/status", b"online", True),
                ("lookout/a/yard/status", b"online", True),
            ]


def test_a_client_that_tries_mqtt_5_is_told_at_once_by_being_hung_up_on(broker: Broker) -> None:
    ended: list[bool] = []
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
    )
    client.on_connect = lambda *_: ended.append(False)
    client.on_disconnect = lambda *_: ended.append(True)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    assert wait_until(lambda: ended == [True])
    hang_up(client)
    with peers(Peer(broker.port)) as (peer,):
        peer.publish("others", b"are served")


def test_a_picture_of_a_megabyte_passes_whole(broker: Broker) -> None:
    picture = os.urandom(1_000_000)
    with peers(Peer(broker.port), Peer(broker.port, topic="snap")) as (out, into):
        out.publish("snap", picture)
        assert wait_until(lambda: into.got == [("snap", picture, False)])


def test_pictures_do_not_pile_up_in_the_broker(broker: Broker) -> None:
    def resident_mb() -> float:
        return int(Path(f"/proc/{broker.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    with peers(Peer(broker.port), Peer(broker.port, topic="snap")) as (out, into):
        before = resident_mb()
        for _ in range(300):  # 60 MB
            out.publish("snap", os.urandom(200_000))
        assert wait_until(lambda: len(into.got) == 300)
        assert resident_mb() - before < 40


def test_the_will_of_a_killed_client_is_published(broker: Broker) -> None:
    dying = (
        "import sys, time, threading, paho.mqtt.client as m\n"
        "c = m.Client(m.CallbackAPIVersion.VERSION2); c.will_set('w/status', 'offline', 1, True)\n"
        f"c.on_connect = lambda *a: print('up', flush=True); c.connect('127.0.0.1', {broker.port}); c.loop_forever()\n"
    )
    with peers(Peer(broker.port, topic="w/#")) as (into,):
        with subprocess.Popen([sys.executable, "-c", dying], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            process.kill()
        assert wait_until(lambda: into.got == [("w/status", b"offline", False)])


@pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="no mosquitto-clients on this machine")
def test_mosquittos_clients_understand_it(broker: Broker) -> None:
    common = ["-h", "127.0.0.1", "-p", str(broker.port)]
    subprocess.run(["mosquitto_pub", *common, "-t", "m/x", "-m", "hello", "-q", "1", "-r"], check=True, timeout=10)
    command = ["mosquitto_sub", *common, "-t", "m/#", "-v", "-C", "1", "-W", "10"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "m/x hello\n"


def test_it_listens_on_loopback_alone(broker: Broker) -> None:
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path("/proc/net", table).read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{broker.port:04X}")]
    assert listening == [f"0100007F:{broker.port:04X}"]


def test_a_taken_port_is_left_alone_and_another_one_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "agent.sim.broker")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with Broker(taken) as broker, peers(Peer(broker.port)) as (peer,):
            peer.publish("x", b"y")
            assert broker.port != taken
    assert caplog.messages == [f"port {taken} is taken; MQTT broker on 127.0.0.1:{broker.port}"]


def test_brokers_started_in_the_same_instant_each_get_a_port_of_their_own() -> None:
    wanted, ports, gate, done = free_port(), [], threading.Barrier(4), threading.Event()

    def run() -> None:
        gate.wait()
        with Broker(wanted) as broker, peers(Peer(broker.port, topic="#")) as (peer,):
            name = uuid.uuid4().bytes
            peer.publish("who", name)
            assert wait_until(lambda: peer.got)
            ports.append((broker.port, peer.got == [("who", name, False)]))
            done.wait(20)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: len(ports) == 4, 30)
    done.set()
    for thread in threads:
        thread.join()
    assert len({port for port, _ in ports}) == 4
    assert all(alone for _, alone in ports)


def test_the_port_is_free_and_the_process_gone_after_the_block() -> None:
    with Broker(free_port()) as broker:
        pid = broker.pid
        assert answers(broker.port)
    assert broker.pid is None
    assert not Path(f"/proc/{pid}").exists()
    assert not answers(broker.port)


PARENT = """
import time
from agent.sim.broker import Broker
with Broker({port}) as broker:
    print(broker.pid, broker.port, flush=True)
    while True:
        time.sleep(0.05)  # short: a signal just before a sleep does not end that sleep
"""


@contextmanager
def parent():
    """A program with a broker, in a process group of its own as a shell starts it: (process, broker's pid, port)."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(port=free_port())], cwd=ROOT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    pid, port = map(int, process.stdout.readline().split())
    try:
        yield process, pid, port
    finally:
        process.kill()
        process.communicate()


def test_no_broker_is_left_when_its_parent_is_killed() -> None:
    with parent() as (process, pid, port):
        assert answers(port)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert wait_until(lambda: not Path(f"/proc/{pid}").exists() and not answers(port))


def test_ctrl_c_leaves_the_broker_to_its_parent() -> None:
    with parent() as (process, pid, port):
        os.kill(process.pid, signal.SIGSTOP)  # the parent is busy saying goodbye
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
        assert os.getpgid(pid) != process.pid
        with peers(Peer(port)) as (peer,):
            peer.publish("still", b"here")
        os.kill(process.pid, signal.SIGCONT)
        process.wait(10)
        assert wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_it_says_nothing_itself() -> None:
    with parent() as (process, _, port):
        with peers(Peer(port, topic="#")) as (peer,):
            peer.publish("a", b"b")
        with socket.create_connection(("127.0.0.1", port)) as nonsense:
            nonsense.sendall(b"GET / HTTP/1.1\r\n\r\n")
        process.terminate()
        out, err = process.communicate(timeout=10)
    assert (out, err) == ("", "")


def test_without_iotcore_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "iotcore", None)  # as Python itself marks what cannot be imported
    with pytest.raises(BrokerError) as error, Broker():
        pass
    assert str(error.value) == (
        "embedded broker: iotcore is not installed; run `pip install 'lookout-agent[sim]'`"
        " or name a broker of your own with --broker HOST:PORT"
    )
