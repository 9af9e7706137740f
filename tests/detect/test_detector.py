"""Whole frames, crops, and crops merged; boxes lie far from the origin and nothing is square."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import boxes
from agent.data import Detections, Frame, Tracks
from agent.detect.detector import STAGES, Detector
from agent.detect.merge import cut, merge, of_tracks
from tests.build import detections, xyxy
from tests.detect.eye import Eye, paint, tracks

SIZE = (640, 360)


def crops(*rows):
    return np.array(rows, np.int32).reshape(-1, 4)


def look(*objects, at, expected=None, eye=None):
    detector = Detector(eye or Eye())
    frame = Frame(paint(SIZE, *objects), 0, 0.0)
    return detector.look(frame, crops(*at), Tracks.empty() if expected is None else expected)


def test_a_whole_frame_gives_boxes_in_its_own_pixels():
    found = Detector(Eye()).detect(Frame(paint(SIZE, (480, 200, 560, 330)), 0, 0.0))
    np.testing.assert_allclose(found.xyxy, [[480, 200, 560, 330]], atol=7)  # a model px is 6.7 × 3.8 of the frame's


def test_the_whole_frame_is_looked_at_in_the_cameras_own_small_picture():
    small = paint((320, 180), (240, 100, 280, 165))  # the large one shows nothing: whose picture it was can be told
    frame, detector = Frame(paint(SIZE), 0, 0.0, small), Detector(Eye())
    for found in (
        detector.detect(frame),
        detector.read(detector.begin(frame)),
        detector.look(frame, crops((0, 0, *SIZE)), Tracks.empty())[0],
    ):
        np.testing.assert_allclose(found.xyxy, [[480, 200, 560, 330]], atol=7)


def test_crops_and_models_that_want_more_pixels_are_given_the_large_picture():
    lying = paint((320, 180), (240, 100, 260, 150))
    at = crops((430, 150, 620, 340))
    found, _ = Detector(Eye()).look(Frame(paint(SIZE), 0, 0.0, lying), at, Tracks.empty())
    assert len(found) == 0
    tiny = np.zeros((30, 53, 3), np.uint8)
    assert len(Detector(Eye()).detect(Frame(paint(SIZE, (480, 200, 560, 330)), 0, 0.0, tiny))) == 1


def test_a_crop_gives_boxes_in_pixels_of_the_frame():
    found, whole = look((480, 200, 520, 300), at=[(430, 150, 620, 340)])
    np.testing.assert_allclose(found.xyxy, [[480, 200, 520, 300]], atol=2.1)
    assert whole.tolist() == [True]


def test_an_object_too_small_for_the_whole_frame_is_found_in_a_crop():
    person = (500, 250, 512, 276)
    assert len(Detector(Eye()).detect(Frame(paint(SIZE, person), 0, 0.0))) == 0
    found, _ = look(person, at=[(470, 230, 566, 326)])
    np.testing.assert_allclose(found.xyxy, [person], atol=1.1)


def test_one_object_in_two_crops_is_one():
    found, whole = look((400, 150, 440, 250), at=[(300, 100, 500, 300), (350, 90, 560, 300)])
    assert len(found) == 1
    assert whole.all()


def test_a_box_that_a_crop_cuts_loses_to_the_whole_one_whatever_their_confidence():
    found, whole = look((400, 150, 440, 250), at=[(220, 100, 425, 305), (350, 90, 560, 300)])
    np.testing.assert_allclose(found.xyxy, [[400, 150, 440, 250]], atol=2.5)
    assert whole.tolist() == [True]


def test_a_cut_box_that_nothing_explains_stays_and_is_marked():
    found, whole = look((400, 150, 440, 250), at=[(220, 100, 425, 305)])
    np.testing.assert_allclose(found.xyxy, [[400, 150, 425, 250]], atol=2.5)
    assert whole.tolist() == [False]


def test_a_cut_box_of_a_known_track_is_no_detection():
    """Half a person is a bad measurement of where that person is."""
    found, _ = look((400, 150, 440, 250), at=[(220, 100, 425, 305)], expected=tracks((402, 152, 442, 252)))
    assert len(found) == 0


def test_a_whole_box_of_a_known_track_stays():
    found, _ = look((400, 150, 440, 250), at=[(220, 100, 455, 305)], expected=tracks((402, 152, 442, 252)))
    assert len(found) == 1


def test_what_the_frame_itself_cuts_is_whole():
    found, whole = look((600, 300, 640, 360), at=[(480, 200, 640, 360)])
    assert len(found) == 1
    assert whole.all()


def test_boxes_never_leave_their_crop():
    class Wild(Eye):
        def __init__(self):
            super().__init__()
            run = self.backend.run
            self.backend.run = lambda: [out * 3 - 1 if i == 0 else out for i, out in enumerate(run())]

    found, _ = look((500, 250, 550, 300), at=[(470, 230, 600, 350)], eye=Wild())
    assert np.all(found.xyxy >= [470, 230, 470, 230])
    assert np.all(found.xyxy <= [600, 350, 600, 350])


def test_no_crops_cost_nothing_and_find_nothing():
    eye = Eye()
    detector = Detector(eye)
    found, whole = detector.look(Frame(paint(SIZE), 0, 0.0), crops(), Tracks.empty())
    assert (len(found), len(whole), eye.backend.runs) == (0, 0, 0)


def test_times_are_summed_over_the_crops():
    detector = Detector(Eye())
    detector.look(Frame(paint(SIZE), 0, 0.0), crops((0, 0, 100, 100), (300, 100, 500, 300)), Tracks.empty())
    assert set(detector.times) == set(STAGES)
    assert all(ms > 0 for ms in detector.times.values())


def test_only_wanted_labels_are_reported():
    found = Detector(Eye(), only=("person",)).detect(Frame(paint(SIZE, (400, 100, 500, 300)), 0, 0.0))
    assert len(found) == 1
    detector = Detector(Eye())
    detector._wanted[:] = False
    assert len(detector.detect(Frame(paint(SIZE, (400, 100, 500, 300)), 0, 0.0))) == 0


@pytest.mark.parametrize(
    ("box", "is_cut"),
    [
        ((310, 110, 340, 140), False),
        ((300, 110, 340, 140), True),
        ((301, 110, 340, 140), True),
        ((310, 100, 340, 140), True),
        ((470, 110, 500, 140), True),
        ((310, 250, 340, 299), True),
        ((310, 110, 490, 290), False),
    ],
    ids=["inside", "left", "a pixel from the left", "top", "right", "bottom", "nearly filling it"],
)
def test_a_box_at_an_edge_of_its_crop_is_cut(box, is_cut):
    assert cut(xyxy(box), np.array([300, 100, 500, 300]), SIZE).tolist() == [is_cut]


def test_the_frames_own_border_cuts_nothing():
    corner = np.array([440, 160, 640, 360])
    assert not cut(xyxy((600, 300, 640, 360)), corner, SIZE).any()
    assert cut(xyxy((440, 300, 500, 360)), corner, SIZE).all()


def test_of_two_cut_parts_the_larger_stays():
    found = detections((400, 100, 500, 300, 0.6), (400, 100, 430, 300, 0.9))
    order = np.argsort(found.xyxy[:, 2])  # the smaller one first
    kept = merge(found[order], np.array([0, 1]), np.array([True, True]), 0.6)
    np.testing.assert_array_equal(found[order].xyxy[kept], xyxy((400, 100, 500, 300)))


def test_labels_do_not_suppress_each_other():
    found = detections((400, 100, 500, 300, 0.9), (400, 100, 500, 300, 0.8))
    found = Detections(found.xyxy, found.confidence, np.array([0, 1], np.int32))
    assert len(merge(found, np.array([0, 1]), np.array([False, False]), 0.6)) == 2


def test_a_track_explains_only_what_it_covers_beyond_the_edge():
    box, crop = xyxy((400, 150, 425, 250)), np.array([[220, 100, 425, 305]])
    zero = np.zeros(1, np.int32)
    assert of_tracks(box, zero, crop, xyxy((400, 150, 440, 250)), zero).tolist() == [True]
    assert of_tracks(box, zero, crop, xyxy((400, 150, 440, 250)), zero + 1).tolist() == [False]
    assert of_tracks(box, zero, crop, xyxy((330, 120, 420, 300)), zero).tolist() == [False]  # it is wholly in the crop
    assert of_tracks(box, zero, crop, xyxy((500, 150, 540, 250)), zero).tolist() == [False]


numbers = st.integers(0, 60)


@st.composite
def rows(draw):
    n = draw(st.integers(0, 12))
    table = []
    for _ in range(n):
        x, y = 500 + draw(numbers), 250 + draw(numbers)
        table.append((x, y, x + 1 + draw(numbers), y + 1 + draw(numbers), draw(st.integers(1, 1000)) / 1000))
    return detections(*table)


@given(rows())
def test_uncut_boxes_of_one_crop_are_merged_by_plain_nms(found):
    n = len(found)
    kept = merge(found, np.zeros(n, int), np.zeros(n, bool), 0.5)
    expected = []
    for i in range(n):  # rows by falling confidence
        if all(boxes.iou(found.xyxy[i : i + 1], found.xyxy[j : j + 1])[0, 0] <= 0.5 for j in expected):
            expected.append(i)
    ties = len(set(found.confidence.tolist())) < n
    assert ties or kept.tolist() == expected


@given(rows(), st.data())
def test_merging_loses_no_place_and_keeps_the_order(found, data):
    """Every box that goes overlaps one of its label that stays; confidence falls; whole ones never lose to cut ones."""
    n = len(found)
    crop = np.array(data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), int)
    is_cut = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    kept = merge(found, crop, is_cut, 0.6)
    assert len(set(kept.tolist())) == len(kept)
    assert np.all(np.diff(found.confidence[kept]) <= 0)
    gone = np.setdiff1d(np.arange(n), kept)
    overlap = boxes.intersection(found.xyxy, found.xyxy)
    for row in gone:
        by = kept[overlap[row, kept] > 0]
        assert len(by)
        assert is_cut[row] or np.any(~is_cut[by])
