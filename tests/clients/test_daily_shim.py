"""Our stand-in for Daily's Python module: what it tells its user, also where lines break and rooms are shut."""

import importlib.util
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.clients.apart import ROOT
from tests.cuts import cutting
from tests.serving import Palace

SECONDS = 30


def imported() -> ModuleType:
    """The module, from its file: as `daily` it would hide Daily's own."""
    spec = importlib.util.spec_from_file_location("daily_shim", ROOT / "clients/daily-shim/daily.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


daily = imported()


class Heard(daily.EventHandler):
    """Notes down what it is told, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, Any]] = []
        self._moved = threading.Condition()

    def on_participant_joined(self, participant: Any) -> None:
        self._note("joined", participant)

    def on_app_message(self, message: Any, sender: Any) -> None:
        self._note("message", message)

    def on_error(self, message: Any) -> None:
        self._note("error", message)

    def _note(self, what: str, about: Any) -> None:
        with self._moved:
            self.told.append((what, about))
            self._moved.notify_all()

    def until(self, is_it: Callable[[str, Any], bool]) -> Any:
        """What was told first that is it."""
        with self._moved:
            assert self._moved.wait_for(lambda: any(is_it(*one) for one in self.told), SECONDS), self.told
        return next(about for what, about in self.told if is_it(what, about))

    def messages(self) -> list[Any]:
        return [about for what, about in self.told if what == "message"]


def said(role: str, text: str = "") -> Callable[[str, Any], bool]:
    """An utterance of this role with this text in it."""
    return lambda what, about: (
        what == "message"
        and about["event_type"] == "conversation.utterance"
        and about["properties"]["role"] == role
        and text in about["properties"]["speech"]
    )


def error(what: str, about: Any) -> bool:
    return what == "error"


def joined(url: str) -> tuple[Any, Heard]:
    """A participant, as tavus-cli is one."""
    daily.Daily.init()
    heard = Heard()
    client = daily.CallClient(event_handler=heard)
    client.join(url)
    return client, heard


def respond(text: str) -> dict[str, Any]:
    return {
        "message_type": "conversation",
        "event_type": "conversation.respond",
        "properties": {"text": text},
    }


@pytest.fixture
def begun(api: httpx.Client, new_pal: Callable[..., str]) -> Callable[..., dict[str, Any]]:
    """Creates a chat."""

    def create(**members: Any) -> dict[str, Any]:
        made: dict[str, Any] = api.post("/v2/conversations", json={"pal_id": new_pal(), "chat": True} | members).json()
        return made

    return create


def why_ended(api: httpx.Client, id: str) -> str:
    """Why a conversation has ended, once it has."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = api.get(f"/v2/conversations/{id}", params={"verbose": "true"}).json()
        if found["status"] == "ended":
            reason: str = found["shutdown_reason"]
            return reason
        time.sleep(0.02)
    raise AssertionError(f"{id} goes on.")


def test_the_pal_is_there_once_its_greeting_is_through(begun: Any) -> None:
    client, heard = joined(begun(custom_greeting="Good evening.")["conversation_url"])
    participant = heard.until(lambda what, _about: what == "joined")
    assert participant["info"]["isLocal"] is False
    kinds = [about.get("event_type") if what == "message" else what for what, about in heard.told]
    assert kinds.index("conversation.utterance") < kinds.index("joined") < kinds.index("system.pal_present")
    client.leave()
    client.release()


def test_what_is_sent_is_answered_in_both_vocabularies_as_objects(begun: Any) -> None:
    client, heard = joined(begun()["conversation_url"])
    heard.until(lambda what, _about: what == "joined")
    client.send_app_message(respond("Is there a room?"))
    heard.until(said("replica", "Is there a room?"))
    assert said("pal", "Is there a room?")("message", heard.until(said("pal")))
    client.release()


def test_what_is_sent_at_once_waits_for_the_line(begun: Any) -> None:
    client, heard = joined(begun()["conversation_url"])
    client.send_app_message(respond("Quick!"))
    heard.until(said("replica", "Quick!"))
    client.release()


def test_who_leaves_has_left_and_hears_nothing_more(begun: Any, api: httpx.Client) -> None:
    made = begun(properties={"participant_left_timeout": 0})
    client, heard = joined(made["conversation_url"])
    heard.until(lambda what, _about: what == "joined")
    client.leave()
    client.release()
    told = len(heard.told)
    assert why_ended(api, made["conversation_id"]) == "participant_left_timeout reached"
    assert len(heard.told) == told
    with pytest.raises(ConnectionError):
        client.send_app_message(respond("Hello?"))


def test_a_line_that_breaks_loses_nothing_and_repeats_nothing(palace: Palace, begun: Any, api: httpx.Client) -> None:
    made = begun(custom_greeting="Good evening.")
    after = [1500, 300]
    with cutting(palace.url, after) as proxy:
        client, heard = joined(made["conversation_url"].replace(palace.url, proxy.url))
        heard.until(lambda what, _about: what == "joined")
        client.send_app_message(respond("Is there a room?"))
        heard.until(said("replica", "Is there a room?"))
        client.release()
    assert proxy.lines == len(after) + 1
    kept = api.get(f"/v2/conversations/{made['conversation_id']}/messages", params={"after": 2}).json()["data"]
    numbers = {message["seq"] for message in kept}
    heard_of_them = [message for message in heard.messages() if message.get("seq") in numbers]
    assert heard_of_them == kept[: len(heard_of_them)]
    assert len(heard_of_them) >= len(kept) - 2, "it left when it had heard the answer"
    assert not any(what == "error" for what, _ in heard.told)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://tavus.daily.co/c12d3a4b5c6", "tavus.daily.co is a room of Daily's, and palace-daily-shim joins"),
        ("https://daily.co/room", "daily.co is a room of Daily's"),
        ("http://127.0.0.1:9/rooms/c1", "'http://127.0.0.1:9/rooms/c1' is no URL of a conversation: it is like http"),
        ("c12d3a4b5c6", "'c12d3a4b5c6' is no URL of a conversation"),
        ("http://127.0.0.1:9/c/c12d3a4b5c6", "There is no line to 127.0.0.1:9: "),
    ],
)
def test_a_url_that_leads_nowhere_is_told_in_a_sentence(url: str, problem: str) -> None:
    client, heard = joined(url)
    assert heard.until(error).startswith(problem)
    client.release()


