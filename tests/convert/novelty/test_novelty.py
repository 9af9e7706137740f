"""Normal pictures -> one file: the same bytes each time, bounded, and one line for what cannot be."""

import json
import warnings

import cv2
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from agent import modelfile
from agent.detect.backends.tflite import Backend
from agent.detect.secondary import memory
from agent.detect.secondary.novelty import Novelty
from convert import ConvertError, novelty
from convert.__main__ import main
from convert.novelty import coreset, features
from tests.detect.secondary import places


def test_the_command_writes_one_file_that_says_what_it_knows(tmp_path, capsys):
    normal, out = places.pictures(tmp_path / "normal", 12), tmp_path / "place.tflite"
    asked = ["novelty", "--normal", normal, "--out", out, "--region", "0.25,0,1,1", "--vectors", "100"]
    assert main([str(word) for word in asked]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["normal"] == 12
    assert told["held_out"]["share"] <= told["held_out"]["share_at_most"]
    card, known = memory.read(out)
    assert card.decode["region"] == [0.25, 0.0, 1.0, 1.0]
    assert card.licence == modelfile.read(places.TRUNK).card.licence
    assert known.vectors.shape[0] == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["normal", "place.tflite"]


def test_the_same_pictures_make_the_same_bytes(tmp_path):
    first = places.built(tmp_path / "a").read_bytes()
    assert places.built(tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize("count", [8, 40])
def test_a_memory_does_not_grow_with_the_pictures(tmp_path, count):
    _, known = memory.read(places.built(tmp_path, count, vectors=64))
    assert len(known.vectors) == 64


def test_more_pictures_than_it_takes_are_taken_evenly(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3 * novelty.MOST)]
    chosen = novelty._spread(paths)
    assert len(chosen) == novelty.MOST
    assert (chosen[0], chosen[-1]) == (paths[0], paths[-1])


def test_a_trunk_says_what_the_model_it_was_cut_from_would(tmp_path):
    flatbuffer, card = features.cut(places.TRUNK, 300, (5, 10))
    path = tmp_path / "trunk.tflite"
    path.write_bytes(modelfile.pack(flatbuffer, card)[0])
    trunk = Backend(path, 1)
    picture = np.random.default_rng(0).integers(-128, 128, (1, 300, 300, 3)).astype(np.int8)
    trunk.input[...] = picture
    answers = [array.copy() for array in trunk.run()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that keeping every tensor costs memory
        whole = Interpreter(str(places.TRUNK), experimental_preserve_all_tensors=True, num_threads=1)
    whole.allocate_tensors()
    whole.set_tensor(whole.get_input_details()[0]["index"], picture)
    whole.invoke()
    named = {d["name"].split(";")[0]: d["index"] for d in whole.get_tensor_details()}
    for block, answer in zip((5, 10), answers, strict=True):
        last = [index for name, index in named.items() if f"expanded_conv_{block}/" in name and "MobilenetV2" in name]
        same = [i for i in last if np.array_equal(whole.get_tensor(i).shape, answer.shape)]
        assert any(np.abs(whole.get_tensor(i).astype(int) - answer.astype(int)).max() <= 1 for i in same)


def test_thinning_takes_the_farthest_each_time():
    points = np.random.default_rng(3).normal(size=(60, 5)).astype(np.float32)
    chosen = coreset.thinned(points, 10, 0)
    for k in range(1, 10):
        apart = np.linalg.norm(points[:, None] - chosen[None, :k], axis=2).min(axis=1)
        assert np.linalg.norm(chosen[k] - chosen[:k], axis=1).min() == pytest.approx(apart.max(), rel=1e-3)


def test_what_places_differ_by_chance_alone_is_drawn_to_their_mean_and_what_they_truly_differ_is_kept():
    generator = np.random.default_rng(5)
    noise = np.repeat(generator.normal(3, 1, (20, 6, 9)), 3, axis=0)  # three lights of one picture are no more evidence
    alike = coreset._shrunk(noise, 3)
    assert alike.shape == (6, 9)
    assert alike.std() < 0.5 * noise.mean(axis=0).std()
    truth = np.linspace(0, 10, 54).reshape(6, 9)
    assert coreset._shrunk(noise + truth, 3) == pytest.approx(noise.mean(axis=0) + truth, abs=0.05)


def test_whitening_is_of_what_differs_at_a_place_not_from_place_to_place():
    generator = np.random.default_rng(6)
    patches = generator.normal(0, (0.5, 2.0), (80, 4, 6, 2)).astype(np.float32)
    plain = coreset._whitening(patches)
    moved = coreset._whitening(patches + generator.normal(0, 5, (1, 4, 6, 2)).astype(np.float32))
    assert np.abs(plain.T @ plain - moved.T @ moved).max() < 0.01
    still = coreset._whitening(np.repeat(patches[:1], 80, axis=0))
    assert np.abs(still.astype(float)).max() < 100  # pictures that are all one blow nothing up


def test_a_camera_that_sways_by_a_pixel_is_not_new(tmp_path):
    out = places.built(tmp_path, 24)
    eye, card = Novelty(out), memory.read(out)[0]
    for by in (0.005, -0.005):
        value, _ = eye.look(novelty._moved(places.place(100), by))
        assert value < card.decode["limit"]


def test_a_limit_is_never_below_the_share_that_was_asked_for():
    scores = np.random.default_rng(0).gamma(2, 1, 400)
    limit = coreset.limit_of(scores, 0.05)
    assert (scores > limit).mean() <= 0.05
    assert coreset.at_most(0, 59) == pytest.approx(0.044, abs=0.005)


def test_normal_pictures_that_are_all_one_still_have_a_limit(tmp_path):
    for number in range(8):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((60, 80, 3), 128, np.uint8))
    out = tmp_path / "out" / "grey.tflite"
    novelty.build(novelty.Given(tmp_path, out, places.TRUNK, vectors=32))
    card, known = memory.read(out)
    assert np.isfinite(card.decode["limit"])
    assert (known.usual[1] > 0).all()


def _bad(folder, **changed):
    normal = places.pictures(folder / "normal", changed.pop("count", 8))
    return {"normal": normal, "out": folder / "o.tflite", "trunk": places.TRUNK} | changed


CASES = {
    "none": ({"count": 0}, "images .*normal: there are none"),
    "one": ({"count": 1}, "--normal: 1 picture cannot say what is usual; give 8 or more"),
    "region outside": ({"region": (0.5, 0.0, 1.2, 1.0)}, "--region 0.5,0,1.2,1: must be x0,y0,x1,y1 between 0 and 1"),
    "region inside out": ({"region": (0.5, 0.0, 0.4, 1.0)}, "--region 0.5,0,0.4,1: must be"),
    "rate": ({"rate": 0.0}, "--rate 0: the share of normal pictures"),
    "light": ({"light": 1.0}, "--light 1: must be a share of the light, from 0 to below 1"),
    "vectors": ({"vectors": 5000}, "--vectors 5000: must be 16 to 4096"),
}


@pytest.mark.parametrize(("changed", "line"), CASES.values(), ids=CASES)
def test_what_cannot_be_is_one_line_and_writes_nothing(tmp_path, changed, line):
    given = novelty.Given(**_bad(tmp_path, **changed))
    with pytest.raises(ConvertError, match=line) as told:
        novelty.build(given)
    assert "\n" not in str(told.value)
    assert not given.out.exists()


def test_an_unreadable_picture_is_named(tmp_path, capsys):
    normal = places.pictures(tmp_path / "normal", 8)
    (normal / "zz.png").write_bytes(b"no picture")
    assert main(["novelty", "--normal", str(normal), "--out", str(tmp_path / "o.tflite")]) == 2
    assert "zz.png: not a picture that can be read" in capsys.readouterr().err


def test_a_model_that_is_no_feature_model_is_refused(tmp_path, data_dir):
    path = data_dir / "models" / "ssd_mobilenet_v1_coco_uint8.tflite"
    with pytest.raises(ConvertError, match=r"ssd_mobilenet_v1_coco_uint8\.tflite: is no feature model"):
        novelty.build(novelty.Given(**_bad(tmp_path, trunk=path)))
    text = tmp_path / "text.tflite"
    text.write_text("hello, I am no model")
    with pytest.raises(ConvertError, match=r"text\.tflite: not a TFLite file"):
        novelty.build(novelty.Given(**_bad(tmp_path, trunk=text)))
