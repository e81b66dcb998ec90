"""Named statements over connections to SQLite, and what its errors mean to who only reads."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import apsw

from palace.storage.base import StorageFailure, Unreadable
from palace.storage.queries import load_queries

AWAY = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.ProtocolError,
)
"""The file, or what it lies on, is in no order; any other error of reading is a bug."""

QUERIES = load_queries("sqlite.sql")


class SqliteStatements:
    """Statements over one connection; each is done when it returns."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    async def rows(self, statement: str, /, **values: Any) -> list[Any]:
        """See Statements, as for all of these."""
        return self._connection.execute(QUERIES[statement], values).fetchall()

    async def row(self, statement: str, /, **values: Any) -> Any:
        return self._connection.execute(QUERIES[statement], values).fetchone()

    async def change(self, statement: str, /, **values: Any) -> int:
        self._connection.execute(QUERIES[statement], values)
        return self._connection.changes()

    async def many(self, statement: str, lines: Sequence[Mapping[str, Any]], /) -> None:
        self._connection.executemany(QUERIES[statement], lines)

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        self._connection.execute("SAVEPOINT rehearsal")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK TO rehearsal")
            self._connection.execute("RELEASE rehearsal")

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["SqliteStatements"]:
        self._connection.execute("BEGIN")
        try:
            yield self
        finally:
            self._connection.execute("COMMIT")


class ReadingStatements:
    """Statements that change nothing, over one connection. They raise Unreadable."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    async def rows(self, statement: str, /, **values: Any) -> list[Any]:
        """See Statements, as for all of these."""
        try:
            return self._connection.execute(QUERIES[statement], values).fetchall()
        except AWAY as error:
            raise _unreadable(error) from error

    async def row(self, statement: str, /, **values: Any) -> Any:
        try:
            return self._connection.execute(QUERIES[statement], values).fetchone()
        except AWAY as error:
            raise _unreadable(error) from error

    async def change(self, statement: str, /, **_values: Any) -> int:
        raise StorageFailure(f"{statement} writes; this reads.")

    async def many(self, statement: str, _lines: Sequence[Mapping[str, Any]], /) -> None:
        raise StorageFailure(f"{statement} writes; this reads.")

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        raise StorageFailure("What reads does not write.")
        yield

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["ReadingStatements"]:
        try:
            async with SqliteStatements(self._connection).snapshot():
                yield self
        except AWAY as error:
            raise _unreadable(error) from error


def _unreadable(error: apsw.Error) -> Unreadable:
    return Unreadable(f"The database could not be read: {error}")