def test_an_unknown_conversation_is_told(palace: Palace) -> None:
    client, heard = joined(f"{palace.url}/c/c00000000000")
    assert "no such conversation" in heard.until(error)
    client.release()


def test_a_conversation_that_has_ended_is_told(begun: Any, api: httpx.Client) -> None:
    made = begun()
    api.post(f"/v2/conversations/{made['conversation_id']}/end")
    client, heard = joined(made["conversation_url"])
    assert heard.until(error) == "The conversation has ended: end_conversation_endpoint_hit."
    client.release()


def test_a_private_room_opens_with_the_token_in_its_url(begun: Any) -> None:
    made = begun(require_auth=True)
    client, heard = joined(made["conversation_url"])
    assert heard.until(error) == "You are not allowed to join this meeting."
    client.release()
    client, heard = joined(f"{made['conversation_url']}?t={made['meeting_token']}")
    heard.until(lambda what, _about: what == "joined")
    client.release()


def test_a_pal_that_ends_the_call_is_no_error(begun: Any) -> None:
    client, heard = joined(begun()["conversation_url"])
    heard.until(lambda what, _about: what == "joined")
    client.send_app_message(respond("use end_call"))
    heard.until(lambda what, about: what == "message" and about["event_type"] == "system.shutdown")
    client.release()
    assert not any(what == "error" for what, _ in heard.told)
