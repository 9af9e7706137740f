"""Pixels and boxes through the letterbox, against a float oracle."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.detect.letterbox import Letterbox, pixel_table
from agent.modelfile import Input, ModelError, Tensor

INT8_UNIT = {"dtype": "int8", "scale": 1 / 127.5, "zero_point": -1}  # half a grey level off, so a plain xor
sides = st.integers(3, 97)


def tensor(size, dtype="int8", scale=1.0, zero_point=-128):
    if dtype == "float32":
        scale, zero_point = 0.0, 0
    return Tensor("image", (1, size[1], size[0], 3), dtype, scale, zero_point)


def picture(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)


def view_of(t):
    return np.full(t.shape, 77, t.dtype)


@given(sides, sides, sides, sides, st.sampled_from(["stretch", "letterbox"]), st.sampled_from(["center", "top-left"]))
@settings(deadline=None)
def test_boxes_come_back_within_half_a_pixel(w, h, crop_w, crop_h, resize, align):
    """The forward direction is the oracle: where the picture's corners really went in the tensor."""
    wanted = Input(size=(w, h), resize=resize, align=align, pad=0)
    view = view_of(tensor((w, h), "uint8", 1.0, 0))
    crop = np.full((crop_h, crop_w, 3), 255, np.uint8)
    placement = Letterbox(wanted, tensor((w, h), "uint8", 1.0, 0)).fill(view, crop)
    ys, xs = np.nonzero(view[0, :, :, 0])
    corners = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
    back = placement.to_crop(corners)
    np.testing.assert_allclose(back, [[0, 0, crop_w, crop_h]], atol=0.5)
    assert back.dtype == np.float32


@given(sides, sides, st.tuples(sides, sides), st.data())
@settings(deadline=None)
def test_a_box_survives_the_way_there_and_back(w, h, crop_size, data):
    wanted = Input(size=(w, h), resize="letterbox")
    t = tensor((w, h))
    placement = Letterbox(wanted, t).fill(view_of(t), picture(crop_size))
    xs = sorted(data.draw(st.tuples(*[st.floats(0, crop_size[0])] * 2)))
    ys = sorted(data.draw(st.tuples(*[st.floats(0, crop_size[1])] * 2)))
    there = [x * placement.scale[0] + placement.offset[0] for x in xs]
    there_y = [y * placement.scale[1] + placement.offset[1] for y in ys]
    back = placement.to_crop(np.array([[there[0], there_y[0], there[1], there_y[1]]]))
    np.testing.assert_allclose(back, [[xs[0], ys[0], xs[1], ys[1]]], atol=0.01)
    assert min(there) >= -1e-3
    assert max(there) <= w + 1e-3
    assert max(there_y) <= h + 1e-3


def test_letterbox_keeps_the_aspect_and_centres_the_picture():
    t = tensor((40, 30), "uint8", 1.0, 0)
    view = view_of(t)
    placement = Letterbox(Input(size=(40, 30), pad=9), t).fill(view, np.full((20, 40, 3), 200, np.uint8))
    assert placement.scale == (1.0, 1.0)
    assert placement.offset == (0, 5)
    assert np.all(view[0, 5:25] == 200)
    assert np.all(view[0, :5] == 9)
    assert np.all(view[0, 25:] == 9)


def test_a_tall_picture_is_centred_between_bars_at_its_sides():
    t = tensor((40, 30), "uint8", 1.0, 0)
    view = view_of(t)
    placement = Letterbox(Input(size=(40, 30), pad=9), t).fill(view, np.full((60, 20, 3), 200, np.uint8))
    assert placement.scale == (0.5, 0.5)
    assert placement.offset == (15, 0)
    assert np.all(view[0, :, 15:25] == 200)
    assert np.all(view[0, :, :15] == 9)
    assert np.all(view[0, :, 25:] == 9)


def test_top_left_alignment_pads_right_and_below():
    t = tensor((40, 30), "uint8", 1.0, 0)
    view = view_of(t)
    wanted = Input(size=(40, 30), pad=9, align="top-left")
    placement = Letterbox(wanted, t).fill(view, np.full((30, 20, 3), 200, np.uint8))
    assert placement.offset == (0, 0)
    assert np.all(view[0, :, :20] == 200)
    assert np.all(view[0, :, 20:] == 9)


def test_pad_is_written_again_after_the_interpreter_used_the_tensor_as_scratch():
    t = tensor((40, 30))
    view = view_of(t)
    box = Letterbox(Input(size=(40, 30), pad=9), t)
    box.fill(view, picture((40, 10)))
    first = view.copy()
    view[...] = 55
    box.fill(view, picture((40, 10)))
    np.testing.assert_array_equal(view, first)


