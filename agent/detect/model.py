"""A model file, ready to run: verified, loaded, and with the head that reads it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from agent import modelfile, plugins
from agent.detect.backends import Backend
from agent.detect.heads import Head
from agent.modelfile import Card, ModelError


class Model:
    """A model file, verified and loaded: its card, its interpreter, and the checksum that names it."""

    def __init__(
        self, path: Path, *, backend: str = "tflite", threads: int = 0, labels_file: Path | None = None
    ) -> None:
        """`threads` 0 chooses; `labels_file` is for files of other makers (default: <name>.labels.txt beside it).

        Raises ModelError: not the bytes its card promises, not loadable, or float where int8 was promised.
        """
        self.path = path
        file = modelfile.read(path)
        self.backend: Backend = plugins.get("detect/backends", backend).Backend(path, threads or default_threads())
        labels = modelfile.read_labels(path, labels_file) if file.card is None or labels_file else ()
        self.card: Card = file.card or modelfile.recognise(file, self.backend.inputs, self.backend.outputs, labels)
        if labels:
            self.card = msgspec.structs.replace(self.card, labels=labels)
        self.name, self.sha256 = path.stem, file.sha256
        if self.card.quant.scheme == "int8" and not self.card.quant.float_ops:
            islands = self.backend.float_tensors()
            if islands:
                raise ModelError(
                    f"model {path}: its card promises int8, but {len(islands)} tensors are float"
                    f" (first: {islands[0]}); convert it again"
                )

    def head(self, confidence: float, multi_label: bool = False) -> Head:
        """A decoder of this model's outputs. Raises ModelError: a head that is not there, or not for these outputs."""
        try:
            module = plugins.get("detect/heads", self.card.head)
        except KeyError:
            known = ", ".join(plugins.names("detect/heads"))
            raise ModelError(
                f"model {self.path}: its card names the head {self.card.head!r}, there are: {known}"
            ) from None
        head: Head = module.Head(self.card, self.backend.outputs, confidence, multi_label)
        return head


def default_threads() -> int:
    """One core is left for capture; more than three do not pay on a Pi."""
    return min(3, max(1, (os.cpu_count() or 1) - 1))
