"""How tests ask a language model."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest

from palace.engines.base import Answer, Ask, LanguageModel, Means, ModelDown, Piece
from palace.engines.openai_compatible import Endpoint, OpenAiCompatible
from tests.engines.model_server import ModelServer

SECRET = "sk-very-secret-5f2a"


@dataclass(frozen=True)
class Heard:
    """What a model streamed: the pieces, and the whole of it if there was one."""

    pieces: list[str]
    answer: Answer | None


def ask(text: str = "Hello.", system: str = "", **parameters: Any) -> Ask:
    """What somebody says, as the only message besides the prompt."""
    prompt = [{"role": "system", "content": system}] if system else []
    return Ask([*prompt, {"role": "user", "content": text}], parameters=parameters)


async def listen(model: LanguageModel, asked: Ask) -> Heard:
    """Everything that the model streams."""
    pieces: list[str] = []
    answer: Answer | None = None
    async with aclosing(model.stream(asked)) as stream:
        async for item in stream:
            assert answer is None, "the whole is the last item"
            if isinstance(item, Piece):
                assert item.text
                pieces.append(item.text)
            else:
                answer = item
    return Heard(pieces, answer)


def heard(model: LanguageModel, asked: Ask | None = None) -> Answer:
    """The whole answer, which is what its pieces make."""

    async def all() -> Heard:
        try:
            return await listen(model, asked or ask())
        finally:
            await model.close()

    found = asyncio.run(all())
    assert found.answer is not None
    assert "".join(found.pieces) == found.answer.text
    return found.answer


def down(model: LanguageModel, asked: Ask | None = None) -> ModelDown:
    """Why there is no answer, or not all of it."""
    with pytest.raises(ModelDown) as caught:
        heard(model, asked)
    assert caught.value.text.endswith("."), "it is a sentence"
    return caught.value


class Waits:
    """Sleeps that take no time, and how long they would have been."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def model_at(server: ModelServer, means: Means | None = None, **members: Any) -> OpenAiCompatible:
    """The model behind a server, with what a test says about its endpoint."""
    endpoint = Endpoint("The model gpt at example.com", server.url, "gpt", SECRET)
    return OpenAiCompatible(replace(endpoint, **members), means or Means(sleep=Waits()))
