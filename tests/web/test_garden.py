"""The page of a drawn garden in a real browser: what it shows, masks drawn on it, a config it may not write."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fakes.mosquitto import until
from tests.web.browser import DESK, PHONE, Browser

pytest.importorskip("uvicorn", reason="the extra [web] is not installed")
from tests.web.drawn import Garden

SNAPSHOTS = "\n[web.snapshots]\nenabled = true\nfree_mb = 0.0\n"


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Garden]:
    folder = tmp_path_factory.mktemp("garden")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(folder / "state"))
        made = Garden(folder, SNAPSHOTS)
    yield made
    made.close()


@pytest.fixture
def page(window: Browser, garden: Garden) -> Iterator[Browser]:
    opened(window, garden.url)
    window.wait("document.querySelectorAll('#tracks .box').length === 3", "three people")
    yield window
    assert window.complaints() == []


def opened(window: Browser, url: str) -> None:
    window.resize(DESK)
    window.scheme("light")
    window.driver.get("about:blank")
    window.complaints()
    window.driver.get(url)


def color(browser: Browser, x: float, y: float) -> list[int]:
    """What the picture shows at a point, 0..1."""
    script = """
        const image = document.getElementById('image');
        const pen = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
        pen.drawImage(image, arguments[0] * image.width, arguments[1] * image.height, 1, 1, 0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    """
    found: list[int] = browser.run(script, x, y)
    return found


def verdict(browser: Browser, begins: str) -> None:
    browser.wait(f"document.getElementById('verdict').textContent.startsWith({begins!r})", begins)


def test_what_happened_is_listed_with_pictures_and_reasons(page: Browser) -> None:
    page.wait("document.querySelectorAll('.item.enter, .item.cross').length >= 3", "three events")
    page.wait("document.querySelector('.item.anomaly')", "the anomaly")
    assert "stays for 21 s" in page.run("return document.querySelector('.item.anomaly').textContent")
    page.wait("[...document.querySelectorAll('.item a img')].every((e) => e.naturalWidth > 10)", "their pictures")
    kept = page.run("return document.querySelector('.item.anomaly a').href")
    sizes = "const i = new Image(); i.src = arguments[0]; await i.decode(); return [i.naturalWidth, i.naturalHeight];"
    assert page.run(sizes, kept) == [640, 360]  # the whole garden, larger than the small picture
    for scheme in ("light", "dark"):
        page.scheme(scheme)
        page.shot(f"garden-{scheme}")


def test_the_neighbours_window_is_black_and_the_house_is_not(page: Browser) -> None:
    assert max(color(page, 0.88, 0.2)) < 12
    assert min(color(page, 0.02, 0.4)) > 180


def test_a_privacy_mask_is_drawn_and_hides_from_the_next_picture_on(page: Browser, garden: Garden) -> None:
    door = (0.18, 0.45)
    assert max(color(page, *door)) > 60
    page.click("#edit")
    page.click("#add-privacy")
    put = """
        const corner = document.querySelector(`[data-handle="${arguments[0]}"]`);
        for (let n = 0; n < arguments[2]; n += 1)
          corner.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[1], shiftKey: true, bubbles: true}));
    """
    for handle in (2, 3):
        page.run(put, handle, "ArrowDown", 10)
    verdict(page, "Good.")
    assert "+privacy_masks" in page.run("return document.getElementById('diff').textContent")
    page.scheme("dark")
    page.shot("garden-editor")
    page.click("#save")
    verdict(page, "Saved, and taken over")
    until(lambda: max(color(page, *door)) < 12, "the door to be black")
    assert "the neighbour's window" in garden.served.path.read_text()
    page.click("#cancel")
    assert page.run("return document.querySelectorAll('#areas .privacy').length") == 2


def test_a_motion_mask_hides_nothing(page: Browser, garden: Garden) -> None:
    page.click("#edit")
    page.click("#add-motion")
    verdict(page, "Good.")
    page.click("#save")
    verdict(page, "Saved, and taken over")
    masks = garden.served.settings.cameras["garden"].motion_masks
    assert len(masks) == 1
    assert max(color(page, *(v + 0.02 for v in masks[0][0]))) > 60


def test_on_a_phone_the_editor_offers_both_kinds(page: Browser) -> None:
    page.resize(PHONE, 2)
    page.scheme("dark")
    page.wait("document.getElementById('overlay').clientWidth < 390", "the small picture")
    page.shot("garden-phone")
    page.click("#edit")
    page.click("#add-privacy")
    assert page.run("return document.documentElement.scrollWidth") <= PHONE[0]
    for kind in ("privacy", "motion"):
        assert page.run(f"return document.getElementById('add-{kind}').offsetHeight") >= 40
    page.shot("garden-phone-editor")


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    """The page of a real agent whose config lies where it may not write, as under systemd; its URL."""
    with contextlib.ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        config, state = folder / "etc" / "agent.toml", folder / "state"
        config.parent.mkdir()
        state.mkdir()
        config.write_text(f"""
state_dir = "{state}"
[cameras.front]
kind = "synthetic"
[mqtt]
port = 1
[web]
enabled = true
port = 0
""")
        config.parent.chmod(0o555)
        command = [sys.executable, "-m", "agent", "run", str(config)]
        if os.geteuid() == 0:  # root may write everywhere, but for its capabilities; the unit gives it none either
            command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
        log = ending.enter_context((folder / "log").open("w"))
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        ending.callback(process.wait)
        ending.callback(process.kill)

        def found() -> str:
            told = (folder / "log").read_text()
            assert process.poll() is None, told
            match = re.search(r"live page: (http://\S+)", told)
            return match[1] if match else ""

        until(found, "the page's URL", 60)
        yield found()


def test_where_it_cannot_save_the_page_says_so_and_gives_the_lines(window: Browser, locked: str) -> None:
    opened(window, locked)
    window.wait(
        "document.querySelector('#edit') && document.getElementById('live-title').textContent === 'front'", "it"
    )
    window.click("#edit")
    window.wait("!document.getElementById('by-hand').hidden", "why not")
    told = window.run("return document.getElementById('by-hand').textContent")
    assert re.fullmatch(r"This page cannot save here: the agent may not write /\S+/agent\.toml\. [^\n]*", told)
    assert not window.run("return document.getElementById('save').offsetParent")
    window.click("#add-zone")
    window.wait("!document.getElementById('copy').disabled", "the lines")
    lines = window.run("return document.getElementById('toml').value")
    assert re.search(r"^\[cameras\.front\.zones\.zone-1\]\npolygon = \[\[0\.35, 0\.45\]", lines, re.M)
    window.click("#copy")
    chosen = "const t = document.getElementById('toml'); return t.value.slice(t.selectionStart, t.selectionEnd)"
    assert window.run(chosen) == lines
    window.shot("locked")
    script = """
        const base = (await (await fetch('/api/config')).json()).version;
        const drawn = {camera: 'front', base, zones: {a: {points: [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]}}};
        return (await (await fetch('/api/drawing/save', {method: 'POST', body: JSON.stringify(drawn)})).json()).reason;
    """
    assert window.run(script).endswith("agent.toml: cannot be written: Permission denied; nothing has changed")
    assert window.complaints() == []
