"""The page of a conversation, in a real browser without internet: it holds the conversation, whatever happens to it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.acceptance.register.proxy import Proxy
from tests.api.making import created, finished
from tests.browser.conftest import SECONDS_TO_SHOW, Browser
from tests.lines import Frame, begun, line, stored
from tests.media import jpeg
from tests.serving import Palace, start_palace
from tests.sites import site

SAMPLE_PAL = "pcb7a34da5fe"
HOSTILE = "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title='taken over'\">"


TOOL = {"type": "function", "function": {"name": "look_up", "description": HOSTILE, "parameters": {"type": "object"}}}


@pytest.fixture
def page(browser: Browser, screenshot: Path) -> Iterator[Browser]:
    yield browser
    browser.driver.get("about:blank")


def visit(page: Browser, conversation: Frame, **query: str) -> None:
    told = "&".join(f"{name}={value}" for name, value in query.items())
    page.driver.get(conversation["conversation_url"] + (f"?{told}" if told else ""))


def say(page: Browser, text: str) -> None:
    wait(page, lambda: page.driver.find_element(By.ID, "text").is_enabled())
    page.show("#text").send_keys(text, Keys.ENTER)


def lines(page: Browser, kind: str) -> list[str]:
    found = page.driver.execute_script(
        "return [...document.querySelectorAll('#log li.' + arguments[0])].map(item => item.textContent)", kind
    )
    texts: list[str] = found
    return texts


def wait(page: Browser, is_so: Callable[[], object]) -> None:
    WebDriverWait(page.driver, SECONDS_TO_SHOW, poll_frequency=0.1).until(lambda _: is_so())


def status(page: Browser) -> str:
    text: str = page.driver.find_element(By.ID, "status").text
    return text


def test_a_person_is_greeted_says_something_and_is_answered(page, api, new_pal):
    call = begun(api, new_pal(pal_name="Ada of the desk", greeting="Welcome to the hotel."))
    visit(page, call)
    wait(page, lambda: lines(page, "pal") == ["Welcome to the hotel."])
    assert page.show("#name").text == page.driver.title == "Ada of the desk"
    say(page, "Is there a room?")
    wait(page, lambda: lines(page, "user") == ["Is there a room?"])
    wait(page, lambda: len(lines(page, "pal")) == 2 and "Is there a room?" in lines(page, "pal")[1])
    newest = stored(api, call)[-1]["properties"]["speech"]
    wait(page, lambda: lines(page, "pal")[1] == newest)
    told = page.driver.find_element(By.ID, "live")
    wait(page, lambda: told.get_attribute("textContent") == f"Ada of the desk: {newest}")
    assert page.console() == []


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a server whose model takes its time."""
    script = tmp_path / "script.json"
    half_a_minute = "There are many words in all that I could tell. " * 30
    script.write_text(json.dumps({"tokens_per_second": 10, "rules": [{"say": half_a_minute}]}))
    with start_palace(tmp_path / "data", PALACE_SCRIPTED_MODEL=str(script)) as running, running.client() as client:
        yield client


def test_what_is_written_grows_while_it_is_and_the_pal_is_seen_to_think_before(page, slow):
    visit(page, begun(slow, SAMPLE_PAL))
    wait(page, lambda: status(page) == "Connected")
    page.driver.execute_script("""
        window.seen = {lengths: new Set(), thought: false};
        new MutationObserver(() => {
            const bubble = document.querySelector("#log li.pal");
            if (bubble) window.seen.lengths.add(bubble.textContent.length);
            window.seen.thought ||= !document.getElementById("thinking").hidden;
        }).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
    """)
    say(page, "Tell me something long, with many words, about this hotel and everything in it.")
    wait(page, lambda: page.driver.execute_script("return window.seen.lengths.size > 2"))
    assert page.driver.execute_script("return window.seen.thought")


def test_the_page_asks_nobody_else_and_may_be_shown_inside_another(page, palace, api, new_pal):
    call = begun(api, new_pal(greeting="Welcome."))
    visit(page, call)
    wait(page, lambda: lines(page, "pal"))
    origins = {urlsplit(address).netloc for address in page.requested() if not address.startswith("data:")}
    assert origins == {urlsplit(palace.url).netloc}
    frame = f'<iframe width="400" height="600" src="{call["conversation_url"]}"></iframe>'
    with site() as elsewhere:
        elsewhere.pages["/"] = (200, {"content-type": "text/html"}, frame.encode())
        page.driver.get(elsewhere.url("/", "127.0.0.1"))
        page.driver.switch_to.frame(0)
        wait(page, lambda: lines(page, "pal") == ["Welcome."])
        page.driver.switch_to.default_content()


