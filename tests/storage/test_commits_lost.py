"""A connection that breaks while PostgreSQL commits leaves open whether it did; nothing is then done a second time."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from palace.storage import OutcomeUnknown, Record, StorageFailure, Transaction
from palace.storage.postgres import PostgresStore, open_postgres
from tests.postgres import new_database

NOW = "2026-01-01T00:00:00.000000Z"
TIME_TO_COMMIT_SECONDS = 0.05


class Refused(Exception):
    pass


class CutAtCommit:
    """Passes everything on to PostgreSQL, but no answer to the COMMIT of a change: the connection is gone then."""

    def __init__(self, url: str) -> None:
        self.parts = urlsplit(url)
        self.is_cutting = False
        self.most_cuts: float = math.inf

    async def start(self) -> str:
        """The URL of the same database, by way of this."""
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        login = self.parts.netloc.rpartition("@")[0]
        return f"postgresql://{login}@127.0.0.1:{port}{self.parts.path}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        folder = parse_qs(self.parts.query).get("host", [""])[0]
        if folder:
            far_reader, far_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{self.parts.port or 5432}")
        else:
            far_reader, far_writer = await asyncio.open_connection(self.parts.hostname, self.parts.port or 5432)
        back = asyncio.create_task(self._pass(far_reader, writer))
        before = b""
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                is_last = self.is_cutting and b"COMMIT" in data and b"BEGIN" not in before and self.most_cuts > 0
                before = data
                if is_last:
                    self.most_cuts -= 1
                    back.cancel()
                far_writer.write(data)
                if is_last:
                    await asyncio.sleep(TIME_TO_COMMIT_SECONDS)
                    break
        for end in (writer, far_writer):
            end.transport.abort()

    @staticmethod
    async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                target.write(data)
        target.close()


Work = Callable[[Transaction, int], Awaitable[object]]


def record(id: str) -> Record:
    return Record("pal", id, 1, 1, NOW, NOW, b"{}")


async def insert(tx: Transaction, number: int) -> int:
    return await tx.insert(record(f"new{number}"))


async def replace(tx: Transaction, number: int) -> None:
    found = await tx.get("pal", f"old{number}", 1)
    assert found is not None
    await tx.replace(found, body=b"[]", secrets=None, updated_at=NOW, etag="e", base=0)


@pytest.mark.parametrize("at_once", [1, 5])
@pytest.mark.parametrize(("work", "id", "revision"), [(insert, "new", 1), (replace, "old", 2)])
def test_what_may_have_been_committed_is_not_done_again(work: Work, id: str, revision: int, at_once: int) -> None:
    url = new_database()

    async def outcome(store: PostgresStore, number: int) -> object:
        try:
            return await store.transact(lambda tx: work(tx, number))
        except Exception as error:
            return error

    async def scene() -> list[object]:
        proxy = CutAtCommit(url)
        store = await open_postgres(await proxy.start(), most_connections=4, statement_seconds=10)
        for number in range(at_once):
            await store.transact(lambda tx, number=number: tx.insert(record(f"old{number}")))  # type: ignore[misc]
        proxy.is_cutting = True
        found = await asyncio.gather(*(outcome(store, number) for number in range(at_once)))
        proxy.is_cutting = False
        for number in range(at_once):
            while (stored := await store.reading.get("pal", f"{id}{number}", 1)) is None or stored.revision < revision:
                await asyncio.sleep(0.05)  # The commit may take its time.
            assert stored.revision == revision
        await store.close()
        proxy.server.close()
        return found

    for answer in asyncio.run(scene()):
        assert isinstance(answer, OutcomeUnknown), repr(answer)


def test_only_a_work_that_wrote_something_may_have_been_committed() -> None:
    """The others of its group are done again: one was refused, one only read, one needs a transaction of its own."""
    url = new_database()

    async def refuse(_: Transaction, _number: int) -> None:
        raise Refused

    async def read(tx: Transaction, number: int) -> int | None:
        found = await tx.get("pal", f"old{number}", 1)
        return found and found.revision

    async def scene() -> list[object]:
        proxy = CutAtCommit(url)
        store = await open_postgres(await proxy.start(), most_connections=4, statement_seconds=10)
        for number in range(4):
            await store.transact(lambda tx, number=number: tx.insert(record(f"old{number}")))  # type: ignore[misc]
        proxy.is_cutting, proxy.most_cuts = True, 1
        works: list[Work] = [replace, refuse, read, insert]
        found = await asyncio.gather(
            *(store.transact(lambda tx, n=n, work=work: work(tx, n)) for n, work in enumerate(works)),  # type: ignore[misc]
            return_exceptions=True,
        )
        await store.close()
        proxy.server.close()
        return list(found)

    written, refused, revision, inserted = asyncio.run(scene())
    assert isinstance(written, OutcomeUnknown), repr(written)
    assert isinstance(refused, Refused), repr(refused)
    assert revision == 1
    assert isinstance(inserted, int), repr(inserted)


def test_what_broke_before_the_commit_is_done_again() -> None:
    url = new_database()

    async def scene() -> None:
        store = await open_postgres(url, most_connections=4, statement_seconds=10)
        await store.pool.pool.execute("SELECT 1")
        for connection in store.pool.pool._holders:
            if connection._con is not None:
                connection._con._transport.abort()
        try:
            await store.transact(lambda tx: tx.insert(record("p1")))
        except StorageFailure as error:
            raise AssertionError("it could have been tried again") from error
        await store.close()

    asyncio.run(scene())


def test_a_plan_that_a_migration_of_another_server_made_stale_is_made_anew() -> None:
    url = new_database()

    async def read(tx: Transaction) -> object:  # In a transaction of its own: there is no reading this in a group.
        return await tx.get_with_deleted("pal", "old", 1)

    async def scene() -> None:
        store = await open_postgres(url, most_connections=2, statement_seconds=10)
        await store.transact(lambda tx: tx.insert(record("old")))
        before = await store.transact(read)
        connection = await asyncpg.connect(url)
        await connection.execute("ALTER TABLE documents ALTER COLUMN etag TYPE varchar(100)")
        await connection.close()
        assert await store.transact(read) == before is not None
        await store.close()

    asyncio.run(scene())
