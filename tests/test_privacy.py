"""A privacy mask hides from everybody: model, second model, baselines, page, messages, files."""

from __future__ import annotations

import itertools
import re
import threading
from pathlib import Path

import pytest

from agent import config
from agent.data import CameraState, Scene
from agent.publish.switches import Wanted
from tests.conftest import ROOT
from tests.fakes.masked import HIDDEN, SIZE, World, jpegs, left, reds


def found(scene: Scene) -> list[bool]:
    """Of each detection, whether it lies at the left."""
    return [box[0] < SIZE[0] * 0.4 for box in scene.detections.xyxy.tolist()]


def test_without_a_mask_all_can_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tests below look for is there to be found."""
    world = World(monkeypatch)
    told = world.run(8)
    assert sorted(found(told[-1])) == [False, True]
    assert min(reds(left(picture)) for picture in world.model.inputs[1:]) > 100
    assert all(reds(left(picture)) > 500 for picture in world.second)
    assert {name.rpartition("/")[2] for name, picture in jpegs(told) if reds(left(picture)) > 500} >= {
        "snapshot",
        "page",
    }


def test_what_a_mask_hides_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, privacy_masks=(HIDDEN,))
    told = world.run(8)
    assert found(told[-1]) == [False]
    assert world.second
    assert max(reds(left(picture)) for picture in (*world.model.inputs, *world.second)) == 0
    assert {scene.frame.image[:, : int(0.4 * SIZE[0])].max() for scene in told} == {0}
    pictured = list(jpegs(told))
    assert len({name for name, _ in pictured}) >= 5  # both topics' snapshots, the command's, page, crop
    whole = [picture for _, picture in pictured if picture.shape[:2] == SIZE[::-1]]
    assert all(reds(picture) > 500 for picture in whole)  # the witness
    assert max(reds(left(picture)) for picture in whole) == 0


@pytest.mark.parametrize("way", ["set", "reload"])
def test_a_mask_that_is_drawn_holds_from_the_next_frame_on(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    world = World(monkeypatch)
    world.run(6)
    if way == "set":
        world.wanted = Wanted(privacy_masks=(HIDDEN,))
    else:
        world.pipeline.take_over(world.made(privacy_masks=(HIDDEN,)), world.watch, [world], lambda _: Wanted())
    begin, looks = len(world.model.inputs), len(world.second)
    told = world.run(6)
    assert max(reds(left(scene.frame.image)) for scene in told) == 0
    assert {scene.hidden for scene in told} == {(HIDDEN,)}
    assert max(reds(left(picture)) for picture in (*world.model.inputs[begin:], *world.second[looks:])) == 0


def test_a_frame_that_waited_as_the_mask_was_drawn_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    now, waiting = itertools.islice(world.frames(), 2)
    world.wanted = Wanted(privacy_masks=(HIDDEN,))
    world.pipeline._mailbox.put("yard", waiting)
    world.pipeline.hear(("yard", now))
    assert world.pipeline._mailbox.take(0) is None


def test_a_mask_that_is_set_while_the_camera_is_away_covers_its_last_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    open_one = world.run(4)[-1]
    assert reds(left(open_one.frame.image)) > 500
    while world.pipeline._mailbox.take(0):  # what came after the last look
        pass
    gone = threading.Event()
    monkeypatch.setattr(world, "frames", lambda: iter(lambda: gone.wait(30), True))
    world.pipeline._camera_changed(CameraState("yard", False, "unplugged"))
    world.wanted = Wanted(privacy_masks=(HIDDEN,))
    covered = world.run(1)
    gone.set()
    assert len(covered) == 1
    assert reds(left(covered[0].frame.image)) == 0
    assert reds(covered[0].frame.image) > 500  # the witness
    assert covered[0].hidden == (HIDDEN,)
    assert {event.kind for event in covered[0].events} == {"track_end"}


def test_what_the_config_hides_cannot_be_uncovered_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, privacy_masks=(HIDDEN,))
    world.wanted = Wanted(privacy_masks=())
    assert max(reds(left(scene.frame.image)) for scene in world.run(4)) == 0


def test_a_replay_is_covered_too(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, privacy_masks=(HIDDEN,))
    for scene in itertools.islice(world.pipeline.replay("yard"), 3):
        assert reds(left(scene.frame.image)) == 0
        assert reds(scene.frame.image) > 500


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        ("privacy_masks = [[[0.1, 0.1], [0.5, 0.1]]]", "cameras.yard.privacy_masks[0] needs at least 3 points, has 2"),
        ("motion_masks = [[[0, 0], [1, 1], [1, 0], [0, 1]]]", "cameras.yard.motion_masks[0] crosses itself"),
        ("masks = [[[0, 0], [1, 1], [1, 0]]]", "cameras.yard.masks is not a known key"),
        ("blur = 'person'", "cameras.yard.blur must be a list"),
        ("blur_part = 'face'", "must be one of 'whole', 'upper'"),
    ],
)
def test_what_cannot_be_meant_is_refused(drawn: str, reason: str) -> None:
    with pytest.raises(config.ConfigError) as refused:
        config.parse(f'[cameras.yard]\nkind = "synthetic"\n{drawn}\n', Path("agent.toml"))
    assert reason in str(refused.value)
    assert str(refused.value).startswith("agent.toml:3: ")


def test_every_picture_that_leaves_is_made_in_one_place() -> None:
    for folder in ("publish", "web", "sim"):
        for path in (ROOT / "agent" / folder).rglob("*.py"):
            uses = re.findall(r"frame\.image(?!\.strides|\.shape)", path.read_text())
            assert not uses or path.name == "pictures.py", path
