"""`make deploy`: what is chosen for a device, and what is said where it cannot go. (All of it: `make test-system`.)"""

import getpass
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.fakes.mosquitto import free_port, until

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "systemd" / "deploy.sh"


@pytest.fixture(scope="module")
def bundle() -> Iterator[ModuleType]:
    pytest.importorskip("pip", reason="this environment has no pip")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "systemd")
        yield importlib.import_module("bundle")


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real sshd on loopback that lets this user in; the command that gets there."""
    sshd = shutil.which("sshd", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
    if not (sshd and shutil.which("ssh")):
        pytest.skip("openssh-server or openssh-client is not installed")
    folder, port = tmp_path_factory.mktemp("ssh"), free_port()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = subprocess.Popen([sshd, "-D", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
    command = f"ssh -p {port} -i {folder}/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    command += " -o LogLevel=ERROR -o BatchMode=yes"
    try:
        until(lambda: _runs([*command.split(), f"{getpass.getuser()}@127.0.0.1", "true"]), "sshd to let us in")
        yield command
    finally:
        server.terminate()
        server.wait()


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0


def deploy(verb: str = "install", **environ: str) -> tuple[int, str]:
    known = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    command = ["sh", str(SCRIPT), verb]
    done = subprocess.run(command, env=known | environ, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stderr.strip()


def test_it_asks_whom_to() -> None:
    assert deploy() == (2, "lookout: whom to? make deploy PI=user@host [MODEL=my.tflite] [CONFIG=agent.toml]")


def test_files_that_are_not_there_are_told_before_anything_else() -> None:
    assert deploy(PI="pi@nowhere", CONFIG="no.toml") == (2, "lookout: CONFIG=no.toml: no such file")
    assert deploy(PI="pi@nowhere", MODEL="no.tflite") == (2, "lookout: MODEL=no.tflite: no such file")


def test_a_device_that_is_not_there() -> None:
    code, told = deploy(PI="pi@127.0.0.1", SSH=f"ssh -p {free_port()}")

    if not shutil.which("ssh"):
        pytest.skip("openssh-client is not installed")
    assert code == 2
    assert told.endswith("lookout: pi@127.0.0.1: cannot be reached by ssh")


def test_a_machine_without_systemd_is_left_alone(ssh: str) -> None:
    if Path("/run/systemd/system").exists():
        pytest.skip("this machine runs systemd")
    me = f"{getpass.getuser()}@127.0.0.1"

    assert deploy(PI=me, SSH=ssh) == (2, f"lookout: {me} does not run systemd")
    assert deploy("undeploy", PI=me, SSH=ssh) == (2, f"lookout: {me} does not run systemd")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ("armv7l 3.11 2.36 venv systemd root rsync 9000", "is a 32-bit system (armv7l)"),
        ("riscv64 3.13 2.41 venv systemd root rsync 9000", "is a riscv64, for which there are no wheels"),
        ("aarch64 3.9 2.31 venv systemd root rsync 9000", "has Python 3.9, 3.11 is needed"),
        ("aarch64 none 2.36 venv systemd root rsync 9000", "has no python3"),
        ("aarch64 3.11 2.36 no-venv systemd sudo rsync 9000", "has no python3-venv: ssh pi@host sudo -n apt install"),
        ("aarch64 3.11 2.36 venv systemd nobody rsync 9000", "may not sudo without a password"),
        ("aarch64 3.11 2.36 venv systemd sudo tar 300", "has 300 MB free in /opt, 700 are needed"),
    ],
)
def test_a_device_that_it_cannot_run_on_is_told_in_one_line(tmp_path: Path, facts: str, words: str) -> None:
    fake = tmp_path / "ssh"
    fake.write_text(f"#!/bin/sh\necho {facts}\n")
    fake.chmod(0o755)
    code, told = deploy(PI="pi@host", SSH=str(fake))

    assert code == 2
    assert words in told
    assert len(told.splitlines()) == 1


def test_versions_are_those_of_the_lock_for_the_device(bundle: ModuleType) -> None:
    def cut(python: str, machine: str, *groups: str) -> dict[str, str]:
        target = bundle.environment(python, machine)
        return {one.name: one.version for one in bundle.lockfile.cut(groups or bundle.GROUPS, target)}

    assert cut("3.11", "aarch64")["numpy"] != cut("3.13", "aarch64")["numpy"]
    assert "tensorflow" in cut("3.13", "aarch64", "tensorflow")  # the lock's line for processors that are not x86
    assert cut("3.13", "aarch64").keys() >= {"numpy", "ai-edge-litert", "paho-mqtt", "pynacl", "uvicorn", "h11"}
    assert not cut("3.13", "aarch64").keys() & {"tensorflow", "pytest", "iotcore"}
    assert not any("litert" in name for name in cut("3.11", "armv7l"))


def test_every_package_has_its_hashes_and_no_group_needs_one_that_is_not_there(bundle: ModuleType) -> None:
    locked = bundle.lockfile.entries((ROOT / "requirements.lock").read_text("utf-8"))
    assert len(locked) > 80
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", text) for one in locked for text in one.hashes)
    assert [one.name for one in locked if not one.hashes] == []
    everything = bundle.lockfile.cut(["build", "agent", "sim", "convert", "tensorflow", "dev", "web", "signed"])
    assert {one.name for one in everything} == {one.name for one in locked if one.holds()}
    with pytest.raises(SystemExit, match="no requirements 'coffee'"):
        bundle.lockfile.cut(["coffee"])


def test_the_device_gets_no_line_without_a_hash(bundle: ModuleType) -> None:
    for python in ("3.11", "3.13"):
        lines = bundle.pins(python, "aarch64").splitlines()
        assert len(lines) > 15
        assert all(" --hash=sha256:" in line for line in lines)


def test_wheels_for_a_newer_glibc_are_not_taken(bundle: ModuleType) -> None:
    tags = bundle.platforms("aarch64", "2.36")

    assert tags[0] == "manylinux_2_36_aarch64"
    assert "manylinux_2_37_aarch64" not in tags
    assert tags[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]


def test_wheels_of_the_last_time_are_used_again_if_they_are_whole_and_for_the_same_device(
    bundle: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def pip(*arguments: str) -> None:
        asked.append(arguments)
        (tmp_path / "wheels" / "numpy-2.5.5-cp313-cp313-manylinux_2_28_aarch64.whl").write_bytes(b"wheel")

    monkeypatch.setattr(bundle, "pip", pip)
    bundle.collect(tmp_path, "3.13", "aarch64", "2.41")
    bundle.collect(tmp_path, "3.13", "aarch64", "2.41")
    assert len(asked) == 1
    assert (tmp_path / "requirements.lock").read_text().startswith("numpy==2.5.5 --hash=sha256:")
    next((tmp_path / "wheels").iterdir()).write_bytes(b"whe")
    bundle.collect(tmp_path, "3.13", "aarch64", "2.41")
    bundle.collect(tmp_path, "3.13", "aarch64", "2.36")
    assert len(asked) == 3


def test_every_wheel_is_locked_by_its_bytes(bundle: ModuleType, tmp_path: Path) -> None:
    wheel = tmp_path / "paho_mqtt-2.2.0-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    line = bundle.locked(wheel)
    assert line.startswith("paho_mqtt==2.2.0 --hash=sha256:")
    wheel.write_bytes(b"another")
    assert bundle.locked(wheel) != line


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A device's folders in one of the test's own, with an install.sh that knows no others."""
    script = (ROOT / "systemd" / "install.sh").read_text()
    for place in ("/opt/lookout", "/etc/lookout", "/var/lib/lookout", "/var/lock/lookout-deploy"):
        assert place in script
        script = script.replace(place, f"{tmp_path}{place}")
    (tmp_path / "install.sh").write_text(script)
    for folder in ("opt/lookout/releases/v1", "opt/lookout/releases/v2", "opt/lookout/models/v2", "etc/lookout"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("var/lib/lookout/models", "var/lock"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/lookout/agent.toml").write_text("v2's")
    (tmp_path / "etc/lookout/agent.toml.before-v2").write_text("v1's")
    (tmp_path / "var/lib/lookout/models/state.json.before-v2").write_text("v1's choice")
    return tmp_path


def recover(device: Path) -> int:
    return subprocess.run(["sh", device / "install.sh", "recover"], check=False, timeout=20).returncode


def test_an_installation_that_a_power_cut_ended_before_the_switch_is_undone(device: Path) -> None:
    (device / "opt/lookout/current").symlink_to("releases/v1")

    assert recover(device) == 0
    assert (device / "etc/lookout/agent.toml").read_text() == "v1's"
    assert (device / "var/lib/lookout/models/state.json").read_text() == "v1's choice"
    assert [path.name for path in (device / "opt/lookout/releases").iterdir()] == ["v1"]
    assert list((device / "opt/lookout/models").iterdir()) == []


def test_one_that_was_switched_to_keeps_its_config(device: Path) -> None:
    (device / "opt/lookout/current").symlink_to("releases/v2")

    assert recover(device) == 0
    assert recover(device) == 0  # at the next start there is nothing left to do
    assert (device / "etc/lookout/agent.toml").read_text() == "v2's"
    assert (device / "etc/lookout/agent.toml.before").read_text() == "v1's"
    assert (device / "opt/lookout/models/v2").is_dir()
    assert list((device / "var/lib/lookout/models").iterdir()) == []


def test_an_installation_that_is_under_way_is_left_alone(device: Path) -> None:
    (device / "opt/lookout/current").symlink_to("releases/v1")
    lock = device / "var/lock/lookout-deploy"
    with subprocess.Popen(["flock", lock, "cat"], stdin=subprocess.PIPE) as deploy:
        until(lambda: not _runs(["flock", "-n", str(lock), "true"]), "the deploy to begin")
        assert recover(device) == 0
        deploy.communicate()
    assert (device / "etc/lookout/agent.toml").read_text() == "v2's"


@pytest.mark.parametrize("script", ["deploy.sh", "install.sh"])
def test_the_scripts_are_posix_shell(script: str) -> None:
    subprocess.run(["sh", "-n", str(ROOT / "systemd" / script)], check=True)
