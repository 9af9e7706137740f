"""Fit a Keras model so that it can be killed at any moment, and the same seed gives the same model.

    seeded(0)                                            TensorFlow, or one line that says how to get it
    compiled(model, plan, len(x), loss="...")            AdamW (L2 that does not depend on the gradient), cosine decay
    fit(model, Data(x, y), Data(vx, vy), plan, place, change=Augment(...))

An epoch's order and changes depend on the seed and its number alone, so a run that goes on after a kill is the run that
was not killed. place/state.npz is replaced as a whole after each epoch: weights, optimizer, epoch, best weights so far.
The validation pictures say when to stop and which epoch was best; they come from the training part, never from those
held out.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agent.data import Array
from convert import ConvertError, output
from models import drawing

log = logging.getLogger(__name__)
Change = Callable[[np.random.Generator, Array, Array], tuple[Array, Array]]
STATE = "state.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """What a net is fed, and what it should answer: rows correspond."""

    x: Array  # (N, h, w, 3) uint8 RGB
    y: Array  # (N, ...)

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast."""

    epochs: int = 30  # at most
    batch: int = 32
    rate: float = 1e-3  # greatest learning rate; it rises for a twentieth of the steps, then falls along a cosine
    decay: float = 1e-4  # L2, decoupled from the gradient
    patience: int = 10  # epochs that validation may go without getting better
    seed: int = 0
    average: float = 0.0  # of the weights over steps, kept of what it was at each; 0: the weights as they are


@dataclass(slots=True)
class History:
    """What became of a run, an entry an epoch; validation's names start with "val_"."""

    rows: list[dict[str, float]] = field(default_factory=list)
    best: int = -1  # epoch whose weights the model has; -1: those that it came with
    least: list[float] = field(default_factory=lambda: [math.inf])  # what was watched, of those weights
    finished: bool = False

    def add(self, row: dict[str, float], watch: tuple[str, ...], plan: Plan) -> bool:
        """One more epoch; whether it is the best so far, as the last is where nothing is watched."""
        is_sound, value = bool(np.isfinite(row["loss"])), worth(row, watch)
        is_best = not watch or (is_sound and value < self.least)
        if is_best:
            self.best, self.least = len(self.rows), value
        self.rows.append(row)
        is_late = bool(watch) and len(self.rows) - 1 - self.best >= plan.patience
        self.finished = is_late or len(self.rows) >= plan.epochs or not is_sound
        return is_best

    def line(self, name: str) -> list[tuple[float, float]]:
        """(epoch from 1, value), for a drawing."""
        return [(number, row[name]) for number, row in enumerate(self.rows, 1) if np.isfinite(row.get(name, np.nan))]


def worth(row: dict[str, float], watch: tuple[str, ...]) -> list[float]:
    """What of an epoch is compared, by the first that differs: less is better, more of an accuracy."""
    return [-row[name] if name.endswith("accuracy") else row[name] for name in watch]


