"""Counting and tracing what happens in conversations; nothing of it changes what happens.

A turn is a span from when somebody spoke to when all of the answer was sent, after the commit; below it lie each
question to the model and each call of a tool.
"""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

from palace.call import Part
from palace.clock import Clock
from palace.conversation import Command
from palace.conversation.commands import Close, Emit, NoteCall, NoteTurn
from palace.metrics import Meter
from palace.talking.given import Given, Place
from palace.tracing import Tracing

MOST_PARTS = 100
"""of one turn; older ones are not told"""
UNAVAILABLE = "conversation.model_unavailable"


class Seeing:
    """What is told to whoever looks after the server. `tracing` is None where nobody wants traces."""

    def __init__(self, meter: Meter, clock: Clock, tracing: Tracing | None = None) -> None:
        self._meter = meter
        self._clock = clock
        self._tracing = tracing
        self._parts: dict[int, deque[Part]] = defaultdict(lambda: deque(maxlen=MOST_PARTS))

    def asked(self, place: Place, began: float, facts: Mapping[str, Any]) -> None:
        """The model was asked at `began`, in seconds since 1970, and is done just now."""
        if self._tracing is not None:
            self._parts[place.document].append(Part("model", began, self._now(), facts))

    def stepped(self, place: Place, given: Given, commands: Sequence[Command]) -> None:
        """A step is stored, and told to everybody."""
        for command in commands:
            match command:
                case NoteTurn(turn):
                    self._turned(place, given, turn)
                case NoteCall(call):
                    self._called(place, call)
                case Emit(message) if message["event_type"] == UNAVAILABLE:
                    self._meter.count(f"model_failures/{message['properties']['reason']}")
                case Close():
                    self._parts.pop(place.document, None)
                case _:
                    """Nobody counts it."""

    def _called(self, place: Place, call: Mapping[str, Any]) -> None:
        self._meter.count(f"tool_calls/{call['status']}")
        if self._tracing is not None:
            facts = {"palace.tool": call["tool_id"] or call["name"], "palace.outcome": call["status"]}
            self._parts[place.document].append(Part("tool", call["at"], call["at"] + call["ms"] / 1000, facts))

    def _turned(self, place: Place, given: Given, turn: Mapping[str, Any]) -> None:
        self._meter.count("turns")
        if turn["first_token_ms"] is not None:
            self._meter.observe("first_token_seconds", turn["first_token_ms"] / 1000)
        if self._tracing is None:
            return
        facts = {
            "palace.conversation": place.id,
            "palace.account": place.owner,
            "palace.pal": given.pal.id,
            "palace.pal_revision": given.pal.revision,
            **{f"palace.{name}": turn[name] for name in ("turn_idx", "rounds", "interrupted")},
        }
        parts = self._parts.pop(place.document, ())
        self._tracing.whole("turn", turn["received_at"], self._now(), facts, tuple(parts))

    def _now(self) -> float:
        return self._clock.now().timestamp()
