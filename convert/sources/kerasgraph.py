"""Keras or SavedModel -> float TFLite; runs where TensorFlow is (`python -m convert.sources.kerasgraph FOLDER`).

`file` and job.json in the folder say what; float.tflite and made.json are left there. What comes out is run beside
what went in: a converter may lose a model's variables without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent.data import Array
from convert import ConvertError
from convert.process import sandbox
from convert.sources import kerasconfig, tfjslayers

_CLOSE = 1e-2  # greatest difference from the source's own answers, relative to their spread
_MOST_PIXELS = 4096 * 4096
_ENOUGH = 0.5  # share of a first normalisation's means that a constant grey must explain


def main(work: Path) -> None:
    """The child's job."""
    path = Path((work / "file").read_text("utf-8"))
    job = msgspec.json.decode((work / "job.json").read_bytes())
    if not path.is_dir() and path.name != tfjslayers.CONFIG:
        kerasconfig.check(kerasconfig.read(path))
    import tensorflow as tf  # noqa: PLC0415  only after the file is known to be harmless

    call, shape, layers = _saved(tf, path, job) if path.is_dir() else _keras(tf, path, job)
    known, why = input_range(layers)
    model = _converted(tf, call)
    _compare(tf, call, model, shape, known or (0.0, 1.0))
    (work / "float.tflite").write_bytes(model)
    made = {"range": known, "why": why, "tools": {"tensorflow": tf.__version__}}
    (work / "made.json").write_bytes(msgspec.json.encode(made))


def _keras(tf: Any, path: Path, job: dict[str, Any]) -> tuple[Any, list[int], list[Any]]:
    """A function of one picture, its input's shape, and the layers."""
    keras: Any = tf.keras

    model = tfjslayers.model(keras, path) if path.name == tfjslayers.CONFIG else _loaded(keras, path)
    if len(model.inputs) != 1:
        raise ConvertError(f"has {len(model.inputs)} inputs; one picture is what the agent feeds")
    shape = fixed_shape(list(model.inputs[0].shape), job["size"])
    outputs = _outputs(model, job["outputs"])
    whole = keras.Model(model.inputs, outputs) if job["outputs"] else model
    image = keras.Input(batch_shape=tuple(shape), name="image")
    answer = whole(image, training=False)
    named = answer if job["outputs"] == [] else dict(zip(job["outputs"], answer, strict=True))
    return keras.Model(image, named), shape, list(_flat(model))


def _loaded(keras: Any, path: Path) -> Any:
    """The model of a .keras or .h5. Raises ConvertError."""

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
        """Keras 2 wrote `groups` into its config, always 1 in effect; Keras 3 does not know the word."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("groups", None)
            super().__init__(*args, **kwargs)

    try:
        model = keras.models.load_model(path, compile=False, custom_objects={"DepthwiseConv2D": DepthwiseConv2D})
    except Exception as error:  # whatever Keras says of it
        raise ConvertError(f"Keras {keras.__version__} cannot load it: {' '.join(str(error).split())[:200]}") from error
    return model


def _outputs(model: Any, names: list[str]) -> list[Any]:
    """The outputs of the layers that a head's description names."""
    known = {layer.name: layer for layer in model.layers}
    missing = [name for name in names if name not in known]
    if missing:
        raise ConvertError(
            f"has no layer {missing[0]!r}, which its head's description names; it has {', '.join(known)[-200:]}"
        )
    return [known[name].output for name in names]


def _flat(model: Any) -> Any:
    """All layers in order, those of models inside of it too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _flat(layer)
        else:
            yield layer


def _saved(tf: Any, path: Path, job: dict[str, Any]) -> tuple[Any, list[int], list[Any]]:
    """The same of a SavedModel's serving signature."""
    try:
        loaded = tf.saved_model.load(str(path))
        signature = loaded.signatures["serving_default"]
    except Exception as error:  # whatever TensorFlow says of it
        raise ConvertError(f"TensorFlow cannot load it: {' '.join(str(error).split())[:200]}") from error
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise ConvertError(f"has {len(inputs)} inputs ({', '.join(inputs)}); one picture is what the agent feeds")
    name, spec = next(iter(inputs.items()))
    shape = fixed_shape(list(spec.shape) if spec.shape.rank is not None else [], job["size"])
    wanted = job["outputs"]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])  # type: ignore[untyped-decorator]
    def call(image: Any) -> Any:
        answer = signature(**{name: tf.cast(image, spec.dtype)})
        missing = [w for w in wanted if w not in answer]
        if missing:
            raise ConvertError(
                f"has no output {missing[0]!r}, which its head's description names; it has {', '.join(answer)}"
            )
        return {key: answer[key] for key in wanted} if wanted else answer

    call.loaded = loaded
    return call, shape, []


