"""Debian's own browser, headless, with nothing of a profile; and an agent with a page for it to open."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.fakes.agent import Process
from tests.fakes.mosquitto import RUNNING, until

ARTIFACTS = ROOT / "tests" / ".artifacts"
DESK, PHONE = (1360, 900), (390, 844)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


def missing(what: str) -> None:
    """Without a browser these tests say nothing; where CI runs them that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed, and CI is true")
    pytest.skip(f"{what} is not installed (apt install chromium chromium-driver)")


class Browser:
    """One window."""

    def __init__(self, folder: Path, size: tuple[int, int] = DESK) -> None:
        try:
            from selenium import webdriver
            from selenium.webdriver.chrome.service import Service
        except ImportError:
            missing("selenium")
        program, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if not (program and driver):
            missing("chromium" if driver else "chromium-driver")
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (*FLAGS, f"--user-data-dir={folder}", "--window-size={},{}".format(*size)):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver: Any = webdriver.Chrome(options, Service(driver, env={**os.environ, "HOME": str(folder)}))
        self.driver.set_page_load_timeout(60)
        RUNNING.add(self)
        self.resize(size)

    def resize(self, size: tuple[int, int], scale: int = 1) -> None:
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": scale, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        """ "dark" or "light"."""
        media = {"features": [{"name": "prefers-color-scheme", "value": name}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, what: str, timeout: float = 60.0) -> Any:
        """Until the expression is true in the page."""
        until(lambda: self.run(f"return Boolean({script})"), what, timeout)
        return self.run(f"return {script}")

    def click(self, selector: str) -> None:
        """Once it is there to be clicked."""
        element = self.driver.find_element("css selector", selector)
        until(element.is_displayed, selector)
        element.click()

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def shot(self, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        self.driver.save_screenshot(str(ARTIFACTS / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What the browser's console says that is no mere word."""
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]

    def kill(self) -> None:
        RUNNING.discard(self)
        self.driver.quit()


def sim(folder: Path, *arguments: object) -> tuple[Process, str]:
    """A running `agent sim` and the URL of its page."""
    log = folder / "sim.log"
    process = Process(log, "-m", "agent", "sim", *map(str, arguments))
    process.start()

    def found() -> str:
        assert process.alive(), log.read_text()
        match = re.search(r"Live page: (http://\S+)", log.read_text())
        return match[1] if match else ""

    try:
        until(found, "the page's URL", 60)
    except BaseException:
        process.stop()
        raise
    return process, found()
