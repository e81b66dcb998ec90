"""What a conversation wants to have done, in the imperative."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Json = Mapping[str, Any]
Purpose = Literal["reply", "greeting", "filler", "idle"]


@dataclass(frozen=True, slots=True)
class Emit:
    """Send an app message to everybody. One that does not last is not stored: a later one says all of it again."""

    message: Json
    lasts: bool = True


@dataclass(frozen=True, slots=True)
class Remember:
    """Keep a line of the transcript."""

    line: Json


@dataclass(frozen=True, slots=True)
class Report:
    """Keep an event that verbose reading shows, and call the conversation's `callback_url` with it (contract 4)."""

    event_type: str
    message_type: Literal["system", "application", "conversation"]
    properties: Json


@dataclass(frozen=True, slots=True)
class CallBack:
    """Call an address of an objective or a guardrail (contract 4.3)."""

    url: str
    body: Json


@dataclass(frozen=True, slots=True)
class AskModel:
    """Have the model write; its answer comes back under this `inference_id`."""

    inference_id: str
    purpose: Purpose
    messages: Sequence[Json]
    tools: Sequence[Json]


@dataclass(frozen=True, slots=True)
class StopModel:
    """What the model writes is not wanted any more."""

    inference_id: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Carry out a call over HTTPS; its result comes back under this `tool_call_id`."""

    tool_call_id: str
    tool_id: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class NoteCall:
    """Keep how a tool was called and what came of it."""

    call: Json


@dataclass(frozen=True, slots=True)
class NoteTurn:
    """Keep how long the parts of a turn took."""

    turn: Json


@dataclass(frozen=True, slots=True)
class Close:
    """The conversation is over: nobody can come in any more, and what is done afterwards begins."""

    reason: str


Command = Emit | Remember | Report | CallBack | AskModel | StopModel | CallTool | NoteCall | NoteTurn | Close
