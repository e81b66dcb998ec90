"""Talking by plain HTTP: for scripts, tests, and whoever has no WebSocket (docs/howto/talk.md)."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated

import orjson
from pydantic import Field, StringConstraints, ValidationError

from palace.call import Call, Reply
from palace.conversation.events import Said
from palace.conversation.heard import NotUnderstood, heard
from palace.conversation.wire import copies
from palace.errors import BadRequest, ClientError, Detail
from palace.resource import Resource, Services
from palace.resources.conversations.hearing import MOST_SECONDS, all_events, begun_turn, come_in, told_turn, turn_events
from palace.talking import Also, Gone, Message, Place, Room, Rooms
from palace.validation import Model, problems_of, refuse
from palace.verbs.queries import newest_seq, whole_number
from palace.verbs.reading import own
from palace.verbs.writing import keep_answer

MOST_SECONDS_OF_EVENTS = 600.0
MOST_MESSAGES = 1000
MOST_SEQ = 2**53


class Spoken(Model):
    """What a person says."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=100_000, strip_whitespace=True)]
    timeout_s: Annotated[float, Field(ge=0, le=600, strict=False)] = MOST_SECONDS
    """How long to wait for the answer, 25 seconds at most with the greeting, then ask again with GET; as events, up to
    600 seconds.
    """


class HasEnded(ClientError):
    """400: nobody listens any more."""

    code = "conversation_ended"

    def __init__(self) -> None:
        super().__init__("Bad Request. The conversation has ended.")


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def respond(resource: Resource, call: Call, services: Services) -> Reply:
    """Say something, and wait for the PAL's turn: 200 with it, as far as it has come. Raises HasEnded.

    As events, each app message of the turn comes as soon as it is there, and then the turn. Whoever repeats it with the
    same idempotency key is told of the turn that was begun then; GET tells the rest.
    """
    try:
        spoken = Spoken.model_validate(call.body)
    except ValidationError as error:
        raise refuse(problems_of(error)) from error
    rooms, room = await _room(resource, call, services)
    also = _once(call, lambda: begun_turn(room), services)
    if call.wants_events:
        seconds = spoken.timeout_s if "timeout_s" in spoken.model_fields_set else MOST_SECONDS_OF_EVENTS
        return Reply(events=turn_events(rooms, room, spoken.text, seconds, also))
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + MOST_SECONDS  # A greeting that the model writes may have taken all of it.
    await come_in(rooms, room)
    await rooms.happen(room, Said(spoken.text), also=also)
    return Reply(200, await told_turn(rooms, room, min(spoken.timeout_s, ends_at - loop.time())))


async def last_turn(resource: Resource, call: Call, services: Services) -> Reply:
    """The newest turn, once it is over or the time is: 200."""
    seconds = min(max(whole_number(call.query, "timeout_s", 0), 0), MOST_SECONDS)
    rooms, room = await _room(resource, call, services, may_be_over=True)
    return Reply(200, await told_turn(rooms, room, seconds))


async def hear_events(resource: Resource, call: Call, services: Services) -> Reply:
    """All that happens behind a number, or from now on, as events; 204 when nothing will. Raises BadRequest."""
    after = newest_seq(call.last_event_id or call.query.get("after"))
    rooms, room = await _room(resource, call, services, may_be_over=True)
    if room.state.is_over and not await rooms.messages(room, room.state.seq if after is None else after, 1):
        return Reply(204)
    return Reply(events=all_events(rooms, room, after))


async def send_message(resource: Resource, call: Call, services: Services) -> Reply:
    """Send an app message: 200 with the number of the newest message. Raises BadRequest, HasEnded."""
    try:
        events = heard(call.body)
    except NotUnderstood as error:
        raise BadRequest(f"Bad Request. {error}", [Detail("invalid_message", str(error))]) from error
    rooms, room = await _room(resource, call, services)
    await come_in(rooms, room)

    def sent() -> bytes:
        return orjson.dumps({"seq": room.state.seq})

    if events:
        await rooms.happen(room, *events, also=_once(call, sent, services))
    return Reply(200, sent())


def _once(call: Call, answer: Callable[[], bytes], services: Services) -> Also:
    """What keeps the first answer to an idempotency key, with the step that is answered."""
    return lambda tx: keep_answer(tx, call, Reply(200, answer()), services)


async def list_messages(resource: Resource, call: Call, services: Services) -> Reply:
    """App messages behind a number, in order: 200 with `{data, seq, status}`."""
    after = min(max(whole_number(call.query, "after", 0), 0), MOST_SEQ)
    rooms, room = await _room(resource, call, services, may_be_over=True)
    async with room.lock:  # What is streamed lies behind all that is stored.
        found = _page(await rooms.messages(room, after, MOST_MESSAGES), room)
        status = room.state.status
    data = [copy for message in found for copy in copies(message)]
    newest = found[-1]["seq"] if found else after
    return Reply(200, orjson.dumps({"data": data, "seq": newest, "status": status}))


def _page(found: Sequence[Message], room: Room) -> Sequence[Message]:
    """What comes before anything that is left out: behind as many stored messages as a page has, more may follow."""
    streamed = {message["seq"] for message in room.streamed}
    stored = [message["seq"] for message in found if message["seq"] not in streamed]
    return found if len(stored) < MOST_MESSAGES else [one for one in found if one["seq"] <= stored[-1]]


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
