"""What a language model is asked, and what it answers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Reason = Literal["unreachable", "refused", "rate_limited", "timeout", "broken_stream", "bad_answer"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, in the form of OpenAI's chat completions."""

    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """More text."""

    text: str


@dataclass(frozen=True, slots=True)
class Wish:
    """One call of a tool; `arguments` is JSON, if the model wrote it well."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """All of it; the last item of a stream."""

    text: str
    wishes: tuple[Wish, ...] = ()
    usage: Usage = Usage()
    model: str = ""


class ModelDown(Exception):
    """The model cannot answer; the text is a sentence without secrets."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


class LanguageModel(Protocol):
    """Something that writes."""

    def stream(self, ask: Ask) -> AsyncIterator[Piece | Answer]:
        """Pieces as they come, then the whole answer. Raises ModelDown."""

    async def close(self) -> None:
        """Let go of connections."""
