"""A model's manifest and its signature, so that devices take it and no other's: `python -m convert sign`."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import msgspec

from agent.detect.model import Model
from agent.device import manifest
from agent.device.manifest import Manifest
from agent.modelfile import ModelError
from convert import ConvertError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", nargs="?", type=Path, metavar="MODEL", help="a .tflite with its card inside")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the private key that signs it")
    parser.add_argument("--version", type=int, metavar="N", help="from 1, rising with every model")
    parser.add_argument("--new-key", type=Path, metavar="FILE", help="make a private key and print its public one")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write what was asked for; the exit code."""
    if args.new_key and not (args.model or args.key or args.version):
        print(new_key(args.new_key))  # noqa: T201  what goes into [updates] public_key
        return 0
    if args.new_key or not (args.model and args.key and args.version):
        raise ConvertError("sign: MODEL --key FILE --version N, or --new-key FILE alone")
    for path in sign(args.model, args.key, args.version):
        print(path)  # noqa: T201
    return 0


def new_key(path: Path) -> str:
    """Write a private key, for its owner alone, and return the public one. Raises ConvertError: there is a file."""
    private, public = manifest.new_key()
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConvertError(f"sign: {path} is there already; devices know its public key, so it is left alone") from None
    with os.fdopen(fd, "wb") as file:
        file.write(private)
    return public


def sign(model: Path, key: Path, version: int) -> tuple[Path, Path]:
    """NAME.manifest.json and NAME.manifest.json.sig beside NAME.tflite; both go onto the server with it.

    Raises ManifestError, or ConvertError: a model that does not run alone, or a version that does not rise.
    """
    _check_alone(model)
    told = model.with_suffix(manifest.SUFFIX)
    signature = told.with_name(told.name + manifest.SIGNATURE_SUFFIX)
    if told.exists() and (before := _version(told)) >= version:
        raise ConvertError(f"sign: version {version} is not above {before}, that of {told}; devices would not take it")
    texts = manifest.signed(model, key.read_bytes(), version)
    for path, text in zip((told, signature), texts, strict=True):
        path.write_bytes(text)
    return told, signature


def _check_alone(model: Path) -> None:
    """A device gets the model and none of its sidecars: they would not be signed."""
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / model.name
        alone.symlink_to(model.resolve())
        try:
            Model(alone)
        except ModelError as error:
            told = str(error).replace(str(alone), str(model))
            raise ConvertError(f"sign: {told}; a device gets this file and none that lie beside it") from error


def _version(told: Path) -> int:
    try:
        return msgspec.json.decode(told.read_bytes(), type=Manifest).version
    except msgspec.MsgspecError as error:
        raise ConvertError(f"sign: {told} is no manifest ({error}); move it away") from error
