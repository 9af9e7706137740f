"""Lookout's converter: a trained model in, one int8 .tflite out that says what it needs and what int8 cost it.

The floor plan, in import order. It runs on a workstation and imports the agent, so that what is verified here is
what will run there; the agent never imports it.

graph         what is inside a .tflite: operators, tensors, scales, float islands
graphdef      TensorFlow graphs as plain nodes: cut, and put into a form that TFLite quantises well
sources       a front end a file: tfjs -> float TFLite, cut where int8 would ruin it; TensorFlow in a child process
calibration   images -> the agent's own letterbox -> a histogram per activation tensor
ranges        histograms -> a handful of candidate ranges; ranges <-> JSON, so that a rebuild needs no images
quantize      float TFLite + ranges -> int8 TFLite
finalise      the tools' leavings mended: inline buffers, static shapes, operator versions, contract names
dataset       labelled pictures in YOLO's layout
compare       float vs int8 through the agent's own head: agreement without labels, COCO mAP with
recipe        models/<name>.recipe.toml, typed
build         the steps in order
__main__      python -m convert build | inspect | evaluate
"""

from agent.data import LookoutError


class ConvertError(LookoutError):
    """One line for the user: what could not be converted, why, what to do. Ends a command, no traceback."""
