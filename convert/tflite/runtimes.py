"""The finished model in every TFLite runtime that can be found: does it load, does it answer the same bits?

The agent's own runtime is this process's. tflite_runtime 2.14, which old devices have, needs a Python of its own with
NumPy 1: LOOKOUT_TFLITE_RUNTIME names it. Kernels of two runtimes round apart, and a deep net makes more of it on
noise (53 steps were seen in single values); what differs by half of its own spread is another answer.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from agent.detect.backends.tflite import Backend
from convert import ConvertError

VARIABLE = "LOOKOUT_TFLITE_RUNTIME"
UNLIKE = 0.5  # rms difference, in standard deviations of an output
_TRIALS = 3
_SECONDS = 120.0
_CHILD = """
import sys, numpy
from importlib.metadata import version
from tflite_runtime.interpreter import Interpreter
model = Interpreter(model_path=sys.argv[1] + "/model.tflite")
model.allocate_tensors()
pictures = numpy.load(sys.argv[1] + "/in.npy")
answers = []
for picture in pictures:
    model.set_tensor(model.get_input_details()[0]["index"], picture)
    model.invoke()
    answers += [model.get_tensor(d["index"]) for d in model.get_output_details()]
numpy.savez(sys.argv[1] + "/out.npz", *answers)
print(version("tflite-runtime"))
"""


def elsewhere(flatbuffer: bytes) -> dict[str, Any]:
    """What tflite_runtime makes of a model: {} without one; else its version, "identical", and steps apart at most.

    Raises ConvertError where it refuses the model, or answers something else.
    """
    python = os.environ.get(VARIABLE, "")
    if not python:
        return {}
    with tempfile.TemporaryDirectory(prefix="lookout-runtime-") as folder:
        work = Path(folder)
        (work / "model.tflite").write_bytes(flatbuffer)
        ours = _here(work)
        try:
            done = subprocess.run(  # noqa: S603  the user's own Python
                [python, "-c", _CHILD, folder], capture_output=True, text=True, check=False, timeout=_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConvertError(f"{VARIABLE}={python}: {error}") from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no word"]
            raise ConvertError(f"tflite_runtime cannot run the model: {lines[-1][:300]}")
        with np.load(work / "out.npz") as arrays:
            theirs = [arrays[f"arr_{i}"] for i in range(len(ours))]
    apart = max(
        float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max()) for a, b in zip(ours, theirs, strict=True)
    )
    if max(_unlike(a, b) for a, b in zip(ours, theirs, strict=True)) > UNLIKE:
        raise ConvertError(
            f"tflite_runtime answers {apart:.0f} steps of int8 apart from ai_edge_litert; not to be trusted"
        )
    return {"tflite_runtime": done.stdout.strip(), "identical": apart == 0.0, "apart": apart}


def _unlike(ours: Any, theirs: Any) -> float:
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    return float(np.sqrt(np.mean((a - b) ** 2)) / max(float(a.std()), 1.0 if ours.dtype != np.float32 else 1e-6))


def _here(work: Path) -> list[Any]:
    """Answers of the agent's own backend to a few random pictures, which are left in the folder."""
    backend = Backend(work / "model.tflite", 1)
    generator = np.random.default_rng(0)
    shape, dtype = backend.inputs[0].shape, backend.inputs[0].dtype
    pictures = generator.integers(0, 256, (_TRIALS, *shape), np.uint8)
    pictures = pictures.view(np.int8) if dtype == "int8" else pictures.astype(dtype)
    np.save(work / "in.npy", pictures)
    answers = []
    for picture in pictures:
        backend.input[...] = picture
        answers += [array.copy() for array in backend.run()]
    return answers
