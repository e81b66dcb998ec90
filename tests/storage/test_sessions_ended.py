"""What PostgreSQL does to its clients when an operator ends their sessions, or another server takes over."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from palace.storage import Record, StorageFailure, Transaction
from palace.storage.postgres import open_postgres
from tests.postgres import new_database

OTHERS = "datname = current_database() AND pid <> pg_backend_pid()"
END_SESSIONS = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OTHERS}"
NOW = "2026-01-01T00:00:00.000000Z"


def insertion(id: str) -> Callable[[Transaction], Awaitable[int]]:
    return lambda tx: tx.insert(Record("pal", id, 1, 1, NOW, NOW, b"{}"))


def test_sessions_that_are_ended_cost_patience_or_a_refusal_and_nothing_else() -> None:
    """A driver that loses its way in the protocol then is one more way in which a connection breaks."""
    url = new_database()

    async def scene() -> tuple[set[str], set[str]]:
        store = await open_postgres(url, most_connections=4, statement_seconds=10)
        operator = await asyncpg.connect(url)
        stored, failed = set(), set()

        async def write(writer: int) -> None:
            for number in range(30):
                id = f"p{writer}-{number}"
                try:
                    await store.transact(insertion(id))
                    await store.reading.read("pal", id, 1)
                except StorageFailure:
                    failed.add(id)
                else:
                    stored.add(id)

        async def disturb() -> None:
            while True:
                await operator.execute(END_SESSIONS)
                await asyncio.sleep(0.1)

        disturbing = asyncio.create_task(disturb())
        await asyncio.gather(*(write(writer) for writer in range(8)))
        disturbing.cancel()
        await operator.close()
        await store.close()
        return stored, failed

    stored, failed = asyncio.run(scene())
    assert len(stored) + len(failed) == 8 * 30


@pytest.mark.parametrize("kind", ["alone", "turn"])
def test_who_loses_the_lock_that_keeps_others_out_is_told_and_stopped(kind: str) -> None:
    """Work that went on without it would meet that of others."""
    url = new_database()
    went_on: list[str] = []

    async def scene() -> None:
        store = await open_postgres(url, most_connections=4, statement_seconds=10)
        operator = await asyncpg.connect(url)
        with pytest.raises(StorageFailure, match="lock"):
            async with store.alone() if kind == "alone" else store.turn():
                await operator.execute(END_SESSIONS)
                await asyncio.sleep(5)
                went_on.append("after the loss")
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        async with store.alone() if kind == "alone" else store.turn():
            await store.transact(insertion("p1"))
        await operator.close()
        await store.close()

    asyncio.run(scene())
    assert went_on == []


def test_who_is_cancelled_from_outside_while_it_holds_a_lock_is_cancelled() -> None:
    url = new_database()

    async def scene() -> None:
        store = await open_postgres(url, most_connections=4, statement_seconds=10)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), store.alone():
                await asyncio.sleep(5)
        await store.close()

    asyncio.run(scene())
