"""Weights of a PyTorch file without PyTorch, and nothing else of it."""

import pickle
import struct

import numpy as np
import pytest

from convert import ConvertError
from models import backbones


class Storage:
    """Stands for a tensor's storage, which PyTorch keeps behind the pickle."""

    def __init__(self, kind, key, count):
        self.id = ("storage", kind, key, "cpu", count, None)


class Asks:
    """An object whose unpickling would call something."""

    def __init__(self, function, arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def checkpoint(tensors, storages, extra=b""):
    """A file as PyTorch before 1.6 wrote it: {name: (key, offset, shape, stride)}, {key: float32 values}."""
    # protocol 2 pickle by hand: torch's classes are not here to be pickled
    out = b"".join(pickle.dumps(v, 2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    body = b"\x80\x02}("
    for name, (key, offset, shape, stride) in tensors.items():
        body += b"X" + struct.pack("<I", len(name)) + name.encode()
        body += b"ctorch._utils\n_rebuild_tensor_v2\n(("
        body += b"X" + struct.pack("<I", 7) + b"storage" + b"ctorch\nFloatStorage\n"
        body += b"X" + struct.pack("<I", len(key)) + key.encode() + b"X\x03\x00\x00\x00cpu"
        body += b"J" + struct.pack("<i", len(storages[key])) + b"Nt" + b"Q"
        body += b"J" + struct.pack("<i", offset)
        for values in (shape, stride):
            body += b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"
        body += b"\x89NtR"
    out += body + b"u" + extra + b"." + pickle.dumps(list(storages), 2)
    for values in storages.values():
        out += struct.pack("<q", len(values)) + np.asarray(values, "<f4").tobytes()
    return out


def test_tensors_are_read_with_their_strides():
    values = np.arange(12)
    found = backbones.read_torch(checkpoint({"w": ("1", 2, (2, 3), (1, 2)), "v": ("1", 0, (4,), (1,))}, {"1": values}))
    np.testing.assert_array_equal(found["w"], [[2, 4, 6], [3, 5, 7]])
    np.testing.assert_array_equal(found["v"], [0, 1, 2, 3])


@pytest.mark.parametrize("tensor", [("1", 0, (13,), (1,)), ("1", 0, (2, 3), (1, 9)), ("1", -1, (2,), (1,))])
def test_a_tensor_larger_than_its_storage_is_refused(tensor):
    with pytest.raises(ConvertError, match="larger than its storage"):
        backbones.read_torch(checkpoint({"w": tensor}, {"1": np.arange(12)}))


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path):
    mark = tmp_path / "ran"
    data = b"".join(pickle.dumps(v, 2) for v in (1, 2, 3)) + pickle.dumps(Asks(open, (str(mark), "w")), 2)
    with pytest.raises(ConvertError, match=r"asks for io\.open"):
        backbones.read_torch(data)
    assert not mark.exists()


@pytest.mark.parametrize("data", [b"", b"no pickle", pickle.dumps(1)])
def test_other_files_are_no_checkpoint(data):
    with pytest.raises(ConvertError, match="not a PyTorch checkpoint"):
        backbones.read_torch(data)


def test_an_unknown_trunk_names_those_there_are():
    with pytest.raises(ConvertError, match="efficientnet-lite0, none, keras:NAME"):
        backbones.trunk("resnet", (32, 32))


def test_missing_weights_are_told_with_the_command_that_fetches_them(monkeypatch, tmp_path):
    monkeypatch.setattr(backbones, "CACHE", tmp_path)
    monkeypatch.setattr(backbones, "PACKAGE", "no_such_package")
    with pytest.raises(ConvertError, match="make models/transfer"):
        backbones._packaged()
