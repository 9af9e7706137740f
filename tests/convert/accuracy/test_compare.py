"""Agreement and mAP on cases worked out by hand."""

import numpy as np
import pytest

from agent.data import Detections
from agent.detect.letterbox import Placement
from agent.modelfile import Tensor
from convert import ConvertError
from convert.accuracy import compare
from tests.convert import tiny
from tests.detect.heads.stored import SIZE, STRIDES, Outputs


def found(*rows):
    """Detections from (x1, y1, x2, y2, confidence, class)."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(np.int32))


A = (100, 50, 140, 90, 0.9, 1)


def test_pairs_share_a_label_and_half_their_area():
    assert compare.paired(found(A), found(A)) == [pytest.approx(1.0)]
    assert compare.paired(found(A), found((*A[:5], 2))) == []
    assert compare.paired(found(A), found((100, 50, 140, 70, 0.9, 1))) == [pytest.approx(0.5)]
    assert compare.paired(found(A), found((100, 50, 140, 69, 0.9, 1))) == []


def test_each_box_is_paired_once_and_with_its_nearest():
    near, nearer = (100, 50, 140, 80, 0.9, 1), (100, 50, 140, 88, 0.5, 1)
    assert compare.paired(found(A), found(near, nearer)) == [pytest.approx(38 / 40)]
    assert len(compare.paired(found(A, A), found(near))) == 1


def test_agreement_counts_what_either_has_alone():
    """Picture 1: one pair of overlap .75, one extra; picture 2: one missing. F1 = 2·1 / (2 + 2)."""
    reference = [found(A), found(A)]
    other = [found((100, 50, 140, 80, 0.9, 1), (0, 0, 9, 9, 0.4, 0)), found()]
    agreement = compare.match(reference, other)
    assert agreement.f1 == pytest.approx(0.5)
    assert agreement.mean_iou == pytest.approx(0.75)
    assert agreement.objects == 2


def test_two_models_that_find_nothing_agree():
    assert compare.match([found()], [found()]).f1 == 1.0


def test_map_is_1_for_the_truth_itself_and_0_for_nothing():
    truth = [found((10, 10, 50, 50, 1, 0), (60, 20, 90, 80, 1, 2)), found((5, 5, 25, 45, 1, 0))]
    assert compare.coco_map(truth, truth, 3) == {"map": 1.0, "map50": 1.0}
    assert compare.coco_map([found(), found()], truth, 3) == {"map": 0.0, "map50": 0.0}


def test_map_falls_with_the_overlap():
    """Overlap 0.8: found at the seven limits .5 to .8 (of ten, the seventh being met exactly)."""
    truth = [found((100, 100, 200, 200, 1, 0))]
    seen = [found((100, 100, 200, 180.5, 0.9, 0))]
    assert compare.coco_map(seen, truth, 1) == {"map": 0.7, "map50": 1.0}


def test_map_without_objects_is_an_error():
    with pytest.raises(ConvertError, match="no object that the model knows"):
        compare.coco_map([found()], [found()], 1)


def recording(dtype, hits, box_shift=0.0):
    """One picture of 96 × 64 px; logits -8 but at hits (anchor, column, logit)."""
    logits = np.full((1, tiny.ANCHORS, 4), -8.0, np.float32)
    for anchor, column, value in hits:
        logits[0, anchor, column] = value
    encoded = np.full((1, tiny.ANCHORS, 4), box_shift, np.float32)
    scale = 0.0625 if dtype == "int8" else 0.0
    tensors = (Tensor("logit", logits.shape, dtype, scale, 0), Tensor("box", encoded.shape, dtype, scale, 0))
    arrays = tuple((a / scale).round().astype(np.int8) if scale else a for a in (logits, encoded))
    placement = Placement((0.5, 0.5), (0.0, 0.0))
    return compare.Recording(tiny.CARD, tensors, (compare.Seen(arrays, placement, (96, 64)),))


def test_detections_are_px_of_the_picture_and_inside_it():
    """Anchor 36 of row 2, cell 0: centre (4, 20) of 48 × 32, 3.2 px wide; in the picture (8, 40), 6.4 px."""
    result = compare.detections(recording("float32", [(36, 1, 2.0)]), 0.3, iou=0.6)
    np.testing.assert_allclose(result[0].xyxy, [[4.8, 36.8, 11.2, 43.2]], atol=1e-4)
    wide = compare.detections(recording("float32", [(37, 1, 2.0)]), 0.3, iou=0.6)[0].xyxy
    assert wide.min() >= 0


def test_overlaps_of_one_label_are_suppressed():
    """Anchors 1 and 2 of a cell cross at 1/3; the same anchor's labels do not suppress each other."""
    hits = [(37, 1, 2.0), (38, 1, 1.0), (37, 2, 1.5)]
    assert len(compare.detections(recording("float32", hits), 0.3, iou=0.2)[0]) == 1
    assert len(compare.detections(recording("float32", hits), 0.3, iou=0.4)[0]) == 2
    assert len(compare.detections(recording("float32", hits), 0.3, iou=0.4, multi_label=True)[0]) == 3


def test_errors_of_boxes_and_of_scores_are_told_apart():
    """The int8 model moves its boxes and misses one object: each cause alone shows one of the two."""
    reference = recording("float32", [(36, 1, 2.0), (60, 2, 2.0)])
    other = recording("int8", [(36, 1, 2.0)], box_shift=1.25)
    report = compare.agreements(reference, other)
    assert report["objects"] == 2
    assert report["float boxes, int8 scores"] == {"f1": round(2 / 3, 4), "mean_iou": 1.0}
    assert report["int8 boxes, float scores"]["f1"] == 1.0
    assert report["int8 boxes, float scores"]["mean_iou"] < 0.8
    assert report["int8"]["f1"] == round(2 / 3, 4)
    assert report["int8"]["mean_iou"] < 0.8


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_errors_are_told_apart_at_every_stride(stride):
    """Boxes move at one stride of a YOLO, whichever: the scores are not to blame."""
    out = Outputs("float32")
    for s in STRIDES:
        shape = (1, SIZE[1] // s, SIZE[0] // s)
        out.add("box", np.ones((*shape, 4)), s)
        out.add("logit", np.where(np.arange(2) == 1, 2.0, -9.0) * np.ones((*shape, 2)), s)
    card = out.card("yolo", 2, decode={"reg_max": 1})
    moved = [a + 0.25 if t.name == f"box{stride}" else a for t, a in zip(out.tensors, out.arrays, strict=True)]
    placement = Placement((1.0, 1.0), (0.0, 0.0))
    reference, other = (
        compare.Recording(card, tuple(out.tensors), (compare.Seen(tuple(arrays), placement, SIZE),))
        for arrays in (out.arrays, moved)
    )
    report = compare.agreements(reference, other)
    assert report["float boxes, int8 scores"] == {"f1": 1.0, "mean_iou": 1.0}
    assert report["int8 boxes, float scores"] == report["int8"]
    assert report["int8"]["mean_iou"] < 1.0


def test_accuracy_is_told_for_float_and_for_int8():
    reference, other = recording("float32", [(36, 1, 2.0)]), recording("int8", [(36, 1, 2.0)], box_shift=1.25)
    truth = [found((4.8, 36.8, 11.2, 43.2, 1, 0))]
    report = compare.accuracies(reference, other, truth)
    assert report["float32"]["map"] == 1.0
    assert report["int8"]["map"] < 0.5
    assert report["float boxes, int8 scores"]["map"] == 1.0
