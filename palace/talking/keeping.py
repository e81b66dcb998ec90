"""What is kept of a step: a row for each thing that happened in it, and the callbacks that tell of it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import orjson

from palace.clock import timestamp
from palace.conversation.commands import CallBack, Command, Emit, NoteCall, NoteTurn, Remember, Report
from palace.resource import Services
from palace.storage import PARTS, Logged, Transaction
from palace.talking.given import Given, Place
from palace.webhooks.bodies import envelope
from palace.webhooks.queue import Callback, call_back


async def keep(
    tx: Transaction, place: Place, step: int, commands: Sequence[Command], seq: int, given: Given, services: Services
) -> None:
    """Write what happened in a step, and what is to be told of it: to the `callback_url`, and to addresses of the PAL's
    parts.

    `seq` is the number of the newest app message after the step.
    """
    now = timestamp(services.clock.now())
    rows = [row for command in commands for row in _logged(command, seq, now)]
    if rows:
        await tx.conversations.log(place.document, step, rows)
    for command in commands:
        if isinstance(command, NoteTurn):
            await _add_turn(tx, place, command, given)
        for callback in _callbacks(command, place, given.callback_url, now):
            await call_back(callback, tx, services)


async def _add_turn(tx: Transaction, place: Place, noted: NoteTurn, given: Given) -> None:
    turn = noted.turn
    times = {name: turn[f"{name}_ms"] for name in PARTS}
    await tx.conversations.add_turn(
        place.document,
        turn["turn_idx"],
        account=place.owner,
        pal=given.pal.id,
        revision=given.pal.revision,
        at=timestamp(datetime.fromtimestamp(turn["received_at"], UTC)),
        parts={name: None if ms is None else round(ms * 1000) for name, ms in times.items()},
    )


def _callbacks(command: Command, place: Place, url: str, now: str) -> Iterator[Callback]:
    match command:
        case Report(event_type, message_type, properties) if url:
            said = envelope(event_type, message_type, properties, conversation_id=place.id, url=url, timestamp=now)
            yield Callback(place.owner, place.document, place.id, url, event_type, said)
        case CallBack(own_url, body):
            said = {**body, "conversation_id": place.id, "webhook_url": own_url, "timestamp": now}
            yield Callback(place.owner, place.document, place.id, own_url, str(body["event_type"]), said)
        case _:
            """Nothing."""


def _logged(command: Command, seq: int, now: str) -> Iterator[Logged]:
    match command:
        case Emit(message, lasts) if lasts:
            yield Logged("message", message["seq"], orjson.dumps(message))
        case Remember(line):
            yield Logged("line", seq, orjson.dumps(line))
        case Report(event_type, message_type, properties):
            facts = {"event_type": event_type, "message_type": message_type, "timestamp": now}
            yield Logged("event", seq, orjson.dumps({**facts, "properties": properties}))
        case NoteCall(call):
            yield Logged("call", seq, orjson.dumps(call))
        case NoteTurn(turn):
            yield Logged("turn", seq, orjson.dumps(turn))
        case _:
            """Nothing."""
