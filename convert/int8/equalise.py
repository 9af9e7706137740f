"""Channels of very different size brought to one size, so that one int8 scale serves them all; for nets with SiLU.

A stem's convolution may give one channel 0.1 and another 137; at 137/255 a step the first is always 0. Scaling channels
is free before ReLU (Nagel et al., 2019), not before SiLU: silu(c x) is not c silu(x). But c silu(x) = (c x) sigmoid(x):

           before                                    after
    conv ──x──┬─ LOGISTIC ─ s ─┐            conv ────── x ─ LOGISTIC ─ s ─┐      x needs a range of a few units only:
              └────────────── MUL ─ y ─►    conv · c ── c x ──────────── MUL ─ c y ─► the sigmoid sees no further
                                next conv                                next conv / c

The convolution is computed twice, which a stem can afford. Factors are powers of two: the float model stays the same,
bit for bit.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from agent.data import Array
from convert import ConvertError
from convert.tflite import graph
from convert.tflite.graph import Graph

MOST = 32.0  # greatest factor: beyond it, c x leaves what its own range can hold
REACH = (-8.0, 8.0)  # of x, for the sigmoid
BELOW = -0.35  # of c x: how far below 0 its range goes, in parts of the part above
_LOBE = 0.28  # silu's least value is -0.278: no channel is smaller
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_PASSING = ("PAD", "MAX_POOL_2D")  # what leaves channels apart, between MUL and the next convolution


@dataclass(frozen=True, slots=True)
class Site:
    """A convolution, its SiLU, and the convolutions that take what it makes."""

    tensor: str  # x
    convolution: int  # operators, by position
    product: int
    ends: tuple[int, ...]
    touched: tuple[str, ...]  # y, and what becomes of it before the ends: tensors whose values are scaled


def twin(tensor: str) -> str:
    """The name of c x."""
    return f"{tensor}/equalised"


def sites(given: Graph) -> list[Site]:
    """Where it can be done, in the graph's order."""
    takers: dict[int, list[int]] = {}
    for place, operator in enumerate(given.operators):
        for tensor in operator.inputs:
            takers.setdefault(tensor, []).append(place)
    found = (_site(given, takers, place) for place in range(len(given.operators)))
    return [site for site in found if site]


def _site(given: Graph, takers: Mapping[int, list[int]], place: int) -> Site | None:
    operator = given.operators[place]
    x = operator.outputs[0]
    after = {given.operators[i].name: i for i in takers.get(x, [])}
    if (
        operator.name not in _CONVOLUTIONS
        or len(operator.inputs) != 3
        or -1 in operator.inputs
        or operator.options.get("fusedActivationFunction", 0)
        or set(after) != {"LOGISTIC", "MUL"}
        or len(takers[x]) != 2
        or given.operators[after["LOGISTIC"]].outputs[0] not in given.operators[after["MUL"]].inputs
    ):
        return None
    channels = given.tensors[x].shape[-1]
    touched, ends, waiting = [], [], [given.operators[after["MUL"]].outputs[0]]
    while waiting:
        tensor = waiting.pop()
        touched.append(given.tensors[tensor].name)
        if tensor in given.outputs.values():
            return None
        for i in takers.get(tensor, []):
            taker = given.operators[i]
            if taker.name in _PASSING:
                waiting.append(taker.outputs[0])
            elif _is_end(given, takers, i, tensor, channels):
                ends.append(i)
            else:
                return None
    return Site(given.tensors[x].name, place, after["MUL"], tuple(ends), tuple(touched)) if ends else None


def _is_end(given: Graph, takers: Mapping[int, list[int]], place: int, tensor: int, channels: int) -> bool:
    """A convolution whose own weights have those channels last, and are nobody else's."""
    taker = given.operators[place]
    if taker.name not in _CONVOLUTIONS or taker.inputs[0] != tensor:
        return False
    weights = taker.inputs[1]
    info = given.tensors[weights]
    return info.constant and info.dtype == "float32" and info.shape[-1] == channels and len(takers[weights]) == 1


def factors(high: Array) -> tuple[float, ...]:
    """Of each channel, from its greatest x (C,): powers of two, 1 for the largest."""
    size = np.maximum(high / (1.0 + np.exp(-np.clip(high, -30, 30))), _LOBE)
    return tuple(float(f) for f in 2.0 ** np.floor(np.log2(np.minimum(size.max() / size, MOST))))


def apply(model: bytes, levels: Mapping[str, Sequence[float]]) -> bytes:
    """The same float model with some sites (by tensor) equalised. Raises ConvertError for a tensor that is no site."""
    there = {site.tensor: site for site in sites(graph.read(model))}
    for name in levels:
        if name not in there:
            raise ConvertError(f"ranges: {name!r} cannot be equalised in this model; they belong to another one")
    unpacked = graph.unpack(model)
    subgraph = unpacked.subgraphs[0]
    twins: dict[int, Any] = {}
    for name in sorted(levels, key=lambda n: there[n].convolution):
        site, c = there[name], np.array(levels[name], np.float32)
        twins[site.convolution] = _doubled(unpacked, site, c)
        for place in site.ends:
            weights = subgraph.tensors[subgraph.operators[place].inputs[1]]
            _store(unpacked, weights, _values(unpacked, weights) / c)
    subgraph.operators = [o for i, one in enumerate(subgraph.operators) for o in (one, twins.get(i)) if o is not None]
    return graph.pack(unpacked)


def _doubled(unpacked: Any, site: Site, c: Array) -> Any:
    """The convolution of c x, to which the product is moved."""
    subgraph = unpacked.subgraphs[0]
    operator = subgraph.operators[site.convolution]
    double = copy.deepcopy(operator)
    last = graph.operator_name(unpacked.operatorCodes[operator.opcodeIndex]) == "DEPTHWISE_CONV_2D"
    weights, bias = (subgraph.tensors[i] for i in operator.inputs[1:])
    scaled = {1: _values(unpacked, weights) * (c if last else c.reshape(-1, 1, 1, 1)), 2: _values(unpacked, bias) * c}
    double.inputs = [int(i) for i in operator.inputs]
    for slot, values in scaled.items():
        tensor = copy.deepcopy(subgraph.tensors[operator.inputs[slot]])
        tensor.name = twin(graph.text(tensor.name))
        _store(unpacked, tensor, values)
        double.inputs[slot] = _added(subgraph, tensor)
    x = int(operator.outputs[0])
    result = copy.deepcopy(subgraph.tensors[x])
    result.name = twin(site.tensor)
    double.outputs = [_added(subgraph, result)]
    product = subgraph.operators[site.product]
    product.inputs = [double.outputs[0] if i == x else int(i) for i in product.inputs]
    return double


def _added(subgraph: Any, tensor: Any) -> int:
    subgraph.tensors.append(tensor)
    return len(subgraph.tensors) - 1


def _values(unpacked: Any, tensor: Any) -> Array:
    data = bytes(unpacked.buffers[tensor.buffer].data)
    return np.frombuffer(data, np.float32).reshape([int(n) for n in tensor.shape])


def _store(unpacked: Any, tensor: Any, values: Array) -> None:
    """In a buffer of its own: another tensor may share the old one."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.ascontiguousarray(values, np.float32).tobytes(), np.uint8)
    unpacked.buffers.append(buffer)
    tensor.buffer = len(unpacked.buffers) - 1
