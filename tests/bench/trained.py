"""One of Ultralytics' nets trained from nothing and exported, in its own venv; for tests.bench.convert, which calls it:

    python -m tests.bench.trained YAML DATA OUT SIDE EPOCHS THREADS

Trained on DATA (tests.bench.shapes), then exported as its users do, into OUT: model.pt, model.onnx, theirs_float.tflite
and theirs_int8.tflite, the last calibrated on the pictures that ours is. The last line is JSON: s of training, and why
a file is not there.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    yaml, data, out = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    side, epochs, threads = map(int, sys.argv[4:7])
    out.mkdir(parents=True, exist_ok=True)
    os.environ |= {"YOLO_CONFIG_DIR": str(out), "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
    os.chdir(out)  # it writes beside where it stands
    begin = time.monotonic()
    if not (out / "model.pt").exists():
        shutil.copy(_trained(yaml, data, out, side, epochs, threads), out / "model.pt")
    said: dict[str, Any] = {"seconds": round(time.monotonic() - begin)}
    calibrate = data.with_name("calibrate.yaml")
    calibrate.write_text(data.read_text("utf-8").replace("val: evaluate", "val: calibrate"), "utf-8")
    _export(out, side, "model.onnx", said, format="onnx", simplify=False)
    _export(out, side, "theirs_float.tflite", said, format="litert")
    _export(out, side, "theirs_int8.tflite", said, format="litert", int8=True, data=str(calibrate))
    print(json.dumps(said))


def _trained(yaml: str, data: Path, out: Path, side: int, epochs: int, threads: int) -> Path:
    """The last checkpoint, without the augmentations that only long trainings gain from."""
    import torch
    from ultralytics import YOLO

    model = YOLO(yaml)
    model.add_callback("on_train_start", lambda _: torch.set_num_threads(threads))  # it takes one less than all cores
    model.train(
        data=str(data), epochs=epochs, imgsz=side, batch=8, nbs=8, optimizer="AdamW", lr0=0.002, lrf=0.05,
        warmup_epochs=0.3, mosaic=0.0, erasing=0.0, hsv_h=0.0, scale=0.2, cache="ram", workers=0, val=False,
        plots=False, amp=False, seed=0, deterministic=True, device="cpu", project=str(out), name="train",
        exist_ok=True, verbose=False,
    )  # fmt: skip
    return out / "train" / "weights" / "last.pt"


def _export(out: Path, side: int, name: str, said: dict[str, Any], **options: Any) -> None:
    """OUT/name; where their exporter does not run here, why goes into `said`."""
    from ultralytics import YOLO

    try:
        made = Path(YOLO(out / "model.pt").export(imgsz=side, **options))
        shutil.copy(made if made.is_file() else sorted(made.rglob("*.tflite"))[0], out / "made")
        (out / "made").replace(out / name)
    except Exception as error:
        said[name] = f"{type(error).__name__}: {error}"[:300]


if __name__ == "__main__":
    main()
