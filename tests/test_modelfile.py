"""The contract inside a model file: packed, read back, and refused when the bytes are not the card's."""

import io
import json
import zipfile
from pathlib import Path

import msgspec
import pytest

from agent import modelfile
from agent.modelfile import Card, Input, ModelError, Output

FLATBUFFER = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 8
CARD = Card(
    task="detect",
    head="ssd",
    labels=("person", "car"),
    input=Input(size=(320, 192), range=(-1.0, 1.0)),
    outputs=(Output("boxes", "box", (1, 10, 4)),),
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.tflite"
    path.write_bytes(modelfile.pack(FLATBUFFER, CARD, {"verdict": "good"})[0])
    return path


def test_what_is_packed_is_read_back(model: Path) -> None:
    file = modelfile.read(model)

    assert file.card == msgspec.structs.replace(CARD, sha256=file.sha256)
    assert file.report == {"verdict": "good"}
    assert model.read_bytes().startswith(FLATBUFFER)
    with zipfile.ZipFile(model) as archive:  # any unzip can list it
        assert archive.namelist() == ["metadata.json", "report.json"]


def test_same_input_gives_the_same_bytes() -> None:
    assert modelfile.pack(FLATBUFFER, CARD, {"a": 1}) == modelfile.pack(FLATBUFFER, CARD, {"a": 1})


def test_sidecar_has_the_same_bytes_and_serves_where_the_zip_was_lost(model: Path, tmp_path: Path) -> None:
    data, text = modelfile.pack(FLATBUFFER, CARD)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("metadata.json") == text
    model.write_bytes(FLATBUFFER)
    assert modelfile.read(model).card is None
    (tmp_path / "m.json").write_bytes(text)

    assert modelfile.read(model).card == modelfile.read(model).card is not None


@pytest.mark.parametrize("position", [9, 100, 2000])
def test_one_flipped_bit_anywhere_in_the_flatbuffer_is_refused(model: Path, position: int) -> None:
    data = bytearray(model.read_bytes())
    data[position] ^= 1
    model.write_bytes(data)

    with pytest.raises(ModelError, match=r"m\.tflite: sha256 is \w{8}\.\., its card says \w{8}\.\."):
        modelfile.read(model)


def test_a_report_that_is_not_one_says_so(model: Path) -> None:
    packed = modelfile.pack(FLATBUFFER, CARD)[0]
    buffer = io.BytesIO(packed)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(modelfile.REPORT_NAME, "{cut")
    model.write_bytes(buffer.getvalue())
    with pytest.raises(ModelError, match=r"m.tflite, report.json: JSON is malformed"):
        modelfile.read(model)


def test_a_file_cut_short_is_refused_by_its_sidecar(model: Path) -> None:
    data, text = modelfile.pack(FLATBUFFER, CARD)
    model.with_suffix(".json").write_bytes(text)
    model.write_bytes(data[:1000])

    with pytest.raises(ModelError, match="cut short or was changed"):
        modelfile.read(model)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "not a TFLite file"),
        (b"PK\x03\x04 a zip", "not a TFLite file"),
        (b"\x89HDF\r\n\x1a\n", "not a TFLite file"),
    ],
)
def test_what_is_no_model_is_one_line(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "x.tflite"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ModelError) as error:
        modelfile.read(path)

    assert words in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hed": "x"}, "unknown field `hed`"),
        ({"input": {"size": [320]}}, "length 2"),
        ({"task": "sing"}, "Invalid enum value 'sing'"),
        ({"format": 2}, "Invalid enum value 2"),
    ],
)
def test_a_card_that_is_wrong_says_where(tmp_path: Path, change: dict[str, object], words: str) -> None:
    raw = json.loads(msgspec.json.encode(CARD)) | change
    (tmp_path / "m.tflite").write_bytes(FLATBUFFER)
    (tmp_path / "m.json").write_text(json.dumps(raw))

    with pytest.raises(ModelError, match=words):
        modelfile.read(tmp_path / "m.tflite")


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"task":' * 9_000, b'{"head": "\xff"}', b"\xff\xfe", b"NaN", b""])
def test_a_card_that_a_stranger_wrote_is_one_line(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "m.tflite").write_bytes(FLATBUFFER)
    (tmp_path / "m.json").write_bytes(text)

    with pytest.raises(ModelError, match=r"^model card .*m\.json: ") as error:
        modelfile.read(tmp_path / "m.tflite")

    assert "\n" not in str(error.value)


ULTRALYTICS = {"names": {"0": "person"}, "imgsz": [640, 640], "task": "detect"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("metadata.json", json.dumps(ULTRALYTICS)), ("temp_meta.txt", repr(ULTRALYTICS))],
    ids=["now", "formerly"],
)
def test_what_ultralytics_wrote_is_kept_where_there_is_no_card(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(FLATBUFFER)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, text)

    assert modelfile.read(path).metadata == ULTRALYTICS
    path.with_suffix(".json").write_bytes(msgspec.json.encode(CARD))  # its user's own card goes first
    assert modelfile.read(path).card == CARD
    assert modelfile.read(path).metadata is None


def test_what_ultralytics_wrote_may_lie_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(FLATBUFFER)
    (tmp_path / "m.json").write_text(json.dumps(ULTRALYTICS))

    assert modelfile.read(tmp_path / "m.tflite").metadata == ULTRALYTICS


@pytest.mark.parametrize(
    "text", ["__import__('os').abort()", "{'names': " + "[" * 9000 + "]" * 9000 + "}", "{'stride': 32}", "{'names"]
)
def test_a_python_literal_is_read_and_never_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(FLATBUFFER)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("temp_meta.txt", text)

    assert modelfile.read(path).metadata is None


def test_labels_in_the_zip_are_read(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(FLATBUFFER)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("imagenet_labels.txt", "background\ntench, Tinca tinca\n")

    assert modelfile.read(path).labels == ("background", "tench, Tinca tinca")


@pytest.mark.parametrize(
    ("labels", "count", "fitted"),
    [
        (("???", "a", "b"), None, ("a", "b")),
        (("???", "a", "b"), 2, ("a", "b")),
        (("???", "a", "b"), 3, ("???", "a", "b")),
        (("a", "b"), 3, ("background", "a", "b")),
        (("a", "b"), 2, ("a", "b")),
        (("a", "b"), 7, ("a", "b")),
        ((), 1, ()),
    ],
)
def test_a_background_is_there_where_the_model_has_one(
    labels: tuple[str, ...], count: int | None, fitted: tuple[str, ...]
) -> None:
    assert modelfile.fit_labels(labels, count) == fitted


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("person\ncar\n", ("person", "car")),
        ("???\nperson\ncar", ("???", "person", "car")),
        ("0  person\n1  traffic light", ("person", "traffic light")),
        ("0: person\n1: car", ("person", "car")),
    ],
)
def test_label_files(tmp_path: Path, text: str, labels: tuple[str, ...]) -> None:
    (tmp_path / "m.labels.txt").write_text(text)

    assert modelfile.read_labels(tmp_path / "m.tflite", None) == labels


def test_a_label_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    assert modelfile.read_labels(tmp_path / "m.tflite", None) == ()
    with pytest.raises(ModelError, match=r"labels .*nix\.txt: No such file"):
        modelfile.read_labels(tmp_path / "m.tflite", tmp_path / "nix.txt")
