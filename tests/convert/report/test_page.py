"""The page: its numbers against independent ones, its markup, and that it fetches and trusts nothing."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from convert import report
from convert.accuracy import compare, tasks
from tests.convert import tiny
from tests.convert.report import made

HOSTILE = ("<script>alert(1)</script>", '"><img src=http://evil/x>', "\x1b[31mred\x00")


class Checked(HTMLParser):
    """Every element is closed in its turn; attributes and text are kept."""

    def __init__(self):
        super().__init__()
        self.open, self.attributes, self.tags, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def checked(page):
    parser = Checked()
    parser.feed(page.decode())
    parser.close()
    assert not parser.open
    return parser


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    names = [f"{i}<img src=x onerror=alert(1)>.png" if i % 2 else f"{i}.png" for i in range(8)]
    evidence = made.evidence(
        tmp_path_factory.mktemp("detector"), made.detector(), tiny.CARD, reach=2.0, names=names,
        truth=made.boxes_of_float, labels=HOSTILE,
        groups={name: f"group <{i % 2}>" for i, name in enumerate(names)},
    )  # fmt: skip
    return evidence, report.page(evidence)


def test_it_is_well_formed_and_has_no_script(detector):
    tags = checked(detector[1]).tags
    assert tags.count("html") == tags.count("body") == 1
    assert "script" not in tags
    assert tags.count("h2") >= 6


def test_names_of_files_labels_and_groups_stay_text(detector):
    parser = checked(detector[1])
    assert not [name for name, _ in parser.attributes if name.startswith("on")]
    assert any(HOSTILE[0] in words for words in parser.words)
    assert any("group <1>" in words for words in parser.words)
    assert b"\x1b" not in detector[1]
    assert b"\x00" not in detector[1]


def test_it_refers_to_nothing_outside_itself(detector):
    for name, value in checked(detector[1]).attributes:
        if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
            assert value.startswith("data:image/jpeg;base64,")
    style = re.search(rb"<style>(.*?)</style>", detector[1], re.S)[1]
    assert b"url(" not in style
    assert b"@import" not in style
    assert any("default-src 'none'" in (value or "") for _, value in checked(detector[1]).attributes)


def test_it_is_small(detector):
    assert len(detector[1]) < 3 << 20


def test_its_map_is_the_comparison_s(detector):
    evidence, page = detector
    text = page.decode()
    for recording, place in ((evidence.reference, 0), (evidence.recording, 1)):
        wanted = compare.accuracy(recording, evidence.truth)
        for title, figure in (("mAP@[.5:.95]", "map"), ("AP50", "map50")):
            row = re.search(rf"<th scope=\"row\">{re.escape(title)}</th>(.*?)</tr>", text)[1]
            numbers = re.findall(r"<td>(\d\.\d{3})</td>", row)
            assert float(numbers[place]) == pytest.approx(wanted[figure], abs=6e-4)


def test_a_class_s_ap_is_what_its_own_objects_alone_give(detector):
    """Oracle: mAP of a world with one class is that class's AP."""
    evidence, _ = detector
    from convert.accuracy import coco

    found = compare.detections(evidence.recording, compare.EVERY, iou=compare.MAP_IOU, multi_label=True)
    measured = coco.coco(found, evidence.truth, 3)
    for c in range(3):
        mine = [d[d.class_id == c] for d in found]
        real = [d[d.class_id == c] for d in evidence.truth]
        if sum(map(len, real)):
            assert measured.by_class[c] == pytest.approx(compare.coco_map(mine, real, 3)["map"], abs=1e-4)
        else:
            assert np.isnan(measured.by_class[c])


def test_without_labels_it_tells_agreement_only(tmp_path):
    text = report.page(made.evidence(tmp_path, made.detector(), tiny.CARD)).decode()
    assert "AP50" not in text
    assert "there are no labels" in text
    assert "F1 with float" in text


def test_a_classifier_shows_what_changed_and_where_both_look(tmp_path):
    evidence = made.evidence(
        tmp_path, made.classifier(), made.CLASSIFIER, reach=0.4,
        truth=lambda e: [int(np.argmax(s)) for s in tasks.answers(e.reference)],
    )  # fmt: skip
    page = report.page(evidence)
    parser = checked(page)
    right = np.mean([np.argmax(s) == t for s, t in zip(tasks.answers(evidence.recording), evidence.truth, strict=True)])
    assert f"<b>{right:.3f}</b>" in page.decode()
    assert "float 1.000" in page.decode()
    assert parser.tags.count("img") >= 6
    assert any("occlusion" in words for words in parser.words)


def test_a_segmenter_shows_iou_by_class(tmp_path):
    def truth(evidence):
        return [np.kron(m, np.ones((4, 4), np.int32)) for m in tasks.answers(evidence.reference)]  # px of the input

    evidence = made.evidence(tmp_path, made.segmenter(), made.SEGMENTER, reach=1.0, truth=truth)
    text = report.page(evidence).decode()
    checked(text.encode())
    wanted = tasks.accuracy(evidence.recording, evidence.truth)["miou"]
    assert f"<b>{wanted:.3f}</b>" in text
    for label in evidence.card.labels:
        assert f'<th scope="row">{label}</th>' in text
