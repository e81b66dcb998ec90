"""What `GET /v2/conversations/{id}/respond` says of a turn that is not over."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from palace.conversation.events import EchoAsked, Joined, Said
from palace.resources.conversations import speaking
from palace.talking import Room
from tests.api.wire import REPLAYED, keyed, refused
from tests.api.within import Within, within
from tests.lines import Frame, begun, is_utterance, line
from tests.skipping import Skipping, run


def turn(api: httpx.Client, conversation: Frame, seconds: int = 0) -> Any:
    path = f"/v2/conversations/{conversation['conversation_id']}/respond"
    return api.get(path, params={"timeout_s": seconds}).json()


def test_a_greeting_that_the_model_writes_is_waited_for(api, new_pal):
    conversation = begun(api, new_pal(), dynamic_greeting=True)
    with line(conversation) as it:
        told = turn(api, conversation, 20)
        assert (told["status"], told["turn_idx"]) == ("ready", 0)
        assert told["text"] == it.until(is_utterance("pal"))["properties"]["speech"]


@pytest.mark.parametrize("inline", [True, False], ids=["written into the PAL", "of the registry"])
def test_a_tool_that_the_client_carries_out_is_told(api, new_pal, new_tool, inline):
    tool_id = new_tool(on_call="silent", on_resolve="generate_response")
    tool = api.get(f"/v2/tools/{tool_id}").json()["name"]
    if inline:
        function = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
        pal, tool = new_pal(layers={"llm": {"tools": [{"type": "function", "function": function}]}}), "look"
    else:
        pal = new_pal(tool_ids=[tool_id])
    conversation = begun(api, pal)
    path = f"/v2/conversations/{conversation['conversation_id']}"
    told = api.post(f"{path}/respond", json={"text": f"use {tool}", "timeout_s": 5}).json()
    assert told["status"] == ("ready" if inline else "waiting_for_tool_result"), "results of inline tools are context"
    [call] = told["tool_calls"]
    result = {"tool_call_id": call["tool_call_id"], "output": "Two are free."}
    api.post(f"{path}/messages", json={"event_type": "conversation.tool_result", "properties": result})
    assert turn(api, conversation, 20)["status"] == "ready"


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_what_is_said_twice_under_one_key_is_heard_once(api, new_pal, accept):
    path = f"/v2/conversations/{begun(api, new_pal())['conversation_id']}"
    once = {"idempotency-key": f"say-{path}", "accept": accept}
    api.post(f"{path}/respond", json={"text": "Hello?"}, headers=once)
    again = api.post(f"{path}/respond", json={"text": "Hello?"}, headers=once)
    assert (again.status_code, again.headers[REPLAYED]) == (200, "true")
    told = api.get(f"{path}/respond", params={"timeout_s": 20}).json()
    assert told["turn_idx"] == again.json()["turn_idx"], "what is repeated names the turn that was begun"
    assert len(said_by_people(api, path)) == 1
    refused(api.post(f"{path}/respond", json={"text": "Other."}, headers=once), 422)


def test_an_app_message_sent_twice_under_one_key_happens_once(api, new_pal):
    path = f"/v2/conversations/{begun(api, new_pal())['conversation_id']}"
    message = {"event_type": "conversation.respond", "properties": {"text": "Hello?"}}
    sent = [api.post(f"{path}/messages", json=message, headers=keyed(f"send-{path}")) for _ in range(2)]
    assert REPLAYED in sent[1].headers
    assert sent[1].json()["seq"] <= sent[0].json()["seq"], "the number is that of when it was taken"
    api.get(f"{path}/respond", params={"timeout_s": 20})
    assert len(said_by_people(api, path)) == 1


def said_by_people(api: httpx.Client, path: str) -> list[Any]:
    """The utterances of people."""
    found = api.get(f"{path}/messages").json()["data"]
    return [
        one for one in found if one["event_type"] == "conversation.utterance" and one["properties"]["role"] == "user"
    ]


# --- A model that takes its time --------------------------------------------------------------------------------------


def slow_model(folder: Path) -> str:
    """A model that says a word in a second."""
    path = folder / "slow.yaml"
    path.write_text(f'{{tokens_per_second: 1, rules: [{{say: "{"word " * 60}"}}]}}')
    return str(path)


async def opened(server: Within, **members: Any) -> tuple[str, Room]:
    """A new conversation, and its path."""
    id = await server.begin(chat=True, **members)
    place = await server.rooms.find(id)
    assert place is not None
    return f"/v2/conversations/{id}", await server.rooms.room(place)


def test_a_greeting_and_an_answer_that_never_come_take_as_long_as_one(tmp_path: Path):
    loop = Skipping()

    async def scene() -> tuple[str, float]:
        model = slow_model(tmp_path)
        async with within(tmp_path, PALACE_SCRIPTED_MODEL=model, PALACE_REQUEST_SECONDS="0") as server:
            path, room = await opened(server, dynamic_greeting=True)
            began = loop.time()
            asked = server.send("POST", f"{path}/respond", {"text": "Hello?"})
            while room.state.turn_idx == 0 and not asked.messages:  # The greeting is waited for.
                loop.skip(1)
                await asyncio.sleep(0.01)
            seconds = loop.time() - began
            return (await asked.answered()).body["status"], seconds

    status, seconds = run(scene(), loop)
    assert status == "pending"
    assert seconds >= speaking.MOST_SECONDS


def test_page_by_page_nothing_that_is_kept_is_missed_while_the_pal_writes(tmp_path: Path):
    async def scene() -> tuple[set[int], list[int]]:
        async with within(tmp_path, PALACE_SCRIPTED_MODEL=slow_model(tmp_path)) as server:
            path, room = await opened(server)
            await server.rooms.happen(room, Joined("ann"), *[EchoAsked("Hm.")] * speaking.MOST_MESSAGES, Said("Hello?"))
            async with asyncio.timeout(10):
                while not room.streamed:
                    await room.moved.wait()
            told: list[int] = []
            while page := (await server.ask("GET", f"{path}/messages?after={told[-1] if told else 0}")).body:
                if not page["data"]:
                    break
                told += [one["seq"] for one in page["data"]]
                assert page["seq"] == told[-1]
            kept = await server.services.store.reading.conversations.logged(room.place.document, "message", 0, 10_000)
            return {one.seq for one in kept}, told

    kept, told = asyncio.run(scene())
    assert len(kept) > 2 * speaking.MOST_MESSAGES
    assert kept < set(told), "and what is being written"
    assert told == sorted(told)
