"""TensorFlow graphs as plain nodes, before any TensorFlow sees them: cut at named tensors, and put into a form
that TFLite quantises well.

A node is GraphDef's, as protobuf's JSON has it:

    {"name": "conv", "op": "Conv2D", "input": ["image", "weights"], "attr": {"T": {"type": 1}, ...}}

An input "^name" is a control dependency, "name:1" the second output of a node.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from typing import Any

from convert import ConvertError

Node = dict[str, Any]
_FUSED = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")
_ACTIVATIONS = ("Relu", "Relu6", "Elu")
_CONV_ATTRS = ("T", "strides", "padding", "data_format", "dilations", "explicit_paddings")
_ADDITIONS = ("Add", "AddV2")


def cut(nodes: list[Node], source: str, outputs: list[str]) -> list[Node]:
    """The nodes that the outputs need, in the graph's order, with `source` as a Placeholder in their midst.

    Raises ConvertError where a name is not in the graph, or the outputs need another input, or not this one.
    """
    by_name = {node["name"]: node for node in nodes}
    for name in (source, *outputs):
        if name not in by_name:
            raise ConvertError(f"cut: the graph has no node {name!r}")
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [] if name == source else [node_of(i) for i in by_name[name].get("input", [])]
    others = sorted(n for n in needed if n != source and by_name[n]["op"].startswith("Placeholder"))
    if others or source not in needed:
        raise ConvertError(f"cut at {source!r}: the outputs need {', '.join(others) or 'nothing of it'}; cut elsewhere")
    placeholder: Node = {"name": source, "op": "Placeholder", "input": [], "attr": {"dtype": {"type": "DT_FLOAT"}}}
    return [placeholder if n["name"] == source else n for n in nodes if n["name"] in needed]


def expand(nodes: list[Node]) -> list[Node]:
    """Nodes that TFLite has no int8 form of, as several that it has; the last keeps the name of what it replaces."""
    expanded: list[Node] = []
    for node in nodes:
        if node["op"] in _FUSED:
            expanded += _unfused(node)
        elif node["op"] == "AddN":
            expanded += _added(node)
        else:
            expanded.append(node)
    return expanded


def _unfused(node: Node) -> list[Node]:
    """A convolution fused with its bias and activation, as a chain of nodes."""
    fused = [_bytes(s).decode() for s in node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])]
    attr = {key: value for key, value in node["attr"].items() if key in _CONV_ATTRS}
    chain: list[Node] = [{"op": _FUSED[node["op"]], "input": node["input"][:2], "attr": attr}]
    for operation in fused:
        if operation != "BiasAdd" and operation not in _ACTIVATIONS:
            raise ConvertError(f"node {node['name']}: a convolution fused with {operation} is not supported")
        extra = node["input"][2:3] if operation == "BiasAdd" else []
        chain.append({"op": operation, "input": extra, "attr": {"T": attr["T"]}})
    for i, step in enumerate(chain):
        step["name"] = node["name"] if i == len(chain) - 1 else f"{node['name']}/unfused_{i}"
        if i:
            step["input"] = [chain[i - 1]["name"], *step["input"]]
    return chain


def _added(node: Node) -> list[Node]:
    """AddN as a chain of additions of two."""
    attr = {"T": node["attr"]["T"]}
    terms = [i for i in node["input"] if not i.startswith("^")]
    if len(terms) == 1:
        return [{"name": node["name"], "op": "Identity", "input": terms, "attr": attr}]
    total, chain = terms[0], []
    for i, term in enumerate(terms[1:], 1):
        name = node["name"] if i == len(terms) - 1 else f"{node['name']}/sum_{i}"
        chain.append({"name": name, "op": "AddV2", "input": [total, term], "attr": attr})
        total = name
    return chain


def regroup(nodes: list[Node], outputs: Iterable[str]) -> list[Node]:
    """(conv + residual) + constant -> (conv + constant) + residual, so that the constant becomes the conv's bias.

    TensorFlow's optimiser moves constants outwards; in int8 each such addition costs a pass over the picture and
    a rounding. Neither the convolution nor the inner addition may have another reader, or be an output.
    """
    by_name = {node["name"]: node for node in nodes}
    readers = Counter(node_of(i) for node in nodes for i in node.get("input", [])) + Counter(outputs)
    moved: dict[str, list[str]] = {}  # addition -> its new inputs
    for node in nodes:
        if node["op"] not in _ADDITIONS or len(node["input"]) != 2:
            continue
        constant, inner = sorted(node["input"], key=lambda i: by_name[node_of(i)]["op"] != "Const")
        inside = by_name[node_of(inner)]
        if by_name[node_of(constant)]["op"] != "Const" or inside["op"] not in _ADDITIONS or readers[inside["name"]] > 1:
            continue
        terms = sorted(inside["input"], key=lambda i: by_name[node_of(i)]["op"] not in _CONVOLUTIONS)
        conv, residual = terms
        if by_name[node_of(conv)]["op"] in _CONVOLUTIONS and readers[node_of(conv)] == 1:
            moved[inside["name"]], moved[node["name"]] = [conv, constant], [inside["name"], residual]
    return [node | {"input": moved[node["name"]]} if node["name"] in moved else node for node in nodes]


def to_proto_json(node: Node) -> Node:
    """A node as protobuf's JSON parser wants it: TF.js writes bytes as lists of numbers, protobuf wants base64."""
    attrs: dict[str, Any] = {}
    for key, value in node.get("attr", {}).items():
        new = dict(value)
        if isinstance(new.get("s"), list):
            new["s"] = _base64(new["s"])
        if isinstance(new.get("list"), dict) and new["list"].get("s"):
            new["list"] = new["list"] | {"s": [_base64(s) for s in new["list"]["s"]]}
        attrs[key] = new
    return node | {"attr": attrs}


def node_of(reference: str) -> str:
    """The node that an input's reference means: "^name" and "name:1" are both "name"."""
    return reference.removeprefix("^").split(":")[0]


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, list) else base64.b64decode(value)


def _base64(value: Any) -> str:
    return base64.b64encode(_bytes(value)).decode()
