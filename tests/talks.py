"""Conversations over HTTP, for tests: a PAL, talking to it, and waiting for what happens afterwards."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.api.test_fetching import OUTSIDE
from tests.serving import STOCK_FACE, Palace, start_palace
from tests.thinking import Mind
from tests.tool_delivery.tool_server import HOST


@contextmanager
def talking_palace(data: Path, pem: Path, mind: Mind, *flags: str, **names: list[str]) -> Iterator[Palace]:
    """A server that thinks with `mind`, and to which tools.example and 127.0.0.2 are the world outside."""
    known = {HOST: [OUTSIDE], **{name.replace("_", "."): addresses for name, addresses in names.items()}}
    environment = {"TRUSTED_PEM": str(pem), "NAMES": json.dumps(known)}
    outside = ("--allow-private-addresses", f"{OUTSIDE}/32", "--models", mind.table(data.parent))
    with start_palace(data, *outside, *flags, program="tests.trusting", **environment) as palace:
        yield palace


def made(client: httpx.Client, path: str, body: dict[str, Any], id: str) -> str:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()[id])


def new_tool(client: httpx.Client, name: str, **members: Any) -> str:
    return made(client, "/v2/tools", {"name": name, "description": "Does it.", **members}, "tool_id")


def new_pal(client: httpx.Client, *tools: str, **members: Any) -> str:
    body = {"pal_name": "Night Desk", "system_prompt": "Answer.", "default_face_id": STOCK_FACE, **members}
    return made(client, "/v2/pals", {**body, "tool_ids": list(tools)}, "pal_id")


def begin(client: httpx.Client, pal: str, **members: Any) -> str:
    return made(client, "/v2/conversations", {"pal_id": pal, "chat": True, **members}, "conversation_id")


def say(client: httpx.Client, conversation: str, text: str) -> Any:
    """What the PAL did, once its turn is over."""
    answer = client.post(f"/v2/conversations/{conversation}/respond", json={"text": text})
    assert answer.status_code == 200, answer.text
    return answer.json()


def end(client: httpx.Client, conversation: str) -> None:
    assert client.post(f"/v2/conversations/{conversation}/end").status_code == 200


def events(client: httpx.Client, conversation: str, event_type: str) -> list[Any]:
    """The properties of the events of one type."""
    answer = client.get(f"/v2/conversations/{conversation}?verbose=true").json()
    return [one["properties"] for one in answer["events"] if one["event_type"] == event_type]


def calls(client: httpx.Client, conversation: str) -> list[Any]:
    return list(client.get(f"/v2/conversations/{conversation}/tool_calls").json()["data"])
