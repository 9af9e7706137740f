"""What cures for dark pictures are worth: AP of the shipped model on darkened, noisy copies of real pictures.

    python -m tests.bench.enhance pets|coco [--data DIR] [--gain 0.0625] [--every 24]

Dark: light × gain in linear light, shot noise of 400 electrons at white (as a normal
distribution) and 2 of read noise, 8 bits again.
pets: every 24th frame of vtest.avi with PETS' truth, each after the 8 before it; coco: the labelled pictures, which do
not move, each after 8 copies with other noise. Without --gain: bright, and two kinds of dark.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from agent import config
from agent.data import Array, Detections, Frame, Tracks
from agent.detect.detector import Detector
from agent.detect.enhance import Enhance
from agent.detect.model import Model
from convert.accuracy import coco

GAINS = {"pets": (1 / 16, 1 / 48), "coco": (1 / 8, 1 / 24)}
BEFORE = 8  # frames


def darkened(image: Array, gain: float, rng: np.random.Generator) -> Array:
    """(H, W, 3) uint8 -> the same in little light."""
    light = (np.power(np.arange(256) / 255.0, 2.2) * gain * 400).astype(np.float32)[image]
    caught = light + rng.standard_normal(image.shape, np.float32) * np.sqrt(light + 4)
    return np.asarray(np.rint(255 * np.clip(caught / 400, 0, 1) ** (1 / 2.2)), np.uint8)


def gamma(image: Array) -> Array:
    level = max(float(image.mean()) / 255, 1e-3)
    table = np.rint(255 * (np.arange(256) / 255) ** np.clip(np.log(0.4) / np.log(level), 0.3, 1.0))
    return np.asarray(cv2.LUT(image, table.astype(np.uint8)))


def clahe(image: Array) -> Array:
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


def smooth(image: Array) -> Array:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8))


def enhanced(images: list[Array], *, is_smooth: bool = True) -> Array:
    """What agent/detect/enhance.py makes of them, or the mean that it goes on with."""
    enhance = Enhance()
    for n, image in enumerate(images):
        frame = enhance(Frame(image, n, n / 10))
    return frame.image if is_smooth or enhance._mean is None else enhance._mean


CURES: dict[str, Callable[[list[Array]], Array]] = {
    "none": lambda images: images[-1],
    "gamma": lambda images: gamma(images[-1]),
    "clahe": lambda images: clahe(images[-1]),
    "smooth": lambda images: smooth(images[-1]),
    "over time": lambda images: enhanced(images, is_smooth=False),
    "enhance": enhanced,
    "over time, gamma": lambda images: gamma(enhanced(images, is_smooth=False)),
    "over time, clahe": lambda images: clahe(enhanced(images, is_smooth=False)),
}


def pets(data: Path, labels: tuple[str, ...], every: int) -> Iterator[tuple[list[Array], Detections]]:
    """The frames up to one, and who is in it."""
    truth = np.loadtxt(data / "tracking" / "PETS09-S2L1.gt.txt", delimiter=",")
    clip, images, n = cv2.VideoCapture(str(data / "video" / "vtest.avi")), list[Array](), 0
    while (read := clip.read())[0]:
        images = [*images[-BEFORE:], np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))]
        n += 1
        if n % every == 0:
            boxes = truth[truth[:, 0] == n, 2:6].astype(np.float32)
            boxes[:, 2:] += boxes[:, :2]
            person = np.full(len(boxes), labels.index("person"), np.int32)
            yield images, Detections(boxes, np.ones(len(boxes), np.float32), person)


def pictures(data: Path, labels: tuple[str, ...], every: int) -> Iterator[tuple[list[Array], Detections]]:
    """A picture, and what is in it."""
    folder = data / "coco"
    names = [
        line.partition(":")[2].strip() for line in (folder / "data.yaml").read_text().splitlines() if line[:1] == " "
    ]
    for path in sorted((folder / "evaluate" / "images").glob("*.jpg"))[:: max(1, every // 24)]:
        image = np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))
        told = folder / "evaluate" / "labels" / f"{path.stem}.txt"
        rows = np.loadtxt(told, ndmin=2) if told.exists() else np.zeros((0, 5))
        rows = np.array([row for row in rows if names[int(row[0])] in labels]).reshape(-1, 5)
        size = np.array([image.shape[1], image.shape[0]])
        centre, half = rows[:, 1:3] * size, rows[:, 3:5] * size / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
        kinds = np.array([labels.index(names[int(row[0])]) for row in rows], np.int32)
        yield [image] * (BEFORE + 1), Detections(boxes, np.ones(len(boxes), np.float32), kinds)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=GAINS)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--gain", type=float, help="of the light; 1 is the picture as it is")
    parser.add_argument("--every", type=int, default=24)
    return parser.parse_args()


def main() -> None:
    args = parsed()
    model = Model(config.shipped(config.DEFAULT_MODEL), threads=2)
    detector, labels = Detector(model, confidence=0.05), model.card.labels
    crops = np.array([[x, y, x + 288, y + 288] for y in (0, 288) for x in (0, 240, 480)], np.int32)
    source = {"pets": pets, "coco": pictures}[args.what]

    def found(image: Array) -> Detections:
        if args.what == "coco":
            return detector.detect(Frame(image, 0, 0.0))
        seen = detector.look(Frame(image, 0, 0.0), crops, Tracks.empty())[0]
        return seen[seen.class_id == labels.index("person")]

    def told(name: str, gain: float, seen: list[Detections], truth: list[Detections], ms: float) -> None:
        figures = coco.coco(seen, truth, len(labels)).figures
        print(
            f"| {args.what} | 1/{1 / gain:.0f} | {name} | {figures['map']:.3f} | {figures['ap50']:.3f} | {ms:.1f} |",
            flush=True,
        )

    print("| pictures | light | cure | mAP | AP50 | ms a frame |\n|---|---|---|---|---|---|")
    for gain in (1.0, *GAINS[args.what]) if args.gain is None else (args.gain,):
        cures = CURES if gain < 1 else {"none": CURES["none"]}
        rng, truth = np.random.default_rng(0), list[Detections]()
        seen: dict[str, list[Detections]] = {name: [] for name in cures}
        took = dict.fromkeys(cures, 0.0)
        for images, there in source(args.data, labels, args.every):
            dark = [darkened(image, gain, rng) if gain < 1 else image for image in images]
            truth.append(there)
            for name, cure in cures.items():
                begin = time.perf_counter()
                image = cure(dark)
                took[name] += (time.perf_counter() - begin) / (len(dark) if "time" in name or "enhance" in name else 1)
                seen[name].append(found(image))
        for name in cures:
            told(name, gain, seen[name], truth, took[name] / len(truth) * 1e3)


if __name__ == "__main__":
    main()
