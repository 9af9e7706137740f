"""Lookout's recipes: pictures in, a trained, converted and measured model out.

They run in a source tree, on a workstation, with TensorFlow; neither the agent nor the converter knows them. The floor
plan, in import order:

drawing       curves as a PNG
augment       the same picture again, a little different
scenery       pictures made of pictures: light, clouds, pasted scenes, drawn defects
pictures      class folders, CSV and arrays -> what to train on, what to judge by; bad data told in one line
masks         pictures with a mask each
boxed         pictures with boxes, as YOLO's folders have them
classical     what a threshold finds without a net, to compare with
likeness      whether vectors of one thing lie together: verification, search
cells         a detector's grid: boxes as a net learns them
strangeness   how well something normal is told from what is not
training      fit a Keras model: seeds, early stopping, best checkpoint, resume after a kill, curves
backbones     pretrained trunks, from packages that carry their weights or a file; a small net from scratch
proof         convert, judge the int8 file on held-out pictures, report, and a row for README.md
recipes       one model a file: python -m models.recipes.NAME
"""
