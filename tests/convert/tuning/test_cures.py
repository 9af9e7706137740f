"""Cures on a net that int8 ruins: channels that differ a thousandfold before SiLU."""

import cv2
import numpy as np
import pytest

from agent.modelfile import Card, Input, Output
from convert.int8 import calibration, ranges
from convert.tflite import finalise, graph
from convert.tuning import cures, scoring
from convert.tuning.scoring import Trials
from tests.convert.int8.test_equalise import uneven

CARD = Card(
    "reconstruct", "reconstruct", (), Input((24, 16), range=(-1.0, 1.0)), (Output("out", "image", (1, 16, 24, 3)),)
)


@pytest.fixture
def trials(tmp_path):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(12):
        paths.append(tmp_path / f"{i}.png")
        cv2.imwrite(str(paths[-1]), cv2.resize(rng.integers(0, 256, (4, 6, 3), np.uint8), (24, 16)))
    model = finalise.tidy(uneven(channels=3), {"image": "image"}, {"out": "out"})
    read = calibration.Gallery()
    reference = scoring.record(model, CARD, paths[8:], read)
    return Trials(model, CARD, paths[8:], reference, read), paths[:8]


def sick(trials, paths):
    return trials.by_rules(calibration.collect(trials.model, CARD.input, paths), ["minmax"])


def test_equalising_helps_and_leaves_nothing_in_float(trials):
    trials, paths = trials
    (before,) = sick(trials, paths)
    after = cures.equalised(trials, before, paths)
    assert after.agreement.loss < 0.7 * before.agreement.loss
    assert after.plan.levels.keys() == {"a"}
    flatbuffer = scoring.proven(trials.model, CARD, after.plan)
    assert graph.float_operators(graph.read(flatbuffer)) == []
    assert scoring.int8(trials.model, CARD, after.plan) == flatbuffer


def test_ranges_with_levels_survive_their_json(trials):
    trials, paths = trials
    plan = cures.equalised(trials, sick(trials, paths)[0], paths).plan
    known = ranges.Calibration(plan.rule, {}, "", {}, {}, plan.ranges, levels=plan.levels)
    again = ranges.from_json(ranges.to_json(known), "here")
    assert (again.levels, dict(again.ranges)) == (plan.levels, plan.ranges)
