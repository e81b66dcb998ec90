"""How far a conversation has come. What was said stands apart, in lines that are only ever added to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from palace.conversation.commands import Purpose
from palace.conversation.script import OnResolve

Line = Mapping[str, Any]
"""One line of the transcript, as verbose reading shows it (contract 2.3): `role`, `content`, `timestamp` and more."""


@dataclass(slots=True)
class Thinking:
    """What the model is asked for just now; `text` is how far it has come."""

    inference_id: str
    purpose: Purpose
    asked_at: float
    may_call: bool = False
    """whether it was told of tools; what it calls without is not carried out"""
    text: str = ""
    first_token_at: float | None = None


@dataclass(slots=True)
class OpenCall:
    """A call whose result the PAL waits for, or would still take."""

    name: str
    asked_at: float
    on_resolve: OnResolve
    tool_id: str = ""
    arguments: str = ""
    is_late: bool = False
    """whether the PAL went on without it"""


@dataclass(slots=True)
class Turn:
    """The turn that goes on: when what happened, in seconds since 1970."""

    received_at: float
    asked_at: float | None = None
    first_token_at: float | None = None
    first_sentence_at: float | None = None
    last_token_at: float | None = None
    waiting_since: float | None = None
    tool_seconds: float = 0.0
    """how long results were waited for"""
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(slots=True)
class State:
    """What the brain knows besides its script and the lines."""

    status: Literal["active", "ended"] = "active"
    shutdown_reason: str = ""
    seq: int = 0
    """that of the newest event"""
    turn_idx: int = 0
    turn_began: int = 0
    """the number of the newest event before the turn"""
    inferences: int = 0
    people: list[str] = field(default_factory=list)
    was_joined: bool = False
    was_greeted: bool = False
    is_speaking: bool = False
    spoke_at: float | None = None
    thinking: Thinking | None = None
    turn: Turn | None = None
    utterance_id: str = ""
    """that of what the person said last"""
    calls: dict[str, OpenCall] = field(default_factory=dict)
    rounds: int = 0
    """how often the model was asked since a person spoke"""
    needs_answer: bool = False
    """whether the model has to go on once nothing is awaited: it has not seen all that has come"""
    to_say: list[str] = field(default_factory=list)
    """results that the PAL says word for word once it is free"""
    timers: dict[str, float] = field(default_factory=dict)
    context: str | None = None
    """what took the place of the context of the script"""
    added: list[str] = field(default_factory=list)
    objective: str | None = None
    pending: dict[str, Any] | None = None
    """the output variables of the objective that waits to be confirmed"""
    reached: dict[str, dict[str, Any]] = field(default_factory=dict)
    idle_turns: int = 0
    echoed: str = ""
    """the pieces of an echo that is not complete"""
    echo_id: str = ""
    pause_sensitivity: str = ""
    interrupt_sensitivity: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status == "ended"

    @property
    def is_waiting(self) -> bool:
        """Whether the PAL waits for a result before it goes on."""
        return any(not call.is_late and call.on_resolve != "add_to_context" for call in self.calls.values())

    @property
    def wake_at(self) -> float | None:
        """When something is to happen by itself, if anything is."""
        return min(self.timers.values(), default=None)


@cache
def _form() -> TypeAdapter[State]:
    """Built when it is first needed: that takes as long as everything else of this package."""
    return TypeAdapter(State)


def state_of(stored: bytes) -> State:
    """The state as it was stored; members that it does not have yet have their defaults."""
    return _form().validate_json(stored)


def stored_state(state: State) -> bytes:
    """The state as JSON."""
    return _form().dump_json(state)
