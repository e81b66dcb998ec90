"""Talking by plain HTTP: for scripts, tests, and whoever has no WebSocket (docs/howto/talk.md)."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints, ValidationError

from palace.call import Call, Reply
from palace.conversation.events import Joined, Said
from palace.conversation.heard import NotUnderstood, heard
from palace.conversation.wire import copies
from palace.errors import BadRequest, ClientError, Detail
from palace.resource import Document, Resource, Services
from palace.talking import Gone, Place, Room, Rooms
from palace.validation import Model, problems_of, refuse
from palace.verbs.queries import whole_number
from palace.verbs.reading import own

BY_HTTP = "http"
"""The one person that all requests of a conversation are."""
MOST_SECONDS = 25
"""Shorter than what proxies and the server itself give a request."""
MOST_MESSAGES = 1000
MOST_SEQ = 2**53


class Spoken(Model):
    """What a person says."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=100_000, strip_whitespace=True)]
    timeout_s: Annotated[float, Field(ge=0, le=600, strict=False)] = MOST_SECONDS
    """How long to wait for the answer, 25 seconds at most; then ask again with GET."""


class HasEnded(ClientError):
    """400: nobody listens any more."""

    code = "conversation_ended"

    def __init__(self) -> None:
        super().__init__("Bad Request. The conversation has ended.")


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def respond(resource: Resource, call: Call, services: Services) -> Reply:
    """Say something, and wait for the PAL's turn: 200 with it, as far as it has come. Raises HasEnded."""
    try:
        spoken = Spoken.model_validate(call.body)
    except ValidationError as error:
        raise refuse(problems_of(error)) from error
    rooms, room = await _room(resource, call, services)
    await _come_in(rooms, room)
    await rooms.happen(room, Said(spoken.text))
    return await _turn(rooms, room, min(spoken.timeout_s, MOST_SECONDS))


async def last_turn(resource: Resource, call: Call, services: Services) -> Reply:
    """The newest turn, once it is over or the time is: 200."""
    seconds = min(max(whole_number(call.query, "timeout_s", 0), 0), MOST_SECONDS)
    rooms, room = await _room(resource, call, services, may_be_over=True)
    return await _turn(rooms, room, seconds)


async def send_message(resource: Resource, call: Call, services: Services) -> Reply:
    """Send an app message: 200 with the number of the newest message. Raises BadRequest, HasEnded."""
    try:
        events = heard(call.body)
    except NotUnderstood as error:
        raise BadRequest(f"Bad Request. {error}", [Detail("invalid_message", str(error))]) from error
    rooms, room = await _room(resource, call, services)
    await _come_in(rooms, room)
    if events:
        await rooms.happen(room, *events)
    return Reply(200, orjson.dumps({"seq": room.state.seq}))


async def list_messages(resource: Resource, call: Call, services: Services) -> Reply:
    """App messages behind a number, in order: 200 with `{data, seq, status}`."""
    after = min(max(whole_number(call.query, "after", 0), 0), MOST_SEQ)
    rooms, room = await _room(resource, call, services, may_be_over=True)
    found = await rooms.messages(room, after, MOST_MESSAGES)
    data = [copy for message in found for copy in copies(message)]
    newest = found[-1]["seq"] if found else after
    return Reply(200, orjson.dumps({"data": data, "seq": newest, "status": room.state.status}))


async def _room(resource: Resource, call: Call, services: Services, *, may_be_over: bool = False) -> tuple[Rooms, Room]:
    """The conversation that a call is about. Raises InvalidId, HasEnded."""
    record = own(resource, await services.store.reading.get(resource.kind, call.ids["id"], call.account.id))
    rooms = services.talks
    assert isinstance(rooms, Rooms)
    try:
        room = await rooms.room(Place(record.seq, record.id, record.owner))
    except Gone as error:  # One in test mode has never begun.
        raise HasEnded from error
    if room.state.is_over and not may_be_over:
        raise HasEnded
    return rooms, room


async def _come_in(rooms: Rooms, room: Room) -> None:
    """Who speaks is there: the first word brings the person in, and the PAL greets first."""
    if not room.state.people:
        await rooms.happen(room, Joined(BY_HTTP))
        await _wait(room, lambda: room.state.thinking is None, MOST_SECONDS)


async def _wait(room: Room, is_done: Callable[[], bool], seconds: float) -> None:
    """Until something is so, as far as it is stored; or for this time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                async with room.lock:  # While a step is being stored, nobody sees it.
                    if is_done():
                        return
                    moved = room.moved
                await moved.wait()


async def _turn(rooms: Rooms, room: Room, seconds: float) -> Reply:
    turn_idx = room.state.turn_idx
    await _wait(room, lambda: _status(room, turn_idx) != "pending", seconds)
    async with room.lock:
        status, began = _status(room, turn_idx), room.state.turn_began
        messages = await rooms.messages(room, began)
    said: Document = {
        "conversation_id": room.place.id,
        "turn_idx": turn_idx,
        "status": status,
        "text": " ".join(_speeches(messages)),
        "tool_calls": [one["properties"] for one in messages if one["event_type"] == "conversation.tool_call"],
        "messages": [copy for message in messages for copy in copies(message)],
        "conversation_status": room.state.status,
    }
    return Reply(200, orjson.dumps(said))


def _status(room: Room, turn_idx: int) -> str:
    """`ready`, `pending`, or `waiting_for_tool_result` when only the client can go on."""
    state = room.state
    if state.is_over or state.turn is None or state.turn_idx != turn_idx:
        return "ready"
    waits = any(not call.is_late and not _is_api(room, call.name) for call in state.calls.values())
    return "waiting_for_tool_result" if waits and state.thinking is None else "pending"


def _is_api(room: Room, name: str) -> bool:
    tool = room.script.tool(name)
    return tool is not None and tool.is_api


def _speeches(messages: list[Any]) -> list[str]:
    return [
        one["properties"]["speech"]
        for one in messages
        if one["event_type"] == "conversation.utterance" and one["properties"]["role"] == "pal"
    ]
