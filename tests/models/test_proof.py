"""Figures as they are told: intervals, groups by light, and a table's row in its place."""

import numpy as np
import pytest

from convert import ConvertError
from models import pictures, proof
from models.recipes import synthetic
from tests.models.made import folder

TABLE = f"""# Title
{proof.BEGIN.format("classifiers")}
| head | figure |
|---|---|
| a | 1 |
| b | 2 |
{proof.END}
below
"""


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    [(0.5, 10, 0.2366, 0.7634), (1.0, 20, 0.8389, 1.0), (0.9, 50, 0.7864, 0.9565)],  # R's prop.test(correct=FALSE)
)
def test_wilson_interval_is_that_of_the_books(share, count, low, high):
    assert proof.wilson(share, count) == pytest.approx((low, high), abs=2e-4)


def test_a_row_takes_the_place_of_its_own_and_no_other(tmp_path):
    table = tmp_path / "README.md"
    table.write_text(TABLE)
    proof.row(table, "classifiers", "b", ["3"])
    assert table.read_text() == TABLE.replace("| b | 2 |", "| b | 3 |")
    proof.row(table, "classifiers", "c", ["4"])
    assert table.read_text() == TABLE.replace("| b | 2 |", "| b | 3 |\n| c | 4 |")


def test_a_table_without_marks_is_left_alone(tmp_path):
    table = tmp_path / "README.md"
    table.write_text("nothing\n")
    with pytest.raises(ConvertError, match="has no lines"):
        proof.row(table, "classifiers", "b", ["3"])
    assert table.read_text() == "nothing\n"


def test_groups_by_light_are_thirds(tmp_path):
    levels = np.arange(9) * 25
    images = np.broadcast_to(levels[:, None, None, None], (9, 8, 8, 3)).astype(np.uint8)
    held = pictures.write(tmp_path, images, np.arange(9) % 2, ("a", "b"))
    groups = proof.by_light(held)
    assert [groups[p.name] for p in held.paths] == ["dark"] * 3 + ["middle"] * 3 + ["bright"] * 3


def test_no_gain_is_claimed_where_seeds_disagree():
    assert synthetic.interval([0.1, -0.1, 0.02])[1] < 0
    mean, low, high = synthetic.interval([0.05, 0.06, 0.055, 0.05, 0.06])
    assert low > 0
    assert high - mean == pytest.approx(2.776 * 0.005 / 5**0.5)


def test_drawn_defects_turn_normal_pictures_into_the_other_class(tmp_path):
    data = folder(tmp_path, {"bad": 6, "good": 6})
    found = pictures.folders(data)
    x = pictures.load(found.paths, (24, 24))
    args = synthetic.argparse.Namespace(copies=4, flips="none")
    made = synthetic.changed(args, 0, synthetic.Data(x, found.labels), "defect", found.names.index("good"))
    plain = synthetic.changed(args, 0, synthetic.Data(x, found.labels), "", 1)
    assert (plain.y == np.tile(found.labels, 4)).all()
    turned = made.y != np.tile(found.labels, 4)
    assert 0 < turned.sum() <= 24
    assert (np.tile(found.labels, 4)[turned] == found.names.index("good")).all()
