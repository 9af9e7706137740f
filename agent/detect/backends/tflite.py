"""TFLite on the CPU, by whichever runtime is installed: ai_edge_litert, else tflite_runtime, else tensorflow."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.data import Array
from agent.detect import soundness
from agent.detect.flatbuffer import Unsound
from agent.modelfile import ModelError, Tensor

log = logging.getLogger(__name__)
_RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")


class Backend:
    """One interpreter with one model."""

    def __init__(self, path: Path, threads: int, delegates: Sequence[Any] = ()) -> None:
        """`delegates` run what they can of the graph instead of XNNPACK."""
        self.threads, self._path, self._delegates = threads, path, list(delegates)
        self._interpreter = self._opened(threads)
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1:
            raise ModelError(f"model {path}: has {len(inputs)} inputs, one picture is all there is to give")
        names = _signature_names(self._interpreter)
        self.inputs = [_tensor(d, names) for d in inputs]
        self.outputs = [_tensor(d, names) for d in outputs]
        self._in, self._out = inputs[0]["index"], [d["index"] for d in outputs]
        self.runs_on = "xnnpack" if self.is_delegated() else "cpu"
        if self.runs_on == "cpu":
            log.warning("model %s: XNNPACK is not in use, inference will be several times slower", path.name)

    @property
    def input(self) -> Array:
        """View (1, h, w, 3) of the input tensor; drop it before `run`."""
        view: Array = self._interpreter.tensor(self._in)()
        return view

    def run(self) -> list[Array]:
        """One inference; views of the outputs, still quantised."""
        self._interpreter.invoke()
        return [self._interpreter.tensor(index)() for index in self._out]

    def use(self, threads: int) -> None:
        """Another number of threads from the next `run` on: the file is opened anew. Raises ModelError."""
        self._interpreter = self._opened(threads)
        self.threads = threads

    def float_tensors(self) -> list[str]:
        """Names of the tensors that hold floats."""
        details = self._interpreter.get_tensor_details()
        return [d["name"] for d in details if np.issubdtype(d["dtype"], np.floating)]

    def is_delegated(self) -> bool:
        """Whether XNNPACK took the graph; it stays out without a word, for one where /proc is hidden."""
        return any(op["op_name"] == "DELEGATE" for op in self._interpreter._get_ops_details())

    def _opened(self, threads: int) -> Any:
        runtime = find_runtime()
        _judge(self._path)
        try:
            interpreter = runtime.Interpreter(
                model_path=str(self._path), num_threads=threads, experimental_delegates=self._delegates
            )
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(f"model {self._path}: {runtime.__name__} cannot load it: {reason}") from error
        return interpreter


def find_runtime() -> Any:
    """The module with Interpreter and load_delegate. Raises ModelError: none, or one that does not fit NumPy."""
    for name in _RUNTIMES:
        try:
            runtime = importlib.import_module(name)
        except ImportError:
            continue
        if name.startswith("tflite_runtime") and int(np.__version__.split(".")[0]) >= 2:
            raise ModelError(f"tflite_runtime needs NumPy 1, {np.__version__} is installed; pip install ai-edge-litert")
        return runtime
    raise ModelError("no TFLite runtime is installed; pip install ai-edge-litert")


def _judge(path: Path) -> None:
    """Raises ModelError for a file that a runtime, which follows its offsets as they stand, should not see."""
    try:
        what = soundness.unknown(soundness.check(path.read_bytes()))
    except OSError as error:
        raise ModelError(f"model {path}: cannot load it: {error.strerror}") from error
    except Unsound as error:
        raise ModelError(f"model {path}: cannot load it, it {error}; copy or convert it again") from error
    if what:
        raise ModelError(f"model {path}: cannot load it: {what}; convert it without")


def _signature_names(interpreter: Any) -> dict[int, str]:
    """Tensor index -> the name that the model's only signature gives it; empty where it has none."""
    signatures = interpreter._get_full_signature_list()
    if len(signatures) != 1:
        return {}
    (signature,) = signatures.values()
    return {index: name for side in ("inputs", "outputs") for name, index in signature[side].items()}


def _tensor(detail: dict[str, Any], names: dict[int, str]) -> Tensor:
    scale, zero_point = detail["quantization"]
    shape = tuple(int(n) for n in detail["shape"])
    name = names.get(detail["index"], detail["name"])
    return Tensor(name, shape, np.dtype(detail["dtype"]).name, float(scale), int(zero_point))
