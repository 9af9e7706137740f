"""Class folders of small pictures that a net can learn in seconds, and a Python that can train one."""

import importlib.util
import os
import subprocess
import sys
from functools import cache

import cv2
import numpy as np
import pytest

WANTED = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ('tensorflow', 'ai_edge_quantizer'))))"
COLORS = ((220, 60, 40), (40, 90, 220), (60, 200, 80), (230, 220, 60))


def folder(root, counts, size=24, seed=0):
    """ROOT/CLASS/CLASS-N.png: a disc of the class's colour on noise; the root."""
    generator = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(exist_ok=True)
        for i in range(count):
            image = generator.integers(0, 90, (size, size, 3)).astype(np.uint8)
            middle = tuple(int(v) for v in generator.integers(size // 3, 2 * size // 3, 2))
            cv2.circle(image, middle, size // 4, COLORS[number % len(COLORS)], -1)
            cv2.imwrite(str(root / name / f"{name}-{i}.png"), image)
    return root


@cache
def python():
    """A Python with TensorFlow and the converter: this one, or the one that LOOKOUT_TENSORFLOW names; None."""
    if importlib.util.find_spec("tensorflow"):
        return sys.executable
    named = os.environ.get("LOOKOUT_TENSORFLOW", "")
    return named if named and subprocess.run([named, "-c", WANTED], check=False).returncode == 0 else None


needs_training = pytest.mark.skipif(
    python() is None,
    reason="no Python with TensorFlow and the converter; pip install '.[convert,tensorflow]', or name one:"
    " LOOKOUT_TENSORFLOW",
)