def test_hostile_texts_are_only_ever_text(page, api, new_pal):
    pal = new_pal(
        pal_name=HOSTILE[:60],
        system_prompt=HOSTILE,
        greeting=HOSTILE,
        layers={"llm": {"model": "tavus-gpt-oss", "tools": [TOOL]}},
    )
    call = begun(api, pal, conversation_name=HOSTILE[:100], conversational_context=HOSTILE)
    visit(page, call)
    wait(page, lambda: lines(page, "pal") == [HOSTILE])
    say(page, HOSTILE)
    wait(page, lambda: lines(page, "user") == [HOSTILE])
    say(page, 'use look_up {"what": "<script>document.title = 1</script>"}')
    wait(page, lambda: lines(page, "detail"))
    assert "<script>" in lines(page, "detail")[0]
    api.post(f"/v2/conversations/{call['conversation_id']}/end")
    wait(page, lambda: status(page) == "The conversation has ended")
    assert page.driver.find_elements(By.CSS_SELECTOR, "#log script, #log img") == []
    assert page.driver.title == HOSTILE[:60]


def test_the_face_of_the_pal_is_shown_where_there_is_a_picture_of_it(page, tmp_path):
    with site() as pictures:
        pictures.pages["/a.jpg"] = (200, {"content-type": "image/jpeg"}, jpeg(100, 100))
        wanted = {"train_image_url": pictures.url("/a.jpg", "127.0.0.1"), "voice_name": "calm-alto"}
        flags = ("--allow-private-addresses", "127.0.0.0/8")
        with start_palace(tmp_path / "data", *flags) as server, server.client() as client:
            face = finished(client, created(client, **wanted))
            pal = {"system_prompt": "Answer.", "default_face_id": face["face_id"]}
            visit(page, begun(client, client.post("/v2/pals", json=pal).json()["pal_id"]))
            assert page.show("#portrait img").get_attribute("src") == face["thumbnail_image_url"]
            assert page.console() == []


def test_tool_calls_are_shown_on_request(page, api, new_pal):
    visit(page, begun(api, new_pal(layers={"llm": {"model": "tavus-gpt-oss", "tools": [TOOL]}})))
    say(page, 'use look_up {"day": "friday"}')
    wait(page, lambda: lines(page, "detail"))
    assert not page.driver.find_element(By.CSS_SELECTOR, "#log .detail").is_displayed()
    page.click("#details")
    assert json.loads(page.show("#log .detail").text.removeprefix("calls look_up(")[:-1]) == {"day": "friday"}
    assert page.show("#details").get_attribute("aria-pressed") == "true"


def test_a_private_conversation_needs_its_token(page, api, new_pal):
    call = begun(api, new_pal(greeting="Welcome."), require_auth=True)
    visit(page, call)
    assert page.show("h1").text == "You are not allowed to join this meeting."
    visit(page, call, t="nonsense")
    wait(page, lambda: status(page) == "You are not allowed to join this meeting.")
    assert not page.driver.find_element(By.ID, "text").is_enabled()
    visit(page, call, t=call["meeting_token"])
    wait(page, lambda: lines(page, "pal") == ["Welcome."])


def test_an_unknown_conversation_has_a_friendly_page(page, palace):
    page.driver.get(f"{palace.url}/c/c000")
    assert page.show("h1").text == "There is no such conversation"
    assert httpx.get(f"{palace.url}/c/c000").status_code == 404


def test_a_full_conversation_says_so(page, api, new_pal):
    call = begun(api, new_pal(), max_participants=2)
    with line(call, participant="ann") as it:
        it.next()
        visit(page, call)
        wait(page, lambda: status(page).startswith("The conversation is full"))
    assert not page.driver.find_element(By.ID, "text").is_enabled()


