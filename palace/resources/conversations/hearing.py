"""What a person who talks by plain HTTP gets to hear: a turn once it is over, or what happens while it does."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson

from palace.conversation.events import Joined, Said
from palace.conversation.state import OpenCall
from palace.conversation.wire import copies
from palace.resource import Document
from palace.talking import BY_HTTP, Also, Listener, Message, Room, Rooms

MOST_SECONDS = 25
"""Shorter than what proxies and the server itself give a request."""
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 0.5
"""A turn may end without a word."""
HEARTBEAT = b": still here\n\n"


async def come_in(rooms: Rooms, room: Room) -> None:
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


# --- A turn -----------------------------------------------------------------------------------------------------------


async def told_turn(rooms: Rooms, room: Room, seconds: float = 0) -> bytes:
    """The newest turn as JSON, once it is over or the time is."""
    turn_idx = room.state.turn_idx
    await _wait(room, lambda: _status(room, turn_idx) != "pending", seconds)
    async with room.lock:
        status, began = _status(room, turn_idx), room.state.turn_began
        messages = await rooms.messages(room, began)
    return _turn_as_json(room, turn_idx, status, messages)


def begun_turn(room: Room) -> bytes:
    """The newest turn as JSON, as it is when somebody has just spoken."""
    return _turn_as_json(room, room.state.turn_idx, "pending", ())


def _turn_as_json(room: Room, turn_idx: int, status: str, messages: Sequence[Message]) -> bytes:
    said: Document = {
        "conversation_id": room.place.id,
        "turn_idx": turn_idx,
        "status": status,
        "text": " ".join(_speeches(messages)),
        "tool_calls": [one["properties"] for one in messages if one["event_type"] == "conversation.tool_call"],
        "messages": [copy for message in messages for copy in copies(message)],
        "conversation_status": room.state.status,
    }
    return orjson.dumps(said)


def _status(room: Room, turn_idx: int) -> str:
    """`ready`, `pending`, or `waiting_for_tool_result` when only the client can go on.

    What the PAL says by itself, such as a greeting that the model writes, belongs to the turn before.
    """
    state = room.state
    if state.is_over or state.turn_idx != turn_idx:
        return "ready"
    if state.thinking is not None:
        return "pending"
    if state.turn is None:
        return "ready"
    return "waiting_for_tool_result" if any(_is_for_client(room, call) for call in state.calls.values()) else "pending"


def _is_for_client(room: Room, call: OpenCall) -> bool:
    """Whether the PAL waits until a client has carried out the call."""
    tool = room.script.tool(call.name)
    return not call.is_late and call.on_resolve != "add_to_context" and not (tool is not None and tool.is_api)


def _speeches(messages: Sequence[Message]) -> list[str]:
    return [
        one["properties"]["speech"]
        for one in messages
        if one["event_type"] == "conversation.utterance" and one["properties"]["role"] == "pal"
    ]


# --- Events -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def all_events(rooms: Rooms, room: Room, after: int | None) -> AsyncIterator[AsyncIterator[bytes]]:
    """Everything that happens behind a number, or from now on. Raises TooManyLines, Stopping."""
    with rooms.lines.one_more(room.place.owner):
        async with rooms.listening(room, after) as listener:
            yield _all(listener)


async def _all(listener: Listener) -> AsyncIterator[bytes]:
    while True:
        messages = await listener.next(HEARTBEAT_SECONDS)
        if not messages and listener.is_over:
            return
        yield _texts(messages) or HEARTBEAT


@asynccontextmanager
async def turn_events(
    rooms: Rooms, room: Room, text: str, seconds: float, also: Also
) -> AsyncIterator[AsyncIterator[bytes]]:
    """Say something: what happens until the PAL's turn is over, or the time is, and then the turn."""
    with rooms.lines.one_more(room.place.owner):
        await come_in(rooms, room)
        async with rooms.listening(room) as listener:
            await rooms.happen(room, Said(text), also=also)
            yield _turn(rooms, room, listener, seconds)


async def _turn(rooms: Rooms, room: Room, listener: Listener, seconds: float) -> AsyncIterator[bytes]:
    loop, turn_idx = asyncio.get_running_loop(), room.state.turn_idx
    now = loop.time()
    ends_at, beat_at = now + seconds, now + HEARTBEAT_SECONDS
    while True:
        async with room.lock:  # What is told then is all that is stored.
            is_done = _status(room, turn_idx) != "pending"
        if messages := await listener.next(0 if is_done else LOOK_SECONDS):
            beat_at = loop.time() + HEARTBEAT_SECONDS
            yield _texts(messages)
        elif is_done or listener.is_over or loop.time() >= ends_at:
            break
        elif loop.time() >= beat_at:
            beat_at = loop.time() + HEARTBEAT_SECONDS
            yield HEARTBEAT
    yield b"event: turn\ndata: %s\n\n" % await told_turn(rooms, room)


def _texts(messages: list[Any]) -> bytes:
    return b"".join(_text(message) for message in messages)


def _text(message: Any) -> bytes:
    """All copies of a message. Only with the last one a client has it, so that none is lost between two of them."""
    data = [b"data: %s\n\n" % orjson.dumps(copy) for copy in copies(message)]
    return b"".join((*data[:-1], b"id: %d\n" % message["seq"], data[-1]))
