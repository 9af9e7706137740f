"""The contract inside a model file: packed, read back, and refused when the bytes are not the card's."""

import io
import json
import zipfile
from pathlib import Path

import msgspec
import pytest

from agent import modelfile
from agent.modelfile import Card, Input, ModelError, Output, Tensor

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


def test_an_ultralytics_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(FLATBUFFER)
    (tmp_path / "m.json").write_text(json.dumps({"names": {"0": "person"}, "imgsz": [640, 640]}))

    with pytest.raises(ModelError, match="written by Ultralytics"):
        modelfile.read(tmp_path / "m.tflite")


def test_a_postprocess_graph_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(FLATBUFFER)
    file = modelfile.read(tmp_path / "m.tflite")
    inputs = [Tensor("image", (1, 192, 320, 3), "uint8", 0.0078125, 128)]
    outputs = [Tensor(str(n), shape, "float32") for n, shape in enumerate([(1, 10, 4), (1, 10), (1, 10), (1,)])]

    card = modelfile.recognise(file, inputs, outputs, ("person",))

    assert card.head == "ssd_postprocess"
    assert card.input.size == (320, 192)
    assert card.input.range == pytest.approx((-1.0, 0.9921875))
    with pytest.raises(ModelError, match="no card in it or beside it"):
        modelfile.recognise(file, inputs, outputs[:2], ())


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("person\ncar\n", ("person", "car")),
        ("???\nperson\ncar", ("person", "car")),
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
