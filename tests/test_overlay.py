"""Boxes drawn on a picture."""

import numpy as np

from agent import overlay
from tests.build import detections, frame


def test_a_box_is_drawn_where_it_is_and_nowhere_else() -> None:
    image = frame((320, 192), color=50).image

    drawn = overlay.draw(image, detections([200, 100, 260, 160, 0.9]), ["person"])

    changed = np.argwhere(np.any(drawn != image, axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert left in (199, 200)
    assert 259 <= right <= 300  # the label may be wider than the box
    assert 158 <= bottom <= 161
    assert top < 100  # the label stands above it
    assert np.all(drawn[110:150, 210:250] == 50)
    assert np.all(image == 50)


def test_neighbouring_classes_have_different_colours() -> None:
    assert len({overlay.color_of(class_id) for class_id in range(80)}) == 80


def test_a_mask_is_painted_over_its_cells_and_the_background_stays_clear() -> None:
    image = frame((320, 192), color=50).image
    mask = np.array([[0, 0, 1], [0, 2, 2]])

    painted = overlay.paint(image, mask)

    assert np.all(painted[:96, :200] == 50)
    assert np.all(painted[:90, 220:] == painted[0, 319])
    assert np.any(painted[0, 319] != 50)
    assert np.any(painted[191, 319] != painted[0, 319])
    assert np.all(image == 50)
