"""A model's manifest: what its maker signs, so that a device takes his models and nobody else's.

    mine.manifest.json       {"file": "mine.tflite", "size": 3411968, "sha256": "9f2c...", "version": 7}
    mine.manifest.json.sig   Ed25519 signature of those very bytes, base64

The version rises with every model: a signed old one, sent again, is refused. The device holds the public key only.
`python -m convert sign` makes both files. Source: RFC 8032 (Ed25519), by libsodium through PyNaCl.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from agent.data import NOT_JSON, LookoutError

SUFFIX, SIGNATURE_SUFFIX = ".manifest.json", ".sig"
LARGEST = 16 << 10  # bytes of a manifest


class ManifestError(LookoutError):
    """A manifest or a model that is not what its maker signed."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One model of one maker."""

    file: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,120}\.tflite$")]  # beside the manifest
    size: Annotated[int, Meta(ge=1, le=256 << 20)]  # bytes
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]  # of the file
    version: Annotated[int, Meta(ge=1, le=2**53)]  # rises


class Standing(msgspec.Struct, frozen=True):
    """Which version runs, and which there is."""

    installed: int = 0  # 0: a model that came without a manifest
    latest: int = 0  # as installed where there is none above it
    trouble: str = ""  # why the last look for one found nothing out


def verified(text: bytes, signature: bytes, public_key: str) -> Manifest:
    """A manifest whose signature is good. Raises ManifestError: signed by someone else, changed, or not a manifest."""
    signing = _nacl()
    try:
        key = signing.VerifyKey(base64.b64decode(public_key, validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise ManifestError(f"public key: not 32 bytes in base64 ({error})") from error
    try:
        key.verify(text, base64.b64decode(signature.strip(), validate=True))
    except (binascii.Error, ValueError, signing.BadSignature) as error:
        raise ManifestError("manifest: its signature is not good (changed, or signed with another key)") from error
    try:
        return msgspec.json.decode(text, type=Manifest)
    except NOT_JSON as error:
        raise ManifestError(f"manifest: {error}") from error


def check_file(manifest: Manifest, file: Path) -> None:
    """Raises ManifestError where the bytes are not those that were signed for."""
    data = file.read_bytes()
    if len(data) != manifest.size or hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise ManifestError(f"model {file.name}: its bytes are not those of its manifest")


def signed(model: Path, private_key: bytes, version: int) -> tuple[bytes, bytes]:
    """The manifest of a model, and its signature. Raises ManifestError for a key that is none."""
    signing = _nacl()
    data = model.read_bytes()
    manifest = Manifest(model.name, len(data), hashlib.sha256(data).hexdigest(), version)
    try:
        checked = msgspec.convert(msgspec.to_builtins(manifest), Manifest)
        key = signing.SigningKey(base64.b64decode(private_key.strip(), validate=True))
    except msgspec.ValidationError as error:
        raise ManifestError(f"manifest: {error}") from error
    except (binascii.Error, ValueError, TypeError) as error:
        raise ManifestError(f"private key: not 32 bytes in base64 ({error})") from error
    text = msgspec.json.encode(checked) + b"\n"
    return text, base64.b64encode(key.sign(text).signature) + b"\n"


def new_key() -> tuple[bytes, str]:
    """A private key (to be kept) and its public key (for [updates] public_key), both in base64."""
    key = _nacl().SigningKey.generate()
    return base64.b64encode(bytes(key)) + b"\n", base64.b64encode(bytes(key.verify_key)).decode()


class _Signing:
    """What is used of PyNaCl."""

    def __init__(self) -> None:
        from nacl.exceptions import BadSignatureError  # noqa: PLC0415  an extra: only who signs or verifies has it
        from nacl.signing import SigningKey, VerifyKey  # noqa: PLC0415

        self.SigningKey, self.VerifyKey, self.BadSignature = SigningKey, VerifyKey, BadSignatureError


def _nacl() -> _Signing:
    try:
        return _Signing()
    except ImportError:
        raise ManifestError("signatures need PyNaCl; pip install 'lookout-agent[signed]'") from None
