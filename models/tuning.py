"""A trunk that knows a million pictures, brought to a few of yours without losing what it knows.

    model = learner(backbones.trunk(...), classes)
    tuned(model, Data(x, y), series, plan, place, change=Augment(...), below="...")

First the answer alone, on the trunk as it is: logistic regression with L2, seconds, and no rate that could be too high.
Then the trunk with it, slowly, its batch normalisation as it came; what is judged and kept is a moving average of the
weights (Polyak and Juditsky, 1992). A fifth of the pictures tells which epoch was best, the answer alone counting as
one of them: nobody gets less than that. Last a short, slow lap over all pictures, those of validation too.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from agent.data import Array
from models import backbones, pictures, training
from models.training import Change, Data, History, Plan

log = logging.getLogger(__name__)
CHECKED = 0.2  # share of the pictures that say which epoch was best
SMOOTH = 0.1  # of the truth goes to all classes alike (label smoothing, Szegedy et al., 2016)
L2 = 1e-2  # of the answer, on features of mean 0 and deviation 1
LAP = 5  # the last lap's epochs are this part of the others, its rate too


def learner(trunk: Any, classes: int) -> Any:
    """A classifier on a trunk, seen at several scales."""
    return backbones.classifier(backbones.pooled(trunk), classes)


def answered(model: Any, x: Array, y: Array) -> None:
    """Set the answer of a `learner` to the best for its trunk as it is, on pictures (N, h, w, 3) and labels (N,)."""
    import keras  # noqa: PLC0415

    answer = model.get_layer("answer")
    even = [layer for layer in model.layers if layer.name.startswith(backbones.EVEN)]
    for layer in even:
        width = layer.output.shape[-1]
        layer.set_weights([np.zeros(width), np.ones(width)])
    features = keras.Model(model.input, answer.input)  # called as it is: predict() would trace a graph each time
    seen = np.concatenate([np.array(features(x[n : n + 64], training=False)) for n in range(0, len(x), 64)])  # (N, C)
    first = 0
    for layer in even:
        part = seen[:, first : first + layer.output.shape[-1]]
        layer.set_weights([part.mean(axis=0), part.var(axis=0)])
        part[:] = (part - part.mean(axis=0)) / np.sqrt(part.var(axis=0) + layer.epsilon)
        first += part.shape[1]
    answer.set_weights(solved(seen, y, answer.units))


def solved(seen: Array, y: Array, classes: int) -> tuple[Array, Array]:
    """Weights (C, classes) and bias of logistic regression with L2 on even features (N, C) and labels (N,)."""
    import keras  # noqa: PLC0415

    small = keras.regularizers.L2(L2)
    answer = keras.layers.Dense(classes, "softmax", kernel_initializer="zeros", kernel_regularizer=small)
    head = keras.Sequential([keras.Input(seen.shape[1:]), answer])
    head.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 300)), "categorical_crossentropy")
    head.fit(seen, softened(y, classes), batch_size=len(seen), epochs=300, verbose=0)
    weights, bias = head.get_weights()
    return weights, bias


def tuned(
    model: Any, data: Data, series: Array, plan: Plan, place: Path, *, change: Change, below: str = ""
) -> History:
    """Train a `learner` on pictures and labels (N,); rows of one series (N,) are never on both sides of validation.

    No layer before `below` learns. A kill costs an epoch at most. Raises ConvertError, as `training.fit`.
    """
    classes = model.get_layer("answer").units
    learn, check = parts(data, series, plan.seed, classes)
    answered(model, learn.x, learn.y.argmax(axis=1))
    backbones.freeze(model, below)
    training.compiled(model, plan, len(learn), "categorical_crossentropy")
    history = training.fit(model, learn, check, plan, place, change=change,
                           watch=("val_accuracy", "val_loss"), better_than_now=True)  # fmt: skip
    if history.best < 0:
        log.info("training   no epoch was better than the answer alone; that is kept")
        answered(model, data.x, data.y)
        return history
    lap = replace(plan, epochs=max(1, plan.epochs // LAP), rate=plan.rate / LAP)
    training.compiled(model, lap, len(data), "categorical_crossentropy")
    whole = Data(data.x, softened(data.y, classes))
    training.fit(model, whole, None, lap, place / "lap", change=change)
    return history


def parts(data: Data, series: Array, seed: int, classes: int) -> tuple[Data, Data]:
    """What is learned from and what says when to stop, labels softened: no series is in both."""
    soft = softened(data.y, classes)
    learn, check = pictures.stratified(data.y, CHECKED, seed, series)
    return Data(data.x[learn], soft[learn]), Data(data.x[check], soft[check])


def softened(y: Array, classes: int) -> Array:
    """(N, C) float32: most for the class, the rest for all."""
    return (np.eye(classes)[y] * (1 - SMOOTH) + SMOOTH / classes).astype(np.float32)