def test_the_end_is_told(page, api, new_pal):
    call = begun(api, new_pal(greeting="Welcome."))
    visit(page, call)
    wait(page, lambda: lines(page, "pal"))
    api.post(f"/v2/conversations/{call['conversation_id']}/end")
    wait(page, lambda: status(page) == "The conversation has ended")
    assert not page.driver.find_element(By.ID, "text").is_enabled()
    visit(page, call)
    wait(page, lambda: status(page) == "The conversation has ended" and lines(page, "pal") == ["Welcome."])


@contextmanager
def unreliable(url: Callable[[], str]) -> Iterator[tuple[asyncio.AbstractEventLoop, Proxy]]:
    """A way to the server with this URL that can be cut, and the loop on which that has to be done."""
    loop = asyncio.new_event_loop()
    proxy = Proxy(lambda: asyncio.open_connection("127.0.0.1", urlsplit(url()).port), Random(1))
    loop.run_until_complete(proxy.start())
    turning = threading.Thread(target=loop.run_forever)
    turning.start()
    try:
        yield loop, proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        turning.join()
        proxy.stop()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))
        loop.close()


def through(proxy: Proxy, call: Frame) -> Frame:
    """The conversation, reached that way."""
    there = urlsplit(call["conversation_url"])
    return call | {"conversation_url": there._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()}


def test_over_a_line_that_breaks_the_page_comes_back_and_shows_everything_once(page, palace, api, new_pal):
    call = begun(api, new_pal(greeting="Welcome."))
    with unreliable(lambda: palace.url) as (loop, proxy):
        visit(page, through(proxy, call))
        wait(page, lambda: lines(page, "pal") == ["Welcome."])
        for number in range(3):
            loop.call_soon_threadsafe(proxy.reset)
            wait(page, lambda: status(page) == "Connected")
            api.post(f"/v2/conversations/{call['conversation_id']}/respond", json={"text": f"Question {number}"})
        wait(page, lambda: len(lines(page, "pal")) == 4)
        said = [one["properties"] for one in stored(api, call) if one["event_type"] == "conversation.utterance"]
        wait(page, lambda: lines(page, "pal") == [one["speech"] for one in said if one["role"] == "pal"])
        assert lines(page, "user") == [f"Question {number}" for number in range(3)]


def test_a_restart_of_the_server_is_told_and_survived(page, tmp_path):
    data = tmp_path / "data"
    body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72", "greeting": "Welcome."}
    with unreliable(lambda: server.url) as (_, proxy):
        with start_palace(data) as server, server.client() as client:
            call = begun(client, client.post("/v2/pals", json=body).json()["pal_id"])
            visit(page, through(proxy, call))
            wait(page, lambda: lines(page, "pal") == ["Welcome."])
            proxy.mode = "refuse"  # Whoever else may come to listen on the port of the server is not reached.
        wait(page, lambda: "Reconnecting" in status(page))
        with start_palace(data) as server:
            proxy.mode = "pass"
            wait(page, lambda: status(page) == "Connected")
            say(page, "Are you back?")
            wait(page, lambda: len(lines(page, "pal")) == 2)
            assert lines(page, "pal")[0] == "Welcome."


def test_the_page_fits_a_phone_in_the_dark_and_can_be_used_without_a_mouse(page, palace: Palace, api, new_pal):
    emulate = page.driver.execute_cdp_cmd
    emulate("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True})
    emulate("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    try:
        visit(page, begun(api, new_pal(greeting="Welcome. " + "long" * 200)))
        wait(page, lambda: lines(page, "pal"))
        width, ground = page.driver.execute_script(
            "return [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]"
        )
        assert (width, ground) == (360, "rgb(16, 18, 22)")
        names = page.driver.execute_script("""
            const named = element => element.labels?.[0]?.textContent || element.getAttribute("aria-label")
                || element.textContent.trim();
            return [...document.querySelectorAll("button, textarea, ol")].map(named);
        """)
        assert all(names)
        page.driver.execute_script("document.getElementById('text').blur()")
        reached = []
        for _ in range(6):
            page.driver.switch_to.active_element.send_keys(Keys.TAB)
            reached.append(page.driver.switch_to.active_element.get_attribute("id"))
        assert {"details", "text"} <= set(reached)
    finally:
        emulate("Emulation.clearDeviceMetricsOverride", {})
        emulate("Emulation.setEmulatedMedia", {"features": []})
