"""`tavus-cli`, as it is published: conversations, and `tavus chat` with our stand-in for Daily's Python module."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.apart import CommandLine, Outside, environment, with_shim
from tests.serving import KEY, STOCK_FACE, Palace

SHORT = ("--timeout", "10")


@pytest.fixture
def tavus(palace: Palace, outside: Outside, tmp_path: Path) -> CommandLine:
    """The program that pip installs; where it joins a room it finds our stand-in."""
    return CommandLine(tmp_path, with_shim(environment(f"{palace.url}/v2", tmp_path, outside)))


def started(tavus: CommandLine, pal_id: str, *more: str) -> str:
    """The id of a new chat."""
    id: str = tavus("chat", "start", "--pal-id", pal_id, *more)["conversation_id"]
    return id


def answered(tavus: CommandLine, id: str, message: str) -> str:
    """What `chat turn` prints that must succeed."""
    done = tavus.run("chat", "turn", id, "--message", message, *SHORT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_chat_is_started_goes_on_over_turns_and_is_ended(tavus: CommandLine, new_pal: Any, api: httpx.Client) -> None:
    id = started(tavus, new_pal(), "--greeting", "Good evening.", "--name", "Night desk, room 12")
    assert "Is there a room?" in answered(tavus, id, "Is there a room?")
    second = answered(tavus, id, "And with a view?")
    assert "And with a view?" in second
    assert "Good evening." not in second
    tavus("chat", "end", id)
    seen = api.get(f"/v2/conversations/{id}", params={"verbose": "true"}).json()
    assert (seen["status"], seen["conversation_name"]) == ("ended", "Night desk, room 12")
    assert seen["shutdown_reason"] == "end_conversation_endpoint_hit"
    [transcript] = [one["properties"]["transcript"] for one in seen["events"] if "transcript" in one["properties"]]
    said = [line["content"] for line in transcript if line["role"] == "user"]
    assert said == ["Is there a room?", "And with a view?"]
    assert "Good evening." in [line["content"] for line in transcript if line["role"] == "assistant"]


def test_each_turn_hears_its_own_answer_only(tavus: CommandLine, new_pal: Any) -> None:
    id = started(tavus, new_pal(), "--greeting", "Good evening.")
    assert "Good evening." not in answered(tavus, id, "The first")
    assert "The first" not in answered(tavus, id, "The second")
    tavus("chat", "end", id)


def test_a_turn_in_a_chat_that_has_ended_fails_at_once_and_says_why(tavus: CommandLine, new_pal: Any) -> None:
    id = started(tavus, new_pal())
    tavus("chat", "end", id)
    assert "ended" in tavus.refused("chat", "turn", id, "--message", "Hello?", *SHORT)


def test_a_turn_in_a_chat_that_is_not_there_is_refused(tavus: CommandLine) -> None:
    assert "failed with 400" in tavus.refused("chat", "turn", "c00000000000", "--message", "Hello?", *SHORT)


def test_a_private_chat_does_not_let_the_command_line_in(tavus: CommandLine, new_pal: Any, api: httpx.Client) -> None:
    """It joins the URL as it stands in the conversation, and the token stands in the answer to its creation only."""
    made = api.post("/v2/conversations", json={"pal_id": new_pal(), "chat": True, "require_auth": True}).json()
    said = tavus.refused("chat", "turn", made["conversation_id"], "--message", "Hello?", *SHORT)
    assert "You are not allowed to join this meeting." in said


def test_a_conversation_is_created_and_ended(tavus: CommandLine, new_pal: Any, api: httpx.Client) -> None:
    pal_id = new_pal()
    made = tavus("conversation", "create", "--pal-id", pal_id, "--face-id", STOCK_FACE, "--name", "Room 12")
    seen = api.get(f"/v2/conversations/{made['conversation_id']}").json()
    assert (seen["persona_id"], seen["replica_id"], seen["conversation_name"]) == (pal_id, STOCK_FACE, "Room 12")
    tavus("conversation", "end", made["conversation_id"])
    assert api.get(f"/v2/conversations/{made['conversation_id']}").json()["status"] == "ended"


def test_without_the_stand_in_a_chat_is_started_and_ended_all_the_same(
    palace: Palace, outside: Outside, tmp_path: Path, new_pal: Any
) -> None:
    """Only turns need it."""
    bare = CommandLine(tmp_path, environment(f"{palace.url}/v2", tmp_path, outside, KEY))
    made = json.loads(bare.run("chat", "start", "--pal-id", new_pal()).stdout)
    assert made["status"] == "active"
    bare("chat", "end", made["conversation_id"])
