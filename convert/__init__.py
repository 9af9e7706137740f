"""Lookout's converter: a trained model in, one int8 .tflite out that says what it needs and what int8 cost it.

The floor plan, in import order. It runs on a workstation and imports the agent, so that what is verified here is
what will run there; the agent never imports it.

soundness     whether a flatbuffer can be trusted: sizes, indices, shapes
graph         what is inside a .tflite: operators, tensors, scales, float islands
graphdef      TensorFlow graphs as plain nodes: cut, and put into a form that TFLite quantises well
finalise      the tools' leavings mended: inline buffers, static shapes, operator versions, contract names
environment   a Python for each front end: this one, one found here, or one made once in the user's cache
sandbox       other people's code in a child: limits of time, memory and files, no network, last words kept
edgetpu_rules  the operators that the Edge TPU takes, with their limits
edgetpu       where the Edge TPU would stop in a model, and why; its compiler, where there is one
inspection    what a .tflite is, for a reader and as JSON
sources       a front end a file: Keras, ONNX, Ultralytics, TFLite, TF.js -> float TFLite, cut where int8 would ruin it
calibration   images or a video -> the agent's own letterbox -> a histogram per activation tensor
ranges        histograms -> a handful of candidate ranges; ranges <-> JSON, so that a rebuild needs no images
quantize      float TFLite + ranges -> int8 TFLite, some operators left in float where asked
equalise      channels of very different size brought to one, before SiLU
domain        whether pictures are fit to calibrate on: too few, alike, grey, unreadable, of another world
compare       float vs int8 through the agent's own head: agreement of boxes without labels, COCO mAP with
evidence      what a conversion leaves for the reader of its report
dataset       labelled pictures: boxes in YOLO's layout, classes as folders, masks
tasks         what agreement, loss and accuracy mean for each kind of answer
progress      how far a long step is
search        the smallest float region that cures a loss, found by place in the graph
scoring       candidates: quantised, run, compared with float
gate          what was lost, against a budget, and what to say
cures         what is tried when the best ranges lose too much
runtimes      the finished model in every TFLite runtime that can be found
output        files that are whole or not there
slices        figures by group of pictures, and whether int8 hurts one of them more than the rest
explain       what in a picture a classifier looks at: occlusion, and Grad-CAM in a child with TensorFlow
explain_keras  Grad-CAM, in the child that has TensorFlow
report        the page that shows what int8 cost: one HTML file
recipe        models/<name>.recipe.toml, typed
steps         the steps in order, for every model
ready         a model that is int8 already: scored, given its card
build         a recipe's model, by those steps
novelty_trunk  the feature maps of an int8 model, cut out of it as they are
novelty_memory  normal patches thinned out, and how far others of them lie
novelty       normal pictures -> a file that knows when a place looks otherwise
sign          a model's manifest and its signature, for devices that take new models from a server
commands      what each command does
__main__      python -m convert MODEL | build | inspect | compare | evaluate
"""

from agent.data import LookoutError


class ConvertError(LookoutError):
    """One line for the user: what could not be converted, why, what to do. Ends a command, no traceback."""
