"""python -m convert MODEL and compare, on a tiny float model: what they leave, and what they refuse in one line."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from types import SimpleNamespace

import cv2
import msgspec
import numpy as np
import pytest

from agent import modelfile
from agent.detect.model import Model
from convert.__main__ import main
from convert.int8 import calibration, quantize, ranges
from convert.tflite import finalise, graph
from convert.tuning import scoring
from tests.conftest import ROOT
from tests.convert import tiny


def float_flatbuffer():
    return finalise.tidy(tiny.flatbuffer(), tiny.INPUTS, tiny.OUTPUTS)


@pytest.fixture
def here(tmp_path):
    """A folder with a float model, pictures, and labelled pictures; `convert(...)` -> exit code."""
    rng = np.random.default_rng(1)
    for folder in ("pictures", "data/images", "data/labels", "few", "one", "empty", "broken"):
        (tmp_path / folder).mkdir(parents=True)

    def picture(path):
        cv2.imwrite(str(tmp_path / path), cv2.resize(rng.integers(0, 256, (4, 6, 3), np.uint8), (90, 70)))

    for i in range(24):
        picture(f"pictures/{i}.png")
        picture(f"data/images/{i}.png")
        (tmp_path / "data" / "labels" / f"{i}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
        (tmp_path / "broken" / f"{i}.png").write_bytes(b"no picture")
    picture("one/only.png")
    for i in range(5):
        picture(f"few/{i}.png")
    (tmp_path / "float.tflite").write_bytes(modelfile.pack(float_flatbuffer(), tiny.CARD)[0])
    (tmp_path / "strangers.yaml").write_text("names: [unicorn]\n")

    def convert(*words):
        return main([str(tmp_path / w) if "/" in w or w.endswith((".tflite", ".h5")) else w for w in words])

    return SimpleNamespace(folder=tmp_path, convert=convert)


def test_a_model_leaves_a_file_that_the_agent_runs_its_card_and_a_page(here):
    assert here.convert("float.tflite", "--calibrate", "./pictures", "--out", "./out/m.tflite") == 0
    assert sorted(p.name for p in (here.folder / "out").iterdir()) == ["m.html", "m.json", "m.tflite"]
    model = Model(here.folder / "out" / "m.tflite")
    assert graph.float_operators(graph.read((here.folder / "out" / "m.tflite").read_bytes())) == []
    assert model.card.quant.scheme == "int8"
    assert model.card.quant.calibration["images"] == 16
    report = modelfile.read(model.path).report
    assert report["agreement"]["images"] == 8  # none of those that calibrated
    assert report["verdict"] == {"measure": "agreement", "budget": 0.02, "within": True} | {
        "loss": report["verdict"]["loss"]
    }
    with zipfile.ZipFile(model.path) as archive:
        assert archive.read("metadata.json") == (here.folder / "out" / "m.json").read_bytes()


def test_the_same_inputs_give_the_same_bytes(here):
    for name in ("a", "b"):
        words = ("--calibrate", "./pictures", "--evaluate", "./data", "--budget", "1")
        assert here.convert("float.tflite", *words, "--out", f"./{name}/m.tflite") == 0
    for name in ("m.tflite", "m.json"):
        assert (here.folder / "a" / name).read_bytes() == (here.folder / "b" / name).read_bytes()


def test_a_video_calibrates_as_well(here):
    path = here.folder / "street.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for picture in np.random.default_rng(0).integers(0, 256, (30, 4, 6, 3), np.uint8):
        writer.write(cv2.resize(picture, (96, 64)))
    writer.release()
    assert here.convert("float.tflite", "--calibrate", "./street.avi", "--out", "./m.tflite") == 0
    assert modelfile.read(here.folder / "m.tflite").card.quant.calibration["images"] == 20


def test_frames_are_spread_over_the_whole_video(tmp_path):
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for i in range(40):
        writer.write(np.full((64, 96, 3), 6 * i, np.uint8))
    writer.release()
    (tmp_path / "frames").mkdir()
    found = calibration.frames(path, tmp_path / "frames", wanted=8)
    levels = [cv2.imread(str(p)).mean() for p in found]
    assert len(found) == 8
    assert np.diff(levels) == pytest.approx([30] * 7, abs=4)


def test_beyond_the_budget_the_model_is_kept_as_rejected_and_the_exit_code_is_3(here, caplog):
    words = ("float.tflite", "--calibrate", "./pictures", "--evaluate", "./data", "--out", "./out/m.tflite")
    assert here.convert(*words, "--budget", "0") in (0, 3)  # random boxes: int8 may gain as well as lose
    (here.folder / "out").rename(here.folder / "before")
    worst = dict.fromkeys(graph.read(float_flatbuffer()).activations(), (-0.01, 0.01))

    def only_bad(self, statistics, rules):
        return [self.candidate(scoring.Plan("bad", worst))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring.Trials, "by_rules", only_bad)
        assert here.convert("float.tflite", "--calibrate", "./pictures", "--edgetpu", "--out", "./out/m.tflite") == 3
    assert sorted(p.name for p in (here.folder / "out").iterdir()) == [
        "m.rejected.html",
        "m.rejected.json",
        "m.rejected.tflite",
    ]
    assert "refused: int8 disagrees with float by a loss of" in caplog.text
    assert "without --edgetpu, a few operators could stay in float" in caplog.text


def test_accept_loss_writes_the_model_and_says_so_in_it(here):
    worst = dict.fromkeys(graph.read(float_flatbuffer()).activations(), (-0.01, 0.01))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring.Trials, "by_rules", lambda self, s, r: [self.candidate(scoring.Plan("bad", worst))])
        words = ("--calibrate", "./pictures", "--edgetpu", "--accept-loss", "--out", "./m.tflite")
        assert here.convert("float.tflite", *words) == 0
    verdict = modelfile.read(here.folder / "m.tflite").report["verdict"]
    assert verdict["accepted_loss"] is True
    assert verdict["within"] is False


def test_ranges_that_are_wrong_in_one_place_are_cured_by_a_few_float_operators(here):
    """conv2 alone is crushed: the search must find it, and leave the rest in int8."""

    def crushed(self, statistics, rules):
        chosen = ranges.choose(statistics, "minmax") | {"conv2": (-0.01, 0.01)}
        return [self.candidate(scoring.Plan("minmax", chosen))]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring.Trials, "by_rules", crushed)
        assert here.convert("float.tflite", "--calibrate", "./pictures", "--out", "./m.tflite") == 0
    file = modelfile.read(here.folder / "m.tflite")
    assert "conv2" in file.card.quant.float_ops
    assert len(file.card.quant.float_ops) <= 3
    assert file.report["search"]["region"]["operators"] == len(file.card.quant.float_ops)
    assert Model(here.folder / "m.tflite").head(0.3)


def int8_file(path, card=tiny.CARD, limit=8.0, stay=()):
    chosen = dict.fromkeys(graph.read(float_flatbuffer()).activations(), (-limit, limit))
    chosen |= {"image": ranges.of_input((-1.0, 1.0))}
    int8 = finalise.tidy(quantize.static_int8(float_flatbuffer(), chosen, stay), {"image": "image"}, tiny.SAME)
    path.write_bytes(modelfile.pack(int8, card)[0] if card else int8)


def test_compare_says_no_to_a_bad_export_and_yes_to_a_good_one(here, capsys):
    assert here.convert("float.tflite", "--calibrate", "./pictures", "--out", "./good.tflite") == 0
    int8_file(here.folder / "bad.tflite", card=None, limit=0.5)  # nobody described it
    capsys.readouterr()
    assert here.convert("compare", "float.tflite", "good.tflite", "--images", "./pictures") == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["within"] is True
    assert here.convert("compare", "float.tflite", "bad.tflite", "--images", "./pictures") == 3
    result = json.loads(capsys.readouterr().out)
    assert result["verdict"]["within"] is False
    assert result["agreement"]["int8"]["f1"] < 0.9


def test_a_model_that_is_int8_already_gets_its_card_and_keeps_its_bytes(here):
    int8_file(here.folder / "ready.tflite")
    assert here.convert("ready.tflite", "--evaluate", "./data", "--out", "./out/ready.tflite") == 0
    file, before = (modelfile.read(here.folder / p) for p in ("out/ready.tflite", "ready.tflite"))
    assert file.sha256 == before.sha256
    assert file.card.quant.scheme == "int8"
    assert 0 <= file.report["accuracy"]["int8"]["map"] <= 1


def test_a_ready_file_that_computes_partly_in_float_says_where_and_runs(here):
    int8_file(here.folder / "mixed.tflite", stay=("conv2",))
    assert here.convert("mixed.tflite", "--out", "./out/mixed.tflite") == 0
    quant = modelfile.read(here.folder / "out" / "mixed.tflite").card.quant
    assert "conv2" in quant.float_ops
    assert "conv1" not in quant.float_ops
    assert Model(here.folder / "out" / "mixed.tflite").head(0.3)


def test_what_the_user_says_of_the_input_goes_before_what_is_known_of_it(here):
    said = ("--range=0,1", "--color", "BGR", "--resize", "letterbox")
    assert here.convert("float.tflite", "--calibrate", "./pictures", *said, "--budget", "1", "--out", "./m.tflite") == 0
    model = Model(here.folder / "m.tflite")
    assert (model.card.input.range, model.card.input.color, model.card.input.resize) == ((0, 1), "BGR", "letterbox")
    assert model.backend.inputs[0].scale == pytest.approx(1 / 255)


@pytest.mark.parametrize("range_", ["1,0", "0", "0,nan", "a,b", "0,inf"])
def test_a_range_that_is_none_is_refused(here, capsys, range_):
    with pytest.raises(SystemExit) as caught:
        here.convert("float.tflite", f"--range={range_}")
    assert caught.value.code == 2
    assert "must be LOW,HIGH" in capsys.readouterr().err


BAD = [
    ("no pictures at all", ["float.tflite"], "nothing to find the ranges on; give --calibrate DIR"),
    ("no such folder", ["float.tflite", "--calibrate", "./nowhere"], "nowhere: no such folder, nor a video"),
    ("an empty folder", ["float.tflite", "--calibrate", "./empty"], "empty: there are none"),
    ("one picture", ["float.tflite", "--calibrate", "./one"], "one: 1 readable; some calibrate and others"),
    ("few pictures", ["float.tflite", "--calibrate", "./few"], "few: 5 readable"),
    ("unreadable pictures", ["float.tflite", "--calibrate", "./broken"], "broken: none of 24 can be read"),
    ("no video", ["float.tflite", "--calibrate", "./float.tflite"], "neither a folder nor a video that can be read"),
    ("labels of others", ["float.tflite", "--calibrate", "./pictures", "--evaluate", "./others"],
     "others: none of its class names is a label of the model"),
    ("labels that are none", ["float.tflite", "--calibrate", "./pictures", "--evaluate", "./text"],
     "0.txt:1: wants 'class cx cy w h', is 'hello'"),
    ("no such labels", ["float.tflite", "--calibrate", "./pictures", "--labels", "./no.txt"], "no.txt: No such file"),
    ("a budget of 2", ["float.tflite", "--calibrate", "./pictures", "--budget", "2"], "a loss of accuracy"),
    ("output over input", ["float.tflite", "--calibrate", "./pictures", "--out", "./float.tflite"], "is the model"),
    ("output of another kind", ["float.tflite", "--calibrate", "./pictures", "--out", "./a.bin"], "must end in"),
    ("output in a file", ["float.tflite", "--calibrate", "./pictures", "--out", "./float.tflite/m.tflite"], "output "),
    ("int8 as float", ["compare", "int8.tflite", "float.tflite", "--images", "./pictures"], "is int8 already"),
    ("no labels", ["evaluate", "int8.tflite", "--data", "./pictures"], "there are none for task 'detect'"),
    ("no model", ["gone.tflite", "--calibrate", "./pictures"], "gone.tflite"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_input_is_one_line_exit_code_2_and_leaves_nothing(here, capsys, words, message):
    int8_file(here.folder / "int8.tflite")
    for name, text in (("others", "0 .5 .5 .5 .5"), ("text", "hello")):
        (here.folder / name / "images").mkdir(parents=True)
        (here.folder / name / "labels").mkdir()
        for i in range(8):
            source = here.folder / "pictures" / f"{i}.png"
            (here.folder / name / "images" / f"{i}.png").write_bytes(source.read_bytes())
            (here.folder / name / "labels" / f"{i}.txt").write_text(text)
    (here.folder / "others" / "data.yaml").write_text("names: [unicorn]\n")
    given = [*words] if "--out" in words or words[0] in ("compare", "evaluate") else [*words, "--out", "./out/m.tflite"]
    assert here.convert(*given) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("convert: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not [p for p in here.folder.rglob("*") if p.name.startswith((".m.", "m."))]


def started(here, *words, first="pass"):
    code = f"import sys, runpy; {first}; sys.argv = ['convert', *sys.argv[1:]];"
    code += "runpy.run_module('convert', run_name='__main__')"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=here.folder,
        env={
            "PYTHONPATH": str(ROOT),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(here.folder),
            "PYTHONDONTWRITEBYTECODE": "1",  # a file that may not grow makes for broken ones, for everybody
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_full_disk_is_one_line_and_leaves_nothing(here):
    """No file may grow beyond 4 kB here: not even a candidate can be laid down."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    process = started(here, "float.tflite", "--calibrate", "pictures", "--out", "out/m.tflite", first=limit)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 2
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("convert: ")
    assert list((here.folder / "out").glob("*")) == []


def test_ctrl_c_in_the_middle_leaves_nothing_half_written(here):
    process = started(here, "float.tflite", "--calibrate", "pictures", "--evaluate", "data", "--out", "out/m.tflite")
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("calibrate"):
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said += process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list((here.folder / "out").glob("*")) == []
    assert not list(here.folder.glob("lookout-*"))


def test_a_card_without_a_head_of_ours_is_refused(here, capsys):
    card = msgspec.structs.replace(tiny.CARD, head="none")
    (here.folder / "float.tflite").write_bytes(modelfile.pack(float_flatbuffer(), card)[0])
    assert here.convert("float.tflite", "--calibrate", "./pictures", "--out", "./out/m.tflite") == 2
    assert "'none'" in capsys.readouterr().err
