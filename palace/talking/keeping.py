"""What is kept of a step: a row for each thing that happened in it."""

from collections.abc import Iterator, Sequence

import orjson

from palace.conversation.commands import Command, Emit, NoteCall, NoteTurn, Remember, Report
from palace.storage import Logged


def logged(commands: Sequence[Command], seq: int, now: str) -> list[Logged]:
    """The rows of a step after which `seq` is the number of the newest app message."""
    return [row for command in commands for row in _logged(command, seq, now)]


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
