"""An ONNX YOLO cut before its decoding; runs in a child (`python -m convert.sources.onnxcut FOLDER`).

job.json in the folder names the file; cut.onnx and plan.json are left there. The walk goes back from each prediction
to the first convolutions, past the one that sums a distribution (it reads a softmax); what comes after them is run
apart, as the function that convert.sources.tails tells the heads by.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime

from agent.data import Array
from convert import ConvertError
from convert.process import sandbox
from convert.sources import TURNED, focus, onnxgraph, tails
from convert.sources.onnxgraph import Graph
from convert.sources.tails import Conv, Found, Level, Tail

_MOST_OUTPUTS = 16
Outputs = tuple[tuple[str, str, int | None], ...]  # tensor, role, stride


class Job(msgspec.Struct, frozen=True):
    """What is wanted."""

    file: str
    size: tuple[int, int] | None  # (width, height)
    outputs: Outputs = ()  # of a head that the user described


class Cut(msgspec.Struct, frozen=True):
    """What plan.json says."""

    input: str
    size: tuple[int, int]
    head: str
    task: str
    classes: int
    decode: dict[str, Any]
    outputs: Outputs
    metadata: dict[str, str]  # the file's own notes
    names: tuple[str, ...]  # labels, where the file has them
    tools: dict[str, str]


def find(graph: Graph) -> tuple[Found, Outputs]:
    """The head that the graph ends in, and where to cut: tensor, role, stride. Raises ConvertError."""
    shapes = _run_shapes(graph)
    pictures = [o for o in graph.outputs if len(shapes[o]) == 4]
    for output in graph.outputs:
        convs, other = graph.ancestors(output)
        if len(shapes[output]) != 3 or not convs:
            continue
        ends = {c.output[0] for c in convs}
        _check_tail(graph.operators(output, ends))
        levels = _levels(graph.size, {name: shapes[name] for name in (c.output[0] for c in convs)})
        if other or not levels:
            continue
        prototypes = pictures[0] if len(pictures) == 1 else None
        tail = Tail(levels, _answer(graph, sorted(ends), output), shapes[prototypes] if prototypes else None)
        found = tails.identify(tail)
        if found:
            outputs: list[tuple[str, str, int | None]] = list(found.outputs)
            if found.task == "segment" and prototypes:
                outputs.append((prototypes, "prototypes", graph.size[0] // shapes[prototypes][3]))
            return found, tuple(outputs)
    shown = ", ".join(f"{o} {list(shapes[o])}" for o in graph.outputs[:4])
    raise ConvertError(
        f"ends in no head that is known here ({shown}); known: YOLO v5, v7, v8, v9, 11 (boxes, masks, poses), YOLOX,"
        " exported without NMS; describe another with --head FILE.toml"
    )


def _described(graph: Graph, outputs: Outputs) -> Found:
    """A head that the user described: its tensors are there."""
    unknown = [tensor for tensor, _, _ in outputs if tensor not in graph.producer]
    if unknown:
        raise ConvertError(f"has no tensor {unknown[0]!r}, which its head's description names")
    return Found("", "", 0, {}, ())


def _run_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Shapes of all outputs and of the convolutions that they are made of, by running the model once."""
    wanted = list(graph.outputs)
    if len(wanted) > _MOST_OUTPUTS:
        raise ConvertError(f"has {len(wanted)} outputs; a known head has one to four")
    for output in graph.outputs:
        wanted += [c.output[0] for c in graph.ancestors(output)[0] if c.output[0] not in wanted]
    return {
        name: tuple(np.shape(a)) for name, a in onnxgraph.run(graph.model, wanted, graph.input.name, graph.size).items()
    }


def _check_tail(kinds: set[str]) -> None:
    if "NonMaxSuppression" in kinds:
        raise ConvertError("has its suppression inside (NMS); export it without: nms=False, the agent does that itself")
    if "TopK" in kinds:
        raise ConvertError(
            "has a one-to-one head that picks its boxes itself (YOLOv10, YOLO26), whose scores int8 would spoil;"
            " export the other head, which is in the same weights: yolo export model=FILE.pt format=onnx end2end=False"
        )