def seeded(seed: int) -> Any:
    """Keras, with every generator set, one answer for one seed. Raises ConvertError where there is no TensorFlow."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import keras  # noqa: PLC0415  takes seconds, and errors in the data come first
        import tensorflow as tf  # noqa: PLC0415
    except ImportError as error:
        raise ConvertError(
            f"training needs TensorFlow, which is not in this Python ({error.name}); `make models/NAME` sets it up, or"
            " pip install -e '.[convert,tensorflow]'"
        ) from error
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return keras


def compiled(model: Any, plan: Plan, count: int, loss: Any, metrics: tuple[str, ...] = ("accuracy",)) -> Any:
    """The model, ready for `fit` on `count` pictures."""
    import keras  # noqa: PLC0415

    steps = plan.epochs * -(-count // plan.batch)
    warm = max(1, steps // 20)
    rate = keras.optimizers.schedules.CosineDecay(
        plan.rate / 100, max(1, steps - warm), alpha=0.0, warmup_target=plan.rate, warmup_steps=warm
    )
    average = {"use_ema": True, "ema_momentum": plan.average} if plan.average else {}
    optimizer = keras.optimizers.AdamW(rate, weight_decay=plan.decay, **average)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def fit(
    model: Any,
    train: Data,
    validation: Data | None,
    plan: Plan,
    place: Path,
    *,
    change: Change | None = None,
    watch: tuple[str, ...] = ("val_loss",),
    better_than_now: bool = False,
) -> History:
    """Train a compiled model, and leave it with its best weights.

    `watch` says what is best, see `worth`. With `better_than_now` the weights that it comes with are, until an epoch is
    better, and numbers that are none only end it.

    Goes on where an earlier run of the same data, plan and first weights was stopped; returns at once where that was
    done. Without validation the last weights stay. Raises ConvertError: `place` cannot be written, numbers are none.
    """
    model.optimizer.build(model.trainable_variables)
    state = _State(place / STATE, _fingerprint(model, train, validation, plan, change))
    history = state.restored(model)
    if better_than_now and validation and not history.rows:
        history.least, state.best = worth(_judged(model, validation), watch), model.get_weights()
    start, done = time.monotonic(), len(history.rows)
    while not history.finished:
        row = _learned(model, train, plan, len(history.rows), change)
        if not np.isfinite(row["loss"]) and not better_than_now:
            raise ConvertError(f"training: the loss became {row['loss']}; lower the rate")
        with _averaged(model):
            row |= _judged(model, validation)
            if history.add(row, watch if validation else (), plan):
                state.best = model.get_weights()
        state.keep(model, history)
        left = (time.monotonic() - start) / (len(history.rows) - done) * (plan.epochs - len(history.rows))
        said = "  ".join(f"{name} {value:.3f}" for name, value in row.items())
        log.info("epoch      %d of %d  %s  %.0f s left at most", len(history.rows), plan.epochs, said, left)
    model.set_weights(state.best)
    _drawn(history, place)
    return history


def _drawn(history: History, place: Path) -> None:
    """loss.png and curve.png of a run."""
    names = [name for name in history.rows[0] if name.endswith("loss")]
    others = [name for name in history.rows[0] if name not in names]
    for file, wanted in (("loss", names), ("curve", others)):
        title = f"best epoch {history.best + 1} of {len(history.rows)}"
        lines = {name: history.line(name) for name in wanted if history.line(name)}
        drawing.curves(place / f"{file}.png", title, lines, "epoch")


def _learned(model: Any, train: Data, plan: Plan, number: int, change: Change | None) -> dict[str, float]:
    """One pass over the training pictures, each changed anew; its figures, means over the pass."""
    generator = np.random.default_rng((plan.seed, number))
    order = generator.permutation(len(train))
    found: dict[str, float] = {}
    for first in range(0, len(order), plan.batch):
        rows = order[first : first + plan.batch]
        x, y = train.x[rows], train.y[rows]
        x, y = change(generator, x, y) if change else (x, y)
        row = model.train_on_batch(x.astype(np.float32), y, return_dict=True)  # of this batch
        for name, value in row.items():
            found[name] = found.get(name, 0.0) + float(value) * len(rows) / len(order)
    return found


@contextmanager
def _averaged(model: Any) -> Iterator[None]:
    """The model has the average of its weights, where the plan wants one."""
    if not model.optimizer.use_ema:
        yield
        return
    kept = [np.asarray(v) for v in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    yield
    for variable, value in zip(model.trainable_variables, kept, strict=True):
        variable.assign(value)


def _judged(model: Any, validation: Data | None) -> dict[str, float]:
    """The figures on the validation pictures, none without them."""
    if validation is None:
        return {}
    found = model.evaluate(validation.x, validation.y, batch_size=128, verbose=0, return_dict=True)
    return {f"val_{name}": float(value) for name, value in found.items()}


class _State:
    """What a killed run leaves: one file, whole or not there."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path, self._fingerprint = path, fingerprint
        self.best: list[Array] = []

    def keep(self, model: Any, history: History) -> None:
        """Replace the file; of a finished run only what its user needs."""
        arrays = {f"best{i}": value for i, value in enumerate(self.best)}
        if not history.finished:
            arrays |= {f"now{i}": np.asarray(v) for i, v in enumerate(_variables(model))}
        about = json.dumps({"fingerprint": self._fingerprint, "history": asdict(history)})
        data = io.BytesIO()
        np.savez(data, **(arrays | {"about": np.array(about)}))  # type: ignore[arg-type]  # allow_pickle is none of them
        output.write({self._path: data.getvalue()})

    def restored(self, model: Any) -> History:
        """Where an earlier run was, the model and its optimizer set to that; a new History where there was none."""
        try:
            with np.load(self._path, allow_pickle=False) as found:
                about = json.loads(str(found["about"]))
                kept = {name: found[name] for name in found.files}
        except FileNotFoundError:
            return History()
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            log.warning("training   %s cannot be read; beginning anew", self._path)
            return History()
        if about["fingerprint"] != self._fingerprint:
            log.info("training   %s is of other data or options; beginning anew", self._path)
            return History()
        history = History(**about["history"])
        self.best = [kept[f"best{i}"] for i in range(len(model.get_weights()))]
        if not history.finished:
            for i, variable in enumerate(_variables(model)):
                variable.assign(kept[f"now{i}"])
        log.info("training   %s after epoch %d", "was done" if history.finished else "goes on", len(history.rows))
        return history


def _variables(model: Any) -> list[Any]:
    """Everything that training changes: weights, states of dropout's generators, the optimizer's."""
    metrics = {id(v) for v in model.metrics_variables}
    return [v for v in model.variables if id(v) not in metrics] + list(model.optimizer.variables)


def _fingerprint(model: Any, train: Data, validation: Data | None, plan: Plan, change: Change | None) -> str:
    """sha256 of all that decides what a run becomes."""
    digest = hashlib.sha256(repr((asdict(plan), change if hasattr(change, "__slots__") else "")).encode())
    pairs = [train, *([validation] if validation else [])]
    for array in (*model.get_weights(), *(a for data in pairs for a in (data.x, data.y))):
        digest.update(repr((array.shape, array.dtype)).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
