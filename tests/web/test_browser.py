"""The page of a running `agent sim` in a real browser: mouse, keyboard, phone; screenshots in tests/.artifacts."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.data import LookoutError
from agent.sim import clip
from tests.fakes.mosquitto import Broker, Listener, until
from tests.web.browser import DESK, PHONE, Browser, sim

pytest.importorskip("uvicorn", reason="the extra [web] is not installed")

PIXELS = """(() => {
    const pen = Object.assign(document.createElement('canvas'), {width: 64, height: 48}).getContext('2d');
    pen.drawImage(document.getElementById('image'), 0, 0, 64, 48);
    return [...pen.getImageData(0, 0, 64, 48).data];
})()"""


def street() -> Path:
    """The clip that `make sim` plays."""
    try:
        return Path(clip.default_clip())
    except LookoutError as error:
        pytest.skip(str(error))


@dataclass
class Stage:
    browser: Browser
    url: str
    heard: Listener

    def events(self, kind: str, source: str) -> list[dict[str, Any]]:
        told = [json.loads(payload) for topic, payload, _ in self.heard.messages if topic.endswith("/street/events")]
        return [event for event in told if event["kind"] == kind and event["source"] == source]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, window: Browser) -> Iterator[Stage]:
    folder, clip_file = tmp_path_factory.mktemp("web"), street()
    with contextlib.ExitStack() as ending:
        broker = Broker(folder).start()
        ending.callback(broker.kill)
        heard = Listener(broker.port, "lookout/#")
        ending.callback(heard.close)
        process, url = sim(folder, "--source", clip_file, "--loop", "--broker", f"127.0.0.1:{broker.port}")
        ending.callback(process.stop)
        yield Stage(window, url, heard)


@pytest.fixture
def browser(stage: Stage) -> Iterator[Browser]:
    """The page, freshly opened on a desk; whatever a test does, the console stays silent."""
    one = stage.browser
    one.resize(DESK)
    one.scheme("light")
    one.driver.get("about:blank")
    one.driver.get(stage.url)
    one.wait("document.querySelectorAll('#tracks .box').length", "boxes on the picture")
    yield one
    assert one.complaints() == []


def verdict(browser: Browser, begins: str) -> None:
    browser.wait(f"document.getElementById('verdict').textContent.startsWith({begins!r})", begins)


def drag(browser: Browser, handle: int, dx: int, dy: int) -> None:
    from selenium.webdriver import ActionChains

    corner = browser.driver.find_element("css selector", f"[data-handle='{handle}']")
    ActionChains(browser.driver).click_and_hold(corner).move_by_offset(dx, dy).release().perform()


def test_boxes_lie_on_a_picture_that_moves(browser: Browser) -> None:
    browser.wait(f"new Set({PIXELS}).size > 50", "a picture")
    first = browser.run(f"return {PIXELS}")
    until(lambda: browser.run(f"return {PIXELS}") != first, "the next")
    names = browser.run("return [...document.querySelectorAll('#tracks .name')].map((e) => e.textContent)")
    assert any(name.startswith("person ") for name in names), names
    browser.wait("document.querySelectorAll('#stages .stage').length > 3", "the stages")
    browser.wait("document.getElementById('pill-broker').textContent === 'broker online'", "the broker")
    assert "0.391" in browser.wait("document.getElementById('model').textContent", "the model's report")
    browser.shot("live-light")


def test_a_zone_drawn_by_mouse_is_saved_and_reports_who_enters(browser: Browser, stage: Stage) -> None:
    browser.click("#edit")
    browser.click("#add-zone")
    browser.run(
        "const n = document.getElementById('shape-name'); n.value = 'square'; n.dispatchEvent(new Event('input'))"
    )
    drag(browser, 0, -200, -110)
    drag(browser, 1, 200, -110)
    verdict(browser, "Good.")
    assert "[cameras.street.zones.square]" in browser.run("return document.getElementById('diff').textContent")
    browser.shot("editor")
    browser.click("#save")
    verdict(browser, "Saved, and taken over")
    browser.click("#cancel")
    until(lambda: stage.events("zone_enter", "square"), "somebody enters, over MQTT", 90)
    entered = (
        "[...document.querySelectorAll('.item.enter .title')].find((e) => e.textContent.includes('entered square'))"
    )
    browser.wait(entered, "the same in the page", 30)
    browser.wait("[...document.querySelectorAll('.item.enter img')].some((e) => e.naturalWidth > 10)", "its picture")
    assert browser.run("return document.querySelectorAll('#areas .zone').length") == 1
    browser.scheme("dark")
    browser.shot("live-dark")


def test_a_line_is_drawn_turned_and_saved_with_the_keyboard_alone(browser: Browser, stage: Stage) -> None:
    from selenium.webdriver import Keys

    focused = "document.activeElement.id || document.activeElement.getAttribute('aria-label') || ''"

    def tab_to(name: str) -> None:
        for _ in range(120):
            if browser.run(f"return {focused}").startswith(name):
                return
            browser.press(Keys.TAB)
        pytest.fail(f"no way to {name} by Tab")

    tab_to("edit")
    browser.press(Keys.ENTER)
    tab_to("add-line")
    browser.press(Keys.SPACE)
    browser.wait("document.activeElement.id === 'shape-name'", "the name")
    browser.press("kerb")
    before = browser.run("return document.querySelector('#drawing .chosen .edge').getAttribute('points')")
    tab_to("Corner 1 of kerb")
    browser.press(Keys.ARROW_UP, Keys.ARROW_LEFT)
    after = browser.run("return document.querySelector('#drawing .chosen .edge').getAttribute('points')")
    assert after != before
    browser.press(Keys.INSERT)
    assert browser.run("return document.querySelectorAll('.handle').length") == 3
    browser.press(Keys.DELETE)
    tab_to("shape-turn")
    browser.press(Keys.ENTER)
    verdict(browser, "Good.")
    tab_to("save")
    browser.press(Keys.ENTER)
    verdict(browser, "Saved, and taken over")
    until(
        lambda: any("/counts/kerb/" in topic for topic, _, _ in stage.heard.messages), "counts of the line, over MQTT"
    )


def test_what_cannot_be_is_said_and_cannot_be_saved(browser: Browser) -> None:
    browser.click("#edit")
    browser.click("#add-zone")
    drag(browser, 0, 350, 100)
    browser.wait("document.getElementById('verdict').textContent.includes('crosses itself')", "why not")
    assert browser.run("return document.getElementById('save').disabled")
    browser.click("#shape-remove")
    browser.click("#add-zone")
    browser.run(
        "const n = document.getElementById('shape-labels'); n.value = 'persn'; n.dispatchEvent(new Event('input'))"
    )
    verdict(browser, "The model knows no “persn”.")
    assert browser.run("return document.getElementById('save').disabled")


def test_what_only_the_running_agent_can_refuse_is_rolled_back(browser: Browser, stage: Stage) -> None:
    script = """
        const told = await (await fetch('/api/config')).json();
        const zones = {odd: {points: [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]], labels: ['persn']}};
        const drawn = {camera: 'street', base: told.version, zones};
        const headers = {'Content-Type': 'application/json'};
        const saved = await fetch('/api/drawing/save', {method: 'POST', headers, body: JSON.stringify(drawn)});
        return [(await saved.json()).reason, told.text, (await (await fetch('/api/config')).json()).text];
    """
    reason, before, after = browser.run(script)
    assert "'persn' is not a label of" in reason
    assert reason.endswith("going on as before, agent.toml is as it was")
    assert after == before


def ask_why(browser: Browser) -> bool:
    """Whether an object's confidence over time and what the model was given are there: not if it has gone."""
    browser.wait("document.querySelector('#tracks .track')", "an object")
    browser.run("document.querySelector('#tracks .track').focus()")
    browser.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))")
    browser.wait("document.getElementById('why').open", "the answer")
    curve, given = "document.querySelector('#why-scores polyline')", "!document.getElementById('why-input').hidden"
    deadline = time.monotonic() + 10
    while not browser.run(f"return Boolean({curve}) && {given}"):
        if time.monotonic() > deadline:
            browser.click("#why-close")
            return False
        time.sleep(0.05)
    return True


