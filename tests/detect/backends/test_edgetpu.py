"""A Coral that works, is absent, crashes, hangs, is lost and comes back, played by a delegate built here in C."""

import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.detect.backends import edgetpu, tflite
from agent.modelfile import ModelError

SOURCE = Path(__file__).parent.parent.parent / "fakes" / "edgetpu.c"
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Delegate.__del__ on failure


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    built = tmp_path_factory.mktemp("edgetpu") / "libedgetpu.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", built, SOURCE], check=True)
    return built


@pytest.fixture
def behave(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Tells the accelerator what to do from now on; one USB and one PCIe are plugged in."""
    mode = tmp_path / "mode"
    monkeypatch.setenv("FAKE_EDGETPU", str(mode))
    monkeypatch.setattr(edgetpu, "LIBRARY", str(library))
    monkeypatch.setattr(edgetpu, "_SYS", tmp_path / "sys")
    monkeypatch.setattr(edgetpu, "_DEV", tmp_path / "dev")
    plug_in_usb(tmp_path, "2-1", "1a6e", "089a", 7)
    mode.write_text("ok")
    return mode.write_text


@pytest.fixture
def model(tmp_path: Path, data_dir: Path) -> Path:
    """A model with the compiler's mark, and the one it came from beside it."""
    data = (data_dir / "models" / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    (tmp_path / "net.tflite").write_bytes(data)
    path = tmp_path / "net_edgetpu.tflite"
    path.write_bytes(data + edgetpu.MARK)
    return path


def plug_in_usb(root: Path, port: str, vendor: str, product: str, number: int) -> None:
    entry = root / "sys" / "bus" / "usb" / "devices" / port
    entry.mkdir(parents=True)
    for name, text in {"idVendor": vendor, "idProduct": product, "busnum": "2", "devnum": str(number)}.items():
        (entry / name).write_text(text + "\n")


def infer(backend: edgetpu.Backend, seed: int = 0) -> list[np.ndarray]:
    backend.input[:] = np.random.default_rng(seed).integers(0, 255, backend.input.shape, np.uint8)
    return [np.array(out) for out in backend.run()]


def on_cpu(model: Path, seed: int = 0) -> np.ndarray:
    plain = tflite.Backend(model.with_name("net.tflite"), 1)
    plain.input[:] = np.random.default_rng(seed).integers(0, 255, plain.input.shape, np.uint8)
    return np.array(plain.run()[0])


def test_devices_by_the_names_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "sys" / "class" / "apex" / "apex_0").mkdir(parents=True)
    plug_in_usb(tmp_path, "1-1", "18d1", "9302", 4)
    plug_in_usb(tmp_path, "1-2", "046d", "0825", 5)  # a webcam
    plug_in_usb(tmp_path, "2-1", "1a6e", "089a", 2)

    assert edgetpu.find_devices(tmp_path / "sys") == ["pci:0", "usb:0", "usb:1"]
    assert edgetpu.find_devices(tmp_path / "nothing") == []


def test_it_runs_on_the_accelerator(behave: Callable[[str], object], model: Path) -> None:
    backend = edgetpu.Backend(model, 1)

    assert backend.runs_on == "edgetpu usb:0"
    assert infer(backend)[0].shape == on_cpu(model).shape


def test_the_next_accelerator_is_taken_where_the_first_fails(
    behave: Callable[[str], object], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sys" / "class" / "apex" / "apex_0").mkdir(parents=True)
    real = edgetpu.probe

    def probe(path: Path, device: str) -> float:
        if device == "pci:0":
            raise ModelError("in use")
        return real(path, device)

    monkeypatch.setattr(edgetpu, "probe", probe)

    assert edgetpu.Backend(model, 1).runs_on == "edgetpu usb:0"


def test_the_compiled_file_is_found_beside_the_one_that_the_config_names(
    behave: Callable[[str], object], model: Path
) -> None:
    backend = edgetpu.Backend(model.with_name("net.tflite"), 1)
    assert backend.runs_on == "edgetpu usb:0"

    behave("lost")
    assert np.array_equal(infer(backend)[0], on_cpu(model))
    assert backend.runs_on.startswith("cpu (edgetpu lost: ")


def test_a_model_that_was_not_compiled_is_refused(behave: Callable[[str], object], model: Path) -> None:
    model.unlink()  # what lies compiled beside it would be taken
    with pytest.raises(ModelError, match=r"net\.tflite: not compiled for the Edge TPU; `edgetpu_compiler net\.tflite`"):
        edgetpu.Backend(model.with_name("net.tflite"), 1)


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("absent", "usb:0: Failed to load delegate .*no accelerator"),
        ("crash", r"usb:0: .*libedgetpu\.so crashed \(SIGABRT\)"),
        ("refuse", "usb:0: .*delegate"),
        ("lost", "usb:0: .*USB transfer error 5"),
    ],
)
def test_an_accelerator_that_does_not_start_leaves_the_cpu(
    behave: Callable[[str], object], model: Path, mode: str, why: str
) -> None:
    behave(mode)
    backend = edgetpu.Backend(model, 1)

    assert backend.runs_on.startswith("cpu (edgetpu lost: ")
    assert re.search(why, backend.runs_on)
    assert np.array_equal(infer(backend)[0], on_cpu(model))


