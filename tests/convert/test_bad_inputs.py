"""What people give a converter by mistake or in malice, and the one line that each gets."""

import io
import json
import pickle
import stat
import tarfile
import zipfile
from dataclasses import dataclass, field

import h5py
import numpy as np
import pytest
from onnx import TensorProto

from convert import ConvertError, sources
from convert.sources import Request
from tests.convert import tiny
from tests.convert.sources import graphs


@dataclass
class Bad:
    name: str  # of the file
    make: object  # bytes, or a function of its path
    line: str  # after "model <path>: ", "{}" for any run of characters
    request: dict = field(default_factory=dict)

    def __str__(self):
        return self.line[:40]


def archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def named(*entries):
    """A ZIP of (name, bytes, mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, data)
    return buffer.getvalue()


def linked_tar(path):
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("model.json")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)


def onnx(build=graphs.yolox, **more):
    return lambda path: graphs.saved(path, build(), **more)


def cut_short(path):
    graphs.saved(path, graphs.yolox())
    path.write_bytes(path.read_bytes()[:2000])


def unknown_head():
    builder = graphs.Builder()
    return builder, [builder.reshaped(builder.conv("image", 7, 3, kernel=8, stride=8), 1, 7, -1)]


def custom_operator():
    builder, outputs = graphs.yolox()
    return builder, [builder.op("EfficientNMS", *outputs, domain="TRT")]


def suppressed():
    builder, outputs = graphs.yolox()
    boxes = builder.op("Slice", *outputs, *(builder.constant(np.array([n])) for n in (0, 4, 2)))
    scores = builder.op("Slice", *outputs, *(builder.constant(np.array([n])) for n in (5, 10, 2)))
    turned = builder.op("Transpose", scores, perm=[0, 2, 1])
    kept = builder.op("NonMaxSuppression", boxes, turned)
    return builder, [builder.op("Unsqueeze", builder.op("Cast", kept, to=1), builder.constant(np.array([0])))]


def one_to_one():
    builder, outputs = graphs.v8()
    rows = builder.op("Transpose", *outputs, perm=[0, 2, 1])
    best = builder.op("ReduceMax", rows, axes=[2], keepdims=0)
    builder.nodes.append(graphs.helper.make_node("TopK", [best, builder.constant(np.array([9]))], ["v", "i"], axis=1))
    return builder, [builder.op("Unsqueeze", "v", builder.constant(np.array([2])))]


def two_inputs():
    builder, outputs = graphs.yolox()
    return builder, [builder.op("Add", *outputs, "threshold")]


def keras(*layers, kind="Functional"):
    config = {"class_name": kind, "config": {"name": "net", "layers": list(layers)}}
    return archive(**{"config.json": json.dumps(config), "model.weights.h5": b"x", "metadata.json": "{}"})


def layer(name, **more):
    return {"module": "keras.layers", "class_name": name, "config": {}, "registered_name": None} | more


def weights_only(path):
    with h5py.File(path, "w") as file:
        file["kernel"] = np.zeros(3)


class Command:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/lookout-was-run",)


def checkpoint(value):
    return archive(**{"archive__data.pkl": pickle.dumps(value, 2), "archive__version": "3"})


def called(module, name):
    """A pickle that would call something, without it being here."""
    return archive(**{"archive__data.pkl": f"c{module}\n{name}\n)R.".encode()})


def flat(shape):
    """A float TFLite whose input has this shape."""
    build = tiny.Builder()
    image = build.tensor("image", shape)
    build.graph.inputs, build.graph.outputs = [image], [build.reshape(image, "out", (int(np.prod(shape)),))]
    from convert.tflite import graph

    return graph.pack(build.model)


RANDOM = bytes(np.random.default_rng(1).integers(0, 256, 4000, np.uint8))
BOMB = archive(**{"config.json": b"{}", "model.weights.h5": b"\0" * (64 << 20)})
KNOWN = "known are .keras, .h5, SavedModel, .onnx, .pt, .tflite, TF.js or Teachable Machine's .zip"

TABLE = [
    Bad("a.onnx", b"", "empty (0 bytes); copy it again"),
    Bad("a.tflite", RANDOM, f"its bytes are of no kind known here; {KNOWN}"),
    Bad("a.keras", b"\xff\xd8\xff\xe0" + RANDOM, f"a JPEG picture; {KNOWN}"),
    Bad("a.onnx", b"version https://git-lfs.github.com/spec/v1\n", f"a Git LFS pointer; {KNOWN}"),
    Bad("a.pt", b"#!/bin/sh\nrm -rf /\n", f"a script; {KNOWN}"),
    Bad("a.json", b'{"modelTopology": {', "JSON that is broken or cut short; copy it again"),
    Bad("a.json", b'{"a": 1}', "JSON, but no TF.js model (it has no modelTopology)"),
    Bad("a.zip", archive(**{"photo.txt": "x"}), f"a ZIP that is not a model (it holds photo.txt); {KNOWN}"),
    Bad("a.zip", archive(**{"a.txt": "x" * 999})[:-30], "a ZIP that is broken or cut short; copy it again"),
    Bad("a.zip", BOMB, "would unpack to 2 files of 64 MB; refused"),
    Bad("a.zip", named(("model.json", "/etc/passwd", stat.S_IFLNK | 0o777)), "holds a link (model.json); refused"),
    Bad("a.zip", named(("../../x.tflite", b"x", 0o644)), "holds a file that would land outside of it"
        " (../../x.tflite); refused"),
    Bad("a.tgz", linked_tar, "holds a link (model.json); refused"),
    Bad("folder", lambda path: path.mkdir(), "a folder without saved_model.pb or model.json; give the model itself"),
    # ONNX
    Bad("a.onnx", cut_short, "an ONNX file that is cut short (2000 bytes); copy it again"),
    Bad("a.onnx", onnx(shape=("batch", 3, "height", "width")), "leaves its input's size open (batch, 3, height,"
        " width); give --size WIDTHxHEIGHT, or export without dynamic axes"),
    Bad("a.onnx", onnx(), "is made for 96x64, --size says 64x64; export it for that size", {"size": (64, 64)}),
    Bad("a.onnx", onnx(two_inputs, inputs=("image", "threshold")), "has 2 inputs (image, threshold); one"
        " picture is what the agent feeds"),
    Bad("a.onnx", onnx(shape=(4, 3, 64, 96)), "takes 4 pictures at once (4, 3, 64, 96); export it for a batch of 1"),
    Bad("a.onnx", onnx(shape=(1, 64, 96, 3)), "takes (1, 64, 96, 3); pictures of the form (1, 3, height, width)"
        " are wanted"),
    Bad("a.onnx", onnx(shape=(1, 3, 64000, 96000)), "takes pictures of 96000x64000; 16x16 to 4096x4096 is what"
        " is sensible"),
    Bad("a.onnx", onnx(kind=TensorProto.FLOAT16), "takes float16 pictures; export it in float32 (half=False)"),
    Bad("a.onnx", onnx(custom_operator), "has operators that are not ONNX's own (TRT.EfficientNMS); export it"
        " without them"),
    Bad("a.onnx", onnx(unknown_head), "ends in no head that is known here (t5 [1, 7, 96]); known: YOLO v5, v7,"
        " v8, v9, 11 (boxes, masks, poses), YOLOX, exported without NMS; describe another with --head FILE.toml"),
    Bad("a.onnx", onnx(suppressed), "has its suppression inside (NMS); export it without: nms=False, the agent"
        " does that itself"),
    Bad("a.onnx", onnx(one_to_one), "has a one-to-one head that picks its boxes itself (YOLOv10, YOLO26), whose"
        " scores int8 would spoil; export the other head, which is in the same weights: yolo export"
        " model=FILE.pt format=onnx end2end=False"),
    # Keras
    Bad("a.keras", keras(layer("Conv2D"), layer("Lambda")), "has a Lambda, which is code; build it from Keras"
        " layers, or give the float .tflite instead"),
    Bad("a.keras", keras(layer("TimeDistributed", config={"layer": layer("TFSMLayer")})), "has a TFSMLayer,"
        " which loads another file's code; build it from Keras layers, or give the float .tflite instead"),
    Bad("a.keras", keras(layer("Swish", module=None, registered_name="Mine>Swish")), "has a class of its own,"
        " Mine>Swish, not known here; give the float .tflite"),
    Bad("a.keras", keras(layer("Swish", module="builtins", config={})), "has a layer that is not known here,"
        " Swish; give the float .tflite"),
    Bad("a.keras", archive(**{"config.json": "{", "model.weights.h5": b""}), "a Keras file that is broken or"
        " cut short (JSONDecodeError); copy it again"),
    Bad("a.h5", weights_only, "holds weights only; save the whole model: model.save('NAME.keras')"),
    Bad("a.h5", b"\x89HDF\r\n\x1a\n" + RANDOM, "a Keras file that is broken or cut short (OSError); copy it again"),
    # pickles
    Bad("a.pt", checkpoint(Command()), "a pickle that would run posix system when read; refused, with --trust too",
        {"trust": True}),
    Bad("a.pt", called("builtins", "exec"), "a pickle that would run builtins exec when read; refused, with"
        " --trust too"),
    Bad("a.pt", called("models.yolo", "Model"), "a checkpoint of YOLOv5's repository, which only its own code"
        " can read; in that folder: python export.py --weights a.pt --include onnx, then give the .onnx",
        {"trust": True}),
    Bad("a.pt", called("torch._utils", "_rebuild_tensor_v2"), "weights without their model; where the model is"
        " built: torch.onnx.export(model, image, 'model.onnx'), then give that", {"trust": True}),
    Bad("a.pt", checkpoint([1, 2]), "a pickle, but no checkpoint; where the model is built:"
        " torch.onnx.export(model, image, 'model.onnx'), then give that", {"trust": True}),
    Bad("a.pt", called("ultralytics.nn.tasks", "DetectionModel"), "a pickle, and reading it runs code; --trust"
        " says that you know who made it, or export it where it was trained: yolo export model=a.pt format=onnx"),
    Bad("a.pt", b"\x80\x02cos\n", "a pickle that is broken or cut short; copy it again"),
    # TFLite
    Bad("a.tflite", tiny.flatbuffer()[:900], "{}; copy it again"),
    Bad("a.tflite", flat((1, 16, 24, 1)), "takes [1, 16, 24, 1]; pictures of the form [1, height, width, 3] are"
        " wanted"),
    Bad("a.tflite", tiny.flatbuffer(), "has 2 outputs ({}); say what they are with --head FILE.toml"),
    Bad("a.tflite", flat((1, 16, 24, 3)), "its output [1152] {}", {"task": "detect"}),
    # others
    Bad("a.zip", archive(**{"model.json": "{}", "weights.bin": "", "metadata.json": "{}"}), "a TensorFlow.js"
        " export of layers; in Teachable Machine choose Export Model, TensorFlow Lite, Floating point, and give"
        " that ZIP"),
]  # fmt: skip


@pytest.mark.parametrize("bad", TABLE, ids=str)
def test_a_bad_input_gets_one_clear_line(bad, tmp_path):
    path = tmp_path / bad.name
    if callable(bad.make):
        bad.make(path)
    else:
        path.write_bytes(bad.make)
    with pytest.raises(ConvertError) as caught:
        sources.read(Request(path, **bad.request))
    line = str(caught.value)
    start, _, end = f"model {path}: {bad.line}".partition("{}")
    assert "\n" not in line
    assert line.startswith(start), line
    assert line.endswith(end), line
    assert ("{}" in bad.line) or line == start


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(ConvertError, match=r"model .*/no\.onnx: No such file or directory$"):
        sources.recognise(tmp_path / "no.onnx")


@pytest.mark.parametrize("name", ["a.txt", "a.h5", "a.tflite", "a"])
def test_a_wrong_name_does_not_matter(name, tmp_path):
    assert sources.recognise(graphs.saved(tmp_path / name, graphs.yolox())) == "onnx"


def test_a_folder_with_a_link_out_of_it_is_refused(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "saved_model.pb").symlink_to("/etc/passwd")
    with pytest.raises(ConvertError, match="holds a link that leads out of it"):
        sources.recognise(tmp_path / "m")


def test_a_saved_model_that_calls_python_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x0a\x10EagerPyFunc")
    with pytest.raises(ConvertError, match=r"may reach files or run code \(PyFunc, EagerPyFunc\)"):
        sources.read(Request(tmp_path))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("head = 'nix'\ntask = 'detect'\n", "head = 'nix'; there are: "),
        ("heads = 1\n", "Object contains unknown field `heads`"),
        ("head = ", "Invalid value"),
    ],
)
def test_a_description_with_a_mistake_is_named(text, line, tmp_path):
    (tmp_path / "head.toml").write_text(text)
    graphs.saved(tmp_path / "a.onnx", graphs.yolox())
    with pytest.raises(ConvertError, match=r"head .*head\.toml: ") as caught:
        sources.read(Request(tmp_path / "a.onnx", head=str(tmp_path / "head.toml")))
    assert line in str(caught.value)
