"""What a description leaves out is filled in where the outputs tell it."""

import msgspec

from agent.modelfile import Card, Input, Output
from convert.sources import FloatModel, description

HEAT = (Output("heat_4", "heat", (1, 8, 12, 80), 4), Output("size_4", "size", (1, 8, 12, 2), 4))
FOUND = FloatModel(b"", Card("detect", "centernet", (), Input((48, 32)), HEAT))


def test_a_detector_without_labels_gets_one_for_each_class_it_tells_apart():
    told = description.labelled(FOUND, "model x")
    assert told.card.labels == description.COCO
    assert "80 classes are taken for COCO's" in told.notes[0]


def test_labels_that_are_there_stay():
    named = msgspec.structs.replace(FOUND, card=msgspec.structs.replace(FOUND.card, labels=("a", "b")))
    assert description.labelled(named, "model x") is named
