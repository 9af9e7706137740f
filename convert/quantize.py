"""Float TFLite + a range for every activation -> int8 TFLite, by ai-edge-quantizer.

Weights become int8 per output channel, from their own values; activations int8 per tensor, from the ranges given;
input and outputs are int8 too. Given the same float model, ranges and version, it gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.metadata import version
from typing import Any

import numpy as np

from convert import ConvertError, graph
from convert.ranges import Ranges


def static_int8(model: bytes, ranges: Ranges) -> bytes:
    """The int8 model. Raises ConvertError: an activation without a range, or an operator that stayed in float."""
    missing = [name for name in graph.read(model).activations() if name not in ranges]
    if missing:
        raise ConvertError(f"ranges: none for {missing[0]!r} ({len(missing)} missing); they belong to another model")
    result = {name: {"min": np.float32(low), "max": np.float32(high)} for name, (low, high) in ranges.items()}
    with _silence():
        from ai_edge_quantizer import quantizer, recipe  # noqa: PLC0415  slow to import

        try:
            engine: Any = quantizer.Quantizer(bytearray(model))
            engine.load_quantization_recipe(recipe.static_wi8_ai8())
            quantized = bytes(engine.quantize(result, enable_progress_bar=False).quantized_model)
        except (ValueError, RuntimeError, KeyError, IndexError) as error:
            raise ConvertError(
                f"ai-edge-quantizer could not quantise it: {' '.join(str(error).split())[:300]}"
            ) from error
    islands = graph.float_operators(graph.read(quantized))
    if islands:
        names = ", ".join(sorted({o.name for o in islands}))
        raise ConvertError(
            f"{len(islands)} operators stayed in float ({names}); ai-edge-quantizer has no int8 form of them"
        )
    return quantized


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
