"""What a detector's cells should answer, read back by the agent's own head."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.detect.heads.yolo import Head
from agent.modelfile import Card, Input, Output, Tensor
from models import cells
from models.augment import Augment
from models.cells import Windows

SIZE, STRIDES = (96, 64), (8, 16, 32)
STILL = Augment(light=0.0)
GRIDS = [(SIZE[1] // s, SIZE[0] // s) for s in STRIDES]
OUTPUTS = [
    (f"{role}_{s}", role, (1, *grid, channels), s)
    for s, grid in zip(STRIDES, GRIDS, strict=True)
    for role, channels in (("box", 4), ("logit", 2))
]
CARD = Card(
    "detect", "yolo", ("a", "b"), Input(SIZE), tuple(Output(*o) for o in OUTPUTS), decode={"box": "dfl", "reg_max": 1}
)


def _decoded(answer):
    """The boxes that a net says which answers so, by the agent's head."""
    tensors, begin = [], 0
    for high, wide in GRIDS:
        part = answer[begin : begin + high * wide].reshape(1, high, wide, 5)
        begin += high * wide
        logit = np.where(part[..., 4:] == np.arange(2), 9.0, -9.0).astype(np.float32)
        tensors += [np.ascontiguousarray(part[..., :4]), logit]
    outputs = [Tensor(name, shape, "float32") for name, _, shape, _ in OUTPUTS]
    return Head(CARD, outputs, 0.5).decode(tensors)


@given(
    st.floats(0, 60), st.floats(0, 40), st.floats(4, 90), st.floats(4, 60), st.integers(0, 1),
)  # fmt: skip
def test_the_agents_head_reads_the_box_that_the_cells_should_answer_with(x, y, width, height, label):
    box = np.array([[x, y, min(x + width, 96), min(y + height, 64), label]], np.float32)
    found = _decoded(cells.grids(box, SIZE, STRIDES))
    assert 1 <= len(found) <= 16  # within 1.5 cells of its middle, in one grid: four a side where that lies between two
    assert set(found.class_id) == {label}
    np.testing.assert_allclose(found.xyxy, np.repeat(box[:, :4], len(found), 0), atol=1e-3)


def test_nothing_is_answered_where_nothing_is():
    empty = np.full((3, 5), -1, np.float32)
    assert len(_decoded(cells.grids(empty, SIZE, STRIDES))) == 0


def test_a_small_box_within_a_large_one_is_not_lost():
    boxes = np.array([[10, 10, 50, 50, 0], [26, 26, 36, 36, 1]], np.float32)
    assert set(_decoded(cells.grids(boxes, SIZE, STRIDES)).class_id) == {0, 1}


def test_boxes_move_with_the_window_and_the_mirror():
    generator = np.random.default_rng(0)
    picture = np.zeros((1, 128, 192, 3), np.uint8)
    picture[0, 40:72, 96:136] = 255
    boxes = np.array([[[96, 40, 136, 72, 1], [-1, -1, -1, -1, -1]]], np.float32)
    change = Windows(SIZE, STRIDES, 0.6, Augment(light=0.0, flips="horizontal"))
    seen = 0
    for _ in range(30):
        image, answer = change(generator, picture, boxes)
        found = _decoded(answer[0])
        rows, columns = np.nonzero(image[0, :, :, 0] > 127)
        inside = rows.min() > 2 and rows.max() < 61 and columns.min() > 2 and columns.max() < 93
        if len(found) and inside:
            seen += 1
            want = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(found.xyxy[0], want, atol=1.6)
    assert seen > 5


def test_a_window_of_the_whole_picture_is_the_picture_made_smaller():
    picture = np.random.default_rng(1).integers(0, 255, (4, 6, 3)).astype(np.uint8).repeat(32, 0).repeat(32, 1)
    none = np.full((1, 1, 5), -1, np.float32)
    image, answer = Windows(SIZE, STRIDES, 1.0, STILL)(np.random.default_rng(3), picture[None], none)
    assert image.shape == (1, 64, 96, 3)
    assert (answer[..., 4] == -1).all()
