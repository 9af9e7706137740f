"""Keras files refused before anything of theirs runs: what they would build stands in their own JSON.

A .keras is a ZIP with config.json; an .h5 keeps the same in the attribute model_config. A Lambda is code, a TFSMLayer
loads another file's, and a class of the user's own cannot be known here. Runs as a child
(`python -m convert.sources.kerasconfig FOLDER`), since HDF5 is a format with a past.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convert import ConvertError
from convert.process import sandbox
from convert.sources import recognition

_MOST_CONFIG = 32 << 20  # bytes of JSON
_CODE = {
    "Lambda": "a Lambda, which is code", "TFSMLayer": "a TFSMLayer, which loads another file's code",
    "__lambda__": "a lambda, which is code", "TFOpLambda": "operations on plain tensors of Keras 2 (TFOpLambda)",
    "SlicingOpLambda": "slices of plain tensors of Keras 2 (SlicingOpLambda)",
    "TensorFlowOpLayer": "operations on plain tensors of Keras 2 (TensorFlowOpLayer)",
}  # fmt: skip
_MODELS = {"Functional", "Model", "Sequential"}
LAYERS = _MODELS | {
    "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average",
    "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "BatchNormalization", "Bidirectional",
    "CategoryEncoding", "CenterCrop", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose",
    "Conv3D", "Conv3DTranspose", "Cropping1D", "Cropping2D", "Cropping3D", "Dense", "DepthwiseConv1D",
    "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense", "Embedding", "Flatten", "GRU", "GRUCell",
    "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
    "GroupNormalization", "GroupQueryAttention", "Identity", "InputLayer", "LSTM", "LSTMCell",
    "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum",
    "Minimum", "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization",
    "RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomHeight", "RandomRotation",
    "RandomTranslation", "RandomWidth", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape",
    "Resizing", "SeparableConv1D", "SeparableConv2D", "SimpleRNN", "Softmax", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D", "SpectralNormalization", "StackedRNNCells", "Subtract",
    "ThresholdedReLU", "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D", "UpSampling3D",
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
}  # fmt: skip
_NESTED = ("layer", "forward_layer", "backward_layer", "cell", "cells", "layers")  # keys under which layers stand


def read(path: Path) -> dict[str, Any]:
    """The config of a .keras or .h5. Raises ConvertError: none in it, broken, or weights only."""
    try:
        text = _from_zip(path) if zipfile.is_zipfile(path) else _from_hdf5(path)
        found: dict[str, Any] = json.loads(text)
    except (KeyError, *recognition.ZIP_TROUBLES) as error:
        raise ConvertError(
            f"a Keras file that is broken or cut short ({type(error).__name__}); copy it again"
        ) from error
    if not isinstance(found, dict) or "class_name" not in found:
        raise ConvertError("a Keras file without a model in it; save the whole model: model.save('NAME.keras')")
    return found


def _from_zip(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("config.json")
        if info.file_size > _MOST_CONFIG:
            raise ConvertError(f"its config.json is of {info.file_size >> 20} MB; refused")
        return archive.read(info)


def _from_hdf5(path: Path) -> str | bytes:
    import h5py  # noqa: PLC0415  only where such a file is read

    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise ConvertError("holds weights only; save the whole model: model.save('NAME.keras')")
        text: str | bytes = file.attrs["model_config"]
        return text


def check(config: dict[str, Any]) -> None:
    """Raises ConvertError for what is code, another file's, or unknown here."""
    for entry in _objects(config):
        name, registered = entry["class_name"], entry.get("registered_name")
        if name in _CODE:
            raise ConvertError(f"has {_CODE[name]}; build it from Keras layers, or give the float .tflite instead")
        module = entry.get("module") or "keras"
        if not (module == "builtins" or module.split(".")[0] == "keras") or ">" in str(registered or ""):
            raise ConvertError(
                f"has a class of its own, {str(registered or name)[:80]}, not known here; give the float .tflite"
            )
    for entry in _layers(config):
        if entry["class_name"] not in LAYERS:
            raise ConvertError(
                f"has a layer that is not known here, {entry['class_name'][:80]}; give the float .tflite"
            )
    if config["class_name"] not in _MODELS:
        raise ConvertError(
            f"is a {config['class_name'][:80]}, no functional or sequential model; give the float .tflite"
        )


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Everything in the config that names a class."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if isinstance(item.get("class_name"), str):
                yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _layers(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Everything in the config that stands where a layer does."""
    for entry in _objects(config):
        inside = entry.get("config")
        for key in _NESTED if isinstance(inside, dict) else ():
            found = inside.get(key, [])  # type: ignore[union-attr]
            for layer in found if isinstance(found, list) else [found]:
                if isinstance(layer, dict) and isinstance(layer.get("class_name"), str):
                    yield layer


def main(work: Path) -> None:
    """The child's job."""
    check(read(Path((work / "file").read_text("utf-8"))))


if __name__ == "__main__":
    sandbox.child(main)
