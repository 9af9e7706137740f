"""What int8 costs a YOLO, ours and others': `make bench-convert`, or python -m tests.bench.convert --peer PYTHON.

YOLOv8n and YOLO11n are built from Ultralytics' yaml, trained for a few epochs on generated shapes (tests.bench.shapes),
and made int8 three ways, each calibrated on the same pictures. mAP@[.5:.95] is on pictures that neither trained nor
calibrated, through the agent's own letterbox and head. Table on stdout, results.json in --out.

    ours          python -m convert model.onnx: cut before the decoding, ranges chosen by agreement with float
    theirs_int8   Ultralytics' own: export(format="litert", int8=True); theirs_float is the same without int8
    naive         the whole graph by ai-edge-quantizer's default rule: boxes and scores share one scale
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from agent import modelfile
from agent.modelfile import Card, Input, Output
from convert import sources
from convert.__main__ import main as command
from convert.int8 import calibration, ranges
from convert.process import environment
from convert.sources import Request, naming
from convert.tflite import graph
from convert.tuning import scoring
from convert.tuning.scoring import Plan
from tests.bench import shapes

NETS = ("yolov8n", "yolo11n")
SIDE, EPOCHS, THREADS = 160, 12, 1  # px; small, so that a training from nothing takes ten minutes on one core
FILES = ("float", "theirs_float", "ours", "theirs_int8", "naive")
_OF_SHAPES = ("CAST", "SHAPE")  # operators that work out where anchors stand; they have no int8 form
COST, AHEAD = 0.01, 0.05  # mAP: what int8 may cost, and what ours must keep more than Ultralytics' own of a YOLOv8n


def trained(python: Path, net: str, data: Path, out: Path) -> dict[str, Any]:
    """model.onnx and theirs, made by tests.bench.trained in its own environment, once; what it said last."""
    words = [python, "-m", "tests.bench.trained", f"{net}.yaml", data, out, SIDE, EPOCHS, THREADS]
    log = out.with_suffix(".log")
    if not (out / "model.onnx").exists():
        with log.open("wb") as file:
            subprocess.run([str(word) for word in words], stdout=file, stderr=subprocess.STDOUT, check=True)
    found: dict[str, Any] = json.loads(log.read_text("utf-8", "replace").strip().splitlines()[-1])
    return found


def made_float(out: Path) -> Path:
    """The cut float model with its card, as `compare` wants it."""
    source = sources.read(Request(out / "model.onnx"))
    path = out / "float.tflite"
    path.write_bytes(modelfile.pack(source.model, source.card)[0])
    return path


def made_naive(out: Path, pictures: list[Path]) -> None:
    """The whole graph in int8, boxes in px beside scores, as converters made it that look at nothing."""
    with tempfile.TemporaryDirectory() as work:
        onnx2tf = environment.onnx2tf().with_name("onnx2tf")
        words = [str(onnx2tf), "-i", str(out / "model.onnx"), "-o", work, "-v", "error"]
        subprocess.run(words, check=True, capture_output=True)
        flatbuffer = next(Path(work).glob("*_float32.tflite")).read_bytes()
    known = graph.read(flatbuffer)
    model, shape = naming.rename(flatbuffer, {known.tensors[i].name: "predictions" for i in known.outputs.values()})
    described = (Output("predictions", "predictions", shape["predictions"]),)
    fed = Input(size=(SIDE, SIDE), range=(0.0, 1.0))
    card = Card("detect", "ultralytics", shapes.NAMES, fed, described, decode={"boxes": "px"})
    chosen = ranges.choose(calibration.collect(model, fed, pictures), "moving-average")
    known = graph.read(model)
    whole_numbers = tuple(known.tensors[o.outputs[0]].name for o in known.operators if o.name in _OF_SHAPES)
    flatbuffer = scoring.int8(model, card, Plan("moving-average", chosen, stay=whole_numbers))
    (out / "naive.tflite").write_bytes(modelfile.pack(flatbuffer, card)[0])


def said(*words: object) -> tuple[int, dict[str, Any]]:
    """Exit code of a command of the converter, and its JSON ({} for none)."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = command([str(w) for w in words])
    text = printed.getvalue()
    return code, json.loads(text) if text.startswith("{") else {}


def measured(out: Path, data: Path) -> dict[str, dict[str, Any]]:
    """mAP, mAP50, bytes, and what `compare` says, of each file that is there."""
    calibrate, evaluate = data.with_name("calibrate"), data.with_name("evaluate")
    reference = made_float(out)
    given = ("--calibrate", calibrate, "--evaluate", evaluate, "--accept-loss", "--out", out / "ours.tflite")
    said(out / "model.onnx", *given)
    made_naive(out, calibration.pictures(calibrate))
    found = {}
    for path in (out / f"{name}.tflite" for name in FILES):
        if path.exists():
            accuracy = said("evaluate", path, "--data", evaluate)[1]
            code = 0 if path == reference else said("compare", reference, path, "--images", evaluate)[0]
            figures = {key: accuracy[key] for key in ("map", "map50")}
            found[path.stem] = figures | {"bytes": path.stat().st_size, "refused": code != 0}
    return found


def missed(net: str, found: dict[str, dict[str, Any]]) -> list[str]:
    """The bars that ours does not reach."""
    ours = found["ours"]["map"]
    lines = [f"{net}: int8 {ours}, float {found['float']['map']}"] if ours < found["float"]["map"] - COST else []
    if net == "yolov8n" and "theirs_int8" in found and ours < found["theirs_int8"]["map"] + AHEAD:
        lines.append(f"{net}: ours {ours}, Ultralytics' own int8 {found['theirs_int8']['map']}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a Python with ultralytics and litert-torch")
    parser.add_argument("--out", type=Path, default=Path("build/bench-convert"), help="kept: trained once")
    parser.add_argument("--nets", nargs="+", default=NETS)
    args = parser.parse_args()
    data, results, short = shapes.write(args.out / "shapes", SIDE), {}, []
    print("net       file           mAP    mAP50      kB  compare")
    for net in args.nets:
        told = trained(args.peer, net, data, args.out / net)
        found = measured(args.out / net, data)
        for name, row in found.items():
            word = "refused" if row["refused"] else "within"
            print(
                f"{net:9} {name:12} {row['map']:.4f}  {row['map50']:.4f}  {row['bytes'] / 1e3:6.0f}  {word}", flush=True
            )
        results[net] = {"training": told, "files": found}
        short += missed(net, found)
    (args.out / "results.json").write_text(json.dumps(results, indent=1), "utf-8")
    print("\n".join(f"missed    {line}" for line in short) or "every bar is reached")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
