"""What a classifier looks at: a net that looks at one corner says so."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.modelfile import Card, Input, Output
from convert.report import explain
from tests.convert.report import made


def test_the_map_is_bright_where_the_score_comes_from():
    image = np.full((80, 160, 3), 200, np.uint8)
    seen = explain.heat(image, lambda x: float(x[:20, 120:].mean()))  # the top right corner decides
    assert seen.shape == (explain.CELLS, explain.CELLS)
    row, column = np.unravel_index(seen.argmax(), seen.shape)
    assert (row, column) in [(r, c) for r in range(2) for c in range(6, 8)]
    assert seen[5:, :4].max() == 0


def test_a_score_that_nothing_lowers_gives_an_empty_map():
    assert explain.heat(np.zeros((64, 64, 3), np.uint8), lambda x: 0.5).max() == 0


def test_float_and_int8_of_one_net_look_at_the_same_place(tmp_path):
    evidence = made.evidence(tmp_path, made.classifier(), made.CLASSIFIER)
    image = cv2.imread(str(evidence.paths[0]))[:, :, ::-1].copy()
    maps = [
        explain.occlusion(model, evidence.card, [image], [0])[0] for model in (evidence.reference_model, evidence.model)
    ]
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.9


@pytest.mark.skipif("LOOKOUT_TENSORFLOW" not in os.environ, reason="LOOKOUT_TENSORFLOW names no Python with TensorFlow")
def test_grad_cam_of_a_keras_net_is_a_map_a_picture(data_dir):
    card = Card(
        task="classify", head="classify", labels=("none", "person"),
        input=Input(size=(96, 96), range=(0.0, 1.0), resize="stretch"), outputs=(Output("score", "score", (1, 2)),),
    )  # fmt: skip
    paths = sorted((data_dir / "coco" / "evaluate" / "images").glob("*.jpg"))[:2]
    images = [cv2.imread(str(p))[:, :, ::-1].copy() for p in paths]
    maps = explain.grad_cam(Path(data_dir / "models" / "vww_96.h5"), card, images, [1, 1])
    assert len(maps) == 2
    assert all(m.ndim == 2 and m.min() >= 0 and m.max() <= 1 for m in maps)
    assert max(float(m.max()) for m in maps) == 1.0
