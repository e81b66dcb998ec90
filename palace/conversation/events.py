"""What happens to a conversation, in the past tense."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["superlow", "verylow", "low", "medium", "high", "auto"]


@dataclass(frozen=True, slots=True)
class Joined:
    """A person came in."""

    participant: str


@dataclass(frozen=True, slots=True)
class Left:
    """A person went."""

    participant: str


@dataclass(frozen=True, slots=True)
class LostTouch:
    """Nobody knows whether a person is still there: unless they come in again in this time, they have left."""

    participant: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Said:
    """A person said something, and is done with it."""

    text: str


@dataclass(frozen=True, slots=True)
class EchoAsked:
    """The PAL is to say this, word for word (contract 3.3); pieces share an `inference_id`, the last one is `done`."""

    text: str
    inference_id: str = ""
    done: bool = True


@dataclass(frozen=True, slots=True)
class InterruptAsked:
    """The PAL is to stop what it is saying."""


@dataclass(frozen=True, slots=True)
class ContextReplaced:
    """The context of the conversation is another one from now on."""

    context: str


@dataclass(frozen=True, slots=True)
class ContextAdded:
    """There is more context. With `job_status` it is what became of a job in the background."""

    context: str
    job_status: str = ""


@dataclass(frozen=True, slots=True)
class SensitivitySet:
    """How easily the PAL takes a pause for the end of a turn, and lets itself be interrupted."""

    pause: Level | None = None
    interrupt: Level | None = None


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A tool has a result, from the client or from an address; `output` is text.

    `request` is what was sent to the address, without secrets; `problem` is for the tool's owner.
    """

    tool_call_id: str
    output: str
    is_error: bool = False
    by_client: bool = False
    """whether a client says so; of a call over HTTPS only the address knows the result"""
    request: Mapping[str, Any] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ObjectiveConfirmed:
    """A person confirmed what the PAL thinks to have reached; an empty name means the one that is pending."""

    objective_name: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """One call that the model wants to have made. `arguments` is JSON, if the model wrote it well."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ModelSpoke:
    """The model has come so far; `text` is all of it up to now."""

    inference_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ModelAnswered:
    """The model is done."""

    inference_id: str
    text: str
    wishes: tuple[Wish, ...] = ()
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_at: float | None = None
    asked_at: float | None = None
    """when it was really asked: what led to that is stored by then"""


@dataclass(frozen=True, slots=True)
class ModelFailed:
    """The model cannot answer. `reason` is a word, `problem` a sentence without secrets."""

    inference_id: str
    reason: str
    problem: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Whoever carried out what was under way is gone: the server was restarted."""


@dataclass(frozen=True, slots=True)
class AtWork:
    """Whoever carries out what is under way is at it: unless they say so again in this time, they are gone."""

    seconds: float


@dataclass(frozen=True, slots=True)
class TimeCame:
    """A moment that the brain asked to be told of."""

    timer: str


@dataclass(frozen=True, slots=True)
class EndAsked:
    """Somebody ended it."""

    reason: str


What = (
    Joined
    | Left
    | LostTouch
    | Said
    | EchoAsked
    | InterruptAsked
    | ContextReplaced
    | ContextAdded
    | SensitivitySet
    | ToolAnswered
    | ObjectiveConfirmed
    | ModelSpoke
    | ModelAnswered
    | ModelFailed
    | Lost
    | AtWork
    | TimeCame
    | EndAsked
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, and when, in seconds since 1970."""

    what: What
    at: float