@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize(
    ("limits", "t", "steps"),
    [
        ((0.0, 255.0), tensor((31, 17), "uint8", 1.0, 0), 0.5),
        ((0.0, 255.0), tensor((31, 17), "int8", 1.0, -128), 0.5),
        ((0.0, 1.0), tensor((31, 17), "int8", 1 / 255, -128), 0.5),
        ((-1.0, 1.0), tensor((31, 17), "int8", 1 / 127.5, -1), 0.5),
        ((-1.0, 1.0), tensor((31, 17), "uint8", 1 / 128, 128), 0.5),
        ((0.0, 1.0), tensor((31, 17), "int8", 0.02, -40), 0.5),
        ((0.0, 255.0), tensor((31, 17), "int8", 3.0, 5), 0.5),
        ((-2.0, 3.0), tensor((31, 17), "float32"), 0.0),
    ],
)
def test_every_pixel_is_the_value_that_the_card_says(color, limits, t, steps):
    """Oracle: resize, flip and quantise in float, then compare in steps of the tensor."""
    wanted = Input(size=(31, 17), color=color, range=limits, resize="stretch")
    crop = picture((57, 43))
    view = view_of(t)
    Letterbox(wanted, t).fill(view, crop)
    resized = cv2.resize(crop, (31, 17), interpolation=cv2.INTER_LINEAR)[:, :, :: 1 if color == "RGB" else -1]
    real = limits[0] + resized * ((limits[1] - limits[0]) / 255)
    if t.dtype == "float32":
        np.testing.assert_allclose(view[0], real, atol=1e-6)
    else:
        info = np.iinfo(t.dtype)
        ideal = np.clip(real / t.scale + t.zero_point, info.min, info.max)
        assert np.abs(view[0].astype(float) - ideal).max() <= steps + 1e-4


def test_usual_8_bit_inputs_need_no_table():
    assert pixel_table((0.0, 255.0), tensor((8, 4), "uint8", 1.0, 0)) is None
    assert pixel_table((0.0, 1.0), tensor((8, 4), "int8", 1 / 255, -128)) is None
    assert pixel_table((-1.0, 1.0), tensor((8, 4), **INT8_UNIT)) is None
    assert pixel_table((0.0, 1.0), tensor((8, 4), "int8", 1 / 128, -128)) is not None


def test_a_slice_of_a_frame_fills_like_its_copy():
    frame, t = picture((200, 120)), tensor((31, 17))
    views = view_of(t), view_of(t)
    box = Letterbox(Input(size=(31, 17)), t)
    box.fill(views[0], frame[11:98, 23:160])
    box.fill(views[1], frame[11:98, 23:160].copy())
    np.testing.assert_array_equal(*views)


def test_the_frame_is_only_read():
    frame, t = picture((64, 48)), tensor((64, 48))
    before = frame.copy()
    Letterbox(Input(size=(64, 48), color="BGR"), t).fill(view_of(t), frame)
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("t", [tensor((320, 192)), tensor((320, 192), "uint8", 0.5, 3)], ids=["xor", "table"])
def test_filling_an_8_bit_tensor_allocates_no_pictures(t):
    view, frame = view_of(t), picture((640, 480))
    box = Letterbox(Input(size=(320, 192), color="BGR"), t)
    box.fill(view, frame[20:400, 10:600])
    tracemalloc.start()
    try:
        box.fill(view, frame[20:400, 10:600])
        assert tracemalloc.get_traced_memory()[1] < 4096
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "t",
    [
        Tensor("image", (1, 40, 30, 3), "int8", 1.0, -128),
        Tensor("image", (1, 3, 30, 40), "int8", 1.0, -128),
        Tensor("image", (1, 30, 40, 3), "int16", 1.0, 0),
    ],
    ids=["width and height swapped", "NCHW", "int16"],
)
def test_a_tensor_that_is_not_the_cards_is_refused(t):
    with pytest.raises(ModelError, match=r"model input 'image' is .* \[1, 30, 40, 3\]; the card belongs to another"):
        Letterbox(Input(size=(40, 30)), t)


@pytest.mark.parametrize(
    ("limits", "quant"),
    [
        ((0.0, 1.0), {"dtype": "float32"}),
        ((0.0, 255.0), {"dtype": "int8", "scale": 1.0, "zero_point": -128}),
        ((0.0, 255.0), {"dtype": "uint8", "scale": 1.0, "zero_point": 0}),
        ((0.0, 1.0), {"dtype": "int8", "scale": 0.02, "zero_point": -40}),
    ],
)
def test_planes_hold_the_same_values_as_pixels(limits, quant):
    pixels, crop = tensor((31, 17), **quant), picture((57, 43))
    planes = Tensor("image", (1, 3, 17, 31), pixels.dtype, pixels.scale, pixels.zero_point)
    views = view_of(pixels), view_of(planes)
    a = Letterbox(Input(size=(31, 17), range=limits), pixels).fill(views[0], crop)
    b = Letterbox(Input(size=(31, 17), range=limits, layout="NCHW"), planes).fill(views[1], crop)
    assert a == b
    np.testing.assert_array_equal(views[1], np.moveaxis(views[0], 3, 1))
