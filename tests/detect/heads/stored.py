"""What the tests of heads share: real numbers as an interpreter stores them, and answers compared row by row."""

import numpy as np

from agent.detect.heads import LIMIT
from agent.modelfile import Card, Input, Output, Tensor

SIZE = (96, 64)  # px, not square
STRIDES = (8, 16, 32)  # 12 × 8, 6 × 4 and 3 × 2 cells


class Outputs:
    """Outputs of a made-up model: tensors, stored arrays, and the real values that these stand for."""

    def __init__(self, dtype):
        self.dtype, self.described, self.tensors, self.arrays, self.real = dtype, [], [], [], {}

    def add(self, role, values, stride=None, scale=0.07, zero_point=11):
        name = f"{role}{stride or ''}"
        self.described.append(Output(name, role, values.shape, stride))
        if self.dtype == "float32":
            self.tensors.append(Tensor(name, values.shape, "float32"))
            self.arrays.append(values.astype(np.float32))
            self.real[role, stride] = self.arrays[-1].astype(np.float64)
        else:
            self.tensors.append(Tensor(name, values.shape, "int8", scale, zero_point))
            self.arrays.append(np.clip(np.round(values / scale) + zero_point, -128, 127).astype(np.int8))
            self.real[role, stride] = (self.arrays[-1].astype(np.float64) - zero_point) * scale

    def card(self, head, labels, task="detect", **changes):
        names = tuple(f"label {i}" for i in range(labels))
        return Card(task, head, names, Input(SIZE), tuple(self.described), **changes)

    def shuffled(self, seed=0):
        """Tensors and arrays in another order: heads find theirs by name."""
        order = np.random.default_rng(seed).permutation(len(self.tensors))
        return [self.tensors[i] for i in order], [self.arrays[i] for i in order]

    def decoded(self, head, card, seed, confidence, multi_label):
        """What a head's class makes of them, shuffled."""
        tensors, arrays = self.shuffled(seed)
        return head(card, tensors, confidence, multi_label).decode(arrays)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def cells(stride, size=SIZE):
    """(row, column) of every cell, as a model lays them out."""
    return [(y, x) for y in range(size[1] // stride) for x in range(size[0] // stride)]


def chosen(rows, confidence, multi_label=False):
    """The oracle's candidates: [(confidence, label, box), ..] a row -> those that pass, the best of each row."""
    kept = []
    for row in rows:
        passing = [c for c in row if c[0] >= confidence]
        kept += passing if multi_label else sorted(passing, key=lambda c: -c[0])[:1]
    return sorted(kept, key=lambda c: -c[0])[:LIMIT]


def same(found, wanted, atol=2e-3):
    """Asserts that detections are the oracle's, in falling confidence."""
    assert len(found) == len(wanted)
    assert np.all(np.diff(found.confidence) <= 0)
    assert found.xyxy.dtype == found.confidence.dtype == np.float32
    if not wanted:
        return
    a = np.column_stack([found.xyxy, 100 * found.confidence, 1000 * found.class_id])
    b = np.array([(*box, 100 * confidence, 1000 * label) for confidence, label, box in wanted])
    apart = np.abs(a[:, None] - b[None]) / np.maximum(1, np.abs(b[None]) / 1000)
    apart = apart.max(axis=2)
    assert apart.min(axis=1).max() < atol, "a detection that the oracle has not"
    assert apart.min(axis=0).max() < atol, "a detection of the oracle's is missing"
