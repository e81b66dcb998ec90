"""What a language model is here: it is asked once for each answer, streams text, and ends with the whole of it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from palace.clock import Clock
from palace.fetching import Fetcher
from palace.ids import Ids

Reason = Literal["unreachable", "refused", "rate_limited", "timeout", "broken_stream", "bad_answer"]

Message = Mapping[str, Any]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ask:
    """One question, in the form of OpenAI's chat completions. `parameters` are such as `temperature`."""

    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some more of the text, never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Wish:
    """A tool that the model wants called. `arguments` is what it wrote: JSON, if it did as it should."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of the question and of the answer; 0 where the model does not tell."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer, the last item of the stream. `model` is what the model calls itself."""

    text: str
    wishes: tuple[Wish, ...] = ()
    usage: Usage = Usage()
    model: str = ""


class ModelDown(Exception):
    """There is no answer, or not the rest of it. `text` is a sentence for logs and events: no secret, no content.

    `unreachable`: no connection, or the model fails on its side. `refused`: it will not answer such a question, so
    asking again is no use. `rate_limited`: too many questions. `timeout`: it is too slow. `broken_stream`: the answer
    ended in the middle. `bad_answer`: what came is no answer.
    """

    def __init__(self, text: str, reason: Reason) -> None:
        super().__init__(text)
        self.text = text
        self.reason: Reason = reason


Stream = AsyncGenerator[Piece | Answer, None]


class LanguageModel(Protocol):
    """Answers questions, any number at a time."""

    def stream(self, ask: Ask) -> Stream:
        """The answer while it is made: pieces of text, then the whole as an Answer. Raises ModelDown.

        Who stops early (`aclose`, a cancelled task, a `break` out of the loop) ends the request at once.
        """
        ...

    async def close(self) -> None:
        """Give back what the model holds; nothing is asked afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What engines work with."""

    fetcher: Fetcher = field(default_factory=Fetcher)
    clock: Clock = field(default_factory=Clock)
    ids: Ids = field(default_factory=Ids)
    sleep: Sleep = asyncio.sleep


def text_of(message: Message) -> str:
    """The text of a message, whose content may be a list of parts; "" where there is none."""
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return " ".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""