def test_an_object_says_why_it_is_there(browser: Browser) -> None:
    until(lambda: ask_why(browser), "its confidence over time and what the model was given", 120)
    assert "50\u00a0%" in browser.run("return document.getElementById('why-told').textContent")
    browser.shot("why")
    browser.click("#why-close")
    assert not browser.run("return document.getElementById('why').open")


def test_on_a_phone_nothing_sticks_out_and_fingers_can_hit(browser: Browser) -> None:
    browser.resize(PHONE, 2)
    browser.wait("document.getElementById('overlay').clientWidth < 390", "the small picture")
    assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0]
    browser.click("#edit")
    browser.click("#add-zone")
    verdict(browser, "Good.")
    assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0]
    small = (
        "[...document.querySelectorAll('button, select, input')].filter((e) => e.offsetParent && e.offsetHeight < 40)"
    )
    assert browser.run(f"return {small}.map((e) => e.id)") == []
    browser.click("#cancel")
    browser.run("scrollTo(0, 0)")
    browser.wait("document.querySelectorAll('#tracks .box').length", "boxes")
    browser.shot("phone")


def test_everything_that_can_be_reached_has_a_name(browser: Browser) -> None:
    browser.click("#edit")
    browser.click("#add-line")
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    reachable = [
        node
        for node in nodes
        if not node.get("ignored")
        and any(one["name"] == "focusable" and one["value"].get("value") for one in node.get("properties", ()))
        and node["role"]["value"] not in ("RootWebArea", "generic", "figure")
    ]
    assert len(reachable) > 15
    assert [node["role"]["value"] for node in reachable if not node.get("name", {}).get("value")] == []
