"""What each kind says of a picture, and what its looks say together."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agent import plugins
from agent.data import LookoutError
from agent.detect.secondary import Where, gallery
from agent.detect.secondary.kinds import count
from agent.detect.secondary.kinds.classify import vote
from agent.detect.secondary.kinds.match import Match
from agent.detect.secondary.kinds.match import Options as MatchOptions
from tests.detect.secondary import eyes, places


def opened(kind: str, state: Path, **options: object):
    module = plugins.get("detect/secondary/kinds", kind)
    return module.create(module.Options(**options), Where("it", state))


def read(eye, *pictures: np.ndarray, scale: float = 1.0):
    return eye.sum_up(1.0, [(1.0, eye.look(picture, scale)) for picture in pictures])


# ── classify ──


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> Path:
    return eyes.classifier(tmp_path_factory.mktemp("models") / "colours.tflite")


@pytest.mark.parametrize("colour", eyes.COLOURS)
def test_a_classifier_names_what_its_crops_show(colour, colours, tmp_path):
    eye = opened("classify", tmp_path, file=colours)
    reading = read(eye, eyes.painter(colour))
    assert reading.value == colour
    assert reading.confidence > 0.9
    assert reading.detail == {"limit": 0.6}


def test_what_is_none_of_them_stays_unknown(colours, tmp_path):
    reading = read(opened("classify", tmp_path, file=colours), eyes.painter("grey"))
    assert reading.value is None
    assert reading.confidence < 0.6


def test_one_wrong_look_does_not_outvote_four_right_ones(colours, tmp_path):
    eye = opened("classify", tmp_path, file=colours)
    pictures = [eyes.painter(one) for one in ("red", "red", "blue", "red", "red")]
    assert read(eye, *pictures).value == "red"


def test_a_detector_is_no_classifier(tmp_path):
    with pytest.raises(LookoutError, match="which gives no scores of a whole picture"):
        opened("classify", tmp_path, file=places.TRUNK)


def test_a_vote_by_hand():
    """Two looks of weight 1 and .5; together (1.5² / 1.25) ** .5 = 1.342 looks' worth of the mean logarithm."""
    shares = np.array([[0.8, 0.2], [0.4, 0.6]])
    logs = 1.8**0.5 * np.array([np.log(0.8) + 0.5 * np.log(0.4), np.log(0.2) + 0.5 * np.log(0.6), 1.5 * np.log(0.01)])
    logs /= 1.5
    floor = 1.5 * np.log(1.01) * 1.8**0.5 / 1.5  # each look's shares are made to sum to 1 again
    expected = np.exp(logs - floor) / np.exp(logs - floor).sum()
    assert vote([1.0, 0.5], shares) == pytest.approx(expected)


def test_agreeing_looks_are_surer_than_one_but_not_as_sure_as_independent_ones():
    one = vote([1.0], np.array([[0.7, 0.3]]))[0]
    four = vote([1.0] * 4, np.array([[0.7, 0.3]] * 4))[0]
    independent = 0.7**4 / (0.7**4 + 0.3**4)
    assert one < four < independent


@given(arrays(np.float64, (3, 4), elements=st.floats(0, 1)), st.permutations(range(3)))
def test_a_vote_is_shares_and_knows_no_order(scores, order):
    weights = np.array([1.0, 0.6, 0.2])
    shares = vote(weights, scores)
    assert shares.shape == (5,)
    assert shares.sum() == pytest.approx(1)
    assert vote(weights[list(order)], scores[list(order)]) == pytest.approx(shares)


# ── match ──


@pytest.fixture(scope="module")
def trunk(tmp_path_factory) -> Path:
    return eyes.embedder(tmp_path_factory.mktemp("models") / "trunk.tflite")


