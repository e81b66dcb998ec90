"""A snapshot is for reading; a transaction on PostgreSQL has none within."""

import asyncio

import pytest

from palace.storage import Record, StorageFailure, Transaction
from palace.storage.postgres import open_postgres
from tests.postgres import new_database

NOW = "2026-01-01T00:00:00.000000Z"


def test_there_is_no_snapshot_within_a_transaction_and_the_next_write_is_none_the_worse():
    async def look(tx: Transaction) -> None:
        async with tx.snapshot():
            raise AssertionError("never reached")

    async def scene() -> None:
        store = await open_postgres(url, most_connections=4, statement_seconds=10)
        with pytest.raises(StorageFailure, match="snapshot"):
            await store.transact(look)
        await store.transact(lambda tx: tx.insert(Record("pal", "p1", 1, 1, NOW, NOW, b"{}")))
        async with store.reading.snapshot() as tx:
            assert await tx.exists("pal", "p1", 1)
        await store.close()

    url = new_database()
    asyncio.run(scene())
