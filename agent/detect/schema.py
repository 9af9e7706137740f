"""What a .tflite is made of: its tables, and their fields in order.

Of each vector there is what a reader needs: shapes, indices and scales as they are, of everything else how many. From
tensorflow/compiler/mlir/lite/schema/schema.fbs; fields are only ever added at a table's end, those not listed here
are read by no runtime of ours. A field that is not there has its default.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from agent.data import Array


class Many(NamedTuple):
    """A field that points at a vector of tables."""

    kind: type


class Buffer(NamedTuple):
    """Constant data: `data` bytes in the table itself, or `size` bytes from `offset` of the file."""

    data: int
    offset: int
    size: int


class OperatorCode(NamedTuple):
    """A kind of operator; old files have it in the narrow field alone."""

    narrow: int
    custom: bytes
    version: int
    code: int


class Quantization(NamedTuple):
    """Scales and zero points of a tensor."""

    lows: int  # how many, as of zero points
    highs: int
    scales: Array  # (n,) float32
    zero_points: int
    details: int
    unread: None
    axis: int


class Sparsity(NamedTuple):
    """A tensor stored without its zeros; only that it is."""


class Variant(NamedTuple):
    """What a tensor of tensors holds."""

    shape: tuple[int, ...]


class Tensor(NamedTuple):
    """One tensor of a subgraph."""

    shape: tuple[int, ...]
    type: int
    buffer: int
    name: bytes
    quantization: Quantization | None
    is_variable: bool
    sparsity: Sparsity | None
    signature: tuple[int, ...]  # -1 = an axis of any length
    has_rank: bool
    variants: list[Variant]
    external: int


class Options(NamedTuple):
    """Numbers of an operator: where its table is, and where its fields lie in it."""

    place: int
    slots: tuple[int, ...]


class Operator(NamedTuple):
    """One step of a subgraph."""

    kind: int
    inputs: tuple[int, ...]  # -1 = an optional one that is not there
    outputs: tuple[int, ...]
    options_type: int
    options: Options | None
    custom: int
    custom_format: int
    mutating: int
    intermediates: tuple[int, ...]
    large_offset: int
    large_size: int
    options2_type: int
    options2: Options | None


class Subgraph(NamedTuple):
    """Tensors, and operators in the order of their run."""

    tensors: list[Tensor]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: list[Operator]
    name: bytes


class Metadata(NamedTuple):
    """A name for a buffer."""

    name: bytes
    buffer: int


class Member(NamedTuple):
    """A signature's name for a tensor."""

    name: bytes
    tensor: int


class Signature(NamedTuple):
    """Inputs and outputs by name."""

    inputs: list[Member]
    outputs: list[Member]
    key: bytes
    unread: None
    subgraph: int


class Model(NamedTuple):
    """The whole file."""

    version: int
    codes: list[OperatorCode]
    subgraphs: list[Subgraph]
    description: bytes
    buffers: list[Buffer]
    metadata_buffers: tuple[int, ...]
    metadata: list[Metadata]
    signatures: list[Signature]


TEXT, INTS, FLOATS, _BYTES, _WORDS, _LONGS = "text", "ints", "floats", 1, 4, 8  # a width: only how many
FIELDS: dict[type, tuple[Any, ...]] = {  # a letter is a number as struct writes it
    Buffer: (_BYTES, "Q", "Q"),
    OperatorCode: ("b", TEXT, "i", "i"),
    Quantization: (_WORDS, _WORDS, FLOATS, _LONGS, "B", None, "i"),
    Tensor: (INTS, "b", "I", TEXT, Quantization, "?", Sparsity, INTS, "?", Many(Variant), "I"),
    Sparsity: (),
    Variant: (INTS,),
    Operator: ("I", INTS, INTS, "B", Options, _BYTES, "b", _BYTES, INTS, "Q", "Q", "B", Options),
    Options: (),
    Subgraph: (Many(Tensor), INTS, INTS, Many(Operator), TEXT),
    Metadata: (TEXT, "I"),
    Member: (TEXT, "I"),
    Signature: (Many(Member), Many(Member), TEXT, None, "I"),
    Model: ("I", Many(OperatorCode), Many(Subgraph), TEXT, Many(Buffer), INTS, Many(Metadata), Many(Signature)),
}


def _default(field: Any) -> Any:
    """Of a field that is not there."""
    if isinstance(field, Many):
        return []
    if field == INTS:
        return ()
    if field == TEXT:
        return b""
    if field == FLOATS:
        return np.zeros(0, np.float32)
    return None if isinstance(field, type) or field is None else 0


DEFAULTS = {kind: [_default(field) for field in fields] for kind, fields in FIELDS.items()}
