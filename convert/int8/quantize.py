"""Float TFLite + a range for every activation -> int8 TFLite, by ai-edge-quantizer.

Weights become int8 per output channel, from their own values; activations int8 per tensor, from the ranges given;
input and outputs are int8 too. Given the same float model, ranges and version, it gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Collection
from importlib.metadata import version
from typing import Any

import numpy as np

from convert import ConvertError
from convert.int8.ranges import Ranges
from convert.tflite import graph
from convert.tflite.graph import Graph


def static_int8(model: bytes, ranges: Ranges, stay: Collection[str] = ()) -> bytes:
    """The int8 model; operators whose first output is named in `stay` keep computing in float.

    Raises ConvertError: an activation without a range, or an operator that stayed in float unasked.
    """
    given = graph.read(model)
    missing = [name for name in given.activations() if name not in ranges]
    if missing:
        raise ConvertError(f"ranges: none for {missing[0]!r} ({len(missing)} missing); they belong to another model")
    result = {name: {"min": np.float32(low), "max": np.float32(high)} for name, (low, high) in ranges.items()}
    with _silence():
        from ai_edge_quantizer import qtyping, quantizer, recipe  # noqa: PLC0415  slow to import

        try:
            engine: Any = quantizer.Quantizer(bytearray(model))
            engine.load_quantization_recipe(recipe.static_wi8_ai8())
            if stay:
                engine.update_quantization_recipe(
                    regex=_scopes(given, stay),
                    operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
                    algorithm_key=recipe.AlgorithmName.NO_QUANTIZE,
                )
            quantized = bytes(engine.quantize(result, enable_progress_bar=False).quantized_model)
        except (ValueError, RuntimeError, KeyError, IndexError) as error:
            raise ConvertError(
                f"ai-edge-quantizer could not quantise it: {' '.join(str(error).split())[:300]}"
            ) from error
    _no_others(graph.read(quantized), stay)
    return quantized


def _scopes(given: Graph, stay: Collection[str]) -> str:
    """A regular expression of ai-edge-quantizer's operator scopes: the names of all outputs, each with a semicolon."""
    names = [[given.tensors[i].name for i in o.outputs] for o in given.operators]
    scopes = ["".join(f"{name};" for name in outputs) for outputs in names if outputs[0] in stay]
    return f"^({'|'.join(map(re.escape, scopes))})$"


def _no_others(quantized: Graph, stay: Collection[str]) -> None:
    """Raises ConvertError where an operator is float that is neither in `stay` nor a bridge from there to int8."""
    islands = [
        o
        for o in graph.float_operators(quantized)
        if not stay or (quantized.tensors[o.outputs[0]].name not in stay and o.name not in ("QUANTIZE", "DEQUANTIZE"))
    ]
    if islands:
        names = ", ".join(sorted({o.name for o in islands}))
        raise ConvertError(
            f"{len(islands)} operators stayed in float ({names}); ai-edge-quantizer has no int8 form of them"
        )


def tools() -> dict[str, str]:
    """What quantises: package -> version."""
    return {name: version(name) for name in ("ai-edge-quantizer", "ai-edge-litert")}


@contextlib.contextmanager
def _silence() -> Any:
    """Progress bars go to stderr, a summary to stdout, deprecations to warnings: none is for our user."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
