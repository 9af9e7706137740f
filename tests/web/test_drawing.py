"""What is drawn becomes the config's text: nothing else in it changes, and what is refused is rolled back."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import config
from agent.data import LookoutError
from agent.web import drawing
from agent.web.drawing import Area, Drawn
from tests.conftest import ROOT
from tests.web.served import TOML, Served

Serve = Callable[..., Served]
SQUARE = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.5))
DOOR = Area(((0.1, 0.1), (0.5, 0.1), (0.5, 0.9)), was="door")
PATH = Path("agent.toml")


def edited(text: str, camera: str = "yard", **drawn: Any) -> str:
    return drawing.edited(text, Drawn(camera, drawing.version(text), **drawn), PATH)


def test_what_is_not_drawn_anew_stays_to_the_letter() -> None:
    assert edited(TOML, zones={"door": DOOR}) == TOML


def test_a_moved_corner_changes_one_line_and_keeps_its_comment() -> None:
    moved = Area(((0.2, 0.1), (0.5, 0.1), (0.5, 0.9)), was="door")
    assert edited(TOML, zones={"door": moved}) == TOML.replace("[[0.1, 0.1]", "[[0.2, 0.1]")


def test_a_new_zone_line_and_mask_stand_in_the_cameras_section() -> None:
    zones = {"door": DOOR, "mat": Area(SQUARE, labels=("person",), anchor="center")}
    text = edited(TOML, zones=zones, lines={"gate": Area(((0.2, 0.2), (0.8, 0.2)))}, privacy_masks=(SQUARE,))
    camera = config.parse(text, PATH).cameras["yard"]
    assert list(camera.zones) == ["door", "mat"]
    assert camera.zones["mat"].anchor == "center"
    assert camera.zones["door"].enter_s == 2.0
    assert camera.lines["gate"].points == ((0.2, 0.2), (0.8, 0.2))
    assert camera.privacy_masks == (SQUARE,)
    for line in TOML.splitlines():
        assert line in text.splitlines()


def test_a_renamed_zone_keeps_what_it_had() -> None:
    text = edited(TOML, zones={"gate": Area(DOOR.points, was="door")})
    zones = config.parse(text, PATH).cameras["yard"].zones
    assert list(zones) == ["gate"]
    assert zones["gate"].enter_s == 2.0


def test_what_is_removed_is_gone_and_can_come_back() -> None:
    bare = edited(TOML)
    assert "door" not in bare
    assert config.parse(edited(bare, zones={"door": DOOR}), PATH).cameras["yard"].zones.keys() == {"door"}


def test_the_shipped_config_can_be_drawn_on() -> None:
    shipped = (ROOT / "systemd" / "agent.toml").read_text()
    text = edited(shipped, "front", zones={"porch": Area(SQUARE)}, lines={"door": Area(SQUARE[:2])})
    assert list(config.parse(text, PATH).cameras["front"].zones) == ["porch"]
    assert [line for line in shipped.splitlines() if line not in text.splitlines()] == []
    assert edited(text, "front").split() == shipped.split()


@pytest.mark.parametrize(
    ("text", "drawn", "reason"),
    [
        (TOML, {"zones": {"door": Area(((0.1, 0.1), (0.5, 0.1)))}}, "polygon needs at least 3 points, has 2"),
        (TOML, {"zones": {"x": Area(((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)))}}, "crosses itself"),
        (TOML, {"zones": {"a": DOOR}, "lines": {"a": Area(SQUARE)}}, "there is a zone of this name already"),
        (TOML, {"zones": {"a b": DOOR}}, "must be 1 to 64 letters"),
        (TOML, {"camera": "gate"}, "there is no camera 'gate'"),
        (TOML + '[cameras.yard.anomalies.loitering]\nzones = ["door"]\n', {}, "names 'door'; there are: none"),
    ],
)
def test_what_the_agent_would_refuse_is_refused(text: str, drawn: dict[str, Any], reason: str) -> None:
    with pytest.raises(LookoutError) as refused:
        edited(text, **drawn)
    assert reason in str(refused.value)


def test_a_config_that_changed_meanwhile_is_not_overwritten() -> None:
    with pytest.raises(LookoutError, match="has changed since this was drawn"):
        drawing.edited(TOML + "# new\n", Drawn("yard", drawing.version(TOML)), PATH)


coordinate = st.floats(0, 1).map(lambda v: round(v, 4))
names = st.text("abcXYZ019_-", min_size=1, max_size=8)
areas = st.dictionaries(names, st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=6), max_size=4)


@hypothesis.settings(deadline=None)
@given(areas, areas)
def test_whatever_is_drawn_is_what_the_config_says_or_it_is_refused(first: Any, second: Any) -> None:
    text = TOML
    for zones in (first, second):
        try:
            text = edited(text, zones={name: Area(tuple(points)) for name, points in zones.items()})
        except config.ConfigError:
            continue
        found = tomllib.loads(text)["cameras"]["yard"].get("zones", {})
        assert {name: [tuple(p) for p in zone["polygon"]] for name, zone in found.items()} == zones


def test_saving_is_atomic_and_keeps_the_files_mode(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("old")
    path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    drawing.save(link, "old", "new", lambda: "")
    assert (link.is_symlink(), path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (True, "new", 0o640)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["agent.toml", "link.toml"]


def test_what_is_rejected_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("old")
    seen: list[str] = []

    def reload() -> str:
        seen.append(path.read_text())
        return "the model knows no such label"

    with pytest.raises(
        LookoutError, match=r"the model knows no such label; going on as before, agent\.toml is as it was"
    ):
        drawing.save(path, "old", "new", reload)
    assert seen == ["new"]
    assert path.read_text() == "old"


def drawn_by(served: Served, **more: Any) -> dict[str, Any]:
    return {"camera": "yard", "base": served.json("/api/config")["version"], **more}


def test_check_shows_the_change_and_writes_nothing(serve: Serve) -> None:
    served = serve()
    answer = served.json("/api/drawing/check", drawn_by(served, zones={"mat": {"points": SQUARE}}))
    assert answer["reason"] == ""
    assert "+[cameras.yard.zones.mat]" in answer["diff"]
    assert "-[cameras.yard.zones.door]" in answer["diff"]
    assert served.path.read_text() == TOML
    assert served.reloads == []


def test_save_writes_and_takes_over(serve: Serve) -> None:
    served = serve()
    answer = served.json("/api/drawing/save", drawn_by(served, zones={"mat": {"points": SQUARE}}))
    assert answer["reason"] == ""
    assert served.reloads == [served.path.read_text()]
    assert "zones.mat" in served.path.read_text()
    again = {"camera": "yard", "base": answer["version"], "zones": {}}
    assert served.json("/api/drawing/save", again)["reason"] == ""


def test_a_save_that_the_agent_refuses_leaves_the_file(serve: Serve) -> None:
    served = serve(refusal="no")
    answer = served.json("/api/drawing/save", drawn_by(served, zones={"mat": {"points": SQUARE}}))
    assert answer["reason"].startswith("no; going on as before")
    assert served.path.read_text() == TOML


@pytest.mark.parametrize(
    "body", [[], {}, {"camera": "yard"}, {"camera": "yard", "base": "", "nix": 1}, {"camera": "../a", "base": ""}]
)
def test_what_is_no_drawing_is_refused(serve: Serve, body: Any) -> None:
    assert "not a drawing" in serve().json("/api/drawing/save", body)["reason"]


def test_an_endless_body_is_refused(serve: Serve) -> None:
    served = serve()
    assert "larger than" in served.json("/api/drawing/check", "x" * 300_000)["reason"]
