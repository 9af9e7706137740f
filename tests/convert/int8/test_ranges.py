"""Range rules against what they promise, and JSON that is stable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert import ConvertError
from convert.int8 import ranges
from convert.int8.calibration import Statistics, histogram


def statistics(pictures):
    """Of one tensor, from a list of arrays of its values: an oracle of the collector."""
    low = np.array([[p.min()] for p in pictures], np.float32)
    high = np.array([[p.max()] for p in pictures], np.float32)
    values = np.concatenate(pictures).astype(np.float32)
    counts = histogram(values, float(low.min()), float(high.max()))
    return Statistics(("x",), low, high, counts[None])


def squared_error(values, limits):
    low, high = limits
    step = (high - low) / 255
    zero = np.rint(-low / step)
    stored = np.clip(np.rint(values / step) + zero, 0, 255)
    return float(np.mean(((stored - zero) * step - values) ** 2))


def with_an_outlier():
    rng = np.random.default_rng(0)
    return [np.append(rng.normal(0, 1, 500_000), 60.0), rng.normal(0, 1, 500_000)]


def test_minmax_is_all_that_was_seen():
    assert ranges.choose(statistics([np.array([-1.5, 2.0]), np.array([0.0, 7.25])]), "minmax") == {"x": (-1.5, 7.25)}


def test_moving_average_follows_the_pictures_in_their_order():
    seen = statistics([np.array([-1.0, 1.0]), np.array([-2.0, 1.0]), np.array([-1.0, 3.0])])
    (low, high), _ = ranges.choose(seen, "moving-average")["x"], None
    assert low == pytest.approx(0.95 * (0.95 * -1 + 0.05 * -2) + 0.05 * -1)
    assert high == pytest.approx(0.95 * 1 + 0.05 * 3)


def test_percentile_cuts_the_share_it_says():
    values = np.linspace(-1, 1, 100_000)
    low, high = ranges.choose(statistics([values]), "percentile-99.9")["x"]
    assert low == pytest.approx(-0.998, abs=0.0011)
    assert high == pytest.approx(0.998, abs=0.0011)


def test_mse_cuts_an_outlier_where_that_pays():
    pictures = with_an_outlier()
    values = np.concatenate(pictures)
    chosen = ranges.choose(statistics(pictures), "mse")["x"]
    errors = {rule: squared_error(values, ranges.choose(statistics(pictures), rule)["x"]) for rule in ranges.RULES}
    assert 3 < chosen[1] < 10
    assert errors["mse"] <= min(errors.values()) * 1.02
    assert errors["mse"] < errors["minmax"] / 1.3


def test_mse_leaves_alone_what_has_no_tails():
    low, high = ranges.choose(statistics([np.linspace(0, 6, 50_000)]), "mse")["x"]
    assert low == 0
    assert high == pytest.approx(6, rel=0.01)


@pytest.mark.parametrize("rule", ranges.RULES)
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30))
def test_every_rule_gives_a_range_with_zero_inside_what_was_seen(rule, values):
    array = np.array(values, np.float32)
    low, high = ranges.choose(statistics([array]), rule)["x"]
    assert low <= 0 <= high
    assert low >= min(0.0, float(array.min())) - 1e-3
    assert high <= max(0.0, float(array.max())) + 1e-3
    assert (low, high) == (float(f"{low:.6g}"), float(f"{high:.6g}"))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ((0.0, 255.0), (0.0, 255.0)),
        ((0.0, 1.0), (0.0, 1.0)),
        ((-128.0, 127.0), (-128.0, 127.0)),
        ((-1.0, 1.0), (-128 / 127.5, 127 / 127.5)),
    ],
)
def test_the_inputs_range_puts_zero_on_a_step(limits, expected):
    assert ranges.of_input(limits) == pytest.approx(expected)


def calibration(**changes):
    plain = {
        "rule": "mse",
        "calibration": {"images": 2, "sha256": "ab"},
        "sha256": "cd",
        "tools": {"t": "1"},
        "report": {"agreement": {"f1": 0.5}},
        "ranges": {"b;ü": (-1.5, 2e-05), "a": (0.0, 6.0)},
    }
    return ranges.Calibration(**(plain | changes))


def test_json_comes_back_and_has_a_tensor_a_line_in_order():
    text = ranges.to_json(calibration())
    assert ranges.from_json(text, "x").ranges == {"a": (0.0, 6.0), "b;ü": (-1.5, 2e-05)}
    assert ranges.to_json(ranges.from_json(text, "x")) == text
    assert text.decode().endswith(' "ranges": {\n  "a": [0.0, 6.0],\n  "b;ü": [-1.5, 2e-05]\n },\n "format": 1\n}\n')


def test_the_order_of_tensors_does_not_matter():
    swapped = calibration(ranges={"a": (0.0, 6.0), "b;ü": (-1.5, 2e-05)})
    assert ranges.to_json(swapped) == ranges.to_json(calibration())


@pytest.mark.parametrize("text", [b"", b"{", b'{"rule": "mse"}', b'{"ranges": {"a": [1]}}'])
def test_broken_json_is_one_line_that_names_the_file(text):
    with pytest.raises(ConvertError, match=r"^models/x\.json: ") as caught:
        ranges.from_json(text, "models/x.json")
    assert "\n" not in str(caught.value)
