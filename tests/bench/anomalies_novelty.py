"""python -m tests.bench.anomalies_novelty [--data DATA] [--fashion DIR] [--layers]: how `novelty` does.

Learned from normal pictures alone, scored on others, by the code that `python -m convert novelty` and the agent run.

tiles     recipes/magnetic-tile of DATA: 90 good tiles to learn; AUROC by picture and by pixel, for each kind of defect
fashion   Debian's dataset-fashion-mnist (DIR: the folder of its .gz files): one class normal, N of its pictures to
          learn, all ten classes of the test set to tell apart; AUROC by picture, a row a class

--layers compares blocks of the trunk and sizes of the input on both: a choice made on one can be read off on the other.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from agent import config
from agent.cli.detect import read_image
from agent.data import Array
from agent.detect.secondary import memory
from agent.detect.secondary.novelty import Novelty
from convert import novelty
from convert.novelty import features
from tests.bench.anomalies import auroc
from tests.conftest import ROOT

TRUNK = config.shipped(config.DEFAULT_MODEL)
FASHION = Path("/usr/share/datasets/fashion-mnist")
LABELS = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
SIDES, BLOCKS = (112, 128, 160, 192), ((5,), (10,), (4, 10), (5, 10), (5, 7, 10))


def scored(
    normal: Sequence[Array], others: Sequence[Array], side: int = features.SIDE,
    blocks: tuple[int, ...] = features.BLOCKS, light: float = novelty.LIGHT,
) -> Array:  # fmt: skip
    """(N, h, w) strangeness of other pictures to a memory of normal ones."""
    flatbuffer, card = features.cut(TRUNK, side, blocks)
    known, *_ = novelty.learned(flatbuffer, card, normal, novelty.Given(Path(), Path(), TRUNK, light=light))
    patches = novelty.described(flatbuffer, card, others)
    return np.stack([known.strangeness(one) for one in patches])


def by_picture(strange: Array) -> Array:
    return np.array([memory.strongest(one) for one in strange])


def tiles(folder: Path) -> tuple[list[Array], list[Array], list[str], list[Array]]:
    """Normal pictures to learn; others, their kinds ("good", ...), and masks (H, W) bool of what is wrong."""
    normal = [read_image(path) for path in sorted((folder / "train" / "good").iterdir())]
    paths = sorted(path for path in (folder / "test").glob("*/*"))
    kinds, pictures = [path.parent.name for path in paths], [read_image(path) for path in paths]
    masks = [np.zeros(picture.shape[:2], np.bool_) for picture in pictures]
    for i, path in enumerate(paths):
        if kinds[i] != "good":
            truth = folder / "ground_truth" / kinds[i] / f"{path.stem}.png"
            masks[i] = read_image(truth)[:, :, 0] > 127
    return normal, pictures, kinds, masks


def fashion(folder: Path, normal: int, tested: int) -> Iterator[tuple[str, list[Array], list[Array], Array]]:
    """Of each class: its name, pictures to learn, pictures to tell apart, and which of those (N,) are of the class."""
    images, labels, others, truth = (
        np.frombuffer(gzip.decompress((folder / f"{name}-ubyte.gz").read_bytes()), np.uint8, offset=offset)
        for name, offset in (
            *(("train-images-idx3", 16), ("train-labels-idx1", 8)),
            *(("t10k-images-idx3", 16), ("t10k-labels-idx1", 8)),
        )
    )
    grey = [np.repeat(pictures.reshape(-1, 28, 28, 1), 3, axis=3) for pictures in (images[: 784 * 10000], others)]
    chosen = np.concatenate([np.flatnonzero(truth == k)[:tested] for k in range(10)])
    for k, name in enumerate(LABELS):
        learned = grey[0][np.flatnonzero(labels[:10000] == k)[:normal]]
        yield name, list(learned), list(grey[1][chosen]), truth[chosen] == k


def tell_tiles(folder: Path, light: float) -> None:
    normal, pictures, kinds, masks = tiles(folder)
    strange = scored(normal, pictures, light=light)
    score, kind = by_picture(strange), np.array(kinds)
    pixels = [
        cv2.resize(one, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        for one, mask in zip(strange, masks, strict=True)
    ]
    print("| magnetic tiles, learned from 90 good ones | AUROC by picture | AUROC by pixel |\n|---|---|---|")
    for name in (*sorted(set(kinds) - {"good"}), "all"):
        those = kind != "good" if name == "all" else kind == name
        shown = np.flatnonzero(those | (kind == "good"))
        wrong = np.concatenate([masks[i].ravel() for i in shown])
        values = np.concatenate([pixels[i].ravel() for i in shown])
        figures = auroc(score[kind == "good"], score[those]), auroc(values[~wrong], values[wrong])
        print(f"| {name} | {figures[0]:.3f} | {figures[1]:.3f} |")


def tell_fashion(folder: Path, normal: int, tested: int, light: float) -> None:
    print(f"\n| fashion, one class normal, learned from {normal} | AUROC |\n|---|---|")
    found = []
    for name, learned, others, same in fashion(folder, normal, tested):
        score = by_picture(scored(learned, others, light=light))
        found.append(auroc(score[same], score[~same]))
        print(f"| {name} | {found[-1]:.3f} |")
    print(f"| mean | {np.mean(found):.3f} |")


def tell_layers(tile_folder: Path, fashion_folder: Path) -> None:
    """Of every choice the AUROC by picture: all tiles; the mean of three classes of fashion, of 100 pictures."""
    normal, pictures, kinds, _ = tiles(tile_folder)
    good = np.array(kinds) == "good"
    some = [one for one in fashion(fashion_folder, 100, 20) if one[0] in ("pullover", "sneaker", "bag")]
    print("\n| px | blocks | tiles | fashion |\n|---|---|---|---|")
    for side in SIDES:
        for blocks in BLOCKS:
            score = by_picture(scored(normal, pictures, side, blocks, 0.0))
            each = []
            for _, learned, others, same in some:
                one = by_picture(scored(learned, others, side, blocks, 0.0))
                each.append(auroc(one[same], one[~same]))
            print(f"| {side} | {blocks} | {auroc(score[good], score[~good]):.3f} | {np.mean(each):.3f} |", flush=True)


def tell_cost(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        out = Path(work) / "tiles.tflite"
        novelty.build(novelty.Given(folder / "train" / "good", out, TRUNK))
        eye, picture, took = Novelty(out), np.zeros((200, 200, 3), np.uint8), []
        for _ in range(60):
            begin = time.perf_counter()
            eye.look(picture)
            took.append((time.perf_counter() - begin) * 1e3)
        print(
            f"\nms a look, least and median: {min(took):.1f}, {np.median(took):.1f}; file {out.stat().st_size >> 10} KB"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    data = Path(os.environ.get("LOOKOUT_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--fashion", type=Path, default=FASHION)
    parser.add_argument("--normal", type=int, default=200, help="pictures of a class of fashion to learn")
    parser.add_argument("--tested", type=int, default=100, help="pictures of each class to tell apart")
    parser.add_argument("--light", type=float, default=novelty.LIGHT, help="as of python -m convert novelty")
    parser.add_argument("--layers", action="store_true", help="compare blocks and sizes: several minutes")
    asked = parser.parse_args()
    folder = asked.data / "recipes" / "magnetic-tile"
    if asked.layers:
        tell_layers(folder, asked.fashion)
        return
    if folder.is_dir():
        tell_tiles(folder, asked.light)
        tell_cost(folder)
    if asked.fashion.is_dir():
        tell_fashion(asked.fashion, asked.normal, asked.tested, asked.light)


if __name__ == "__main__":
    main()
