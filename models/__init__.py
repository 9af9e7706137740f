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
cells         a detector's grid: boxes as a net learns them
training      fit a Keras model: seeds, early stopping, best checkpoint, resume after a kill, curves
backbones     pretrained trunks, from packages that carry their weights or a file; a small net from scratch
tuning        a pretrained trunk brought to few pictures: the answer first, then all of it, slowly
likeness      features in which pictures of one thing lie together; what they are worth
strangeness   how strange each place is to one that saw normal pictures; how well that parts them
proof         convert, judge the int8 file on held-out pictures, report, and a row for README.md
recipes       one model a file: python -m models.recipes.NAME
"""
