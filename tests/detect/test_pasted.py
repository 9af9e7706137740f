"""Real people, cut out along their outline and walked through a clip they were never in: small ones too are found."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import boxes, config
from agent.data import Detections, Frame, Tracks
from agent.detect.detector import Detector
from agent.detect.model import Model
from agent.detect.watch import Watch

PERSON, HEIGHT, FPS, SECONDS = 0, 64, 10, 3.0
WITHIN_S = 0.5
PEOPLE = 8


@pytest.fixture(scope="module")
def people(data_dir: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """(picture (h, w, 3) RGB, mask (h, w) bool) of standing people, HEIGHT px high."""
    found = []
    for labels in sorted((data_dir / "recipes/coco-person-seg").glob("t*/labels/*.txt")):
        file = labels.parent.parent / "images" / f"{labels.stem}.jpg"
        rows = [line.split() for line in labels.read_text().splitlines()]
        image = cv2.imread(str(file)) if file.exists() else None
        for row in rows if image is not None else []:
            outline = (np.array(row[1:], np.float64).reshape(-1, 2) * image.shape[1::-1]).round().astype(np.int32)
            x, y, w, h = cv2.boundingRect(outline)
            whole = x > 2 and y > 2 and x + w < image.shape[1] - 2 and y + h < image.shape[0] - 2
            if row[0] != str(PERSON) or not whole or h < 100 or not 1.8 < h / w < 4:
                continue
            mask = np.zeros(image.shape[:2], np.uint8)
            cv2.fillPoly(mask, [outline], 255)
            size = (max(1, round(w * HEIGHT / h)), HEIGHT)
            cut = [cv2.resize(a[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA) for a in (image, mask)]
            found.append((cv2.cvtColor(cut[0], cv2.COLOR_BGR2RGB), cut[1] > 127))
    if len(found) < PEOPLE:
        pytest.skip("no outlines of people in the test data (recipes/coco-person-seg)")
    return found[:PEOPLE]


@pytest.fixture(scope="module")
def place(data_dir: Path) -> np.ndarray:
    """The first picture of the clip of cars, (H, W, 3) RGB."""
    good, image = cv2.VideoCapture(str(data_dir / "video/car-detection.mp4")).read()
    assert good
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def found_after(watch: Watch, place: np.ndarray, person: tuple[np.ndarray, np.ndarray]) -> float:
    """s from entering a scene that was empty for a while to the first certain detection in the right place."""
    picture, mask = person
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, 2, place.shape) for _ in range(4)]  # grey levels
    for n in range(int((3 + SECONDS) * FPS)):
        t = n / FPS
        image = np.clip(place + noise[n % len(noise)], 0, 255).astype(np.uint8)
        x, y = round(60 + 40 * (t - 3)), place.shape[0] - HEIGHT - 60
        if t >= 3:
            image[y : y + HEIGHT, x : x + picture.shape[1]][mask] = picture[mask]
        found: Detections = watch.detect("yard", Frame(image, n, t), Tracks.empty())
        truth = np.array([[x, y, x + picture.shape[1], y + HEIGHT]], np.float32)
        right = (boxes.iou(found.xyxy, truth)[:, 0] >= 0.5) & (found.confidence >= 0.5) & (found.class_id == PERSON)
        if t >= 3 and right.any():
            return t - 3
    return float("inf")


def test_most_are_found_soon_after_they_enter(people: list[tuple[np.ndarray, np.ndarray]], place: np.ndarray) -> None:
    model = Model(config.shipped(config.DEFAULT_MODEL))
    waited = {}
    for mode in ("regions", "full"):
        settings = config.Detect(mode=mode)
        waited[mode] = np.array([found_after(Watch(Detector(model), settings), place, one) for one in people])
    assert np.mean(waited["regions"] <= WITHIN_S) >= 0.75
    assert np.sum(waited["regions"] <= WITHIN_S) >= np.sum(waited["full"] <= WITHIN_S)
