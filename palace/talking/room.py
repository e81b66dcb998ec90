"""One conversation as this server knows it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from palace.conversation import Command, Line, Script, State
from palace.errors import InvalidId
from palace.storage import Unreadable
from palace.talking.given import Given, Place
from palace.talking.listeners import Listener, Message


class Gone(InvalidId):
    """400: the conversation is deleted."""

    def __init__(self, id: str) -> None:
        super().__init__("Invalid conversation_id")
        self.id = id


class Damaged(Unreadable):
    """What is stored of a conversation cannot be understood; what it says is not told: people may have said it."""

    def __init__(self, id: str) -> None:
        super().__init__(f"What is stored of the conversation {id} is damaged.")


@dataclass(slots=True)
class Room:
    """One conversation: what is stored of it, who listens, and what is being done for it just now."""

    place: Place
    number: int
    script: Script
    given: Given
    state: State
    lines: list[Line]
    is_stale: bool = False
    touched_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: set[Listener] = field(default_factory=set)
    visitors: Counter[str] = field(default_factory=Counter)
    """how many lines each person has on this server"""
    doing: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    streamed: list[Message] = field(default_factory=list)
    """app messages of what the PAL is saying just now that are not stored"""
    unstored: list[Command] = field(default_factory=list)
    """what was told meanwhile and lasts: it is stored with the next step"""

    def renew(self, fresh: "Room") -> None:
        """Become what is stored, but for how far an answer has come that is still awaited here; others stop."""
        own, state = self.state, fresh.state
        if own.thinking and state.thinking and own.thinking.inference_id == state.thinking.inference_id in self.doing:
            state.thinking, state.is_speaking, state.spoke_at = own.thinking, own.is_speaking, own.spoke_at
        else:
            self.streamed.clear()
            self.unstored.clear()
        state.seq = max(own.seq, state.seq)
        self.number, self.state, self.lines, self.is_stale = fresh.number, state, fresh.lines, False
        if (
            own.thinking
            and own.thinking != state.thinking
            and (task := self.doing.pop(own.thinking.inference_id, None))
        ):
            task.cancel()
