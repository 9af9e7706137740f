"""`agent detect` tells of a picture what its model can: boxes, labels or shares."""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import config
from agent.cli import detect


def told(*arguments: object, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The one JSON line."""
    parser = argparse.ArgumentParser()
    detect.arguments(parser)
    assert detect.run(parser.parse_args(list(map(str, arguments)))) == 0
    line: dict[str, object] = json.loads(capsys.readouterr().out)
    return line


@pytest.fixture
def bear(data_dir: Path) -> Path:
    return data_dir / "coco" / "evaluate" / "images" / "000000000285.jpg"


def test_a_detector_tells_boxes(bear: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = told(bear, "--model", config.shipped(config.DEFAULT_MODEL), capsys=capsys)

    assert line["size"] == [586, 640]
    assert [found["label"] for found in line["detections"]] == ["bear"]  # type: ignore[attr-defined]


def test_a_classifier_tells_its_best_labels(bear: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = data_dir / "models" / "mobilenet_v1_0.25_128_quant.tflite"

    line = told(bear, "--model", model, "--confidence", 0.5, capsys=capsys)

    assert set(line) == {"image", "size", "labels"}
    (best,) = line["labels"]  # type: ignore[misc]
    assert best["label"] == "brown bear, bruin, Ursus arctos"
    assert best["confidence"] > 0.9


def test_a_segmenter_tells_shares_and_paints_them(
    bear: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = data_dir / "models" / "deeplabv3_mnv2_dm05_pascal_quant.tflite"

    line = told(bear, "--model", model, "--draw", tmp_path, capsys=capsys)

    shares = [found["share"] for found in line["shares"]]  # type: ignore[attr-defined]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0, abs=0.01)
    drawn, plain = cv2.imread(str(tmp_path / "000000000285.jpg")), cv2.imread(str(bear))
    changed = np.abs(drawn.astype(int) - plain).max(axis=2) > 40
    assert changed[250:450, 150:400].mean() > 0.5
    assert changed[:40].mean() < 0.1
