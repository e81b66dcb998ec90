"""A client of a conversation's WebSocket, as a person would write one: it sends, hears, and comes back."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.waiting import wait_until

Frame = dict[str, Any]
SECONDS = 20
"""How long anything may take that is to be heard."""


def address(conversation: Frame, **query: Any) -> str:
    """Where a conversation's WebSocket is, from the answer that created it."""
    url = conversation["conversation_url"].replace("http://", "ws://") + "/ws"
    told = {name: value for name, value in query.items() if value is not None}
    return f"{url}?{urlencode(told)}" if told else url


class Line:
    """One connection, and every frame that came over it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[Frame] = []

    def send(self, event_type: str, **properties: Any) -> None:
        self.socket.send(json.dumps({"event_type": event_type, "properties": properties}))

    def say(self, text: str) -> None:
        self.send("conversation.respond", text=text)

    def next(self, seconds: float = SECONDS) -> Frame:
        frame: Frame = json.loads(self.socket.recv(timeout=seconds))
        self.heard.append(frame)
        return frame

    def until(self, fits: Callable[[Frame], bool], seconds: float = SECONDS) -> Frame:
        """The first frame from now on that fits."""
        while True:
            frame = self.next(seconds)
            if fits(frame):
                return frame

    def answer(self) -> str:
        """What the PAL says next, all of it."""
        speech: str = self.until(is_utterance("replica"))["properties"]["speech"]
        return speech

    def closed(self) -> tuple[int, str]:
        """With which code and reason the server closes, once it does."""
        with pytest.raises(ConnectionClosed) as caught:
            self.until(lambda _frame: False)
        assert caught.value.rcvd is not None, "the connection broke"
        return caught.value.rcvd.code, caught.value.rcvd.reason

    def cut(self) -> None:
        """The connection breaks, without a word."""
        self.socket.socket.close()


def is_utterance(role: str) -> Callable[[Frame], bool]:
    return lambda frame: frame["event_type"] == "conversation.utterance" and frame["properties"]["role"] == role


def is_event(event_type: str) -> Callable[[Frame], bool]:
    return lambda frame: frame["event_type"] == event_type


@contextmanager
def line(conversation: Frame, key: str | None = None, origin: str | None = None, **query: Any) -> Iterator[Line]:
    """A connection to a conversation, closed politely at the end of the block."""
    headers = {"x-api-key": key} if key else {}
    url = address(conversation, **query)
    with connect(url, additional_headers=headers, origin=origin, max_size=None) as socket:  # type: ignore[arg-type]
        yield Line(socket)


def refusal(conversation: Frame, **options: Any) -> tuple[int, str]:
    """The status and the code of the error that a connection is refused with."""
    with pytest.raises(InvalidStatus) as caught, line(conversation, **options):
        pass
    answer = caught.value.response
    said = json.loads(answer.body)
    assert answer.headers["content-type"] == "application/json"
    assert said["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, said["details"][0]["code"]


def begun(api: httpx.Client, pal: str, **members: Any) -> Frame:
    """A new conversation, as its creation answers."""
    answer = api.post("/v2/conversations", json={"pal_id": pal, "chat": True} | members)
    assert answer.status_code == 200, answer.text
    made: Frame = answer.json()
    return made


def stored(api: httpx.Client, conversation: Frame, after: int = 0) -> list[Frame]:
    """The frames that a conversation keeps."""
    answer = api.get(f"/v2/conversations/{conversation['conversation_id']}/messages?after={after}")
    data: list[Frame] = answer.json()["data"]
    return data


def status(api: httpx.Client, conversation: Frame) -> tuple[str, str | None]:
    """How a conversation is, and why it ended."""
    said = api.get(f"/v2/conversations/{conversation['conversation_id']}?verbose=true").json()
    return said["status"], said["shutdown_reason"]


def wait_for_lines(client: httpx.Client, count: int) -> None:
    """Until the server knows of so many lines, and has stored that the others are gone."""
    wait_until(lambda: f"palace_lines_open {count}.0" in client.get("/metrics").text.splitlines())
