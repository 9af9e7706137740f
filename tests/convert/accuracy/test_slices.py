"""Groups of pictures: figures, intervals, and who is flagged."""

import numpy as np
import pytest

from convert import ConvertError
from convert.accuracy import slices, tasks
from tests.convert.report import made


def coins(generator, many, chance):
    """(I, 1, 2): right or not, of one."""
    return np.stack([generator.random(many) < chance, np.ones(many)], axis=1)[:, None, :].astype(float)


def world(seed, hurt, many=60):
    """Three groups; int8 gets `hurt` of the dark ones wrong that float gets right."""
    generator = np.random.default_rng(seed)
    groups = np.repeat(["day", "dusk", "night"], many)
    reference = coins(generator, len(groups), 0.9)
    own = reference.copy()
    lost = (groups == "night") & (generator.random(len(groups)) < hurt)
    own[lost, 0, 0] = 0
    return groups.tolist(), reference, own


def test_a_group_that_int8_hurts_is_flagged_and_stands_first():
    rows = slices.table(*world(0, 0.4))
    assert rows[0].group == "night"
    assert [r.flagged for r in rows] == [True, False, False]
    assert rows[0].p < 0.01


def test_an_equal_loss_everywhere_flags_nobody():
    """Of 20 worlds without a difference, one flag is what the level allows; more would be a broken test."""
    flags = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        groups, reference, own = world(seed, 0.0, many=30)
        own[generator.random(len(groups)) < 0.2, 0, 0] = 0
        flags += any(r.flagged for r in slices.table(groups, reference, own, seed))
    assert flags <= 3


def test_figures_are_the_plain_shares_and_lie_in_their_intervals():
    groups, reference, own = world(1, 0.3)
    for row in slices.table(groups, reference, own):
        inside = np.array(groups) == row.group
        assert row.pictures == inside.sum()
        assert row.reference[0] == pytest.approx(reference[inside, 0, 0].mean())
        assert row.own[0] == pytest.approx(own[inside, 0, 0].mean())
        assert row.loss[0] == pytest.approx(row.reference[0] - row.own[0])
        for middle, low, high in (row.reference, row.own, row.loss):
            assert low <= middle <= high


def test_an_interval_is_as_wide_as_theory_has_it():
    """Of a share p of n: 1.96 * sqrt(p (1 - p) / n) to each side."""
    tally = coins(np.random.default_rng(2), 400, 0.7)
    (row,) = slices.table(["all"] * 400, tally, tally)
    share = tally[:, 0, 0].mean()
    half = 1.96 * np.sqrt(share * (1 - share) / 400)
    assert row.reference[1] == pytest.approx(share - half, abs=0.012)
    assert row.reference[2] == pytest.approx(share + half, abs=0.012)


def test_a_small_group_is_shown_not_judged():
    groups, reference, own = world(3, 0.0)
    own[:4, 0, 0] = 0
    rows = {r.group: r for r in slices.table(["few"] * 4 + groups[4:], reference, own)}
    assert (rows["few"].p, rows["few"].flagged) == (1.0, False)


def test_same_input_same_rows():
    assert slices.table(*world(4, 0.2)) == slices.table(*world(4, 0.2))


def test_a_mean_over_classes_leaves_out_those_that_are_not_there():
    counted = np.array([[[1.0, 2], [0, 0], [3, 4]]])
    assert slices.figure(np.ones((1, 1)), counted)[0] == pytest.approx((0.5 + 0.75) / 2)


def test_a_classifier_s_figure_is_its_accuracy(tmp_path):
    evidence = made.evidence(tmp_path, made.classifier(), made.CLASSIFIER, truth=lambda e: [0, 1] * 4)
    title, reference, _ = slices.tallies(evidence)
    assert title == "top-1"
    assert reference[:, 0, 0].mean() == pytest.approx(tasks.accuracy(evidence.reference, evidence.truth)["top1"])


def test_a_segmenter_s_figure_is_its_mean_iou(tmp_path):
    def truth(evidence):
        return [np.kron(m, np.ones((4, 4), np.int32)) for m in tasks.answers(evidence.reference)]

    evidence = made.evidence(tmp_path, made.segmenter(), made.SEGMENTER, reach=1.0, truth=truth)
    _, _, own = slices.tallies(evidence)
    wanted = tasks.accuracy(evidence.recording, evidence.truth)["miou"]
    assert slices.figure(np.ones((1, len(own))), own)[0] == pytest.approx(wanted, abs=1e-4)


def test_a_csv_is_read_by_file_name(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text('\ufeffimage,group\nsome/a.jpg,night\n"b,c.jpg",day\n\n', "utf-8")
    assert slices.read(path) == {"a.jpg": "night", "b,c.jpg": "day"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first line must be 'image,group'"),
        ("file,light\na.jpg,day\n", "first line must be"),
        ("image,group\na.jpg\n", ":2: wants"),
        ("image,group\na.jpg,\n", ":2: wants"),
        ("image,group\na.jpg,day\na.jpg,night\n", ":3: a.jpg is in the group 'day' already"),
        ("image,group\n" + "".join(f"{i}.jpg,g{i}\n" for i in range(101)), "more than 100 groups"),
        ('image,group\n"a.jpg,day\n', "not a CSV file"),
    ],
)
def test_another_csv_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "groups.csv"
    path.write_text(text)
    with pytest.raises(ConvertError, match=message) as caught:
        slices.read(path)
    assert "\n" not in str(caught.value)


def test_a_csv_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConvertError, match="No such file"):
        slices.read(tmp_path / "none.csv")
