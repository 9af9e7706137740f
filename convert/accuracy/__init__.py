"""How good a model's answers are, with labels and without.

compare       float vs int8 through the agent's own head: agreement of boxes without labels, COCO mAP with
evidence      what a conversion leaves for the reader of its report
coco          COCO's figures: mAP, by overlap, class and size
dataset       labelled pictures: boxes in YOLO's layout, classes as folders, masks
tasks         what agreement, loss and accuracy mean for each kind of answer
slices        figures by group of pictures, and whether int8 hurts one of them more than the rest
"""
