"""python -m convert sign: what it writes, a device takes; what no device would take, it does not sign."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from agent import config
from agent.device import manifest
from convert.__main__ import main

pytest.importorskip("nacl", reason="PyNaCl is not installed")
SHIPPED = config.shipped(config.DEFAULT_MODEL)


@pytest.fixture
def key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str]:
    """A private key's file, and the public key."""
    path = tmp_path / "maker.key"
    assert main(["sign", "--new-key", str(path)]) == 0
    return path, capsys.readouterr().out.strip()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.tflite"
    path.write_bytes(SHIPPED.read_bytes())
    return path


def test_a_new_key_is_its_owners_alone_and_never_written_over(
    key: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path, public = key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    updates = f'[updates]\nmanifest = "https://x/y.manifest.json"\npublic_key = "{public}"\n'
    config.parse(f'[cameras.x]\nkind = "synthetic"\n{updates}', Path("agent.toml"))
    before = path.read_bytes()
    assert main(["sign", "--new-key", str(path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_what_was_signed_is_what_a_device_takes(key: tuple[Path, str], model: Path) -> None:
    assert main(["sign", str(model), "--key", str(key[0]), "--version", "7"]) == 0
    text = (model.parent / "mine.manifest.json").read_bytes()
    signature = (model.parent / "mine.manifest.json.sig").read_bytes()
    found = manifest.verified(text, signature, key[1])
    assert (found.file, found.version) == ("mine.tflite", 7)
    manifest.check_file(found, model)


def test_versions_rise(key: tuple[Path, str], model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sign = ["sign", str(model), "--key", str(key[0]), "--version"]
    assert [main([*sign, version]) for version in ("7", "7", "6", "8")] == [0, 2, 2, 0]
    assert "version 6 is not above 7" in capsys.readouterr().err


def test_a_model_that_needs_a_sidecar_is_not_signed(
    key: tuple[Path, str], model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = model.read_bytes()
    model.write_bytes(data[: data.rindex(b"PK\x03\x04", 0, data.rindex(b"PK\x01\x02"))])
    model.with_suffix(".json").write_bytes(SHIPPED.with_suffix(".json").read_bytes())
    assert main(["sign", str(model), "--key", str(key[0]), "--version", "1"]) == 2
    assert "a device gets this file and none that lie beside it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "MODEL --key FILE --version N, or --new-key FILE alone"),
        (["{model}"], "MODEL --key FILE --version N, or --new-key FILE alone"),
        (["{model}", "--new-key", "x"], "MODEL --key FILE --version N, or --new-key FILE alone"),
        (["{model}", "--key", "{model}", "--version", "1"], "private key: not 32 bytes in base64"),
        (["{model}", "--key", "none", "--version", "1"], "none: No such file"),
        (["none.tflite", "--key", "none", "--version", "1"], "none.tflite"),
        (["{model}", "--key", "{key}", "--version", "-1"], "manifest: "),
    ],
)
def test_bad_input_is_one_line(
    key: tuple[Path, str], model: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sign", *(one.format(model=model, key=key[0]) for one in arguments)]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert {path.name for path in model.parent.iterdir()} == {"mine.tflite", "maker.key"}
