"""Only what the maker signed passes, byte for byte."""

import base64
from pathlib import Path

import msgspec
import pytest

from agent.device import manifest
from agent.device.manifest import ManifestError

pytest.importorskip("nacl", reason="PyNaCl is not installed")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.tflite"
    path.write_bytes(b"0000TFL3" + bytes(range(256)))
    return path


def test_what_was_signed_is_taken(model: Path) -> None:
    private, public = manifest.new_key()
    text, signature = manifest.signed(model, private, 7)

    found = manifest.verified(text, signature, public)

    assert (found.file, found.size, found.version) == ("mine.tflite", 264, 7)
    manifest.check_file(found, model)


def test_any_byte_that_was_changed_is_seen(model: Path) -> None:
    private, public = manifest.new_key()
    text, signature = manifest.signed(model, private, 7)
    for n in range(len(text)):
        changed = text[:n] + bytes([text[n] ^ 1]) + text[n + 1 :]
        with pytest.raises(ManifestError, match="its signature is not good"):
            manifest.verified(changed, signature, public)
    found = manifest.verified(text, signature, public)
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    with pytest.raises(ManifestError, match=r"model mine.tflite: its bytes are not those of its manifest"):
        manifest.check_file(found, model)


def test_another_makers_signature_is_refused(model: Path) -> None:
    text, signature = manifest.signed(model, manifest.new_key()[0], 7)
    with pytest.raises(ManifestError, match="its signature is not good"):
        manifest.verified(text, signature, manifest.new_key()[1])


@pytest.mark.parametrize("signature", [b"", b"%%%", base64.b64encode(b"short"), bytes(64)])
def test_what_is_no_signature_is_refused(model: Path, signature: bytes) -> None:
    private, public = manifest.new_key()
    text, _ = manifest.signed(model, private, 7)
    with pytest.raises(ManifestError, match="its signature is not good"):
        manifest.verified(text, signature, public)


@pytest.mark.parametrize("key", ["", "not base64", base64.b64encode(b"short").decode()])
def test_a_key_that_is_none(model: Path, key: str) -> None:
    text, signature = manifest.signed(model, manifest.new_key()[0], 7)
    with pytest.raises(ManifestError, match="public key: not 32 bytes in base64"):
        manifest.verified(text, signature, key)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"file": "../mine.tflite"}, {"file": "/etc/passwd"}, {"file": ".tflite"}),
        *({"size": 1 << 40}, {"version": 0}, {"sha256": "x"}, {"more": 1}),
    ],
)
def test_a_signed_manifest_that_makes_no_sense_is_refused(model: Path, wrong: dict[str, object]) -> None:
    from nacl.signing import SigningKey

    private, public = manifest.new_key()
    text, _ = manifest.signed(model, private, 7)
    text = msgspec.json.encode(msgspec.json.decode(text) | wrong)
    signature = base64.b64encode(SigningKey(base64.b64decode(private)).sign(text).signature)
    with pytest.raises(ManifestError, match=f"manifest: .*{next(iter(wrong))}"):
        manifest.verified(text, signature, public)


def test_a_model_whose_name_no_device_takes_is_not_signed(tmp_path: Path) -> None:
    (tmp_path / "mine too.tflite").write_bytes(b"x")
    with pytest.raises(ManifestError, match=r"manifest: .*file"):
        manifest.signed(tmp_path / "mine too.tflite", manifest.new_key()[0], 1)
