"""What the tests of rehearsals have in common: a scripted model that plays a night desk, a PAL, a suite."""

import json
import time
from pathlib import Path
from typing import Any

import httpx

from tests.serving import STOCK_FACE

RULES = [
    {"when": "^The statement: The answer is polite", "say": "YES, it is."},
    {"when": "^The statement", "say": "NO, it is not."},
    {"when": "tool_result", "say": "It is {result}."},
    {"when": "price", "call": {"tool": "rate_of_rooms", "arguments": {"nights": 2}}},
    {"when": "greeting", "say": "Hello."},
    {"when": "any", "say": "I cannot tell."},
]
TOOL = {
    "name": "rate_of_rooms",
    "description": "Tells the price of a room.",
    "parameters": {"type": "object", "properties": {"nights": {"type": "integer"}}},
    "on_call": "silent",
    "on_resolve": "generate_response",
}
GREETS = {"expect": {"matches": ["night desk"]}}
ASKS = {
    "say": "What is the price?",
    "expect": {
        "calls": [{"tool": "rate_of_rooms", "arguments": {"nights": 2}}],
        "matches": ["180"],
        "judge": ["The answer is polite."],
    },
}
SUITE: dict[str, Any] = {
    "name": "Night desk",
    "visitors": [{"name": "asks for a price", "steps": [GREETS, ASKS]}],
    "tools": [{"tool": "rate_of_rooms", "output": "180 euros", "after_seconds": 2}],
}


def script_file(folder: Path, **script: Any) -> str:
    """A file for --scripted-model: a night desk, but for these members."""
    path = folder / "desk.json"
    path.write_text(json.dumps({"rules": RULES} | script))
    return str(path)


def new_tool(client: httpx.Client) -> str:
    """The tool of the night desk; an account has it once."""
    found = client.get("/v2/tools", params={"type": "user"}).json()["data"]
    id: str = found[0]["tool_id"] if found else client.post("/v2/tools", json=TOOL).json()["tool_id"]
    return id


def new_desk(client: httpx.Client, **members: Any) -> str:
    """A PAL that is a night desk."""
    fields = {
        "pal_name": "Night Desk",
        "system_prompt": "You are the night desk.",
        "greeting": "Good evening, night desk.",
        "default_face_id": STOCK_FACE,
        "tool_ids": [new_tool(client)],
        "layers": {"llm": {"model": "scripted"}},
    }
    answer = client.post("/v2/pals", json=fields | members)
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["pal_id"]
    return id


def new_suite(client: httpx.Client, **members: Any) -> str:
    answer = client.post("/v2/rehearsal-suites", json=SUITE | members)
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["suite_id"]
    return id


def begun(client: httpx.Client, pal: str, **body: Any) -> dict[str, Any]:
    """The receipt of a rehearsal."""
    answer = client.post(f"/v2/pals/{pal}/rehearsals", json=body)
    assert answer.status_code == 200, answer.text
    receipt: dict[str, Any] = answer.json()
    assert receipt["status"] == "running"
    return receipt


def finished(client: httpx.Client, pal: str, id: str) -> dict[str, Any]:
    """The rehearsal once it is over."""
    deadline = time.monotonic() + 30
    while True:
        answer = client.get(f"/v2/pals/{pal}/rehearsals/{id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        if found["status"] != "running":
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def rehearsed(client: httpx.Client, pal: str, **body: Any) -> dict[str, Any]:
    """A rehearsal that was begun, and is over."""
    return finished(client, pal, begun(client, pal, **body)["rehearsal_id"])
