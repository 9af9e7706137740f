"""How far `count` is off on microscope pictures of nuclei, with those that touch told apart and not.

    python -m tests.bench.counting [--data DIR]

nuclei-dsb2018, 256 x 256 px; the truth is the number of values in a mask. `_HILL` was chosen on the train split.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from agent.cli.detect import read_image
from agent.detect.secondary import Where
from agent.detect.secondary.kinds import count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    folder = parser.parse_args().data / "recipes" / "nuclei-dsb2018" / "test"
    print("| told apart | pictures | nuclei in each | off by, mean | median of off / nuclei |\n|---|---|---|---|---|")
    for split in (True, False):
        eye = count.create(count.Options(least_area=15, split=split), Where("it", Path()))
        off, there = [], []
        for path in sorted((folder / "images").glob("*.png")):
            mask = cv2.imread(str(folder / "masks" / path.name), cv2.IMREAD_GRAYSCALE)
            there.append(len(np.unique(mask)) - 1)
            off.append(abs(len(eye.look(read_image(path), 1.0)) - there[-1]))
        share = np.median(np.array(off) / there)
        told = "yes" if split else "no"
        print(f"| {told} | {len(off)} | {np.mean(there):.1f} | {np.mean(off):.2f} | {share:.1%} |")


if __name__ == "__main__":
    main()
