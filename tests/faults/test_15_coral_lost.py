"""A Coral that is pulled out: the processor takes over at once, that is told, and the Coral is used once it is back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agent import modelfile
from agent.detect.backends import edgetpu
from tests.detect.backends.test_edgetpu import SOURCE, plug_in_usb
from tests.fakes import bare
from tests.fakes.agent import YARD, Running
from tests.faults.conftest import Row, full
from tests.test_updating import CHANGED, SHIPPED

CORAL = "[detect]\nmode = 'full'\n[model]\nbackend = 'edgetpu'\nfile = 'net_edgetpu.tflite'\n"
PLUGGED = (
    "from pathlib import Path; from agent.detect.backends import edgetpu as e; e._SYS = Path({!r}); e._RETRY_S = 1.0"
)


@full
def test_the_processor_takes_over(tmp_path: Path, start: Callable[..., Running], row: Callable[..., Row]) -> None:
    told = row("Coral unplugged", "a delegate of the tests' own fails", "processor at once, told; back when it is back")
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    library, mode = tmp_path / "libedgetpu.so", tmp_path / "mode"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
    plug_in_usb(tmp_path, "2-1", "1a6e", "089a", 7)
    card = modelfile.read(SHIPPED).card
    assert card
    compiled = bare.flatbuffer(SHIPPED) + edgetpu.MARK
    (tmp_path / "net_edgetpu.tflite").write_bytes(modelfile.pack(compiled, card)[0])
    (tmp_path / "net.tflite").write_bytes(SHIPPED.read_bytes())
    mode.write_text("ok")
    environ = {"LOOKOUT_EDGETPU": str(library), "FAKE_EDGETPU": str(mode)}
    agent = start(YARD + CORAL, "-c", CHANGED.format(PLUGGED.format(str(tmp_path / "sys"))), environ=environ)
    agent.wait(lambda: agent.health()["runs_on"] == "edgetpu usb:0", "the Coral in use")
    mode.write_text("lost")
    agent.wait(lambda: agent.events("accelerator_lost"), "the loss told")
    agent.frames()
    agent.wait(lambda: agent.health()["runs_on"].startswith("cpu (edgetpu lost"), "what computes now")
    with told.recovery():
        mode.write_text("ok")
        agent.wait(lambda: agent.events("accelerator_back"), "its return told")
    agent.frames()
    assert b"offline" not in agent.of("yard/status")[1:]
    told.seen = "accelerator_lost, accelerator_back; frames looked at all the time"
