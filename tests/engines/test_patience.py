"""How long a model behind HTTP may take, and that a request ends when nobody listens any more."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any

import pytest

from palace.engines.openai_compatible import OpenAiCompatible, Seconds
from tests.engines.asking import ask, down, heard, listen, model_at
from tests.engines.model_server import ModelServer, serve_model


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve_model() as running:
        yield running


# --- How long it may take ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("silent_after", "limit", "sentence"),
    [
        (0, "first_token", "did not begin to answer within {:g} seconds."),
        (1, "first_token", "did not begin to answer within {:g} seconds."),
        (2, "silence", "fell silent for {:g} seconds."),
        (2, "whole", "took longer than {:g} seconds in all."),
        (0, "whole", "took longer than {:g} seconds in all."),
    ],
)
def test_a_model_that_is_too_slow_is_left(server: ModelServer, silent_after: int, limit: str, sentence: str) -> None:
    for seconds in (0.1, 1.0, 10.0):
        server.answer("One two three.", silent_after=silent_after)
        problem = down(model_at(server, seconds=Seconds(**{limit: seconds})))
        assert problem.reason == "timeout"
        assert problem.text == f"The model gpt at example.com {sentence.format(seconds)}"
        if server.asked:  # Else this machine was too busy to ask in that time.
            break
    assert server.asked[0].has_left.wait(5)


def test_an_answer_that_is_finished_is_taken_though_the_stream_goes_on(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palace.engines.openai_compatible.AFTERTHOUGHT_SECONDS", 0.05)
    server.answer("Hello.", silent_after=3)
    assert heard(model_at(server)).text == "Hello."
    assert server.asked[0].has_left.wait(5)


# --- Who stops listening ----------------------------------------------------------------------------------------------


async def closes(model: OpenAiCompatible) -> None:
    async with aclosing(model.stream(ask())) as stream:
        await anext(stream)


async def breaks(model: OpenAiCompatible) -> None:
    async for _ in model.stream(ask()):
        break
    await asyncio.sleep(0)


async def is_cancelled(model: OpenAiCompatible) -> None:
    has_begun = asyncio.Event()

    async def hear() -> None:
        async for _ in model.stream(ask()):
            has_begun.set()

    task = asyncio.create_task(hear())
    await has_begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


@pytest.mark.parametrize("how", [closes, breaks, is_cancelled])
def test_who_stops_listening_ends_the_request_at_once_and_may_ask_again(server: ModelServer, how: Any) -> None:
    server.answer("One two three.", silent_after=2)
    model = model_at(server)

    async def scene() -> None:
        await how(model)
        assert await asyncio.to_thread(server.asked[0].has_left.wait, 5)
        found = await listen(model, ask())
        assert found.pieces == ["Hello."]

    asyncio.run(scene())


def test_who_stops_before_the_first_word_ends_the_request_too(server: ModelServer) -> None:
    server.answer("One two three.", silent_after=0)
    model = model_at(server)

    async def scene() -> None:
        task = asyncio.create_task(listen(model, ask()))
        while not server.asked:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await asyncio.to_thread(server.asked[0].has_left.wait, 5)

    asyncio.run(scene())
