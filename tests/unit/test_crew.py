"""Whoever calls a crew is heard, whatever its tasks are just doing."""

import asyncio
from collections import deque

import pytest

from palace.storage.crew import Crew


def done_by(most: int, waiting: deque[int], last_moment: list[int]) -> list[int]:
    """What a crew does that is called once for each that waits, and once more in the moment in which its tasks end."""
    done: list[int] = []

    async def act() -> None:
        def add() -> None:
            while last_moment:
                waiting.append(last_moment.pop())
                crew.call()

        async def work() -> None:
            while waiting:
                done.append(waiting.popleft())
                await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(add)  # Before the callbacks of the task.

        crew = Crew(most, work)
        for _ in range(len(waiting)):
            crew.call()
            assert len(crew.tasks) <= most
        for _ in range(10):
            await asyncio.sleep(0)
        assert not crew.tasks

    asyncio.run(act())
    return done


@pytest.mark.parametrize("most", [1, 2])
def test_what_is_added_while_the_last_task_ends_is_done(most: int) -> None:
    assert done_by(most, deque(range(most)), [7]) == [*range(most), 7]


def test_all_that_waits_is_done_by_as_many_as_there_may_be() -> None:
    assert done_by(2, deque(range(9)), []) == [*range(9)]
