"""The small local model, where it is installed (`make test-local-model`): it talks, and its process comes and goes."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from palace.engines.base import Ask, Means, ModelDown, Piece
from palace.engines.local import LocalModel, installed_weights
from palace.engines.models import Models, open_model
from tests.engines.asking import ask, listen

WEIGHTS = installed_weights()
assert WEIGHTS is not None, "the tests of the local model need it: make test-local-model"

BRIEF = {"temperature": 0, "max_tokens": 12}
PORTER = "You are the night porter of a small hotel. Answer briefly."


_runner = asyncio.Runner()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return _runner.run(work)


@pytest.fixture(scope="module")
def model() -> Iterator[LocalModel]:
    """One process for all tests that only need one."""
    local = LocalModel(WEIGHTS, Means())
    yield local
    run(local.close())


def processes() -> list[int]:
    """The children of this process that run the local model."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, command = (folder / "status").read_text(), (folder / "cmdline").read_text()
        except OSError:
            continue
        if f"PPid:\t{os.getpid()}\n" in status and "local_process" in command and "State:\tZ" not in status:
            found.append(int(folder.name))
    return found


def test_it_talks_word_by_word_and_counts_its_tokens(model: LocalModel) -> None:
    found = run(listen(model, ask("Good evening. Is there a room?", PORTER, temperature=0, max_tokens=12)))
    assert len(found.pieces) > 3
    assert found.answer.text.strip()
    assert found.answer.wishes == ()
    assert 3 < found.answer.usage.completion_tokens <= 12
    assert found.answer.usage.prompt_tokens > 15


def test_it_takes_a_conversation_with_tools_in_it_and_calls_none(model: LocalModel) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "find_room", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "find_room", "parameters": {"type": "object"}}}
    messages = [
        {"role": "system", "content": PORTER},
        {"role": "user", "content": [{"type": "text", "text": "A room, please."}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "Room 12 is free."},
    ]
    answer = run(listen(model, Ask(messages, [tool], BRIEF))).answer
    assert (bool(answer.text), answer.wishes) == (True, ())


def test_several_are_answered_at_once_and_one_that_is_left_is_left(model: LocalModel) -> None:
    async def left() -> None:
        async with aclosing(model.stream(ask("Tell me a long story.", max_tokens=4000))) as stream:
            assert isinstance(await anext(stream), Piece)

    async def scene() -> None:
        found = await asyncio.gather(*(listen(model, ask(f"Count to {n}.", **BRIEF)) for n in range(3)), left())
        assert all(one.answer.text for one in found[:3])

    run(scene())
    assert len(processes()) == 1


def test_when_its_process_dies_the_next_question_starts_another(model: LocalModel) -> None:
    run(listen(model, ask(**BRIEF)))
    [before] = processes()
    os.kill(before, signal.SIGKILL)
    assert run(listen(model, ask(**BRIEF))).answer.text
    [after] = processes()
    assert after != before


def test_when_its_process_dies_in_the_middle_the_answer_is_broken(model: LocalModel) -> None:
    async def scene() -> None:
        async with aclosing(model.stream(ask("Tell me a long story.", max_tokens=2000))) as stream:
            await anext(stream)
            os.kill(processes()[0], signal.SIGKILL)
            async for _ in stream:
                pass

    with pytest.raises(ModelDown) as caught:
        run(scene())
    assert caught.value.reason == "broken_stream"
    assert run(listen(model, ask(**BRIEF))).answer.text


def test_its_process_starts_with_the_first_question_and_ends_with_the_server() -> None:
    models = Models(weights=WEIGHTS)

    async def scene() -> None:
        others = set(processes())
        lent = open_model({"model": "tavus-gemma-4"}, models)
        assert set(processes()) == others
        await listen(lent, ask(**BRIEF))
        await lent.close()
        [process] = set(processes()) - others
        await models.close()
        assert process not in processes()

    run(scene())


def test_its_process_ends_when_the_server_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    child = os.fork()
    if child == 0:  # Stands for the server.
        with asyncio.Runner() as runner:
            local = LocalModel(WEIGHTS, Means())
            runner.run(listen(local, ask(**BRIEF)))
            pid.write_text(str(processes()[0]))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    orphan = Path("/proc") / pid.read_text()
    until = time.monotonic() + 10
    while orphan.exists() and "State:\tZ" not in (orphan / "status").read_text() and time.monotonic() < until:
        time.sleep(0.01)
    assert not orphan.exists() or "State:\tZ" in (orphan / "status").read_text()


def test_weights_that_are_none_are_told(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"not a model")

    async def scene() -> None:
        local = LocalModel(wrong, Means())
        try:
            await listen(local, ask())
        finally:
            await local.close()

    with pytest.raises(ModelDown) as caught:
        run(scene())
    assert (caught.value.reason, caught.value.text) == ("unreachable", "The local model did not start from wrong.gguf.")