def thing(number: int, view: int) -> np.ndarray:
    """(120, 160, 3): one of several textured things, in another light and with other noise each time."""
    surface = np.random.default_rng(number).integers(20, 235, (6 + number, 8 + number, 3), np.uint8)
    picture = cv2.resize(surface, (160, 120), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = np.random.default_rng(100 * number + view).normal(0, 6, picture.shape)
    return np.clip(picture * (0.85 + 0.05 * (view % 6)) + noise, 0, 255).astype(np.uint8)


def taught(trunk: Path, state: Path, names: int = 3, limit: float | None = None) -> Match:
    """An eye whose gallery has three pictures each of so many things."""
    eye = Match(MatchOptions(trunk), Where("it", state))
    known = gallery.read(eye.path, eye.sha256)
    for name in range(names):
        known = known.with_vectors(f"thing {name}", np.stack([eye.look(thing(name, view), 1.0) for view in range(3)]))
    gallery.write(eye.path, msgspec.structs.replace(known, limit=limit))
    return Match(MatchOptions(trunk), Where("it", state))


def test_where_a_mirror_changes_nothing_a_crop_and_its_mirror_image_have_one_vector(trunk, tmp_path):
    both, one, picture = eyes.embedder(tmp_path / "both.tflite", decode={"mirror": True}), trunk, thing(1, 0)
    views = [np.stack([Match(MatchOptions(model), Where("it", tmp_path)).look(view, 1.0) for view in
                       (picture, np.ascontiguousarray(picture[:, ::-1]))]) for model in (both, one)]  # fmt: skip
    np.testing.assert_allclose(views[0][0], views[0][1], atol=1e-6)
    assert np.abs(views[1][0] - views[1][1]).max() > 1e-3, "else there is nothing to show"
    middle = views[1].sum(axis=0)
    np.testing.assert_allclose(views[0][0], middle / np.linalg.norm(middle), atol=1e-5)


def test_the_known_are_named_and_a_stranger_is_not(trunk, tmp_path):
    eye = taught(trunk, tmp_path, limit=0.97)
    for name in range(3):
        reading = read(eye, thing(name, 7), thing(name, 8))
        assert reading.value == f"thing {name}"
        assert reading.confidence >= 0.97
    stranger = read(eye, thing(9, 0), thing(9, 1))
    assert stranger.value is None
    assert stranger.detail == {"limit": 0.97}


def test_before_a_limit_is_set_nobody_is_known_and_the_log_says_so(trunk, tmp_path, caplog):
    assert read(taught(trunk, tmp_path), thing(0, 0)).value is None
    assert "no limit is set, so nobody is known" in caplog.text


def test_a_limit_in_the_config_comes_first(trunk, tmp_path):
    taught(trunk, tmp_path, limit=0.97)
    eye = Match(MatchOptions(trunk, limit=1.0), Where("it", tmp_path))
    assert read(eye, thing(0, 7)).value is None


def test_a_deleted_gallery_is_forgotten_by_a_running_agent(trunk, tmp_path):
    eye = taught(trunk, tmp_path, limit=0.9)
    assert read(eye, thing(0, 7)).value == "thing 0"
    assert gallery.delete(eye.path)
    assert read(eye, thing(0, 7)).value is None
    assert list(tmp_path.iterdir()) == []


def test_a_gallery_that_breaks_while_the_agent_runs_knows_nobody(trunk, tmp_path, caplog):
    eye = taught(trunk, tmp_path, limit=0.9)
    eye.path.write_bytes(eye.path.read_bytes()[:-1])
    assert read(eye, thing(0, 7)).value is None
    assert "damaged; restore it, or delete it and add the pictures again; nobody is known meanwhile" in caplog.text


def test_a_gallery_of_another_model_is_refused(trunk, tmp_path):
    eye = taught(trunk, tmp_path)
    gallery.write(eye.path, msgspec.structs.replace(gallery.read(eye.path, eye.sha256), model="0" * 64))
    with pytest.raises(gallery.GalleryError, match=r"made with another model \(0{12}\); add the pictures again$"):
        Match(MatchOptions(trunk), Where("it", tmp_path))


# ── segment ──


@pytest.fixture(scope="module")
def rust(tmp_path_factory) -> Path:
    return eyes.segmenter(tmp_path_factory.mktemp("models") / "rust.tflite")


def plate(x: int, width: int) -> np.ndarray:
    """(80, 160, 3): red columns from x on."""
    picture = np.full((80, 160, 3), 40, np.uint8)
    picture[:, x : x + width, 0] = 240
    return picture


def test_a_share_an_area_and_an_outline_are_those_of_the_label(rust, tmp_path):
    eye = opened("segment", tmp_path, file=rust)
    reading = read(eye, plate(40, 80), scale=0.5)
    assert reading.value == pytest.approx(0.5)
    assert reading.detail["area_px"] == pytest.approx(0.5 * 80 * 160 * 4)  # half as many px a side as the frame has
    assert reading.detail["pieces"] == 1
    corners = np.array(reading.detail["outline"])
    assert corners.min(axis=0) == pytest.approx([0.25, 0.0], abs=0.04)
    assert corners.max(axis=0) == pytest.approx([0.75, 1.0], abs=0.04)


def test_the_median_look_counts(rust, tmp_path):
    eye = opened("segment", tmp_path, file=rust, of="rust")
    assert read(eye, plate(0, 160), plate(40, 80), plate(0, 40)).value == pytest.approx(0.5)


def test_where_there_is_none_there_is_no_outline(rust, tmp_path):
    reading = read(opened("segment", tmp_path, file=rust), plate(0, 0))
    assert reading.value == 0
    assert reading.detail["outline"] == []


def test_a_label_that_a_segmenter_does_not_know_is_refused(rust, tmp_path):
    with pytest.raises(LookoutError, match="has no label 'mould'; there are: ground, rust"):
        opened("segment", tmp_path, file=rust, of="mould")


# ── count ──


def seeds(spots: list[tuple[int, int]], radius: int = 12, *, ground: int = 200, seed: int = 60) -> np.ndarray:
    """(240, 320, 3) with noise."""
    picture = np.full((240, 320, 3), ground, np.uint8)
    for x, y in spots:
        cv2.circle(picture, (x, y), radius, (seed, seed, seed), cv2.FILLED, cv2.LINE_AA)
    noise = np.random.default_rng(len(spots)).normal(0, 6, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


APART = [(40 + 60 * i, 40 + 50 * j) for i in range(4) for j in range(4)]


@pytest.mark.parametrize(("ground", "seed"), [(200, 60), (50, 180)], ids=["dark on light", "light on dark"])
def test_what_lies_apart_is_counted(ground, seed, tmp_path):
    reading = read(opened("count", tmp_path), seeds(APART[:13], ground=ground, seed=seed))
    assert reading.value == 13
    assert reading.detail["area_px"] == pytest.approx(np.pi * 12**2, rel=0.12)


def test_what_touches_is_told_apart_at_its_waist(tmp_path):
    picture = seeds([(60, 60), (80, 60), (160, 120), (180, 126), (200, 119), (260, 60)])
    reading = read(opened("count", tmp_path), picture)
    assert reading.value == 6
    assert reading.detail["area_px"] == pytest.approx(np.pi * 12**2, rel=0.12)
    assert read(opened("count", tmp_path, split=False), picture).value == 3


def test_an_empty_ground_has_nothing(tmp_path):
    reading = read(opened("count", tmp_path), seeds([]))
    assert reading.value == 0
    assert reading.detail["area_px"] is None


def test_crumbs_and_hands_do_not_count(tmp_path):
    picture = seeds(APART[:5])
    cv2.circle(picture, (300, 230), 2, (60, 60, 60), cv2.FILLED)
    cv2.rectangle(picture, (230, 150), (300, 210), (60, 60, 60), cv2.FILLED)
    assert read(opened("count", tmp_path, least_area=50, most_area=900), picture).value == 5


def test_areas_are_px_of_the_frame(tmp_path):
    eye = opened("count", tmp_path)
    half = cv2.resize(seeds(APART[:4], radius=20), (160, 120), interpolation=cv2.INTER_AREA)
    assert read(eye, half, scale=0.5).detail["area_px"] == pytest.approx(np.pi * 20**2, rel=0.12)


def test_the_median_of_looks_is_the_count(tmp_path):
    pictures = [seeds(APART[:n]) for n in (5, 9, 5, 4, 5)]
    reading = read(opened("count", tmp_path), *pictures)
    assert (reading.value, reading.confidence) == (5, 0.6)


def test_summits_are_those_of_a_slow_reconstruction():
    """Oracle: h-maxima by growing one pixel at a time."""
    far = cv2.GaussianBlur(np.random.default_rng(3).random((24, 31)).astype(np.float32), (0, 0), 2.0)
    far, rise = 40 * far, np.full_like(far, 0.8)
    grown = far - rise
    while True:
        before = grown.copy()
        for y in range(far.shape[0]):
            for x in range(far.shape[1]):
                around = before[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].max()
                grown[y, x] = min(far[y, x], max(grown[y, x], around))
        if np.array_equal(before, grown):
            break
    tops, labels = cv2.connectedComponents(count._summits(far, rise), connectivity=8)
    for top in range(1, tops):
        place = labels == top
        rim = cv2.dilate(place.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~place
        assert grown[rim].max() < grown[place].max()  # a top is higher than all around it
        assert np.ptp(grown[place]) <= 0.011
    assert far.argmax() in np.flatnonzero(labels)
