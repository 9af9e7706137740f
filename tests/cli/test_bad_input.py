"""Bad input at the command line: one line on stderr, exit code 2, no traceback. Real processes, real files."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import msgspec
import pytest

from agent import config, modelfile
from agent.modelfile import Card, Input, Quant

MODEL = config.shipped(config.DEFAULT_MODEL)
CAMERA = '[cameras.a]\nkind = "file"\npath = "clip.avi"\n'


def lookout(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that the command ended with; fails on a traceback or a good exit."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("lookout: ")]
    assert len(lines) == 1, done.stderr
    return lines[0].removeprefix("lookout: ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good config, a good model and a good clip of five frames."""
    (tmp_path / "agent.toml").write_text(CAMERA + '[model]\nfile = "m.tflite"\n')
    shutil.copy(MODEL, tmp_path / "m.tflite")
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (96, 64))
    for shade in range(5):
        writer.write(cv2.merge([cv2.UMat(64, 96, cv2.CV_8U, shade * 40).get()] * 3))
    writer.release()
    return tmp_path


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def no_model(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 this is a zip of something else")


def no_clip(path: Path) -> None:
    path.write_bytes(b"this is no clip" * 100)


def no_frames(path: Path) -> None:
    cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (96, 64)).release()


TABLE: list[tuple[str, str, Callable[[Path], None], str]] = [
    ("missing clip", "clip.avi", Path.unlink, "clip clip.avi: no such file"),
    ("unreadable clip", "clip.avi", no_clip, "clip clip.avi: not a video that can be read"),
    ("clip without frames", "clip.avi", no_frames, "clip clip.avi: "),
    ("missing model", "m.tflite", Path.unlink, "model m.tflite: No such file or directory"),
    ("model that is not TFLite", "m.tflite", no_model, "model m.tflite: not a TFLite file"),
    ("model cut short", "m.tflite", cut_short, "model m.tflite: "),
    ("model that is not its card's", "m.tflite", flip_a_bit, "model m.tflite: "),
    ("missing config", "agent.toml", Path.unlink, "config agent.toml: No such file or directory"),
]


@pytest.mark.parametrize(("name", "change", "words"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE])
@pytest.mark.parametrize("command", [["replay", "agent.toml"], ["run", "agent.toml"]], ids=lambda c: c[0])
def test_one_line(folder: Path, name: str, change: Callable[[Path], None], words: str, command: Sequence[str]) -> None:
    change(folder / name)

    assert said(lookout(*command, cwd=folder)).startswith(words)


def test_the_good_folder_is_good(folder: Path) -> None:
    """The table above means something only if nothing else is wrong."""
    done = lookout("replay", "agent.toml", cwd=folder)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 frames, ")


def test_a_flipped_bit_in_a_model_names_both_checksums(folder: Path) -> None:
    flip_a_bit(folder / "m.tflite")

    assert "its card says" in said(lookout("check", "agent.toml", cwd=folder))


def test_a_model_with_float_where_int8_was_promised(folder: Path, data_dir: Path) -> None:
    flatbuffer = (data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite").read_bytes()
    card = Card("detect", "ssd_postprocess", ("person",), Input((300, 300)), quant=Quant(scheme="int8"))
    (folder / "m.tflite").write_bytes(modelfile.pack(flatbuffer, card)[0])

    assert "its card promises int8, but 6 tensors are float" in said(lookout("check", "agent.toml", cwd=folder))


def test_a_foreign_model_cut_short_is_refused_by_the_runtime(folder: Path, data_dir: Path) -> None:
    data = (data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite").read_bytes()
    (folder / "m.tflite").write_bytes(data[: len(data) // 2])

    assert "cannot load it" in said(lookout("check", "agent.toml", cwd=folder))


def test_an_unknown_label_in_the_config_names_its_line(folder: Path) -> None:
    (folder / "agent.toml").write_text(CAMERA + '[model]\nfile = "m.tflite"\nlabels = ["car", "persom"]\n')

    told = said(lookout("check", "agent.toml", cwd=folder))

    assert told == "agent.toml:6: model.labels: 'persom' is not a label of m; did you mean 'person'?"


def test_a_head_that_does_not_exist(folder: Path) -> None:
    file = modelfile.read(MODEL)
    assert file.card
    card = msgspec.structs.replace(file.card, head="nanodet", sha256="")
    (folder / "m.json").write_bytes(msgspec.json.encode(card))
    data = MODEL.read_bytes()
    (folder / "m.tflite").write_bytes(data[: data.rindex(b"PK\x03\x04", 0, data.index(b"metadata.json"))])

    assert said(lookout("check", "agent.toml", cwd=folder)).startswith(
        "model m.tflite: its card names the head 'nanodet'"
    )


def test_replay_of_a_live_camera_asks_for_a_clip(folder: Path) -> None:
    (folder / "agent.toml").write_text('[model]\nfile = "m.tflite"\n[cameras.a]\nkind = "v4l2"\n')

    told = said(lookout("replay", "agent.toml", cwd=folder))

    assert told == "replay: camera a is live (v4l2); give a clip with --source CLIP"


@pytest.mark.parametrize("option", ["--events", "--mot"])
def test_output_that_cannot_be_written_leaves_nothing(folder: Path, option: str) -> None:
    told = said(lookout("replay", "agent.toml", option, "nix/out.txt", cwd=folder))

    assert told == "output nix/out.txt: No such file or directory"


def test_one_bad_picture_does_not_stop_the_others(folder: Path) -> None:
    cv2.imwrite(str(folder / "good.png"), cv2.UMat(64, 96, cv2.CV_8UC3).get())
    (folder / "bad.png").write_text("no picture")

    done = lookout("detect", "--model", "m.tflite", "bad.png", "missing.png", "good.png", cwd=folder)

    assert done.returncode == 2
    assert [line.split(": ", 1)[1] for line in done.stderr.splitlines() if line.startswith("lookout")] == [
        "image bad.png: not a picture that can be read; going on with the others",
        "image missing.png: no such file; going on with the others",
    ]
    assert msgspec.json.decode(done.stdout)["image"] == "good.png"


@pytest.mark.parametrize("arguments", [["nix"], ["run"], ["detect", "--confidence", "2", "x.png"], []])
def test_wrong_usage_is_not_a_traceback(folder: Path, arguments: list[str]) -> None:
    done = lookout(*arguments, cwd=folder)

    assert done.returncode == 2
    assert "usage: lookout" in done.stderr
    assert "Traceback" not in done.stderr
