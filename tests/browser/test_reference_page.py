"""The reference at /docs, in a real browser without internet: it shows every operation, and tries them out."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.conftest import SECONDS_TO_SHOW, Browser
from tests.serving import KEY, Palace

STOCK_PAL = "pb87e71797da"
GET_PAL = "#operations-PALs-getPal"
PATCH_PAL = "#operations-PALs-patchPal"


@pytest.fixture
def page(browser: Browser, palace: Palace, screenshot: Path) -> Iterator[Browser]:
    """The page as a newcomer sees it: it keeps a key from one visit to the next, so that is forgotten at the end."""
    browser.driver.get(f"{palace.url}/docs")
    browser.show(".opblock")
    yield browser
    browser.driver.execute_script("localStorage.clear()")


def authorize(page: Browser, key: str) -> None:
    page.click("button.authorize")
    dialog = page.show(".dialog-ux")
    page.type("input", key, dialog)
    page.click("button.authorize", dialog)
    page.click("button.btn-done", dialog)


def open_operation(page: Browser, operation: str) -> None:
    page.click(f"{operation} .opblock-summary-control")
    page.click(f"{operation} .try-out__btn")


def execute(page: Browser, operation: str) -> tuple[int, str]:
    """Press the button; the status and the body as the page shows them."""
    page.click(f"{operation} .execute")
    status = page.show(f"{operation} .live-responses-table .response .response-col_status").text
    body = page.show(f"{operation} .live-responses-table .response .highlight-code code").text
    return int(status.split()[0]), body


SHOWN = """
    const summaries = [...document.querySelectorAll(".opblock-summary-control")];
    summaries.at(-1).scrollIntoView();
    const isTheEnd = document.querySelector(".operations-virtual__list").style.paddingBottom === "0px";
    return [summaries.map(summary => summary.innerText), isTheEnd];
"""
"""The operations near the window, which then is moved to the last of them, and whether there are none below."""


def operations_on_the_way_down(page: Browser) -> set[tuple[str, ...]]:
    """Method and path of every operation: of many, the page shows only those near the window."""
    found: set[tuple[str, ...]] = set()

    def look(_: object) -> bool:
        operations, is_the_end = page.driver.execute_script(SHOWN)
        found.update(tuple(text.replace("\u200b", "").split()[:2]) for text in operations)
        return bool(is_the_end)

    WebDriverWait(page.driver, SECONDS_TO_SHOW, poll_frequency=0.05).until(look, "the page has no end")
    return found


def test_the_page_lists_every_operation(page: Browser, palace: Palace) -> None:
    with palace.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    documented = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert operations_on_the_way_down(page) == documented
    assert ("PATCH", "/v2/pals/{pal_id}") in documented


def test_a_stock_pal_can_be_read_on_the_page(page: Browser) -> None:
    authorize(page, KEY)
    open_operation(page, GET_PAL)
    page.type(f"{GET_PAL} .parameters input", STOCK_PAL)
    status, body = execute(page, GET_PAL)
    assert status == 200
    assert json.loads(body)["pal_id"] == STOCK_PAL


def test_a_pal_can_be_patched_on_the_page(page: Browser, api, new_pal: Callable[..., str]) -> None:
    pal_id = new_pal()
    authorize(page, KEY)
    open_operation(page, PATCH_PAL)
    page.type(f"{PATCH_PAL} .parameters input", pal_id)
    status, body = execute(page, PATCH_PAL)
    assert status == 200
    shown = json.loads(body)
    assert shown["system_prompt"] != "Answer briefly."
    assert shown == api.get(f"/v2/pals/{pal_id}").json()


def test_the_page_reports_nothing_and_asks_nobody_else(page: Browser, palace: Palace) -> None:
    authorize(page, KEY)
    open_operation(page, GET_PAL)
    page.type(f"{GET_PAL} .parameters input", STOCK_PAL)
    execute(page, GET_PAL)
    assert page.console() == []
    origins = {urlsplit(address)[:2] for address in page.requested() if not address.startswith("data:")}
    assert origins == {urlsplit(palace.url)[:2]}
