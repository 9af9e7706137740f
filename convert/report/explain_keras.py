"""Grad-CAM in the child that has TensorFlow: asked.npz (images, labels, path) in, maps.npz (maps) out.

The map is the last grid of features, its channels weighted by the mean gradient of the label's output on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from convert import ConvertError
from convert.process import sandbox


def main(work: Path) -> None:
    """Raises ConvertError for a model that cannot be read, or has no grid."""
    import tensorflow as tf  # noqa: PLC0415  only the child's environment has it

    keras: Any = tf.keras

    with np.load(work / "asked.npz", allow_pickle=False) as asked:
        images, labels, path = asked["images"], asked["labels"], str(asked["path"])

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
        """Keras 2 wrote `groups` into its config, always 1 in effect; Keras 3 does not know the word."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("groups", None)
            super().__init__(*args, **kwargs)

    try:  # safe mode: no Lambda
        model = keras.models.load_model(path, compile=False, custom_objects={"DepthwiseConv2D": DepthwiseConv2D})
    except Exception as error:
        raise ConvertError(f"Grad-CAM: {Path(path).name} cannot be read: {type(error).__name__}") from error
    features, outputs = _last_grid(model), model.outputs[0]
    both = keras.Model(model.inputs, [features, outputs])
    maps = []
    for image, label in zip(images, labels, strict=True):
        with tf.GradientTape() as tape:
            grid, scores = both(image[None], training=False)
            scores = tf.reshape(scores, (-1,))
            chosen = scores[int(label)] if len(scores) > 1 else scores[0] * (1.0 if label else -1.0)
        weights = tf.reduce_mean(tape.gradient(chosen, grid), axis=(1, 2))  # (1, C)
        maps.append(np.maximum(0, np.einsum("hwc,c->hw", grid[0].numpy(), weights[0].numpy())))
    np.savez(work / "maps.npz", maps=np.stack(maps).astype(np.float32))


def _last_grid(model: Any) -> Any:
    """The last layer's output that is a grid (N, h, w, C) of more than one cell."""
    for layer in reversed(model.layers):
        output = getattr(layer, "output", None)
        shape: tuple[int | None, ...] = tuple(getattr(output, "shape", ()))
        if len(shape) == 4 and (shape[1] or 2) * (shape[2] or 2) > 1:
            return output
    raise ConvertError("Grad-CAM: the model has no grid of features")


if __name__ == "__main__":
    sandbox.child(main)
