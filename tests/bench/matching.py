"""What `match` is worth with the untrained trunk of the shipped detector, beside raw pixels: the figures to beat.

    python -m tests.bench.matching [--data DIR]

faces: orl-faces, people of the test split, pairs of all pictures. products: grocery, photographs of the test split
against the clean picture of each product (recall@1, @5). No training: a recipe's embedder must do better.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.cli.detect import read_image
from agent.data import Array
from agent.detect.secondary import Where, pairs
from agent.detect.secondary.crops import taken
from agent.detect.secondary.kinds.match import Match, Options
from models.likeness import pixels, recall
from tests.detect.secondary import eyes

_SUFFIXES = (".jpg", ".png", ".pgm")
Embed = Callable[[Array], Array]


def of_folders(folder: Path, embed: Embed) -> tuple[Array, list[str]]:
    """(N, D) and N names of <folder>/<name>/<picture>."""
    files = [path for path in sorted(folder.glob("*/*")) if path.suffix.lower() in _SUFFIXES]
    return np.stack([embed(read_image(path)) for path in files]), [path.parent.name for path in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    data = parser.parse_args().data / "recipes"
    with tempfile.TemporaryDirectory() as work:
        eye = Match(Options(eyes.embedder(Path(work) / "trunk.tflite", 96)), Where("it", Path(work)))
        ways: dict[str, Embed] = {
            "raw pixels": pixels,
            "untrained trunk, int8": lambda image: eye.look(*taken(image, (0, 0, *image.shape[1::-1]), eye.side)),
        }
        print("| embedding | faces: EER | false rejects at 1 % false accepts | products: recall@1 | @5 |")
        print("|---|---|---|---|---|")
        for name, embed in ways.items():
            same, different = pairs.cosines(*of_folders(data / "orl-faces" / "test", embed))
            found = pairs.judged(same, different, 0.01)
            photos, gallery = (of_folders(data / "grocery" / part, embed) for part in ("test", "iconic"))
            shares = [recall(*photos, *gallery, first) for first in (1, 5)]
            print(
                f"| {name} | {found.equal:.1%} ({found.same} + {found.different} pairs) | {found.false_rejects:.1%}"
                f" | {shares[0]:.1%} | {shares[1]:.1%} |"
            )


if __name__ == "__main__":
    main()
