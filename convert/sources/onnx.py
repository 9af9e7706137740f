"""ONNX -> float TFLite: YOLO v5, v7, v8, v9, 11 (detect, segment, pose) and YOLOX, cut before their decoding.

    convert.sources.onnxcut       in a child of this Python: which head it is, and the cut
    convert.sources.onnx2tflite   in onnx2tf's own environment: cut.onnx -> float.tflite, outputs told apart by value

A file of another head is cut where --head FILE.toml says.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path
from typing import Any

import msgspec

from agent.modelfile import Card, Output
from convert import ConvertError
from convert.process import environment, sandbox
from convert.process.sandbox import Limits
from convert.sources import FloatModel, Request, description, naming
from convert.sources.description import Description, OutputOf

log = logging.getLogger(__name__)
_LOOK = Limits(seconds=300)
_CONVERT = Limits(seconds=900)
_INPUTS: dict[str, dict[str, Any]] = {  # what each family's own training feeds
    "yolo": {"range": (0.0, 1.0)},
    "yolox": {"range": (0.0, 255.0), "color": "BGR", "align": "top-left"},
}


def float_model(request: Request) -> FloatModel:
    """The cut model and its card. Raises ConvertError."""
    what = f"model {request.path}"
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConvertError(f"{what}: ONNX files need {' and '.join(missing)}; pip install 'lookout-agent[convert]'")
    described = description.load(request.head)
    with sandbox.scratch("onnx") as work:
        wanted = [(o.tensor, o.role, o.stride) for o in described.outputs] if described else []
        job = {"file": str(request.path.resolve()), "size": request.size, "outputs": wanted}
        (work / "job.json").write_bytes(msgspec.json.encode(job))
        here = Path(sys.executable)
        sandbox.python(here, "convert.sources.onnxcut", work, what=what, tool="the ONNX reader", limits=_LOOK)
        plan: dict[str, Any] = msgspec.json.decode((work / "plan.json").read_bytes())
        log.info("cut        %s, %d classes, %d outputs", plan["head"], plan["classes"], len(plan["outputs"]))
        tool = environment.onnx2tf()
        sandbox.python(tool, "convert.sources.onnx2tflite", work, what=what, tool="onnx2tf", limits=_CONVERT)
        made: dict[str, Any] = msgspec.json.decode((work / "made.json").read_bytes())
        model = (work / "float.tflite").read_bytes()
    card, notes = _card(request, described, plan, what)
    names = {
        made["outputs"][tensor]: output.name
        for (tensor, _, _), output in zip(plan["outputs"], card.outputs, strict=True)
    }
    model, shapes = naming.rename(model, names)
    outputs = tuple(msgspec.structs.replace(o, shape=shapes[o.name]) for o in card.outputs)
    tools = plan["tools"] | made["tools"]
    return FloatModel(model, msgspec.structs.replace(card, outputs=outputs), {}, tools, tuple(notes))


def _card(request: Request, described: Description | None, plan: dict[str, Any], what: str) -> tuple[Card, list[str]]:
    """The card without the outputs' shapes, and notes."""
    size = (plan["size"][0], plan["size"][1])
    outputs = tuple(Output(o.name, o.role, (), o.stride) for o in (OutputOf(*of) for of in plan["outputs"]))
    source = naming.source_of(request.path)
    if described:
        return description.card(described, what, size, outputs=outputs, source=source, input=request.input), []
    names, notes = description.labels(request.labels, tuple(plan["names"]), plan["classes"], what)
    given = description.input_of(size, request.input, **_INPUTS.get(plan["head"], _INPUTS["yolo"]))
    card = Card(
        task=plan["task"],
        head=plan["head"],
        labels=names,
        input=given,
        outputs=outputs,
        decode=plan["decode"],
        source=source,
        licence=plan["metadata"].get("license", ""),
    )
    return card, notes
