"""A run that is killed goes on where it was, and becomes the model that it would have been."""

import re
import signal
import subprocess
import sys
import time

import numpy as np

from agent.cli.detect import read_image
from agent.detect.letterbox import Letterbox
from agent.detect.model import Model
from models import training
from tests.conftest import ROOT
from tests.models.made import folder, needs_training, python

DIGITS = ["-m", "models.recipes.digits", "--epochs", "4"]
RUN = """
import sys
import numpy as np
from pathlib import Path
from models import backbones, training
from models.augment import Augment
from models.training import Data, Plan

epochs, place = int(sys.argv[1]), Path(sys.argv[2])
training.seeded(3)
x = np.random.default_rng(0).integers(0, 256, (48, 16, 16, 3)).astype(np.uint8)
y = np.arange(48) % 2
x[y == 1, 4:12] //= 3
model = backbones.classifier(backbones.plain((16, 16), (4, 8), dropout=0.2), 2)
plan = Plan(epochs, batch=16, seed=3, patience=int(sys.argv[3]))
training.compiled(model, plan, 32, "sparse_categorical_crossentropy")
if len(sys.argv) > 4:  # end as a kill does, after that many epochs
    import os
    keep = training._State.keep
    def killed(self, *args):
        keep(self, *args)
        if len(args[1].rows) == int(sys.argv[4]):
            os._exit(137)
    training._State.keep = killed
history = training.fit(model, Data(x[:32], y[:32]), Data(x[32:], y[32:]), plan, place, change=Augment())
np.savez(place / "end.npz", *model.get_weights())
print([round(r["loss"], 6) for r in history.rows], history.best)
"""


def run(*arguments, code=0):
    done = subprocess.run([python(), *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr[-2000:]
    return done.stdout.splitlines()[-1] if done.stdout else ""


@needs_training
def test_a_run_that_was_killed_becomes_the_same_model(tmp_path):
    whole = run("-c", RUN, 4, tmp_path / "whole", 9)
    run("-c", RUN, 4, tmp_path / "cut", 9, 2, code=137)
    assert run("-c", RUN, 4, tmp_path / "cut", 9) == whole
    with np.load(tmp_path / "whole" / "end.npz") as a, np.load(tmp_path / "cut" / "end.npz") as b:
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    assert (tmp_path / "cut" / "curve.png").exists()


@needs_training
def test_kill_9_in_the_middle_leaves_a_recipe_that_goes_on_and_ends_in_a_model(tmp_path):
    """The whole of `digits`, shrunken: killed after its first epoch, started again, its file run as the agent does."""
    data = folder(tmp_path / "data", {"moon": 14, "sun": 14})
    command = [python(), *DIGITS, "--data", str(data), "--out", str(tmp_path / "out")]
    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "out" / training.STATE).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"goes on after epoch [123]|was done after epoch 4", done.stderr)
    model = Model(tmp_path / "out" / "digits_int8.tflite")
    assert model.card.labels == ("moon", "sun")
    assert model.card.quant.scheme == "int8"
    letterbox = Letterbox(model.card.input, model.backend.inputs[0])
    letterbox.fill(model.backend.input, read_image(data / "sun" / "sun-0.png"))
    assert model.classifier().scores(model.backend.run()).shape == (2,)
    assert "Grad-CAM" in (tmp_path / "out" / "digits_int8.html").read_text()
    assert "By group" in (tmp_path / "out" / "digits_int8.html").read_text()


@needs_training
def test_training_stops_early_and_keeps_its_best_epoch(tmp_path):
    told = run("-c", RUN, 60, tmp_path, 2)
    losses, best = told.rsplit(" ", 1)
    count = len(losses.split(","))
    assert count < 60
    assert int(best) == count - 3


def test_the_best_epoch_is_the_most_accurate_and_of_those_the_one_with_least_loss():
    plan, watch = training.Plan(epochs=9, patience=3), ("val_accuracy", "val_loss")
    history = training.History(least=training.worth({"val_accuracy": 0.5, "val_loss": 1.0}, watch))
    shown = [(0.5, 1.1), (0.6, 2.0), (0.6, 1.5), (0.4, 0.1), (0.6, 1.6), (0.5, 0.2)]
    rows = [{"loss": 1.0, "val_accuracy": a, "val_loss": b} for a, b in shown]
    assert [history.add(row, watch, plan) for row in rows] == [False, True, True, False, False, False]
    assert (history.best, history.finished) == (2, True)


def test_an_epoch_without_numbers_ends_training_and_is_never_the_best():
    plan, watch = training.Plan(epochs=9), ("val_accuracy", "val_loss")
    history = training.History(least=[-0.5, 1.0])
    assert not history.add({"loss": float("nan"), "val_accuracy": 0.9, "val_loss": 0.1}, watch, plan)
    assert (history.best, history.finished, history.line("loss")) == (-1, True, [])


TUNED = """
import sys
import numpy as np
from pathlib import Path
from models import backbones, pictures, training, tuning
from models.augment import Augment
from models.training import Data, Plan

training.seeded(3)
x = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
y = np.arange(40) % 2
x[y == 1, 8:24] //= 3
model = tuning.learner(backbones.plain((32, 32), (4, 8, 8)), 2)
right = lambda: float(np.mean(model.predict(x, verbose=0).argmax(axis=1) == y))
tuning.answered(model, x, y)
alone, weights = right(), model.get_weights()
history = tuning.tuned(model, Data(x, y), np.arange(40), Plan(3, 8, float(sys.argv[2]), average=0.9),
                       Path(sys.argv[1]), change=Augment(light=0.0))
same = all(np.allclose(a, b, atol=1e-6) for a, b in zip(weights, model.get_weights()))
print(alone, right(), history.best, same)
"""


@needs_training
def test_a_rate_that_ruins_the_trunk_leaves_the_answer_that_was_learned_without_it(tmp_path):
    alone, tuned, best, same = run("-c", TUNED, tmp_path / "much", 30.0).split()
    assert (float(alone), best, same) == (1.0, "-1", "True")
    assert tuned == alone
    alone, tuned, best, same = run("-c", TUNED, tmp_path / "little", 1e-3).split()
    assert (float(tuned), same) == (1.0, "False")
    assert int(best) >= 0


def test_no_tensorflow_is_one_line(tmp_path):
    code = (
        "import sys; sys.modules['keras'] = None; from models.recipes import digits as d;"
        f"sys.exit(d.main(['--data', {str(folder(tmp_path / 'd', {'a': 6, 'b': 6}))!r}, '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "make models/NAME" in done.stderr
