"""Teach `match` whom it knows: add NAME IMAGE.. | list | remove NAME, or --all | test.

    python -m agent gallery add anna anna1.jpg anna2.jpg    each picture alike to what the camera shows: one face
    python -m agent gallery test --far 0.01 --set           the limit that lets through at most 1 % of strangers
    python -m agent gallery remove --all                    the file and kept pictures are gone

Only vectors are stored, in state_dir of the config, never the pictures; --keep-pictures copies them beside.
"""

from __future__ import annotations

import argparse
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from agent import config
from agent.cli.detect import fraction, read_image
from agent.cli.update import state_of
from agent.data import Array, LookoutError
from agent.detect.secondary import Where, gallery, pairs
from agent.detect.secondary.crops import taken
from agent.detect.secondary.kinds.match import Match

_NAME = re.compile(r"[^/.\0][^/\0]{0,63}")  # a folder's too
_PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".pgm", ".webp")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=Path("agent.toml"), help="where [second.NAME] stands")
    parser.add_argument("--second", metavar="NAME", help="which, if there are several of kind match")
    does = parser.add_subparsers(dest="does", metavar="add | list | remove | test", required=True)
    add = does.add_parser("add", help="pictures of somebody or something, more to come at any time")
    add.add_argument("name")
    add.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    add.add_argument("--keep-pictures", action="store_true", help="copy them beside the gallery")
    does.add_parser("list", help="names, how many pictures each, and the limit")
    remove = does.add_parser("remove", help="forget a name")
    remove.add_argument("name", nargs="?")
    remove.add_argument("--all", action="store_true", help="forget everybody: no file is left")
    test = does.add_parser("test", help="what a limit costs, measured on pairs of pictures")
    test.add_argument("--far", type=fraction, default=0.01, help="share of strangers let through at most (0.01)")
    test.add_argument("--others", type=Path, metavar="DIR", help="further pictures, a folder a name; not stored")
    test.add_argument("--set", action="store_true", help="keep the limit in the gallery")


def run(args: argparse.Namespace) -> int:
    settings = config.load(args.config)
    name = _chosen(settings, args.second)
    where = Where(name, state_of(settings))
    path = gallery.path_of(where.state, name)
    if args.does == "remove" and args.all:  # needs no model: a gallery of a lost one can be deleted too
        print(f"{path}: {'deleted' if gallery.delete(path) else 'there was none'}")
        return 0
    eye = Match(settings.second[name].options, where)
    does: dict[str, Callable[[argparse.Namespace, Match], None]] = {"add": _add, "list": _list, "test": _test}
    does.get(args.does, _remove)(args, eye)
    return 0


def _chosen(settings: config.Config, asked: str | None) -> str:
    matching = [name for name, one in settings.second.items() if one.kind == "match"]
    if asked is None and len(matching) == 1:
        return matching[0]
    if asked in matching:
        return str(asked)
    known = ", ".join(matching) or 'none; add [second.NAME] with kind = "match"'
    raise LookoutError(f"gallery: name one of kind match with --second; there are: {known}")


def _add(args: argparse.Namespace, eye: Match) -> None:
    if not _NAME.fullmatch(args.name):
        raise LookoutError(f"gallery: {args.name!r} cannot be a name; 1 to 64 characters without '/', no '.' first")
    vectors = np.stack([_vector(eye, path) for path in args.images])  # all are read before anything is written
    known = gallery.read(eye.path, eye.sha256).with_vectors(args.name, vectors)
    gallery.write(eye.path, known)
    if args.keep_pictures:
        _keep(args.images, gallery.pictures_of(eye.path) / args.name)
    print(f"{args.name}: {Counter(known.names)[args.name]} pictures in {eye.path}")


def _keep(images: Sequence[Path], folder: Path) -> None:
    """Copies, numbered on from those that are there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = len(list(folder.iterdir()))
        for number, path in enumerate(images, before + 1):
            shutil.copyfile(path, folder / f"{number:03d}{path.suffix}")
    except OSError as error:
        raise LookoutError(f"gallery: pictures not kept in {folder} ({error.strerror}); what they show is") from error


def _list(args: argparse.Namespace, eye: Match) -> None:
    del args
    known = gallery.read(eye.path, eye.sha256)
    for name, count in sorted(Counter(known.names).items()):
        print(f"{name}: {count} pictures")
    print(f"limit: {'not set; gallery test --set' if known.limit is None else f'{known.limit:.3f} ({known.promise})'}")


def _remove(args: argparse.Namespace, eye: Match) -> None:
    if args.name is None:
        raise LookoutError("gallery: remove whom? NAME, or --all")
    gallery.write(eye.path, gallery.read(eye.path, eye.sha256).without(args.name))
    gallery.delete_pictures(gallery.pictures_of(eye.path) / args.name)
    print(f"{args.name}: forgotten")


def _test(args: argparse.Namespace, eye: Match) -> None:
    known = gallery.read(eye.path, eye.sha256)
    others = list(_others(args.others))
    if not known.names:
        raise LookoutError("gallery: it is empty; gallery add NAME IMAGE..")
    vectors, names = list(known.vectors), list(known.names)
    for name, path in others:
        vectors.append(_vector(eye, path))
        names.append(f"{args.others}/{name}")  # somebody else, also where the name is the same
    same, different = pairs.cosines(np.array(vectors, np.float32), names)
    found = pairs.judged(same, different, args.far)
    promise = (
        f"lets through {found.false_accepts:.2%} of {found.different} pairs of two,"
        f" refuses {found.false_rejects:.2%} of {found.same} of one"
    )
    print(f"limit {found.limit:.3f}: {promise}; equal error rate {found.equal:.2%}")
    if args.set:
        gallery.write(eye.path, msgspec.structs.replace(known, limit=found.limit, promise=promise))
        print(f"kept in {eye.path}")


def _others(folder: Path | None) -> Iterable[tuple[str, Path]]:
    if folder is None:
        return []
    found = [(path.parent.name, path) for path in sorted(folder.glob("*/*")) if path.suffix.lower() in _PICTURES]
    if not found:
        raise LookoutError(f"gallery: {folder} has no folders with pictures in them")
    return found


def _vector(eye: Match, path: Path) -> Array:
    image = read_image(path)
    picture, scale = taken(image, (0, 0, image.shape[1], image.shape[0]), eye.side)
    return eye.look(picture, scale)
