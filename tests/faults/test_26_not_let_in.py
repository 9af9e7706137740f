"""A broker that does not let the agent in: said as what it is, in few lines; connected once that is mended."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.agent import HEAD, YARD, Running
from tests.fakes.mosquitto import Broker, free_port, until
from tests.faults.conftest import Row, full
from tests.publish.test_connection import certificate

WAIT_S = 3.0  # in which it tries many times: retry_s is 0.1 to 0.5 s
OPEN = "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
LOCKED = OPEN + "password_file {folder}/passwords"
TLS = OPEN + "listener {tls} 127.0.0.1\ncafile {folder}/ca.crt\ncertfile {folder}/localhost.crt\n"


def refused(agent: Running, words: str) -> int:
    """Lines that complain of it in some seconds, frames going on meanwhile."""
    until(lambda: words in agent.process.log(), words, 60)
    until(lambda: "camera yard: online" in agent.process.log(), "the camera", 60)
    time.sleep(WAIT_S)
    return agent.process.log().count(words)


@full
def test_a_wrong_password_and_an_expired_certificate(
    tmp_path: Path, start: Callable[..., Running], row: Callable[..., Row]
) -> None:
    told = row("broker refuses, certificate expired", "wrong password; expired certificate", "told which, in few lines")
    if not (shutil.which("mosquitto_passwd") and shutil.which("openssl")):
        pytest.skip("mosquitto_passwd or openssl is not installed")
    subprocess.run(["mosquitto_passwd", "-b", "-c", tmp_path / "passwords", "pi", "right"], check=True)
    (tmp_path / "passwords").chmod(0o644)
    secret = tmp_path / "secret"
    secret.write_text("wrong\n")
    head = HEAD.replace("[mqtt]\n", f'[mqtt]\nusername = "pi"\npassword_file = "{secret}"\n')
    broker = Broker(tmp_path, LOCKED.replace("{folder}", str(tmp_path)))
    agent = start(YARD, head=head, broker=broker, wait=False)
    lines = refused(agent, "this user or client is not allowed in")
    with told.recovery():
        secret.write_text("right\n")
        agent.online()
    agent.close()
    expired = an_expired_certificate(tmp_path, start)
    assert 0 < lines <= 2
    assert 0 < expired <= 2
    told.seen = f"{lines} and {expired} line(s) in {WAIT_S:g} s each; connected once mended"


def an_expired_certificate(folder: Path, start: Callable[..., Running]) -> int:
    """Lines that complain of it."""
    (house := folder / "tls").mkdir()
    certificate(house, "ca")
    certificate(house, "localhost", "ca", expired=True)
    port = free_port()
    broker = Broker(
        house, TLS.replace("{folder}", str(house)).replace("{tls}", str(port)) + f"keyfile {house}/localhost.key"
    )
    secure = f'port = {port}\nhost = "localhost"\ntls = {{{{ enabled = true, ca_file = "{house}/ca.crt" }}}}'
    (folder / "agent.log").unlink()
    agent = start(YARD, head=HEAD.replace("port = {port}", secure), broker=broker, wait=False)
    lines = refused(agent, "certificate has expired")
    certificate(house, "localhost", "ca")
    agent.broker.stop()
    agent.broker.start()
    agent.online()
    return lines
