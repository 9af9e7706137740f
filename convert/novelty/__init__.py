"""python -m convert novelty: pictures in which all is well -> one file that knows when a place looks otherwise.

    pictures ──cut──▶ trunk ──▶ patches ──▶ memory, limit ──▶ .tflite (trunk) + ZIP (card, memory, report)

The limit is where a share `rate` of normal pictures would be told of; the report says how many of them were, each
measured by a memory that did not know it. See agent/detect/secondary/ for who looks with it.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from agent import __version__, modelfile
from agent.cli.detect import read_image
from agent.data import Array
from agent.detect.letterbox import Letterbox
from agent.detect.model import Model
from agent.detect.secondary import memory
from agent.detect.secondary.crops import cut
from convert import ConvertError, output
from convert.int8 import calibration
from convert.novelty import coreset, features

log = logging.getLogger(__name__)
LEAST, MOST = 8, 512  # pictures: fewer cannot say what is usual; of more, so many are taken, evenly
VECTORS = 1000
LIGHT = 0.12  # each picture is also learned by so much darker and brighter: a cloud is not new, though none was seen
SWAY = 0.005  # of a picture's width and, half of it, height: the darker and the brighter one are moved by so much
Region = tuple[float, float, float, float]


class Given(msgspec.Struct, frozen=True):
    """What the command was asked for."""

    normal: Path  # a folder of pictures, or a video
    out: Path
    trunk: Path  # an int8 .tflite with a MobileNetV2 in it
    region: Region = (0.0, 0.0, 1.0, 1.0)  # xyxy 0..1 of each picture
    rate: float = 0.01  # of normal pictures may be told of
    seed: int = 0
    vectors: int = VECTORS
    light: float = LIGHT


def build(given: Given) -> dict[str, Any]:
    """Make the file; its report. Raises ConvertError, in one line, before anything is written."""
    _check(given)
    output.writable(given.out.parent)
    flatbuffer, card = features.cut(given.trunk)
    with calibration.gathered(given.normal) as paths:
        chosen = _spread(paths)
        pictures = [_region(path, given.region) for path in chosen]
        names = "\n".join(path.name for path in chosen)
    log.info("normal     %d of %d pictures of %s", len(chosen), len(paths), given.normal)
    known, scores, lit = learned(flatbuffer, card, pictures, given)
    limit = coreset.limit_of(lit, given.rate)
    beyond = int((scores > limit).sum())
    report = {
        "normal": len(chosen),
        "names_sha256": hashlib.sha256(names.encode()).hexdigest(),
        "held_out": {
            "folds": coreset.FOLDS,
            "beyond": beyond,
            "share": beyond / len(chosen),
            "share_at_most": coreset.at_most(beyond, len(chosen)),  # with 95 % confidence
            "wanted": given.rate,
        },
        "vectors": len(known.vectors),
        "seed": given.seed,
        "light": given.light,
        "sway": SWAY,
    }
    usual = [float(np.median(scores)), float(scores.max())]
    decode = {"limit": limit, "region": list(given.region), "usual": usual, "normal": len(chosen)}
    card = msgspec.structs.replace(card, decode=decode, **_origin(given.trunk))
    data = memory.pack(flatbuffer, card, known, report)
    output.write({given.out: data})
    log.info(
        "limit      %.2f; %d of %d held-out normal pictures are beyond it (%.1f %% at most, 95 %% confidence)",
        *(limit, beyond, len(chosen), 100 * report["held_out"]["share_at_most"]),  # type: ignore[index]
    )
    return report


def learned(
    flatbuffer: bytes, card: modelfile.Card, pictures: Sequence[Array], given: Given
) -> tuple[memory.Memory, Array, Array]:
    """A memory of normal pictures, each as it is, and darker and brighter as a camera that swayed a little sees it; how
    strange each (N,) was to that of others, and in all its ways (3·N,)."""
    ways = (0.0, 1.0), (SWAY, 1 - given.light), (-SWAY, 1 + given.light)
    varied = [cv2.convertScaleAbs(_moved(picture, by), alpha=light) for picture in pictures for by, light in ways]
    patches = described(flatbuffer, card, varied)
    known, scores = coreset.fit(patches, given.vectors, given.seed, runs=len(ways))
    return known, scores[:: len(ways)], scores


def _moved(picture: Array, by: float) -> Array:
    """(H, W, 3) uint8, moved right by that share of its width and down by half that of its height."""
    if not by:
        return picture
    height, width = picture.shape[:2]
    shift = np.array([[1, 0, by * width], [0, 1, by / 2 * height]], np.float32)
    return np.asarray(cv2.warpAffine(picture, shift, (width, height), borderMode=cv2.BORDER_REFLECT))


def described(flatbuffer: bytes, card: modelfile.Card, pictures: Sequence[Array]) -> Array:
    """(N, h, w, C) float32: what the trunk says of pictures (H, W, 3) uint8 RGB."""
    with tempfile.TemporaryDirectory(prefix="lookout-novelty-") as folder:
        path = Path(folder) / "trunk.tflite"
        path.write_bytes(modelfile.pack(flatbuffer, card)[0])
        model = Model(path, threads=1)
        letterbox, head, backend = Letterbox(card.input, model.backend.inputs[0]), model.patcher(), model.backend
        found = []
        for picture in pictures:
            letterbox.fill(backend.input, picture)
            found.append(head.patches(backend.run()))
    return np.stack(found)


def _check(given: Given) -> None:
    """What can be said before anything is read."""
    x1, y1, x2, y2 = given.region
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        shown = ",".join(f"{value:g}" for value in given.region)
        raise ConvertError(
            f"--region {shown}: must be x0,y0,x1,y1 between 0 and 1, left before right, top before bottom"
        )
    if given.out.suffix != ".tflite":
        raise ConvertError(f"--out {given.out}: must end in .tflite")
    if given.out.resolve() == given.trunk.resolve():
        raise ConvertError(f"--out {given.out}: is the feature model itself; name another file")
    if not 0 < given.rate < 0.5:
        raise ConvertError(f"--rate {given.rate:g}: the share of normal pictures told of must be between 0 and 0.5")
    if not 0 <= given.light < 1:
        raise ConvertError(f"--light {given.light:g}: must be a share of the light, from 0 to below 1")
    if not 16 <= given.vectors <= memory.MOST:
        raise ConvertError(f"--vectors {given.vectors}: must be 16 to {memory.MOST}")


def _spread(paths: Sequence[Path]) -> list[Path]:
    """MOST of them at most, evenly. Raises ConvertError for too few."""
    if len(paths) < LEAST:
        raise ConvertError(
            f"--normal: {len(paths)} picture{'s' * (len(paths) != 1)} cannot say what is usual; give {LEAST} or more,"
            " better 50, of different hours"
        )
    return [paths[i] for i in np.linspace(0, len(paths) - 1, min(len(paths), MOST)).round().astype(int)]


def _region(path: Path, region: Region) -> Array:
    image = read_image(path)
    left, top, right, bottom = cut(region, (image.shape[1], image.shape[0]))
    return image[top:bottom, left:right].copy()


def _origin(trunk: Path) -> dict[str, Any]:
    """source, licence and quant of the card, from the model that the trunk was cut from."""
    file = modelfile.read(trunk)
    source = {"file": trunk.name, "sha256": file.sha256, "blocks": list(features.BLOCKS), "lookout": __version__}
    quant = modelfile.Quant("int8", "as in the model it was cut from")
    return {"source": source, "quant": quant, "licence": file.card.licence if file.card else ""}
