"""A real browser without internet: Chromium, headless, that can resolve no name and reach only this machine."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

SECONDS_TO_SHOW = 20
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # Continuous integration runs as root, where Chromium has no sandbox.
    "--disable-dev-shm-usage",
    "--window-size=1280,1600",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@dataclass(frozen=True)
class Browser:
    """One window, and what happened in it."""

    driver: Chrome

    def show(self, css: str, within: WebElement | None = None) -> WebElement:
        """The first visible element that matches, as soon as there is one."""

        def visible(_: Any) -> WebElement | None:
            found = (within or self.driver).find_elements(By.CSS_SELECTOR, css)
            return next((element for element in found if element.is_displayed()), None)

        return WebDriverWait(self.driver, SECONDS_TO_SHOW).until(visible, f"nothing visible matches {css}")

    def click(self, css: str, within: WebElement | None = None) -> None:
        """Click on the first visible element that matches."""
        element = self.show(css, within)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def type(self, css: str, text: str, within: WebElement | None = None) -> None:
        """Replace what a field holds, and leave the field."""
        self.show(css, within).send_keys(Keys.CONTROL, "a", Keys.NULL, text, Keys.TAB)

    def console(self) -> list[str]:
        """Everything that the page wrote to the console, or that went wrong in it, since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self) -> list[str]:
        """The address of every request that the page made since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    assert all(programs.values()), "these tests need chromium and chromedriver (Debian: chromium, chromium-driver)"
    options = ChromeOptions()
    options.binary_location = str(programs["chromium"])
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    log = tmp_path_factory.mktemp("chromedriver") / "log"
    running = Chrome(options, Service(str(programs["chromedriver"]), log_output=str(log)))
    yield running
    running.quit()


@pytest.fixture
def browser(driver: Chrome) -> Browser:
    """An empty page with nothing in its logs."""
    driver.get("about:blank")
    browser = Browser(driver)
    browser.console()
    browser.requested()
    return browser


@pytest.fixture
def screenshot(driver: Chrome, tmp_path: Path) -> Iterator[Path]:
    """Where the page is kept as it looked at the end of the test."""
    path = tmp_path / "page.png"
    yield path
    driver.save_screenshot(str(path))
