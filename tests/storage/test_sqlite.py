"""What is particular to the store on SQLite."""

import asyncio

import apsw
import pytest

from palace.storage import OutcomeUnknown, Record, SqliteStore, StorageFailure
from palace.storage.migrate import NewerSchema, migrations

NOW = "2026-01-01T00:00:00.000000Z"


def record(id):
    return Record("pal", id, 1, 1, NOW, NOW, b"x" * 10_000)


def test_the_file_is_in_wal_mode_and_synced_fully(tmp_path):
    store = SqliteStore(tmp_path / "a.db")
    assert store._writing.pragma("journal_mode") == "wal"
    assert store._writing.pragma("synchronous") == 2
    asyncio.run(store.close())


def test_a_database_of_a_newer_server_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "a.db"
    asyncio.run(SqliteStore(path).close())
    newest = migrations()[-1][0]
    with apsw.Connection(str(path)) as connection:
        connection.pragma("user_version", newest + 1)
    connection.close()
    with pytest.raises(NewerSchema, match=str(newest + 1)):
        SqliteStore(path)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database, and longer than its header would be" * 100)
    with pytest.raises(StorageFailure, match=r"a\.db"):
        SqliteStore(path)


def test_a_full_disk_fails_the_whole_group_and_stores_nothing_of_it(tmp_path):
    """`max_page_count` makes SQLite report a full disk when the file would grow."""

    async def scene():
        store = SqliteStore(tmp_path / "a.db")
        pages = store._writing.pragma("page_count")
        store._writing.pragma("max_page_count", pages + 4)
        outcomes = await asyncio.gather(
            *(store.transact(lambda tx, n=n: tx.insert(record(f"p{n}"))) for n in range(8)), return_exceptions=True
        )
        assert all(isinstance(outcome, StorageFailure) for outcome in outcomes)
        page = await store.reading.page("pal", 1, owned="all", newest_first=False, limit=1, offset=0)
        assert page.total_count == 0
        store._writing.pragma("max_page_count", 1_000_000)
        await store.transact(lambda tx: tx.insert(record("p0")))
        assert await store.reading.get("pal", "p0", 1)
        await store.close()

    asyncio.run(scene())


def test_the_reading_connection_cannot_write(tmp_path):
    async def scene():
        store = SqliteStore(tmp_path / "a.db")
        with pytest.raises(apsw.ReadOnlyError):
            await store.reading.insert(record("p1"))
        await store.close()

    asyncio.run(scene())


def test_a_file_shows_nothing_of_a_transaction_before_its_end_even_to_a_look_from_inside_it(tmp_path):
    async def scene():
        store = SqliteStore(tmp_path / "a.db")

        async def work(tx):
            await tx.insert(record("p1"))
            async with tx.rehearsal():
                await tx.insert(record("p2"))
                assert await store.reading.get("pal", "p1", 1) is None
                assert await store.reading.get("pal", "p2", 1) is None

        await store.transact(work)
        assert await store.reading.get("pal", "p1", 1)
        await store.close()

    asyncio.run(scene())


def test_when_the_disk_fails_during_the_commit_nobody_knows_whether_the_change_is_there(tmp_path):
    """The commit may lie in the log of a file whose disk then refused to say so; a crash would find it there."""

    async def scene():
        store = SqliteStore(tmp_path / "a.db")

        def fail(_statement):
            raise apsw.IOError("disk I/O error")

        carry_out, store._waiting_for_disk = store._waiting_for_disk, lambda *_: asyncio.to_thread(fail, None)
        with pytest.raises(OutcomeUnknown, match="disk"):
            await store.transact(lambda tx: tx.insert(record("p1")))
        store._waiting_for_disk = carry_out
        await store.transact(lambda tx: tx.insert(record("p1")))
        await store.close()

    asyncio.run(scene())
