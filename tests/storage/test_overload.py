"""The queue of a writer has an end: what does not find room is refused at once, and the rest is done."""

import asyncio
from functools import partial
from typing import Any

from palace.metrics import Meter
from palace.storage import Overloaded, SqliteStore, Transaction
from palace.storage.postgres import open_postgres
from palace.storage.sqlite import MOST_WAITING
from tests.postgres import new_database

TOO_MANY = MOST_WAITING + 500


def test_of_too_many_writes_at_once_the_last_are_refused_and_not_begun(play: Any) -> None:
    begun: set[int] = set()

    async def write(number: int, _: Transaction) -> int:
        begun.add(number)
        return number

    async def scene(store: Any) -> None:
        works = [store.transact(partial(write, number)) for number in range(TOO_MANY)]
        answers = await asyncio.gather(*works, return_exceptions=True)
        assert answers[:MOST_WAITING] == [*range(MOST_WAITING)]
        assert {type(answer) for answer in answers[MOST_WAITING:]} == {Overloaded}
        assert begun == set(range(MOST_WAITING))
        assert await store.transact(partial(write, TOO_MANY)) == TOO_MANY, "there is room again"

    play(scene)


def test_whom_an_answer_reaches_has_room_for_another_write() -> None:
    """Also when the queue has room for one, and each write takes a transaction of its own."""

    async def write(tx: Transaction) -> None:
        await tx.find_account("what is not asked together")

    async def scene() -> None:
        store = await open_postgres(new_database(), most_connections=4, statement_seconds=10, most_waiting=1)
        try:
            for _ in range(3):
                await store.transact(write)
        finally:
            await store.close()

    asyncio.run(scene())


def test_the_meter_is_told_of_groups_and_of_what_waits() -> None:
    async def write(_: Transaction) -> None:
        pass

    async def scene() -> Meter:
        meter = Meter()
        store = SqliteStore(None, meter=meter)
        await asyncio.gather(*(store.transact(write) for _ in range(10)))
        await store.close()
        return meter

    meter = asyncio.run(scene())
    assert meter.histogram("commit_writes").sum == 10
    assert sum(meter.histogram("commit_writes").buckets) == sum(meter.histogram("commit_seconds").buckets) == 1
    assert meter.value("writes_waiting") == 0
