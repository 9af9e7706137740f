"""Children that do what they should not; the limits are real ones of this kernel."""

import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from convert import ConvertError
from convert.process import sandbox
from convert.process.sandbox import Limits

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and network are Linux's")


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "kept"))
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "kept"))
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def run(work, code, **limits):
    return sandbox.run([sys.executable, "-c", code], work, what="model m.onnx", tool="tool", limits=Limits(**limits))


def refused(work, code, **limits):
    with pytest.raises(ConvertError) as caught:
        run(work, code, **limits)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_a_child_that_ends_well_says_what_it_printed(work):
    assert run(work, "print('made')").endswith("made\n")


def test_its_home_is_the_work_folder_and_secrets_stay_outside(work, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    said = run(work, "import os; print(os.getcwd(), os.environ['HOME'], os.environ.get('SECRET_TOKEN'))")
    assert said.endswith(f"{work} {work} None\n")


def test_the_last_words_of_a_failure_are_kept(work):
    line = refused(work, "import sys; print('one'); sys.exit('two')")
    log = re.fullmatch(r"model m\.onnx: tool failed with exit code 1: two; all it said is in (.*\.log)", line)
    assert log
    assert Path(log[1]).read_text().split()[-2:] == ["one", "two"]


def test_a_child_that_hangs_is_stopped(work):
    assert "tool was stopped after 0.5 s, the limit" in refused(work, "import time; time.sleep(60)", seconds=0.5)


def test_what_a_child_started_is_stopped_with_it(work):
    code = (
        "import subprocess, time; p = subprocess.Popen(['sleep', '77']);"
        "open('pid', 'w').write(str(p.pid)); time.sleep(60)"
    )
    refused(work, code, seconds=1.5)
    pid = int((work / "pid").read_text())
    for _ in range(100):  # the kernel takes a moment to bury it
        if not runs(pid):
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} outlived its sandbox")


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@LINUX
def test_memory_is_limited(work):
    assert "it wanted more than 300 MB of memory" in refused(work, "x = bytearray(1 << 30)", memory=300 << 20)


def test_files_are_limited(work):
    code = "open('f', 'wb').write(bytes(2 << 20))"
    assert "it wrote a file of more than 1 MB" in refused(work, code, file=1 << 20)
    assert (work / "f").stat().st_size <= 1 << 20


@LINUX
def test_there_is_no_network_or_the_log_says_that_there_is(work):
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 9), 1)\nexcept OSError as e: print(e.errno)"
    said = run(work, code)
    assert said == "101\n" or said.startswith("sandbox: the network stays open to this child")


def test_a_child_that_is_killed_says_by_what(work):
    assert "tool was killed by SIGABRT: last" in refused(work, "import os; print('last', flush=True); os.abort()")


def test_a_program_that_is_not_there_is_one_line(work):
    with pytest.raises(ConvertError, match="model m: tool failed with exit code 1: FileNotFoundError"):
        sandbox.run(["/no/such/program"], work, what="model m", tool="tool")


def test_a_refusal_of_our_own_child_is_raised_as_it_stands(work, tmp_path):
    module = tmp_path / "refuser.py"
    lines = ["from convert import ConvertError", "from convert.process import sandbox"]
    lines += ["def job(work): raise ConvertError('has no legs')"]
    module.write_text("\n".join([*lines, "sandbox.child(job)"]))
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(sandbox.__file__).parents[2]}"}
    with pytest.raises(ConvertError, match=r"^model m: has no legs$"):
        sandbox.run([sys.executable, "-m", "refuser", str(work)], work, what="model m", tool="tool", env=env)


def test_ctrl_c_leaves_no_child_behind(work):
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run(work, "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)")
    with pytest.raises(ProcessLookupError):
        os.kill(int((work / "pid").read_text()), 0)


def test_scratch_is_gone_afterwards():
    with sandbox.scratch("test") as folder:
        (folder / "f").write_text("x")
    assert not folder.exists()
