"""python -m tests.bench.untrained: yolov8n with random weights, exported by Ultralytics itself; runs in its own venv.

What it sees means nothing, what it takes is the same as trained.
"""

from __future__ import annotations

import os

from tests.bench.peer import UNTRAINED, UNTRAINED_PX


def main() -> None:
    os.environ |= {"YOLO_CONFIG_DIR": str(UNTRAINED.parent), "YOLO_AUTOINSTALL": "false"}
    import torch
    from ultralytics import YOLO

    os.chdir(UNTRAINED.parent)  # it writes beside where it stands
    torch.manual_seed(0)
    YOLO("yolov8n.yaml").export(format="litert", imgsz=UNTRAINED_PX)
    assert UNTRAINED.exists()


if __name__ == "__main__":
    main()