def test_a_library_that_hangs_is_given_up(
    behave: Callable[[str], object], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgetpu, "_PROBE_S", 1.0)
    behave("hang")

    assert edgetpu.Backend(model, 1).runs_on == "cpu (edgetpu lost: usb:0: no answer within 1 s)"


def test_without_library_or_accelerator_the_cpu_does_it(
    behave: Callable[[str], object], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edgetpu, "LIBRARY", "libedgetpu-that-is-not-there.so.1")
    assert "cannot open shared object file" in edgetpu.Backend(model, 1).runs_on
    shutil.rmtree(tmp_path / "sys")
    assert edgetpu.Backend(model, 1).runs_on == "cpu (edgetpu lost: no Coral is plugged in)"


def test_without_a_model_for_the_cpu_it_is_an_error(behave: Callable[[str], object], model: Path) -> None:
    behave("absent")
    model.with_name("net.tflite").unlink()

    with pytest.raises(ModelError, match=r"no Edge TPU \(usb:0: .*, and no net\.tflite for the CPU beside it"):
        edgetpu.Backend(model, 1)


def test_one_failed_inference_costs_a_restart_of_the_delegate(
    behave: Callable[[str], object], model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = edgetpu.Backend(model, 1)
    behave("once")
    infer(backend)

    assert backend.runs_on == "edgetpu usb:0"
    told = [record.getMessage() for record in caplog.records]
    assert "inference failed" in told[0]
    assert told[-1] == "edgetpu usb:0: works again"


def test_a_lost_accelerator_is_reset_and_then_the_cpu_takes_over_with_the_same_picture(
    behave: Callable[[str], object], model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    resets: list[str] = []
    monkeypatch.setattr(edgetpu, "_reset", lambda device: resets.append(device) or True)
    backend = edgetpu.Backend(model, 1)
    behave("lost")
    found = infer(backend, seed=3)

    assert resets == ["usb:0"]
    assert backend.runs_on.startswith("cpu (edgetpu lost: usb:0: ")
    assert np.array_equal(found[0], on_cpu(model, seed=3))
    assert any(
        record.levelno == logging.WARNING and "runs on the CPU" in record.getMessage() for record in caplog.records
    )


def test_a_reset_opens_the_node_of_the_right_device(
    behave: Callable[[str], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not edgetpu._reset("usb:0")
    assert "reset failed: No such file" in caplog.text
    node = tmp_path / "dev" / "bus" / "usb" / "002" / "007"
    node.parent.mkdir(parents=True)
    node.touch()
    assert not edgetpu._reset("usb:0")  # a plain file knows no ioctl
    assert "Inappropriate ioctl" in caplog.text
    assert not edgetpu._reset("pci:0")


def test_threads_are_the_processors_that_stands_in(behave: Callable[[str], object], model: Path) -> None:
    accelerated = edgetpu.Backend(model, 2)
    runner = accelerated._runner
    accelerated.use(1)
    assert runner is accelerated._runner
    assert runner.threads == 1  # of the delegate's interpreter, as before
    behave("absent")
    standing_in = edgetpu.Backend(model, 2)
    before = infer(standing_in)
    standing_in.use(1)
    assert (standing_in.threads, standing_in._runner.threads) == (1, 1)
    assert np.array_equal(infer(standing_in), before)


def test_an_accelerator_that_is_back_is_used_again(
    behave: Callable[[str], object], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behave("absent")
    backend = edgetpu.Backend(model, 1)
    monkeypatch.setattr(edgetpu, "_RETRY_S", 0.0)
    infer(backend)  # asks, in vain
    behave("ok")
    deadline = time.monotonic() + 60
    while not backend.runs_on.startswith("edgetpu") and time.monotonic() < deadline:
        infer(backend)  # goes on meanwhile
        time.sleep(0.05)

    assert backend.runs_on == "edgetpu usb:0"


def test_another_model_for_the_cpu_is_refused(behave: Callable[[str], object], model: Path, data_dir: Path) -> None:
    backend = edgetpu.Backend(model, 1)
    shutil.copy(data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite", model.with_name("net.tflite"))
    behave("lost")

    with pytest.raises(ModelError, match="its tensors are not those of net_edgetpu"):
        infer(backend)


def test_no_process_is_left_behind(behave: Callable[[str], object], model: Path) -> None:
    edgetpu.Backend(model, 1)
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()

    assert not [pid for pid in children if "edgetpu" in Path(f"/proc/{pid}/cmdline").read_text()]
