"""An update that does not load, under a service manager that starts the agent again and again: a real process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from agent.device.updates import Store
from tests.device.test_watchdog import Systemd
from tests.fakes.mosquitto import free_port, until

ROOT = Path(__file__).parent.parent.parent


def test_a_model_that_does_not_load_is_rolled_back_by_the_fourth_start(tmp_path: Path, data_dir: Path) -> None:
    model = data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite"
    (tmp_path / "agent.toml").write_text(
        f'[model]\nfile = "{model}"\n[cameras.a]\nkind = "synthetic"\n'
        f'[mqtt]\nport = {free_port()}\noutbox.durability = "memory"\n'
    )
    (tmp_path / "bad.tflite").write_bytes(b"\x20\0\0\0TFL3 and nothing more")
    store = Store(tmp_path / "models")
    store.install(tmp_path / "bad.tflite", test=lambda _: 1.0)  # as if it had passed where it was tested
    systemd = Systemd(str(tmp_path / "notify"))
    environ = {**os.environ, **systemd.environ, "STATE_DIRECTORY": str(tmp_path)}
    command = [sys.executable, "-m", "agent", "run", str(tmp_path / "agent.toml")]
    for _ in range(3):
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2, done.stderr
        assert "bad.tflite" in done.stderr
    agent = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: "READY=1" in systemd.heard() or agent.poll() is not None, "READY=1", 60)
        agent.send_signal(signal.SIGTERM)
        told = agent.communicate(timeout=30)[1]
    finally:
        agent.kill()
        agent.wait()
        systemd.close()

    assert agent.returncode == 0, told
    assert "to the config's: it was started 3 times" in told
    assert store.state.chosen is None
    assert len(store.state.refused) == 1
