"""Files from strangers through the programs that open them: pictures, clips, models, and what a converter is given.

No hang, no traceback, one line for what is refused. Seeds are kept; LOOKOUT_FAULTS=full takes many times as many.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import config, modelfile
from agent.detect import soundness
from agent.detect.flatbuffer import Unsound
from convert import ConvertError, sources
from convert.sources import Request
from tests.convert import test_bad_inputs, tiny
from tests.convert.sources import graphs
from tests.convert.sources.test_keras import needs_tensorflow
from tests.fakes import bare
from tests.fakes.agent import YARD
from tests.faults.conftest import FULL, ROOT, full
from tests.faults.mutants import mutated

PICTURES = 400 if FULL else 24
CLIPS = 8 if FULL else 2
MODELS = 1000 if FULL else 100
TRIALS = 20 if FULL else 2
INPUTS = 60 if FULL else 6
SAVED = 20  # of ten seconds each
SEED = 11
CLIP = 'state_dir = "state"\n[mqtt]\nport = 9\n[cameras.a]\nkind = "file"\npath = "clip"\n'  # nobody listens there
SAVE = """
import sys, tensorflow as tf
class Net(tf.Module):
    def __init__(self):
        self.weights = tf.Variable(tf.random.stateless_normal((3, 3, 3, 4), (1, 2)))
    @tf.function(input_signature=[tf.TensorSpec((1, 16, 24, 3), tf.float32)])
    def __call__(self, image):
        cells = tf.nn.relu(tf.nn.conv2d(image, self.weights, 1, "SAME"))
        return {"answer": tf.nn.softmax(tf.reduce_mean(cells, (1, 2)))}
net = Net()
tf.saved_model.save(net, sys.argv[1], signatures={"serving_default": net.__call__})
"""
CONTAINERS = {"avi": "MJPG", "mp4": "mp4v", "mkv": "mp4v"}


def lookout(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command of the agent's, ended well or with 2; what it says is in one line a trouble."""
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environ = {**os.environ, "PYTHONPATH": path, "OPENCV_LOG_LEVEL": "OFF"}
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 2), (done.returncode, done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    return done


def photo() -> np.ndarray:
    noise = np.random.default_rng(SEED).integers(60, 200, (12, 16, 3), np.uint8)
    return cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)


def clip(path: Path, kind: str) -> bytes:
    """Twelve frames."""
    made = path / f"good.{kind}"
    writer = cv2.VideoWriter(str(made), cv2.VideoWriter.fourcc(*CONTAINERS[kind]), 10.0, (160, 96))
    for shift in range(12):
        writer.write(cv2.resize(np.roll(photo(), 9 * shift, 1), (160, 96)))
    writer.release()
    return made.read_bytes()


def test_pictures(tmp_path: Path) -> None:
    dice, names = random.Random(SEED), []
    for n in range(PICTURES):
        kind = (".jpg", ".png", ".webp", ".bmp")[n % 4]
        names.append(f"{n}{kind}")
        (tmp_path / names[-1]).write_bytes(mutated(cv2.imencode(kind, photo())[1].tobytes(), dice))
    done = lookout("detect", *names, cwd=tmp_path)
    seen = [json.loads(line)["image"] for line in done.stdout.splitlines()]
    told = [line.split()[2].rstrip(":") for line in done.stderr.splitlines() if line.startswith("lookout: image ")]
    assert sorted(seen + told) == sorted(names)
    assert seen
    assert told


