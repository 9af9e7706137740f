"""Where the Edge TPU would stop in a model, and why: checked here, compiled only where its compiler is installed.

    placement(graph.read(data))   a finding per operator that would not map, and the share that would
    compile(path, seconds=..)     the real `edgetpu_compiler`, if it is on PATH; its log as counts
    line(path)                    the command for those who have it elsewhere

The rules are Coral's own (coral.ai/docs/edgetpu/models-intro: requirements, supported operations): 8-bit tensors of
fixed shape, at most the three innermost axes longer than 1, the operators below within their limits. The compiler
makes one partition: what it cannot take runs on the CPU, and so does everything computed from it. Its published logs
show one exception, honoured here: the QUANTIZE of a float input runs on the CPU and stops nothing.
"""

from __future__ import annotations

import math
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import msgspec

from convert import ConvertError
from convert.process import sandbox
from convert.tflite import graph
from convert.tflite.edgetpu_rules import VERSIONS, Why, limit
from convert.tflite.graph import Graph, Operator

TOOL = "edgetpu_compiler"
CACHE = 8 << 20  # bytes of parameters that the chip keeps; more is sent to it again for every picture
_EIGHT_BITS = ("int8", "uint8")


class Finding(msgspec.Struct, frozen=True):
    """Why one operator would run on the CPU, or might."""

    operator: int  # its place in the graph, from 0
    kind: str  # CONV_2D, ..
    tensor: str  # its first output
    reason: str
    cure: str
    certain: bool = True  # False: the compiler may refuse it, depending on what it alone knows


class Placement(msgspec.Struct, frozen=True):
    """How much of a graph would run on the Edge TPU. Checked, not compiled."""

    findings: tuple[Finding, ...]  # of operators that cannot map by themselves, and of those that may not
    mapped: tuple[bool, ...]  # an entry an operator
    macs: tuple[int, ...]  # multiply-adds, an entry an operator
    parameters: int  # bytes of constants

    @property
    def mapped_macs(self) -> int:
        """Multiply-adds on the Edge TPU."""
        return sum(n for n, on in zip(self.macs, self.mapped, strict=True) if on)

    def report(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "checked": True,
            "compiled": False,
            "operators": len(self.mapped),
            "mapped": sum(self.mapped),
            "macs": sum(self.macs),
            "mapped_macs": self.mapped_macs,
            "parameters": self.parameters,
            "findings": [msgspec.to_builtins(finding) for finding in self.findings],
        }

    def summary(self) -> str:
        """One line."""
        share = self.mapped_macs / max(1, sum(self.macs))
        return (
            f"{sum(self.mapped)} of {len(self.mapped)} operators would map, {share:.1%} of {sum(self.macs) / 1e6:.1f} M"
            " multiply-adds (checked, not compiled)"
        )


class Compiled(msgspec.Struct, frozen=True):
    """What edgetpu_compiler said."""

    version: str
    mapped: int  # operators
    on_cpu: int
    rows: tuple[tuple[str, int, str], ...]  # operator, how many, status in the compiler's words
    log: str


def check(model: bytes) -> list[Finding]:
    """Findings of a file; none means that all of it would map. Raises ConvertError for a file that is not one."""
    return list(placement(graph.read(model)).findings)


def placement(given: Graph) -> Placement:
    """Findings, and where the one partition would end."""
    findings: list[Finding] = []
    on_cpu: set[int] = set()  # tensors computed there
    mapped = []
    for number, operator in enumerate(given.operators):
        why = _why_not(given, operator)
        if why:
            tensor = given.tensors[operator.outputs[0]].name
            findings.append(Finding(number, operator.name, tensor, why.reason, why.cure, why.certain))
        takes = (why is None or not why.certain) and not on_cpu.intersection(operator.inputs)
        mapped.append(takes)
        if not takes and not _is_entrance(given, operator):
            on_cpu.update(operator.outputs)
    macs = tuple(multiply_adds(given, operator) for operator in given.operators)
    stored = sum(_bytes_of(t) for t in given.tensors if t.constant)
    return Placement(tuple(findings), tuple(mapped), macs, stored)