def fixed_shape(shape: list[int | None], size: list[int] | None) -> list[int]:
    """[1, height, width, 3]; `size` (width, height) where the model leaves it open. Raises ConvertError."""
    shown = ", ".join("?" if d is None else str(d) for d in shape)
    if len(shape) != 4 or shape[3] not in (3, None) or shape[0] not in (1, None):
        raise ConvertError(f"takes ({shown}); pictures of the form (1, height, width, 3) are wanted")
    height, width = shape[1:3]
    if (height is None or width is None) and size is None:
        raise ConvertError(f"leaves its input's size open ({shown}); give --size WIDTHxHEIGHT")
    fixed = [1, int(height or (size or [0, 0])[1]), int(width or (size or [0, 0])[0]), 3]
    if size is not None and [fixed[2], fixed[1]] != list(size):
        raise ConvertError(f"is made for {fixed[2]}x{fixed[1]}, --size says {size[0]}x{size[1]}")
    if min(fixed[1:3]) < 8 or fixed[1] * fixed[2] > _MOST_PIXELS:
        raise ConvertError(f"takes pictures of {fixed[2]}x{fixed[1]}; 8x8 to 4096x4096 is what is sensible")
    return fixed


def _converted(tf: Any, call: Any) -> bytes:
    """Float TFLite. A Keras model goes in as such: as a concrete function it would lose its variables."""
    try:
        if isinstance(call, tf.keras.Model):
            return bytes(tf.lite.TFLiteConverter.from_keras_model(call).convert())
        function = call.get_concrete_function()
        return bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], call.loaded).convert())
    except ConvertError:
        raise
    except Exception as error:  # MLIR's own words, hundreds of lines
        lines = [line for line in str(error).splitlines() if "error" in line.lower() or "custom" in line.lower()] or [
            str(error)
        ]
        raise ConvertError(f"TFLite has no form of it: {lines[0].strip()[:200]}") from error


def _compare(tf: Any, call: Any, model: bytes, shape: list[int], limits: tuple[float, float]) -> None:
    """Raises ConvertError where TFLite answers otherwise than the source."""
    picture = np.random.default_rng(0).uniform(*limits, shape).astype(np.float32)
    answer = call(tf.constant(picture))
    wanted = [np.asarray(v) for v in tf.nest.flatten(answer)]
    interpreter = tf.lite.Interpreter(model_content=model)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture)
    interpreter.invoke()
    found = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
    for value in wanted:
        if min((_apart(value, other) for other in found), default=np.inf) > _CLOSE:
            raise ConvertError("TensorFlow's converter changed the model: its TFLite answers otherwise; report it")


def _apart(value: Array, other: Array) -> float:
    if value.shape != other.shape:
        return float("inf")
    return float(np.abs(value - other).max() / (np.std(value) + 1e-6))


def input_range(layers: list[Any]) -> tuple[tuple[float, float] | None, str]:
    """What pixels 0 and 255 stand for, and how that is known.

    From a Rescaling or Normalization layer; else from the first convolution and the means that its batch normalisation
    has seen in training: a picture's pixels are nearly alike, so each mean is the mean pixel times that filter's sum.
    The mean pixel of photographs is about .45 of the range.
    """
    kinds = [type(layer).__name__ for layer in layers]
    first = next((i for i, kind in enumerate(kinds) if "Conv" in kind or kind == "Dense"), len(kinds))
    scaling = [kind for kind in kinds[:first] if kind in ("Rescaling", "Normalization")]
    if scaling:
        return (0.0, 255.0), f"it has a {scaling[0]} layer"
    if first + 1 < len(kinds) and kinds[first] == "Conv2D" and kinds[first + 1] == "BatchNormalization":
        weights = layers[first].get_weights()
        means = np.asarray(layers[first + 1].moving_mean) - (weights[1] if len(weights) > 1 else 0.0)
        return from_means(weights[0].sum(axis=(0, 1, 2)), means)
    return None, "nothing in it tells, so this is a guess"


def from_means(sums: Array, means: Array) -> tuple[tuple[float, float] | None, str]:
    """The range that filter sums (C,) and seen means (C,) speak for."""
    pixel = float(sums @ means / max(float(sums @ sums), 1e-12))
    rest = means - pixel * sums
    if float(rest @ rest) > (1 - _ENOUGH) * float(means @ means):
        return None, "its first normalisation does not tell, so this is a guess"
    why = f"by its first normalisation, the mean pixel it was trained on is {pixel:.3g}"
    if pixel > 8:
        return (0.0, 255.0), why
    if 0.15 < pixel < 1.0:
        return (0.0, 1.0), why
    if -0.6 < pixel < 0.05:
        return (-1.0, 1.0), why
    return None, f"{why}, so this is a guess"


if __name__ == "__main__":
    sandbox.child(main)
