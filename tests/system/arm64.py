"""What the shipped model computes here, and what the whole agent makes of a scene, as JSON: to be equal everywhere.

arm64.py MODEL                 prints it
arm64.py --compare HERE THERE  fails where the raw outputs differ, or the replay found other tracks
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np

SCENE = """
[model]
file = "{model}"
[cameras.a]
kind = "synthetic"
size = [640, 480]
seconds = 0.5
"""


def compute(model: Path) -> dict[str, object]:
    import cv2

    from agent.__main__ import main
    from agent.detect.model import Model

    backend = Model(model, threads=1).backend
    rng = np.random.default_rng(7)
    sums = []
    for _ in range(3):
        picture = rng.integers(0, 256, backend.input.shape, np.uint8)
        backend.input[:] = picture if backend.input.dtype == np.uint8 else (picture ^ 0x80).view(np.int8)
        outputs = [out.tobytes() for out in backend.run()]
        sums.append(hashlib.sha256(b"".join(outputs)).hexdigest()[:16])
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as said:
        path = Path(folder) / "agent.toml"
        path.write_text(SCENE.format(model=model.resolve()))
        code = main(["replay", str(path), "--events", str(Path(folder) / "events")])
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "runs_on": backend.runs_on,
        "outputs": sums,
        "replay": said.getvalue().strip(),
        "code": code,
    }


def compare(here: Path, there: Path) -> None:
    one, other = (json.loads(path.read_text()) for path in (here, there))
    for key in ("runs_on", "outputs", "code"):
        if one[key] != other[key]:
            sys.exit(f"RESULT fail: {key}: {one[key]} on {one['machine']}, {other[key]} on {other['machine']}")
    if one["replay"].split(",")[0] != other["replay"].split(",")[0]:
        sys.exit(f"RESULT fail: replay: {one['replay']!r} here, {other['replay']!r} there")


if sys.argv[1] == "--compare":
    compare(Path(sys.argv[2]), Path(sys.argv[3]))
else:
    print(json.dumps(compute(Path(sys.argv[1]))))