def test_a_picture_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    """A PNG of 100 bytes that says it is 60000 x 60000: 10 GB once unpacked."""
    data = bytearray(cv2.imencode(".png", photo())[1].tobytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(data)
    assert "image huge.png: " in lookout("detect", "huge.png", cwd=tmp_path).stderr


@pytest.mark.parametrize("command", ["replay", "run"])
@pytest.mark.parametrize("kind", CONTAINERS if FULL else ["mp4"])
def test_clips(tmp_path: Path, kind: str, command: str) -> None:
    good, dice = clip(tmp_path, kind), random.Random(SEED)
    (tmp_path / "agent.toml").write_text(CLIP)
    for _ in range(CLIPS):
        (tmp_path / "clip").write_bytes(mutated(good, dice))
        lookout(command, "agent.toml", cwd=tmp_path)


def refusal(job: Callable[[], object], kind: type[Exception]) -> str:
    """The line with which something is refused; "" for what is taken."""
    try:
        job()
    except kind as error:
        return str(error)
    return ""


def test_models_are_sound_or_refused_in_one_line() -> None:
    """Of another maker: no checksum says that they were changed."""
    good, dice = tiny.flatbuffer(), random.Random(SEED)
    made = [mutated(good, dice) for _ in range(MODELS)]
    told = [refusal(lambda data=data: soundness.check(data), Unsound) for data in made]
    assert sum(map(bool, told)) > MODELS // 3
    assert not any("\n" in line for line in told)


@pytest.mark.parametrize("is_carded", [False, True], ids=["of another maker", "with a card that says it is whole"])
def test_models_that_nobody_knows_never_end_the_agent(tmp_path: Path, is_carded: bool) -> None:
    """What our own check lets pass a child runs first: whatever becomes of it, the agent says it in one line."""
    shipped = config.shipped(config.DEFAULT_MODEL)
    good, card, dice = bare.flatbuffer(shipped), modelfile.read(shipped).card, random.Random(SEED)
    assert card
    (tmp_path / "agent.toml").write_text(f'state_dir = "state"\n{YARD}[model]\nfile = "m.tflite"\n')
    for _ in range(TRIALS):
        data = bytearray(good)
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        (tmp_path / "m.tflite").write_bytes(modelfile.pack(bytes(data), card)[0] if is_carded else data)
        done = lookout("check", "agent.toml", cwd=tmp_path)
        assert is_carded or done.returncode == 2, "it has no card: nobody knows how to read it"
        if done.returncode == 2:
            (line,) = [line for line in done.stderr.splitlines() if line.startswith("lookout: ")]
            assert line.startswith("lookout: model m.tflite: ")


def inputs(folder: Path) -> dict[str, bytes]:
    """What a converter takes, and what it refuses: each the start of many more."""
    net = test_bad_inputs.layer("Conv2D", config={"filters": 8})
    saved = graphs.saved(folder / "good.onnx", graphs.yolox()).read_bytes()
    return {
        "a.onnx": saved,
        "a.keras": test_bad_inputs.keras(net, test_bad_inputs.layer("Lambda")),
        "a.pt": test_bad_inputs.checkpoint(test_bad_inputs.Command()),
        "a.tflite": tiny.flatbuffer(),
        "a.zip": test_bad_inputs.named(("model.json", b'{"modelTopology": {}}', 0o644), ("w.bin", bytes(99), 0o644)),
    }


@pytest.mark.parametrize("name", ["a.onnx", "a.keras", "a.pt", "a.tflite", "a.zip"])
def test_converter_inputs_are_recognised_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """Only as far as a file is looked at before its own front end gets it, in a sandbox."""
    good, dice, told = inputs(tmp_path)[name], random.Random(SEED), []
    for n in range(INPUTS):
        path = tmp_path / f"{n}{name}"
        path.write_bytes(mutated(good, dice))
        told.append(refusal(lambda path=path: sources.read(Request(path)), ConvertError))
    assert any(told)
    assert not any("\n" in line for line in told)


@full
@needs_tensorflow
def test_saved_models_are_converted_or_refused_in_one_line(tmp_path: Path) -> None:
    """Graph, index and weights: what TensorFlow makes of them it makes in the sandbox, also where it crashes."""
    good, dice, told = tmp_path / "good", random.Random(SEED), []
    tool = os.environ.get("LOOKOUT_TENSORFLOW", sys.executable)
    subprocess.run([tool, "-c", SAVE, str(good)], check=True, capture_output=True)
    assert sources.read(Request(good, task="classify")).card.input.size == (24, 16)
    files = sorted(path.relative_to(good) for path in good.rglob("*") if path.is_file())
    for n in range(SAVED):
        path = shutil.copytree(good, tmp_path / str(n))
        file = path / files[n % len(files)]
        file.write_bytes(mutated(file.read_bytes(), dice))
        told.append(refusal(lambda path=path: sources.read(Request(path, task="classify")), ConvertError))
    assert any(told)
    assert not any("\n" in line for line in told)
