"""Labelled pictures of a few discs on noise: masks, boxes, and a folder a name."""

import cv2
import numpy as np


def scene(generator, size=(48, 32), count=2):
    """(h, w, 3) uint8 RGB, its mask of 0 and 1, and the discs' boxes (N, 4) px xyxy; `size` (width, height)."""
    image = generator.integers(0, 60, (size[1], size[0], 3)).astype(np.uint8)
    mask, boxes = np.zeros((size[1], size[0]), np.uint8), []
    for number in range(count):
        radius = 5
        x = int(generator.integers(radius + 1, size[0] // count - radius - 1)) + number * size[0] // count
        y = int(generator.integers(radius + 1, size[1] - radius - 1))
        cv2.circle(image, (x, y), radius, (210, 200, 90), -1)
        cv2.circle(mask, (x, y), radius, 1, -1)
        boxes.append((x - radius, y - radius, x + radius + 1, y + radius + 1))
    return image, mask, np.array(boxes, np.float64)


def masked(root, count, seed=0, white=False):
    """ROOT/images and ROOT/masks; the root."""
    generator = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for i in range(count):
        image, mask, _ = scene(generator)
        cv2.imwrite(str(root / "images" / f"p{i}.png"), image[:, :, ::-1])
        cv2.imwrite(str(root / "masks" / f"p{i}.png"), mask * (255 if white else 1))
    return root


def boxed(root, count, seed=0):
    """A YOLO folder of one class; the root."""
    generator = np.random.default_rng(seed)
    for name in ("images", "labels"):
        (root / name).mkdir(parents=True)
    (root / "data.yaml").write_text("names: [disc]\n")
    for i in range(count):
        image, _, boxes = scene(generator, (96, 64))
        cv2.imwrite(str(root / "images" / f"p{i}.png"), image[:, :, ::-1])
        rows = [((a + c) / 192, (b + d) / 128, (c - a) / 96, (d - b) / 64) for a, b, c, d in boxes]
        lines = [f"0 {' '.join(f'{v:.6f}' for v in row)}\n" for row in rows]
        (root / "labels" / f"p{i}.txt").write_text("".join(lines))
    return root