def multiply_adds(given: Graph, operator: Operator) -> int:
    """Of the operators that have weights; 0 for the others."""
    if len(operator.inputs) < 2 or operator.inputs[1] < 0:
        return 0
    out = math.prod(given.tensors[operator.outputs[0]].shape)
    weights = given.tensors[operator.inputs[1]].shape
    if operator.name == "CONV_2D":
        return out * math.prod(weights[1:])  # (out, h, w, in)
    if operator.name == "DEPTHWISE_CONV_2D":
        return out * math.prod(weights[1:3])  # (1, h, w, out)
    if operator.name == "FULLY_CONNECTED":
        return out * math.prod(weights[1:])  # (out, in)
    if operator.name == "TRANSPOSE_CONV" and len(operator.inputs) > 2:
        return math.prod(given.tensors[operator.inputs[2]].shape) * math.prod(weights[:3])  # (out, h, w, in)
    return 0


def line(path: Path) -> str:
    """The command that compiles a file, for a machine that has the compiler."""
    return f"{TOOL} -s -o {shlex.quote(str(path.parent))} {shlex.quote(str(path))}"


def compile(path: Path, seconds: float = 180.0) -> Compiled | None:  # noqa: A001  edgetpu.compile is what it is
    """Run the compiler on a copy of a file, in a limited child; None where it is not on PATH.

    Raises ConvertError where it fails or takes longer than `seconds`; its last words are kept in a log.
    """
    tool = shutil.which(TOOL)
    if tool is None:
        return None
    with sandbox.scratch("edgetpu") as work:
        shutil.copyfile(path, work / "model.tflite")
        limits = sandbox.Limits(seconds=seconds)
        command = [tool, "-s", "-o", str(work), "model.tflite"]
        said = sandbox.run(command, work, what=f"Edge TPU, {path.name}", tool=TOOL, limits=limits)
    return counts(said)


def counts(log: str) -> Compiled:
    """The compiler's log: what maps, by its table. Raises ConvertError for a text without one."""
    table = re.search(r"^Operator\s+Count\s+Status\s*$(.*)", log, re.M | re.S)
    found = re.findall(r"^(\w+)[ \t]+(\d+)[ \t]+(\S.*?)\s*$", table[1] if table else "", re.M)
    if not found:
        raise ConvertError(f"{TOOL}: its log has no table of operators; run it by hand")
    rows = tuple((kind, int(number), status) for kind, number, status in found)
    on = sum(number for _, number, status in rows if status.startswith("Mapped"))
    version = re.search(r"Compiler version (\S+)", log)
    return Compiled(version[1] if version else "", on, sum(r[1] for r in rows) - on, rows, log)


def _why_not(given: Graph, operator: Operator) -> Why | None:
    newest = VERSIONS.get(operator.name)
    if newest is None:
        return limit(given, operator)  # not in Coral's table
    tensors = [given.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
    moving = [t for t in tensors if not t.constant]
    wide = next((t for t in moving if t.dtype not in _EIGHT_BITS), None)
    stored = next((t for t in tensors if t.constant and t.dtype.startswith(("float", "bfloat", "int16"))), None)
    if wide or stored:
        kind = (wide or stored or tensors[0]).dtype
        cure = "take the input as uint8 or int8" if operator.name == "QUANTIZE" else "quantise it: no float island"
        return Why(f"works on {kind}; only 8-bit tensors are taken", cure)
    if any(t.dynamic for t in tensors):
        return Why("a shape is marked as one that may change", "convert with a batch of 1 and a fixed size")
    deep = next((t for t in moving if any(n > 1 for n in t.shape[:-3])), None)
    if deep:
        return Why(f"a tensor of shape {list(deep.shape)}; only the three innermost axes may be longer than 1", _FLAT)
    if operator.version > newest:
        return Why(f"version {operator.version}; the compiler knows {newest}", "run the file through this converter")
    return limit(given, operator)


_FLAT = "batch of 1; reshape so that the rest fits"


def _is_entrance(given: Graph, operator: Operator) -> bool:
    """The QUANTIZE of a float input: runs on the CPU, the partition begins behind it."""
    return operator.name == "QUANTIZE" and operator.inputs[0] in given.inputs.values()


def _bytes_of(tensor: graph.TensorInfo) -> int:
    width = re.search(r"\d+$", tensor.dtype)
    return math.prod(tensor.shape) * (int(width[0]) if width else 8) // 8
