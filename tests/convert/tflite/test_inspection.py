"""What `inspect` says of a file, and that no file makes it say more than one line of trouble."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from agent import modelfile
from agent.data import LookoutError
from convert.tflite import inspection
from tests.convert import tiny
from tests.convert.report import made

SHIPPED = Path(__file__).parents[3] / "models" / "ssdlite_mobilenet_v2_coco_int8.tflite"


def test_the_shipped_model_is_told_whole():
    text = "\n".join(inspection.lines(inspection.look(SHIPPED)))
    for words in (
        "image            int8 [1, 300, 300, 3], scale 0.00784314, zero point 0",
        "55 CONV_2D v3",
        "float     0 of 125 operators",
        "125 of 125 operators would map, 100.0% of 749.5 M multiply-adds (checked, not compiled)",
        "edgetpu_compiler -s",
        "detect, head ssd, 80 labels",
        "accuracy, int8: map 0.39",
    ):
        assert words in text


def test_json_has_what_the_text_has():
    found = inspection.look(SHIPPED)
    data = json.loads(json.dumps(inspection.as_json(found)))
    assert len(data["operators"]) == 125
    assert data["inputs"]["image"]["shape"] == [1, 300, 300, 3]
    assert data["edgetpu"]["mapped"] == 125
    assert data["edgetpu"]["compiled"] is False
    assert data["card"]["head"] == "ssd"
    assert data["sha256"] == modelfile.read(SHIPPED).sha256


def test_a_float_model_is_float_islands_and_stays_off_the_edge_tpu(tmp_path):
    path = tmp_path / "float.tflite"
    path.write_bytes(made.detector())
    text = "\n".join(inspection.lines(inspection.look(path)))
    assert "float     7 of 7 operators" in text
    assert "0 of 7 operators would map" in text
    assert "#0 CONV_2D and 3 more: works on float32" in text
    assert "card      none" in text


def test_names_from_the_file_cannot_command_a_terminal(tmp_path):
    from convert.tflite import graph

    model = graph.unpack(tiny.flatbuffer())
    model.subgraphs[0].tensors[0].name = b"\x1b[2Jgone\nforged"
    path = tmp_path / "odd.tflite"
    path.write_bytes(graph.pack(model))
    for line in inspection.lines(inspection.look(path)):
        assert line.isprintable()


def broken_zip(path, name, content):
    data = io.BytesIO(tiny.flatbuffer())
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    path.write_bytes(data.getvalue())


@pytest.mark.parametrize(
    "make",
    [
        lambda p: p.write_bytes(b""),
        lambda p: p.write_bytes(bytes(range(256)) * 40),
        lambda p: p.write_bytes(b"\xf0\xff\xff\x7fTFL3" + bytes(400)),
        lambda p: p.write_bytes(tiny.flatbuffer()[:700]),
        lambda p: p.mkdir(),
        lambda p: None,
        lambda p: broken_zip(p, "metadata.json", b"{"),
        lambda p: broken_zip(p, "metadata.json", b'{"task": 3}'),
    ],
    ids=["empty", "random", "crafted", "truncated", "folder", "missing", "half a card", "wrong card"],
)
def test_a_bad_file_is_one_line(tmp_path, make):
    path = tmp_path / "bad.tflite"
    make(path)
    with pytest.raises(LookoutError, match=r"bad\.tflite") as caught:
        inspection.lines(inspection.look(path))
    assert "\n" not in str(caught.value)


def test_an_empty_zip_behind_the_model_is_no_trouble(tmp_path):
    path = tmp_path / "odd.tflite"
    path.write_bytes(tiny.flatbuffer() + b"PK\x05\x06" + bytes(18))
    assert "card      none: a file of another maker" in inspection.lines(inspection.look(path))