def _levels(size: tuple[int, int], shapes: Mapping[str, tuple[int, ...]]) -> tuple[Level, ...]:
    """Convolutions by stride, finest first; none where a grid is not the input's divided by a whole number."""
    grids: dict[tuple[int, int], list[Conv]] = {}
    for name, shape in shapes.items():
        if len(shape) != 4 or size[0] % shape[3] or size[1] % shape[2] or size[0] // shape[3] != size[1] // shape[2]:
            return ()
        grids.setdefault((shape[2], shape[3]), []).append(Conv(name, shape[1]))
    found = [Level(size[0] // grid[1], grid, tuple(convs)) for grid, convs in grids.items()]
    return tuple(sorted(found, key=lambda level: level.stride))


def _answer(graph: Graph, ends: list[str], output: str) -> Any:
    """The tail as a function of the convolutions' outputs."""
    probe = onnx.ModelProto()
    probe.CopyFrom(graph.model)
    del probe.graph.input[:], probe.graph.output[:], probe.graph.value_info[:]
    cut = [n for n in probe.graph.node if not set(n.output) & set(ends)]
    needed, kept = {output}, []
    for node in reversed(cut):
        if set(node.output) & needed:
            needed |= set(node.input)
            kept.append(node)
    del probe.graph.node[:]
    probe.graph.node.extend(reversed(kept))
    for name in ends:
        probe.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * 4))
    probe.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    session = onnxgraph.session(probe)

    def answer(heads: Mapping[str, Array]) -> Array:
        return np.asarray(session.run([output], dict(heads))[0])

    return answer


def _channels_last(file: Path, outputs: Outputs) -> Outputs:
    """Grids that no convolution puts out get a transposition: onnx2tf leaves them with channels first. New names."""
    model = onnx.load(str(file))
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    named = []
    for tensor, role, stride in outputs:
        given = next(o for o in model.graph.output if o.name == tensor)
        if made[tensor] == "Conv" or len(given.type.tensor_type.shape.dim) != 4:
            named.append((tensor, role, stride))
            continue
        turned = tensor + TURNED
        model.graph.node.append(onnx.helper.make_node("Transpose", [tensor], [turned], perm=(0, 2, 3, 1)))
        model.graph.output.remove(given)
        model.graph.output.append(onnx.helper.make_tensor_value_info(turned, onnx.TensorProto.FLOAT, None))
        named.append((turned, role, stride))
    del model.graph.value_info[:]  # exporters leave shapes open there that are not
    onnx.save(onnx.shape_inference.infer_shapes(model, data_prop=True), str(file))
    return tuple(named)


def _names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Labels as Ultralytics writes them: {0: 'person', ...} as Python's text."""
    try:
        names = ast.literal_eval(metadata.get("names", "")[:100_000])
        return tuple(str(names[i]) for i in range(len(names)))
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError):
        return ()


def main(work: Path) -> None:
    """The child's job."""
    job = msgspec.json.decode((work / "job.json").read_bytes(), type=Job)
    graph = onnxgraph.load(Path(job.file), job.size)
    if job.outputs:
        found, outputs = _described(graph, job.outputs), job.outputs
    else:
        found, outputs = find(graph)
    try:
        onnx.save(onnx.shape_inference.infer_shapes(graph.model, data_prop=True), str(work / "whole.onnx"))
        tensors = [tensor for tensor, _, _ in outputs]
        onnx.utils.extract_model(str(work / "whole.onnx"), str(work / "cut.onnx"), [graph.input.name], tensors)
        onnx.save(focus.folded(onnx.load(str(work / "cut.onnx")), graph.input.name, graph.size), str(work / "cut.onnx"))
    except Exception as error:  # onnx's own
        raise ConvertError(f"cannot be cut: {' '.join(str(error).split())[:200]}") from error
    outputs = _channels_last(work / "cut.onnx", outputs)
    metadata = {p.key: p.value[:1000] for p in graph.model.metadata_props}
    names = _names({p.key: p.value for p in graph.model.metadata_props})
    tools = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    plan = Cut(
        graph.input.name,
        graph.size,
        found.head,
        found.task,
        found.classes,
        found.decode,
        outputs,
        metadata,
        names,
        tools,
    )
    (work / "plan.json").write_bytes(msgspec.json.encode(plan))


if __name__ == "__main__":
    sandbox.child(main)
