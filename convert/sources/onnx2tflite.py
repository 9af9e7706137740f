"""ONNX -> float TFLite; runs where onnx2tf is (`python -m convert.sources.onnx2tflite FOLDER`).

cut.onnx becomes float.tflite. The tool renames and reorders outputs, and turns some (square grids, or those of three
channels) back to channels first or to no form at all; what it turns has them last. So outputs are told apart by what
they answer: both files are fed the same picture, what a turn takes is an output too until the end, and made.json says
which tensor of the TFLite is which of the ONNX.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent.data import Array
from convert import ConvertError
from convert.process import sandbox
from convert.sources import TURNED
from convert.tflite import graph

_CLOSE = 1e-3  # greatest difference from the ONNX's own answer, relative to that answer's spread
_SAMPLE = "calibration_image_sample_data_20x128x128x3_float32.npy"  # onnx2tf 1.29 would fetch it


class Made(msgspec.Struct, frozen=True):
    """What made.json says."""

    outputs: dict[str, str]  # tensor of the ONNX -> tensor of the TFLite
    error: float  # greatest difference between their answers, relative to their spread
    tools: dict[str, str]


def main(work: Path) -> None:
    """The child's job."""
    np.save(work / _SAMPLE, np.zeros((20, 128, 128, 3), np.float32))
    tool = Path(sys.executable).parent / "onnx2tf"
    command = [str(tool), "-i", "cut.onnx", "-o", "out", "-v", "error", "-n"]
    done = subprocess.run(command, cwd=work, check=False)  # noqa: S603
    made = work / "out" / "cut_float32.tflite"
    if done.returncode or not made.exists():
        print(f"onnx2tf ended with exit code {done.returncode} and no TFLite")  # noqa: T201
        sys.exit(done.returncode or 1)
    tools = {"onnx2tf": version("onnx2tf")}
    with suppress(PackageNotFoundError):  # onnx2tf 2 does without
        tools["tensorflow"] = version("tensorflow")
    (work / "both.tflite").write_bytes(with_unturned(made.read_bytes()))
    outputs, error = match(work / "cut.onnx", work / "both.tflite")
    (work / "float.tflite").write_bytes(only(made.read_bytes(), outputs.values()))
    (work / "made.json").write_bytes(msgspec.json.encode(Made(outputs, error, tools)))


def with_unturned(model: bytes) -> bytes:
    """The model with what its outputs' transpositions take as outputs too."""
    raw = graph.unpack(model)
    subgraph = raw.subgraphs[0]
    outputs = [int(i) for i in subgraph.outputs]
    subgraph.outputs = outputs + [int(o.inputs[0]) for o in _turns(raw) if int(o.inputs[0]) not in outputs]
    raw.signatureDefs = []
    return graph.pack(raw)


def only(model: bytes, names: Collection[str]) -> bytes:
    """The model with the tensors of these names as its outputs, and no transposition of any other."""
    raw = graph.unpack(model)
    subgraph = raw.subgraphs[0]
    places = {graph.text(t.name): i for i, t in enumerate(subgraph.tensors)}
    wanted = [places[name] for name in names]
    read = {int(i) for o in subgraph.operators for i in o.inputs} | set(wanted)
    dead = {id(o) for o in _turns(raw) if int(o.outputs[0]) not in read}
    subgraph.operators = [o for o in subgraph.operators if id(o) not in dead]
    subgraph.outputs, raw.signatureDefs = wanted, []
    return graph.pack(raw)


def _turns(raw: Any) -> list[Any]:
    """The transpositions that make outputs."""
    subgraph = raw.subgraphs[0]
    kinds = [graph.operator_name(code) for code in raw.operatorCodes]
    outputs = {int(i) for i in subgraph.outputs}
    return [o for o in subgraph.operators if kinds[o.opcodeIndex] == "TRANSPOSE" and int(o.outputs[0]) in outputs]


def match(source: Path, made: Path) -> tuple[dict[str, str], float]:
    """Which output is which, and how far they are apart. Raises ConvertError where one is nowhere."""
    import onnxruntime  # noqa: PLC0415  both are in the tool's environment
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    interpreter = Interpreter(str(made), num_threads=2)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()
    name, shape = session.get_inputs()[0].name, session.get_inputs()[0].shape
    picture = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    if len(given) != 1 or tuple(given[0]["shape"]) != tuple(shape[i] for i in (0, 2, 3, 1)):
        raise ConvertError(f"onnx2tf made an input {[list(map(int, g['shape'])) for g in given]} of {shape}")
    interpreter.set_tensor(given[0]["index"], np.ascontiguousarray(picture.transpose(0, 2, 3, 1)))
    interpreter.invoke()
    found = {d["name"]: interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()}
    names = [o.name for o in session.get_outputs()]
    wanted = dict(zip(names, session.run(names, {name: picture}), strict=True))
    pairs, worst = {}, 0.0
    for output, value in wanted.items():
        error, best = min((_apart(_last(output, value), other), tensor) for tensor, other in found.items())
        if error > _CLOSE:
            raise ConvertError(
                f"onnx2tf changed the model: output {output} is {error:.2g} of its spread off; report it"
            )
        pairs[output], worst = best, max(worst, error)
    if len(set(pairs.values())) != len(pairs):
        raise ConvertError("two outputs of the model always answer alike; cut it otherwise")
    return pairs, worst


def _last(name: str, value: Any) -> Any:
    """An answer of the ONNX with its channels last, as the cut has told by its name if it turned them itself."""
    return value if value.ndim != 4 or name.endswith(TURNED) else value.transpose(0, 2, 3, 1)


def _apart(value: Any, other: Array) -> float:
    """Greatest difference relative to the spread; infinite for other shapes."""
    return float("inf") if value.shape != other.shape else float(np.abs(value - other).max() / (np.std(value) + 1e-6))


if __name__ == "__main__":
    sandbox.child(main)
