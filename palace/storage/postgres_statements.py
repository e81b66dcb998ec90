"""Named statements over connections to PostgreSQL, and what its errors mean."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from palace.storage.base import StorageFailure
from palace.storage.queries import load_queries, numbered

if TYPE_CHECKING:
    Connection = asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any]
else:  # At run time the classes take no parameters.
    Connection = asyncpg.Connection

QUERIES = {name: numbered(sql) for name, sql in load_queries("postgres.sql").items()}
ZERO_BYTE, ITS_PICTURE = "\0", "\N{SYMBOL FOR NULL}"
"""No text of PostgreSQL can hold the one; the other stands for it in indexes and comments. Documents are bytes."""

LOCKING = {
    "get_document": "lock_document",
    "get_document_with_deleted": "lock_document_with_deleted",
    "document_exists": "hold_document",
    "held_job": "hold_job",
    "get_delivery": "hold_delivery",
    "get_server_secret": "lock_server_secret",
}
"""What a transaction that may write asks instead, so that what it read is still true at its commit."""

WORTH_ANOTHER_TRY = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,  # A migration by another server; the next try prepares it anew.
)
"""Others were in the way; nothing was stored."""

GONE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # The driver lost its way, which it does when a session is ended just then.
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncio.TimeoutError,
)
"""The connection broke, or leads to a server that is no primary any more; another one may soon be there."""

TRANSIENT = (*WORTH_ANOTHER_TRY, *GONE)
ANY = (*TRANSIENT, asyncpg.PostgresError)
DETAILS = "\nDETAIL:"
"""What comes after it in the text of an error are values, at times a whole row."""


def failure(error: Exception, kind: type[StorageFailure] = StorageFailure) -> StorageFailure:
    """What an error of the database is to the rest of the server."""
    found = kind(f"The database could not do it: {said(error)}")
    found.__cause__ = error
    return found


def said(error: Exception) -> str:
    """An error of the database without what it quotes, as that may be what is stored or what was sent."""
    if isinstance(error, asyncpg.DataError):
        return f"{type(error).__name__}: a value that it cannot hold"
    return f"{type(error).__name__}: {str(error).partition(DETAILS)[0]}"


def bound(statement: str, values: dict[str, Any]) -> tuple[str, list[Any]]:
    """The SQL of a statement and its values, in the order of their numbers."""
    sql, parameters = QUERIES[statement]
    return sql, [_plain(values[parameter]) for parameter in parameters]


def _plain(value: Any) -> Any:
    if isinstance(value, str) and ZERO_BYTE in value:
        return value.replace(ZERO_BYTE, ITS_PICTURE)
    return value


def columns(lines: Sequence[Mapping[str, Any]], statement: str) -> list[list[Any]]:
    """The values of many lines for a statement that takes an array for each column."""
    return [[_plain(line[parameter]) for line in lines] for parameter in QUERIES[statement].parameters]


class DirectStatements:
    """Statements over one connection, one after the other; in a transaction, reading locks."""

    def __init__(self, connection: Connection, *, is_writing: bool = True) -> None:
        self._connection = connection
        self._locking = LOCKING if is_writing else {}

    async def rows(self, statement: str, /, **values: Any) -> list[Any]:
        """See Statements, as for all of these."""
        sql, arguments = bound(self._locking.get(statement, statement), values)
        return await self._connection.fetch(sql, *arguments)

    async def row(self, statement: str, /, **values: Any) -> Any:
        if statement == "end_of_audit":
            return await self._end_of_audit()
        sql, arguments = bound(self._locking.get(statement, statement), values)
        return await self._connection.fetchrow(sql, *arguments)

    async def change(self, statement: str, /, **values: Any) -> int:
        sql, arguments = bound(statement, values)
        status: str = await self._connection.execute(sql, *arguments)
        return int(status.rpartition(" ")[2])

    async def many(self, statement: str, lines: Sequence[Mapping[str, Any]], /) -> None:
        together = f"{statement}s"
        if together in QUERIES:
            await self._connection.execute(QUERIES[together].sql, *columns(lines, together))
        else:
            sql, _ = QUERIES[statement]
            await self._connection.executemany(sql, [bound(statement, dict(line))[1] for line in lines])

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        await self._connection.execute("SAVEPOINT rehearsal")
        try:
            yield
        finally:
            await self._connection.execute("ROLLBACK TO SAVEPOINT rehearsal")
            await self._connection.execute("RELEASE SAVEPOINT rehearsal")

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["DirectStatements"]:
        raise StorageFailure("There is no snapshot within a transaction: it reads what is newest, and locks it.")
        yield self

    async def _end_of_audit(self) -> Any:
        for statement in ("end_of_audit", "end_of_audit_in_turn", "end_of_audit_without_head"):
            if (row := await self._connection.fetchrow(QUERIES[statement].sql)) is not None:
                return row
        raise AssertionError("the last of them always has a row")
