"""Jobs that several servers see."""

import asyncio

from palace.storage import Transaction
from palace.storage.postgres import PostgresStore
from tests.storage.test_postgres import NOW, on, url

__all__ = ["url"]

EARLIER, LATER = "2025-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z"


def test_an_attempt_whose_time_is_over_is_not_begun_anew_while_its_result_is_stored(url: str) -> None:
    async def scene(stores: list[PostgresStore]) -> None:
        late, other = stores
        is_held = asyncio.Event()

        async def settle(tx: Transaction) -> None:
            assert await tx.jobs.is_held(1, 1)
            is_held.set()
            await asyncio.sleep(0.2)
            await tx.jobs.put(1, "done", 1, NOW)

        await late.transact(lambda tx: tx.jobs.add(1, "train_face", 1, NOW, b"{}"))
        await late.transact(lambda tx: tx.jobs.start(1, 0, EARLIER))
        settling = asyncio.create_task(late.transact(settle))
        await is_held.wait()
        assert await other.transact(lambda tx: tx.jobs.recover(LATER)) == 0
        await settling
        assert await other.reading.jobs.due(LATER, 1, 1, (), are_these=False) == []

    on(url, scene, 2)
