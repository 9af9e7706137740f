"""A second model beside normal pictures: what is strange, where, and files that are not what they should be."""

import dataclasses
import zipfile

import numpy as np
import pytest

from agent.data import Frame
from agent.detect.secondary import memory
from agent.detect.secondary.aside import Aside
from agent.detect.secondary.crops import cut
from agent.detect.secondary.novelty import Novelty, Watcher
from agent.modelfile import ModelError
from tests.detect.secondary import places


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return places.built(tmp_path_factory.mktemp("novelty"))


def test_what_was_put_into_a_place_is_strange_and_the_place_itself_is_not(file):
    eye = Novelty(file)
    assert all(eye.look(places.place(number))[0] < eye.limit for number in range(100, 110))
    assert all(eye.look(places.changed(number))[0] > eye.limit for number in range(100, 110))


def test_the_heat_is_where_the_change_is(file):
    eye = Novelty(file)
    heat = eye.warmth(eye.look(places.changed(100))[1])
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    rows, columns = heat.shape
    assert abs((column + 0.5) / columns - 120 / 160) < 0.15
    assert abs((row + 0.5) / rows - 90 / 120) < 0.18
    assert heat.min() >= 0
    assert 0.5 < heat.max() <= 1


def test_a_file_comes_back_as_it_was_packed(file):
    card, known = memory.read(file)
    again = memory.pack(b"\0\0\0\0TFL3" + bytes(64), card, known, {})
    path = file.with_name("again.tflite")
    path.write_bytes(again)
    _, read = memory.read(path)
    for field in dataclasses.fields(memory.Memory):
        assert np.array_equal(getattr(known, field.name), getattr(read, field.name))
    assert again == memory.pack(b"\0\0\0\0TFL3" + bytes(64), card, known, {})


def test_strangeness_is_the_distance_to_the_nearest_vector_beyond_the_usual(file):
    _, known = memory.read(file)
    patches = np.random.default_rng(0).normal(size=(*known.usual.shape[1:], len(known.centre))).astype(np.float32)
    strange = known.strangeness(patches)
    for row, column in ((0, 0), (3, 5), (7, 2)):
        white = (patches[row, column] - known.centre) @ known.whiten.astype(np.float64)
        apart = min(float(np.linalg.norm(white - one)) for one in known.vectors.astype(np.float64))
        mean, spread = known.usual[:, row, column]
        assert strange[row, column] == pytest.approx((apart - mean) / spread, rel=1e-3, abs=1e-2)


def test_a_watcher_hears_nobody_while_its_answer_waits(file):
    waiting = []
    aside = Aside()
    aside.do = waiting.append  # nobody works yet
    watcher = Watcher(file, aside)
    frames = [Frame(places.place(n), n, float(n)) for n in range(3)]
    assert watcher.ask(frames[0])
    assert not watcher.ask(frames[1])
    assert watcher.answer() is None
    waiting.pop()()
    assert not watcher.ask(frames[2])
    assert watcher.answer().t == 0.0
    assert watcher.answer() is None
    assert watcher.ask(frames[2])


def test_a_thread_answers_as_the_caller_would(file):
    aside, frame = Aside(), Frame(places.changed(3), 0, 1.0)
    direct = Watcher(file, aside)
    direct.ask(frame)
    expected = direct.answer()
    aside.start()
    watcher = Watcher(file, aside)
    watcher.ask(frame)
    aside._jobs.put(None)  # after it, the thread ends
    aside._thread.join(20)
    assert watcher.answer().value == expected.value
    aside.stop()


def test_a_look_that_fails_does_not_end_the_thread(caplog):
    aside, done = Aside(), []
    aside.start()
    aside.do(lambda: 1 / 0)
    aside.do(lambda: done.append(1))
    aside._jobs.put(None)
    aside._thread.join(20)
    aside.stop()
    assert done == [1]
    assert "a second look failed" in caplog.text


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((0, 0, 1, 1), (0, 0, 160, 120)),
        ((0.5, 0.25, 0.75, 0.5), (80, 30, 120, 60)),
        ((0.999, 0.999, 1, 1), (159, 119, 160, 120)),
    ],
)
def test_a_region_is_cut_from_pictures_of_any_size(region, expected):
    assert cut(region, (160, 120)) == expected


def test_a_detector_has_no_memory():
    with pytest.raises(ModelError, match="has no memory of normal pictures; python -m convert novelty makes one"):
        Novelty(places.TRUNK)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ModelError, match=r"nix\.tflite: No such file or directory$"):
        Novelty(tmp_path / "nix.tflite")


def test_a_memory_that_was_changed_is_refused(file, tmp_path):
    other = tmp_path / "other.tflite"
    with zipfile.ZipFile(file) as archive:
        begin = min(info.header_offset for info in archive.infolist())
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    entries["memory/vectors.npy"] = entries["memory/vectors.npy"][:-2] + b"\0\1"
    other.write_bytes(file.read_bytes()[:begin])
    with zipfile.ZipFile(other, "a") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match="its memory is not the one that its card tells of; build it again"):
        Novelty(other)
    del entries["memory/usual.npy"]
    other.write_bytes(file.read_bytes()[:begin])
    with zipfile.ZipFile(other, "a") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    with pytest.raises(ModelError, match="its memory cannot be read"):
        Novelty(other)
