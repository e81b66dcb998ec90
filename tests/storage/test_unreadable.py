"""A database that cannot be read is told as that, by every store, and not as a change that could not be stored."""

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from palace.storage import Record, SqliteStore, Unreadable
from palace.storage.postgres import PostgresStore
from tests.postgres import connected, server_url
from tests.storage.test_postgres import KILL, on, url

__all__ = ["url"]

NOW = "2026-01-01T00:00:00.000000Z"


def test_a_file_of_which_a_part_is_gone_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def scene() -> None:
        store = SqliteStore(path)
        for number in range(50):
            record = Record("pal", f"p{number}", 1, 1, NOW, NOW, b"x" * 10_000)
            await store.transact(lambda tx, record=record: tx.insert(record))
        store._writing.execute("PRAGMA wal_checkpoint(truncate)").fetchall()
        os.truncate(path, 8192)
        with pytest.raises(Unreadable, match="could not be read"):
            await store.reading.get("pal", "p9", 1)
        with pytest.raises(Unreadable):
            await store.reading.list_keys()
        with pytest.raises(Unreadable):
            async with store.reading.snapshot() as tx:
                await tx.get("pal", "p9", 1)
        assert not store._reading.in_transaction
        await store.close()

    asyncio.run(scene())


def test_a_database_of_postgresql_that_is_gone_is_unreadable(url: str) -> None:
    async def scene(store: PostgresStore) -> None:
        name = urlsplit(url).path.removeprefix("/")
        connected(server_url(), lambda it: it.fetch(KILL, name))
        connected(server_url(), lambda it: it.execute(f"ALTER DATABASE {name} RENAME TO {name}_gone"))
        for question in (store.reading.read("pal", "p1", 1), store.reading.list_keys()):
            with pytest.raises(Unreadable):
                await question
        with pytest.raises(Unreadable):
            async with store.reading.snapshot():
                """There is nothing to read."""

    on(url, scene)
