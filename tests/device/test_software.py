"""What the doctor says of versions that go together and of versions that do not."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agent.detect.backends import edgetpu
from agent.device import software
from agent.device.software import Said

DELEGATE = Path(__file__).parent.parent / "fakes" / "edgetpu.c"


def test_software_of_this_machine_goes_together() -> None:
    found = {finding.about: finding for finding in software.python()}

    assert {finding.grade for finding in found.values()} == {"good"}
    assert np.__version__ in found["runtime"].text


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("ValueError: numpy.dtype size changed, may indicate binary incompatibility.", "pip install 'numpy<2'"),
        ("ImportError: A module that was compiled using NumPy 1.x cannot be run in NumPy 2", "pip install 'numpy<2'"),
        ("ModuleNotFoundError: No module named 'libcamera._libcamera'", "/usr/bin/python3"),
        ("AttributeError: module 'libcamera' has no attribute 'Orientation'", "pip uninstall picamera2"),
    ],
)
def test_picamera2_that_goes_with_something_else(error: str, cure: str) -> None:
    found = software.picamera2(Said("", error))
    assert found.grade == "broken"
    assert cure in found.cure


def test_picamera2_that_a_venv_does_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Said("", "ModuleNotFoundError: No module named 'picamera2'")
    monkeypatch.setattr(sys, "prefix", "/opt/venv")
    assert "--system-site-packages" in software.picamera2(missing).cure
    monkeypatch.setattr(software, "_sees_system_packages", lambda: True)
    assert software.picamera2(missing).cure == "sudo apt install python3-picamera2"


def test_picamera2_that_works_names_its_libcamera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picamera2").mkdir()
    (tmp_path / "picamera2" / "__init__.py").touch()
    (tmp_path / "picamera2-0.3.31.dist-info").mkdir()
    (tmp_path / "picamera2-0.3.31.dist-info" / "METADATA").write_text("Name: picamera2\nVersion: 0.3.31\n")
    (tmp_path / "libcamera.py").write_text(
        "class CameraManager:\n    version = 'v0.5.2'\n    singleton = staticmethod(lambda: CameraManager())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert (software.picamera2().grade, software.picamera2().text) == ("good", "picamera2 0.3.31 with libcamera v0.5.2")


def test_a_child_that_crashes_is_survived() -> None:
    assert software.in_child("import os; os.abort()").error == "crashed (signal 6)"
    missing = software.in_child("import nothing_of_this_name")
    assert missing.error == "ModuleNotFoundError: No module named 'nothing_of_this_name'"
    assert software.in_child("print(7)") == ("7", "")


def test_a_machine_without_coral_has_nothing_to_tell(tmp_path: Path) -> None:
    assert list(software.coral(wanted=False, sys_root=tmp_path)) == []
    missing, library = software.coral(wanted=True, sys_root=tmp_path)
    assert (missing.grade, library.grade) == ("broken", "broken")
    assert "libedgetpu.so.1" in library.text


@pytest.fixture
def plugged_in(tmp_path: Path) -> Path:
    (tmp_path / "class" / "apex" / "apex_0").mkdir(parents=True)
    return tmp_path


def test_a_coral_that_nobody_uses_is_told(plugged_in: Path) -> None:
    (found,) = software.coral(wanted=False, sys_root=plugged_in)
    assert (found.grade, found.text) == ("good", "pci:0 plugged in and not used")


@pytest.mark.parametrize(
    ("mode", "grade", "text"), [("ok", "good", "RuntimeVersion(14), for "), ("crash", "broken", "crashed (signal 6)")]
)
def test_the_version_of_libedgetpu_is_told_and_its_crash_survived(
    plugged_in: Path, monkeypatch: pytest.MonkeyPatch, mode: str, grade: str, text: str
) -> None:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", plugged_in / "lib.so", DELEGATE], check=True)
    (plugged_in / "mode").write_text(mode)
    monkeypatch.setenv("FAKE_EDGETPU", str(plugged_in / "mode"))
    monkeypatch.setattr(edgetpu, "LIBRARY", str(plugged_in / "lib.so"))
    (found,) = software.coral(wanted=True, sys_root=plugged_in)

    assert found.grade == grade
    assert text in found.text
