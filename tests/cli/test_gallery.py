"""python -m agent gallery: names come and go, pictures are not kept unless asked, and a limit says what it costs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import pytest

from agent.__main__ import main
from agent.detect.secondary import gallery
from tests.detect.secondary import eyes
from tests.detect.secondary.test_kinds import thing

CONFIG = """
state_dir = "state"
[cameras.yard]
kind = "synthetic"
[second.thing]
kind = "match"
file = "trunk.tflite"
labels = ["person"]
"""


@pytest.fixture(scope="module")
def trunk(tmp_path_factory) -> bytes:
    return eyes.embedder(tmp_path_factory.mktemp("models") / "trunk.tflite").read_bytes()


@pytest.fixture
def folder(tmp_path: Path, trunk: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config, its model, and four pictures each of four things."""
    (tmp_path / "agent.toml").write_text(CONFIG)
    (tmp_path / "trunk.tflite").write_bytes(trunk)
    for name in range(4):
        (tmp_path / f"thing{name}").mkdir()
        for view in range(4):
            picture = cv2.cvtColor(thing(name, view), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(tmp_path / f"thing{name}" / f"{view}.png"), picture)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add(name: int, *more: str) -> int:
    return main(["gallery", "add", f"thing {name}", *[f"thing{name}/{view}.png" for view in range(4)], *more])


def test_names_come_and_go_and_no_picture_stays(folder, capsys):
    assert add(0) == add(1) == 0
    assert main(["gallery", "list"]) == 0
    assert "thing 0: 4 pictures\nthing 1: 4 pictures\nlimit: not set" in capsys.readouterr().out
    files = list((folder / "state").iterdir())
    assert [file.name for file in files] == ["thing.gallery"]
    assert files[0].stat().st_mode & 0o777 == 0o600
    assert files[0].stat().st_size < 8 * 2 * 200 + 1000  # eight vectors of 96 numbers, not eight pictures of 57 kB
    assert main(["gallery", "remove", "thing 0"]) == 0
    assert main(["gallery", "list"]) == 0
    assert "thing 0: 4" not in capsys.readouterr().out.split("forgotten")[1]
    assert main(["gallery", "remove", "--all"]) == 0
    assert list((folder / "state").iterdir()) == []


def test_pictures_are_kept_when_asked_and_go_with_their_name(folder):
    assert add(0, "--keep-pictures") == add(1, "--keep-pictures") == 0
    kept = folder / "state" / "thing.pictures"
    assert sorted(str(path.relative_to(kept)) for path in kept.rglob("*.png"))[:2] == [
        "thing 0/001.png",
        "thing 0/002.png",
    ]
    assert main(["gallery", "remove", "thing 0"]) == 0
    assert [path.name for path in kept.iterdir()] == ["thing 1"]
    assert main(["gallery", "remove", "--all"]) == 0
    assert list((folder / "state").iterdir()) == []


def test_pictures_that_cannot_be_kept_are_one_line_and_their_vectors_are(folder, capsys):
    (folder / "state").mkdir()
    (folder / "state" / "thing.pictures").write_text("in the way")
    assert add(0, "--keep-pictures") == 2
    assert "gallery: pictures not kept in" in capsys.readouterr().err
    assert main(["gallery", "list"]) == 0
    assert "thing 0: 4 pictures" in capsys.readouterr().out
    assert main(["gallery", "remove", "--all"]) == 2
    assert "Not a directory; not all pictures are deleted" in capsys.readouterr().err


def test_a_limit_is_found_on_pairs_and_kept(folder, capsys):
    for name in range(3):
        add(name)
    (folder / "strangers").mkdir()
    (folder / "thing3").rename(folder / "strangers" / "thing 0")  # another one of the same name
    assert main(["gallery", "test", "--far", "0.05", "--others", "strangers", "--set"]) == 0
    said = capsys.readouterr().out
    limit = float(re.search(r"limit (\S+):", said)[1])
    assert "equal error rate 0.00%" in said
    assert main(["gallery", "list"]) == 0
    assert f"limit: {limit:.3f} (lets through" in capsys.readouterr().out


def test_a_limit_survives_more_pictures(folder, capsys):
    for name in range(3):
        add(name)
    main(["gallery", "test", "--far", "0.05", "--set"])
    add(3)
    capsys.readouterr()
    main(["gallery", "list"])
    assert "limit: not set" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["remove"], "gallery: remove whom? NAME, or --all"),
        (["remove", "nobody"], "gallery: has no 'nobody'; there are: nobody"),
        (["test"], "gallery: it is empty; gallery add NAME IMAGE.."),
        (["add", "anna", "nix.jpg"], "image nix.jpg: no such file"),
        (["add", "../anna", "thing0/0.png"], "gallery: '../anna' cannot be a name"),
        (["add", ".", "thing0/0.png"], "gallery: '.' cannot be a name"),
        (["test", "--others", "state"], "gallery: state has no folders with pictures in them"),
        (["--second", "face", "list"], "gallery: name one of kind match with --second; there are: thing"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(folder, capsys, arguments, complaint):
    assert main(["gallery", *arguments]) == 2
    assert complaint in capsys.readouterr().err
    assert not (folder / "state" / "thing.gallery").exists()


def test_too_few_pairs_for_the_rate_is_one_line(folder, capsys):
    add(0)
    assert main(["gallery", "test"]) == 2
    assert (
        "0 of two names and 6 of one; a false-accept rate of 0.01 needs at least 100 pairs" in capsys.readouterr().err
    )


def test_a_gallery_of_a_lost_model_can_still_be_deleted(folder):
    add(0)
    (folder / "trunk.tflite").unlink()
    assert main(["gallery", "list"]) == 2
    assert main(["gallery", "remove", "--all"]) == 0
    assert not (folder / "state" / "thing.gallery").exists()


@pytest.mark.parametrize("at", [0, 30, 90, -1])
def test_a_flipped_bit_is_noticed(folder, capsys, at):
    add(0)
    path = folder / "state" / "thing.gallery"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert main(["gallery", "list"]) == 2
    assert "damaged; restore it, or delete it and add the pictures again" in capsys.readouterr().err


def test_a_power_cut_leaves_the_old_gallery_or_the_new(folder, monkeypatch):
    add(0)
    path = folder / "state" / "thing.gallery"
    before = path.read_bytes()
    monkeypatch.setattr(gallery.disk, "sync_folder", lambda _: None)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert main(["gallery", "add", "thing 1", "thing1/0.png"]) == 2
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write what another owns")
def test_what_root_adds_the_service_can_read(folder):
    (folder / "state").mkdir()
    os.chown(folder / "state", 12345, 12345)
    add(0)
    owner = (folder / "state" / "thing.gallery").stat()
    assert (owner.st_uid, owner.st_gid) == (12345, 12345)
