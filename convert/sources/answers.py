"""What the one output of a float model means where there is no detector's head: task, role, labels, and its cut.

    (1, C)         classify: SOFTMAX or LOGISTIC at the end is cut off, and done by the agent   role "logit"
                   embed, where the user says so                                                role "vector"
    (1, h, w, C)   segment: cut the same way                                                    role "logit"
                   reconstruct                                                                  role "image"

A softmax in int8 has steps of 1/256, so that two likely labels become equal; the logits before it have their own scale.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from agent.modelfile import Card, Output
from convert import ConvertError
from convert.sources import FloatModel, Request, description, naming
from convert.sources.description import Description
from convert.tflite import graph

TASKS = ("classify", "segment", "embed", "reconstruct")
_ENDS = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}
_SIDES = (8, 4096)  # px that an input may have


def float_model(
    request: Request,
    model: bytes,
    *,
    own: dict[str, Any],
    labels: tuple[str, ...],
    tools: dict[str, str],
    notes: list[str],
    described: Description | None = None,
) -> FloatModel:
    """The model of one picture and one answer, with its card; `own` is what the front end knows of the input.

    Raises ConvertError: several inputs or outputs, shapes that no task has, labels of another number.
    """
    what = f"model {request.path}"
    size = picture(model, what)
    described = described or description.load(request.head)
    if described:
        return _described(request, described, model, tools, notes)
    shape = _only_output(model, what)
    task = _task(request.task, shape, size, what)
    model, activation = without_last(model) if task in ("classify", "segment") else (model, "")
    role = {"embed": "vector", "reconstruct": "image"}.get(task, "logit")
    decode: dict[str, Any] = {"activation": "sigmoid"} if (task, activation) == ("classify", "sigmoid") else {}
    if (task, activation) == ("classify", ""):
        notes = [*notes, "scores: the model ends in plain numbers; they are taken as logits of a softmax"]
    told = task in ("classify", "segment")
    names, more = description.labels(request.labels, labels, max(2, shape[-1]), what) if told else ((), [])
    model, outputs = _named(model, role)
    card = Card(
        task=task,  # type: ignore[arg-type]  # one of TASKS
        head=task,
        labels=names,
        input=description.input_of(size, request.input, **own),
        outputs=outputs,
        decode=decode,
        source=naming.source_of(request.path),
    )
    return FloatModel(model, card, {}, tools, (*notes, *more))


def _only_output(model: bytes, what: str) -> tuple[int, ...]:
    """Its shape. Raises ConvertError where there are several."""
    known = graph.read(model)
    if len(known.outputs) != 1:
        shown = ", ".join(f"{n} {list(known.tensors[i].shape)}" for n, i in known.outputs.items())
        raise ConvertError(
            f"{what}: has {len(known.outputs)} outputs ({shown}); say what they are with --head FILE.toml"
        )
    return next(known.tensors[i].shape for i in known.outputs.values())


def _named(model: bytes, role: str) -> tuple[bytes, tuple[Output, ...]]:
    """The model and its only output under its contract name; a picture's must not be the input's."""
    known = graph.read(model)
    name = "drawn" if role == naming.INPUT else role
    model, shapes = naming.rename(model, {known.tensors[i].name: name for i in known.outputs.values()})
    return model, (Output(name, role, shapes[name]),)


def picture(model: bytes, what: str) -> tuple[int, int]:
    """(width, height) of the only input, (1, h, w, 3). Raises ConvertError."""
    known = graph.read(model)
    shapes = {name: known.tensors[i].shape for name, i in known.inputs.items()}
    if len(shapes) != 1:
        raise ConvertError(
            f"{what}: has {len(shapes)} inputs ({', '.join(shapes)}); one picture is what the agent feeds"
        )
    shape = next(iter(shapes.values()))
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
        raise ConvertError(f"{what}: takes {list(shape)}; pictures of the form [1, height, width, 3] are wanted")
    if not _SIDES[0] <= min(shape[1:3]) <= max(shape[1:3]) <= _SIDES[1]:
        raise ConvertError(f"{what}: takes pictures of {shape[2]}x{shape[1]}; 8x8 to 4096x4096 is what is sensible")
    return shape[2], shape[1]


def without_last(model: bytes) -> tuple[bytes, str]:
    """The model without the softmax or sigmoid at its end, and which it was; "" where there is none."""
    known = graph.read(model)
    if len(known.outputs) != 1:
        return model, ""
    (output,) = (known.tensors[i].name for i in known.outputs.values())
    model, found = before(model, [output], tuple(_ENDS))
    return model, _ENDS[found[output][0]] if found else ""


def before(model: bytes, names: Collection[str], kinds: Collection[str]) -> tuple[bytes, dict[str, tuple[str, str]]]:
    """The model cut before the float operators of some kinds that make the outputs of these tensor names.

    And of each output that was cut: the operator's kind, and the tensor that is the output now.
    """
    raw = graph.unpack(model)
    subgraph = raw.subgraphs[0]
    outputs = [int(i) for i in subgraph.outputs]
    kept, found = [], {}
    for operator in subgraph.operators:
        kind, made = graph.operator_name(raw.operatorCodes[operator.opcodeIndex]), int(operator.outputs[0])
        name, taken = graph.text(subgraph.tensors[made].name), subgraph.tensors[int(operator.inputs[0])]
        if made in outputs and name in names and kind in kinds and taken.type == schema.TensorType.FLOAT32:
            outputs[outputs.index(made)] = int(operator.inputs[0])
            found[name] = kind, graph.text(taken.name)
        else:
            kept.append(operator)
    if not found:
        return model, {}
    subgraph.operators, subgraph.outputs, raw.signatureDefs = kept, outputs, []
    return graph.pack(raw), found


def _task(wanted: str | None, shape: tuple[int, ...], size: tuple[int, int], what: str) -> str:
    """The task of an output; the user's word where two are possible."""
    flat = int(np.prod(shape)) == shape[-1]
    possible = (
        ("classify", "embed") if flat else ("segment", "reconstruct") if len(shape) == 4 and shape[0] == 1 else ()
    )
    if not possible or (wanted or possible[0]) not in possible:
        more = f"fits --task {' or '.join(possible)}" if possible else "is of no task known here"
        raise ConvertError(
            f"{what}: its output {list(shape)} {more}; a detector needs its head described, --head FILE.toml"
        )
    if wanted:
        return wanted
    if not flat and shape[3] in (1, 3) and (shape[2], shape[1]) == size:
        raise ConvertError(
            f"{what}: its output {list(shape)} may be labels or a picture; say --task segment or reconstruct"
        )
    return possible[0]


