"""Which range of real values the 256 steps of each activation tensor shall span: a handful of rules, and JSON.

No rule wins everywhere (clipping rare values buys finer steps for the common ones, at a price that depends on the
net), so the recipe tries several and keeps what agrees best with the float model. The ranges are kept to six
significant digits, in the JSON and in the build, so that a rebuild from the JSON gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec
import numpy as np

from agent.data import Array
from convert import ConvertError
from convert.int8.calibration import Statistics
from convert.tflite.graph import Graph

Ranges = dict[str, tuple[float, float]]  # tensor -> least and greatest real value that int8 can hold
Rule = Callable[[Array, Array, Array], tuple[float, float]]  # low (I,), high (I,), counts (BINS,) -> range

_DIGITS = 6
_STEPS = 255
_TAILS = (0.0, 1e-7, 1e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # shares of values that `mse` may cut off
_SILU_ENDS = (-0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -5.0, -6.0, -8.0, -10.0, -15.0)  # where x may be cut off below
_MEMORY = 0.95  # of the moving average: the weight of all pictures before


def minmax(low: Array, high: Array, counts: Array) -> tuple[float, float]:
    """Everything that was seen."""
    del counts
    return float(low.min()), float(high.max())


def moving_average(low: Array, high: Array, counts: Array) -> tuple[float, float]:
    """Exponential mean of the pictures' own extremes, in their order; ai-edge-quantizer's default rule."""
    del counts
    ends = [float(low[0]), float(high[0])]
    for pair in zip(low[1:], high[1:], strict=True):
        ends = [_MEMORY * end + (1 - _MEMORY) * float(new) for end, new in zip(ends, pair, strict=True)]
    return ends[0], ends[1]


def percentile(share: float) -> Rule:
    """All but a share (0..1) of the values at either end."""

    def rule(low: Array, high: Array, counts: Array) -> tuple[float, float]:
        return _without_tails(float(low.min()), float(high.max()), counts, share, share)

    return rule


def mse(low: Array, high: Array, counts: Array) -> tuple[float, float]:
    """The least squared error after rounding to 256 steps, of those that cut a share off either end."""
    least, greatest = float(low.min()), float(high.max())
    candidates = {_without_tails(least, greatest, counts, a, b) for a in _TAILS for b in _TAILS}
    return _least_error(candidates, _centres(least, greatest, len(counts)), counts, _itself)


def mse_of_silu(low: Array, high: Array, counts: Array) -> tuple[float, float]:
    """As `mse`, but the error is that of x · sigmoid(x): the long tail of negative x, all nearly 0 there, is free."""
    least, greatest = float(low.min()), float(high.max())
    tops = {_without_tails(least, greatest, counts, 0.0, share)[1] for share in _TAILS}
    ends = {least, *(end for end in _SILU_ENDS if end > least)}
    candidates = {(end, top) for end in ends for top in tops if end < top}
    return _least_error(candidates or {(least, greatest)}, _centres(least, greatest, len(counts)), counts, _silu)


def _least_error(
    candidates: Collection[tuple[float, float]], values: Array, counts: Array, seen_as: Callable[[Array], Array]
) -> tuple[float, float]:
    wanted = seen_as(values)
    errors = [(float(np.dot(counts, (seen_as(_rounded(values, *c)) - wanted) ** 2)), c) for c in sorted(candidates)]
    return min(errors)[1]


def _itself(values: Array) -> Array:
    return values


def _silu(values: Array) -> Array:
    return np.asarray(values * (0.5 + 0.5 * np.tanh(0.5 * values)))


RULES: dict[str, Rule] = {
    "minmax": minmax,
    "moving-average": moving_average,
    "mse": mse,
    "mse-silu": mse,  # and `mse_of_silu` for the tensors that feed one
    "percentile-99.999": percentile(1e-5),
    "percentile-99.99": percentile(1e-4),
    "percentile-99.9": percentile(1e-3),
}


def choose(statistics: Statistics, rule: str, silu: Collection[str] = ()) -> Ranges:
    """A range for every tensor, by one rule, rounded; 0 is always inside, as int8 demands.

    `silu`: the tensors that feed x · sigmoid(x), see `into_silu`.
    """
    ranges: Ranges = {}
    for i, name in enumerate(statistics.names):
        chosen = mse_of_silu if rule.endswith("-silu") and name in silu else RULES[rule]
        low, high = chosen(statistics.low[:, i], statistics.high[:, i], statistics.counts[i])
        ranges[name] = (min(low, 0.0), max(high, 0.0))
    return rounded(ranges)


def rounded(ranges: Ranges) -> Ranges:
    """To as many digits as JSON keeps."""
    return {name: (_digits(low), _digits(high)) for name, (low, high) in ranges.items()}


def into_silu(graph: Graph) -> frozenset[str]:
    """Tensors x that both a LOGISTIC takes and a MUL with what that makes of it."""
    sigmoid = {o.outputs[0]: o.inputs[0] for o in graph.operators if o.name == "LOGISTIC"}
    products = [o.inputs for o in graph.operators if o.name == "MUL"]
    found = {x for pair in products for x, y in (pair[:2], pair[1::-1]) if sigmoid.get(y) == x}
    return frozenset(graph.tensors[x].name for x in found)


def of_input(limits: tuple[float, float]) -> tuple[float, float]:
    """The exact range of the input tensor, so that pixel p is stored as p - 128, for any card's range.

    (0, 255) and (0, 1) are themselves. Zero must be a step too: (-1, 1) would put it half way between two, so its
    range moves by half a step, to -128/127.5 .. 127/127.5: pixels are seen darker by half a grey level.
    """
    low, high = limits
    step = (high - low) / _STEPS
    zero = np.floor(low / step + 1e-6)  # steps; what is whole but for rounding stays so
    return float(zero * step), float((zero + _STEPS) * step)


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """models/<name>.ranges.json: all that pictures contributed to a model, so that a rebuild needs none."""

    rule: str
    calibration: dict[str, Any]  # images: how many, sha256: of their list
    sha256: str  # of the flatbuffer that these ranges gave, and that the report was measured on
    tools: dict[str, str]  # that made it: package -> version
    report: dict[str, Any]
    ranges: Ranges
    format: int = 1
    stay: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET  # operators left in float, by their first output
    levels: dict[str, tuple[float, ...]] | msgspec.UnsetType = msgspec.UNSET  # channels equalised, by tensor


def to_json(calibration: Calibration) -> bytes:
    """Stable: tensors by name, a line each."""
    ordered = msgspec.structs.replace(calibration, ranges=dict(sorted(calibration.ranges.items())))
    head = msgspec.structs.replace(ordered, ranges={})
    text = msgspec.json.format(msgspec.json.encode(head), indent=1).decode()
    lines = [f"  {msgspec.json.encode(k).decode()}: [{v[0]!r}, {v[1]!r}]" for k, v in ordered.ranges.items()]
    return text.replace('"ranges": {}', '"ranges": {\n' + ",\n".join(lines) + "\n }").encode() + b"\n"


def from_json(text: bytes, where: str) -> Calibration:
    """The reverse. Raises ConvertError, naming `where` it stands."""
    try:
        return msgspec.json.decode(text, type=Calibration)
    except msgspec.MsgspecError as error:
        raise ConvertError(f"{where}: {error}") from error


def _without_tails(low: float, high: float, counts: Array, below: float, above: float) -> tuple[float, float]:
    """The range without a share of the values below and a share above, to whole bins."""
    total = counts.sum()
    if total == 0 or high <= low:
        return low, high
    width = (high - low) / len(counts)
    summed = np.cumsum(counts)
    first = int(np.searchsorted(summed, below * total, side="right")) if below else 0
    last = int(np.searchsorted(summed, (1.0 - above) * total, side="left")) if above else len(counts) - 1
    return low + first * width, low + (last + 1) * width


def _centres(low: float, high: float, bins: int) -> Array:
    return low + (np.arange(bins) + 0.5) * ((high - low) / bins)


def _rounded(values: Array, low: float, high: float) -> Array:
    """Values as int8 would hold them; zero is a step, as in the quantizer."""
    low, high = min(low, 0.0), max(high, 0.0)
    step = (high - low) / _STEPS or 1.0
    zero = np.rint(-low / step)
    return np.asarray((np.clip(np.rint(values / step) + zero, 0, _STEPS) - zero) * step)


def _digits(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
