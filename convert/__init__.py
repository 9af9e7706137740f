"""Lookout's converter: a trained model in, one int8 .tflite out that says what it needs and what int8 cost it.

The floor plan, in import order. It runs on a workstation and imports the agent, so that what is verified here is
what will run there; the agent never imports it.

progress      how far a long step is
output        files that are whole or not there
process       other people's code in a limited child, and a Python for each
tflite        what is inside a .tflite: read, checked, mended, inspected, run in every runtime
sources       a front end a file: Keras, ONNX, Ultralytics, TFLite, TF.js -> float TFLite, cut where int8 would ruin it
int8          pictures -> histograms -> ranges -> an int8 TFLite
accuracy      how good answers are: agreement without labels, mAP, top-1 and mIoU with, by group of pictures
tuning        candidates scored, cured where they lose too much, and let through a gate or not
novelty       normal pictures -> a file that knows when a place looks otherwise
report        the page that shows what int8 cost: one HTML file
recipe        models/<name>.recipe.toml, typed
steps         the steps in order, for every model
ready         a model that is int8 already: scored, given its card
build         a recipe's model, by those steps
sign          a model's manifest and its signature, for devices that take new models from a server
commands      what each command does
__main__      python -m convert MODEL | build | inspect | compare | evaluate | novelty | sign
"""

from agent.data import LookoutError


class ConvertError(LookoutError):
    """One line for the user: what could not be converted, why, what to do. Ends a command, no traceback."""
