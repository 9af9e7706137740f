"""A model file, ready to run: verified, loaded, and with the head that reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from agent import config, foreign, modelfile, plugins
from agent.detect import proof
from agent.detect.backends import Backend
from agent.detect.heads import Classifier, Embedder, Head, InstanceHead, Patcher, PoseHead, Reconstructor, Segmenter
from agent.modelfile import Card, ModelError

_ONLY = {"poses": "pose", "instances": "segment"}  # what only models of one task have, whatever their head can


class Model:
    """A model file, verified and loaded: its card, its interpreter, and the checksum that names it.

    What reads its outputs depends on its task: `head` for boxes, `classifier`, `segmenter`, ... Each raises ModelError
    for a head that is not there, not for these outputs, or not for that task.
    """

    def __init__(
        self,
        path: Path,
        *,
        backend: str = "tflite",
        threads: int = 0,
        labels_file: Path | None = None,
        is_apart: bool = False,
    ) -> None:
        """`threads` 0 chooses; `labels_file` is for files of other makers (default: <name>.labels.txt beside it).

        A file without a checksum in its card is run in a child first, but where this process is one (`is_apart`).
        Raises ModelError: not the bytes its card promises, not loadable, or float where int8 was promised.
        """
        self.path = path
        file = modelfile.read(path)
        self.threads = threads or default_threads()
        if backend == "tflite" and not is_apart and not (file.card and file.card.sha256):
            proof.once(path, file.sha256)
        self.backend: Backend = plugins.get("detect/backends", backend).Backend(path, self.threads)
        labels = modelfile.read_labels(path, labels_file) if file.card is None or labels_file else ()
        if file.card is None:
            self.card: Card = foreign.recognise(file, self.backend.inputs, self.backend.outputs, labels)
        else:
            fitted = modelfile.fit_labels(labels, len(file.card.labels))
            self.card = msgspec.structs.replace(file.card, labels=fitted or file.card.labels)
        self.name, self.sha256 = path.stem, file.sha256
        if self.card.quant.scheme == "int8" and not self.card.quant.float_ops:
            islands = self.backend.float_tensors()
            if islands:
                raise ModelError(
                    f"model {path}: its card promises int8, but {len(islands)} tensors are float"
                    f" (first: {islands[0]}); convert it again"
                )

    def head(self, confidence: float, multi_label: bool = False) -> Head:
        """A decoder of this model's boxes."""
        head: Head = self._reader("decode", "boxes", confidence, multi_label)
        return head

    def poses(self, confidence: float) -> PoseHead:
        """A decoder of boxes with keypoints."""
        head: PoseHead = self._reader("poses", "keypoints", confidence)
        return head

    def instances(self, confidence: float) -> InstanceHead:
        """A decoder of boxes with masks."""
        head: InstanceHead = self._reader("instances", "masks of single objects", confidence)
        return head

    def classifier(self) -> Classifier:
        """A reader of one confidence a label."""
        head: Classifier = self._reader("scores", "scores of a whole picture")
        return head

    def segmenter(self) -> Segmenter:
        """A reader of one label a cell."""
        head: Segmenter = self._reader("mask", "a mask")
        return head

    def embedder(self) -> Embedder:
        """A reader of one vector a picture."""
        head: Embedder = self._reader("vector", "a vector")
        return head

    def reconstructor(self) -> Reconstructor:
        """A reader of one picture a picture."""
        head: Reconstructor = self._reader("image", "a picture")
        return head

    def patcher(self) -> Patcher:
        """A reader of one vector a cell."""
        head: Patcher = self._reader("patches", "descriptions of patches")
        return head

    def _reader(self, method: str, what: str, *options: Any) -> Any:
        """This model's head, which must have a method. Raises ModelError where it has not."""
        try:
            module = plugins.get("detect/heads", self.card.head)
        except KeyError:
            known = ", ".join(plugins.names("detect/heads"))
            raise ModelError(
                f"model {self.path}: its card names the head {self.card.head!r}, there are: {known}"
            ) from None
        if not hasattr(module.Head, method) or self.card.task != _ONLY.get(method, self.card.task):
            raise ModelError(
                f"model {self.path}: its task is {self.card.task!r} (head {self.card.head!r}), which gives no {what};"
                " name a model that does"
            )
        return module.Head(self.card, self.backend.outputs, *options)


def opened(wanted: config.Model, state: Path) -> Model:
    """The model of a config. One that nobody here knows is run apart first; `state`: where that it was is kept.

    Raises ModelError.
    """
    if wanted.backend == "tflite":
        proof.introduced(wanted.file, state)
    return Model(wanted.file, backend=wanted.backend, threads=wanted.threads, labels_file=wanted.labels_file)


def default_threads() -> int:
    """One core is left for capture; more than three do not pay on a Pi."""
    return min(3, max(1, (os.cpu_count() or 1) - 1))
