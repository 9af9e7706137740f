"""What a conversion leaves for the reader of its report: models, what they said of the same pictures, the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.data import Array, Detections
from agent.modelfile import Card
from convert.accuracy.compare import Recording

Truth = (
    Sequence[Detections] | Sequence[int] | Sequence[Array]
)  # a picture each: boxes px | class id | (H, W) int32, -1 = none


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """All that `convert.report.page` needs; pictures of `paths`, `reference`, `recording` and `truth` correspond."""

    name: str  # of the model
    card: Card  # of the int8 model, sha256 not yet set
    report: dict[str, Any]  # report.json, as it goes into the file
    reference_model: bytes  # float flatbuffer
    model: bytes  # int8 flatbuffer
    paths: tuple[Path, ...]  # pictures, none of which calibrated
    reference: Recording  # what the float model said of them
    recording: Recording  # what the int8 model said of them
    truth: Truth | None = None  # None: there are no labels
    groups: Mapping[str, str] = field(default_factory=dict)  # picture's file name -> its group (slices)
    keras: Path | None = None  # the source, where it is Keras': Grad-CAM needs it
