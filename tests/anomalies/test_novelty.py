"""A place that no longer looks as usual: told once, with its reason, and over when it does again."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from agent import config, plugins
from agent.anomalies import Anomalies, Place, novelty
from agent.data import Detections, Frame, LookoutError, Scene, Strange, Tracks
from agent.pipeline import Pipeline, open_detector
from convert import novelty as normality
from tests.detect.secondary import places

REGION = (0.0, 0.65, 0.16, 1.0)  # of vtest.avi: grass where nobody walks
LEARNED, BEGIN, END, LAST = 200, 240, 320, 400  # frames, 10 a second: learned until, changed from, to, seen until


class Told:
    """Stands in for the second model: says what it is given to say."""

    def __init__(self, values):
        self.values, self.asked = iter(values), []

    def ask(self, frame):
        self.asked.append(frame.t)
        return True

    def answer(self):
        value = next(self.values)
        heat = np.zeros((4, 8), np.float32)
        heat[2, 5:7] = 0.9
        return Strange(self.asked[-1], (100.0, 50.0, 180.0, 90.0), value, 4.0, (0.5, 3.0), heat)


def events_of(values, **options):
    told = Told(values)
    place = Place("yard", "gate", "novelty", second=lambda _: told)
    watched = Anomalies([(novelty.Options(Path("gate.tflite"), **options), place)])
    found, image = [], np.zeros((120, 200, 3), np.uint8)
    for seq in range(len(values)):
        scene = Scene("yard", Frame(image, seq, float(seq)), Detections.empty(), Tracks.empty(), (), {})
        found += watched.look(scene).anomalies
    return found


def test_it_is_told_once_with_its_reason_and_is_over_once():
    begin, end = events_of([1, 1, 9, 9, 9, 9, 9, 1, 1, 1, 1], hold_s=2, clear_s=3)
    assert (begin.kind, begin.t, begin.source) == ("anomaly_start", 4.0, "gate")
    assert begin.detail["reason"] == (
        "'gate' does not look as usual: 9.0 spreads beyond its normal pictures,"
        " most 75% from the left and 62% from the top; the limit is 4.0"
    )
    assert (begin.detail["value"], begin.detail["limit"], begin.detail["baseline"]) == (9, 4.0, (0.5, 3.0))
    assert begin.detail["xyxy"] == [150.0, 70.0, 170.0, 80.0]
    assert (end.kind, end.t) == ("anomaly_end", 9.0)


def test_a_flicker_is_not_told():
    assert events_of([1, 9, 1, 9, 1, 1, 9, 1, 1], hold_s=2) == []


def test_what_was_told_goes_on_until_it_is_well_below_the_limit():
    begin, end = events_of([9, 9, 9, 3.7, 3.7, 3.7, 3.7, 3.7, 3.0, 3.0, 3.0, 3.0], hold_s=2, clear_s=3)
    assert (begin.t, end.t) == (2.0, 10.0)
    assert events_of([3.7] * 9, hold_s=2) == []


def test_it_asks_no_more_often_than_it_should():
    told = Told([1] * 100)
    place = Place("yard", "gate", "novelty", second=lambda _: told)
    watched = novelty.create(novelty.Options(Path("gate.tflite"), every_s=0.5), place)
    for seq in range(100):
        frame = Frame(np.zeros((4, 4, 3), np.uint8), seq, seq / 25)
        watched.update(Scene("yard", frame, Detections.empty(), Tracks.empty(), (), {}))
    assert len(told.asked) == 8


def test_without_a_second_model_it_says_so_in_one_line():
    with pytest.raises(LookoutError, match=r"gate\.tflite: no second model can be run here"):
        novelty.create(novelty.Options(Path("gate.tflite")), Place("yard", "gate", "novelty"))


def test_a_file_that_cannot_be_used_is_an_error_of_the_config(tmp_path):
    toml = tmp_path / "agent.toml"
    camera = '[cameras.yard]\nkind = "file"\npath = "x.avi"\n'
    toml.write_text(camera + '[cameras.yard.anomalies.gate]\nkind = "novelty"\nfile = "gate.tflite"\n')
    with pytest.raises(
        LookoutError, match=r"agent\.toml:6: cameras\.yard\.anomalies\.gate\.file: model .*No such file"
    ):
        open_detector(config.load(toml), toml)
    toml.write_text(toml.read_text().replace("gate.tflite", str(places.TRUNK)))
    with pytest.raises(LookoutError, match=r"has no memory of normal pictures; python -m convert novelty makes one$"):
        open_detector(config.load(toml), toml)


@pytest.fixture(scope="module")
def clips(data_dir, tmp_path_factory):
    """The beginning of a real clip, in which all is well, and what follows, with a bag in the grass for a while."""
    folder = tmp_path_factory.mktemp("clips")
    video = cv2.VideoCapture(str(data_dir / "video" / "vtest.avi"))
    size, code = (768, 576), cv2.VideoWriter_fourcc(*"MJPG")
    paths = folder / "normal.avi", folder / "changed.avi"
    writers = [cv2.VideoWriter(str(path), code, 10, size) for path in paths]
    for number in range(LAST):
        picture = video.read()[1]
        if BEGIN <= number < END:
            cv2.rectangle(picture, (40, 470), (75, 500), (30, 30, 150), cv2.FILLED)
        writers[number >= LEARNED].write(picture)
    for writer in writers:
        writer.release()
    return paths


def test_a_bag_in_a_real_clip_is_told_once_and_is_over_when_it_is_gone(clips, tmp_path):
    normal, changed = clips
    file = tmp_path / "grass.tflite"
    normality.build(normality.Given(normal, file, places.TRUNK, REGION))
    options = plugins.get("anomalies", "novelty").Options(file, every_s=0.5, hold_s=2, clear_s=2)
    camera = config.Camera(
        "file", plugins.get("capture/cameras", "file").Options(changed, pace="max"), fps=5,
        anomalies={"grass": config.Anomaly("novelty", options)},
    )  # fmt: skip
    settings = config.Config(cameras={"yard": camera})
    pipeline = Pipeline(settings, open_detector(settings), ())
    scenes = list(pipeline.replay("yard"))
    events = [event for scene in scenes for event in scene.anomalies]
    assert [event.kind for event in events] == ["anomaly_start", "anomaly_end"]
    begin, end = events
    put, gone = (BEGIN - LEARNED) / 10, (END - LEARNED) / 10
    assert put + 2 <= begin.t <= put + 3.1
    assert gone + 1.4 <= end.t <= gone + 3.1  # the last look that saw it may have been half a second before
    assert begin.detail["reason"].startswith("'grass' does not look as usual: ")
    assert begin.detail["value"] > begin.detail["limit"] > begin.detail["baseline"][0]
    x1, y1, x2, y2 = begin.detail["xyxy"]
    assert x1 <= 57 <= x2 or abs((x1 + x2) / 2 - 57) < 25
    assert y1 <= 485 <= y2 or abs((y1 + y2) / 2 - 485) < 25
    assert np.median([scene.anomaly_score for scene in scenes if scene.frame.t < put]) < 0.45