def _described(
    request: Request, described: Description, model: bytes, tools: dict[str, str], notes: list[str]
) -> FloatModel:
    """A model whose outputs the user told: by signature name or tensor name."""
    size = picture(model, f"model {request.path}")
    known = graph.read(model)
    names: dict[str, str] = {}
    for output in described.outputs:
        found = [
            known.tensors[i].name for key, i in known.outputs.items() if output.tensor in (key, known.tensors[i].name)
        ]
        if not found:
            has = ", ".join(f"{key} {list(known.tensors[i].shape)}" for key, i in known.outputs.items())
            raise ConvertError(f"head {request.head}: no output {output.tensor!r} in {request.path.name}; it has {has}")
        names[found[0]] = output.name
    if len(names) != len(known.outputs):
        raise ConvertError(f"head {request.head}: tells {len(names)} of the {len(known.outputs)} outputs; tell all")
    model, cut = before(model, [t for t, name in names.items() if name in described.logits], ("LOGISTIC",))
    for tensor, (_, now) in cut.items():
        notes = [*notes, f"head: {names[tensor]} is told to be a logit, and came after its sigmoid; cut before that"]
        names[now] = names.pop(tensor)
    model, shapes = naming.rename(model, names)
    outputs = tuple(Output(o.name, o.role, shapes[o.name], o.stride) for o in described.outputs)
    labels = request.labels or described.labels
    card = description.card(
        described, f"model {request.path}", size, outputs=outputs, labels=labels, input=request.input,
        source=naming.source_of(request.path),
    )  # fmt: skip
    return FloatModel(model, card, {}, tools, tuple(notes))
