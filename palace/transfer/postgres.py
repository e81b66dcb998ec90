"""The side of a transfer that is a PostgreSQL database."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Literal

import asyncpg

from palace.settings import database_shown
from palace.storage.migrate import IMPORT_PROGRESS as PROGRESS
from palace.storage.migrate import newest_schema
from palace.storage.migrate_postgres import migrate, present_schema
from palace.transfer.form import Row
from palace.transfer.sides import Progress, TransferFailure, refusal
from palace.transfer.tables import TABLES, TEXT, Table

ROWS_AT_ONCE = 500
SECONDS_TO_CONNECT = 10


class PostgresSide:
    """One connection to a database that has the schema already."""

    kind: Literal["sqlite", "postgresql"] = "postgresql"

    def __init__(self, url: str, connection: Any) -> None:
        self.name = database_shown(url)
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> "PostgresSide":
        """Connect. Raises TransferFailure."""
        with _translated(database_shown(url), "cannot be reached"):
            return cls(url, await asyncpg.connect(url, timeout=SECONDS_TO_CONNECT))

    async def schema(self) -> tuple[int, int]:
        """The number of the newest migration that was applied, and of the newest there is."""
        with _translated(self.name):
            return await present_schema(self._connection), newest_schema()

    async def is_unfinished(self) -> bool:
        """Whether an import into it was begun and is not complete."""
        with _translated(self.name):
            return await self._connection.fetchval("SELECT to_regclass($1)", PROGRESS) is not None

    async def bring_up_to_date(self) -> None:
        """Apply the migrations that are missing, all or none. Raises NewerSchema."""
        with _translated(self.name):
            await migrate(self._connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Whatever is read inside is read from one and the same state."""
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            yield

    async def count(self, table: Table) -> int:
        """How many rows a table has."""
        with _translated(self.name):
            return int(await self._connection.fetchval(f"SELECT count(*) FROM {table.name}"))

    async def rows(self, table: Table) -> AsyncIterator[list[Row]]:
        """The rows of a table in the order of its key, texts by their bytes, some at a time; inside a snapshot."""
        columns = ", ".join(f'"{name}"' for name in table.columns)
        order = ", ".join(f'"{name}"' + (' COLLATE "C"' if table.columns[name] == TEXT else "") for name in table.key)
        with _translated(self.name):
            cursor = await self._connection.cursor(f"SELECT {columns} FROM {table.name} ORDER BY {order}")
            while rows := await cursor.fetch(ROWS_AT_ONCE):
                yield [tuple(row) for row in rows]

    async def progress(self) -> Progress | None:
        """How far an import is that was begun; None when none was. Raises TransferFailure for a database in use."""
        with _translated(self.name):
            if await self._connection.fetchval("SELECT to_regclass($1)", PROGRESS):
                return Progress(*await self._connection.fetchrow(f"SELECT file, rows FROM {PROGRESS}"))
            for table in TABLES:
                if await self._connection.fetchval(f"SELECT EXISTS (SELECT 1 FROM {table.name})"):
                    raise refusal(self.name, table)
        return None

    async def begin(self, file: str) -> None:
        """Remember that an import of this file begins."""
        with _translated(self.name):
            async with self._connection.transaction():
                await self._connection.execute(f"CREATE TABLE {PROGRESS} (file text NOT NULL, rows bigint NOT NULL)")
                await self._connection.execute(f"INSERT INTO {PROGRESS} VALUES ($1, 0)", file)

    async def put(self, table: Table, rows: Sequence[Row], progress: Progress) -> None:
        """Add rows and remember how far that is, in one transaction."""
        with _translated(self.name):
            async with self._connection.transaction():
                await self._connection.copy_records_to_table(table.name, records=rows, columns=list(table.columns))
                await self._connection.execute(f"UPDATE {PROGRESS} SET rows = $1", progress.rows)

    async def finish(self) -> None:
        """Let new rows have numbers behind those that came, and forget the import."""
        with _translated(self.name):
            async with self._connection.transaction():
                for table in TABLES:
                    if table.is_numbered:
                        await self._number_on(table)
                await self._connection.execute(f"DROP TABLE {PROGRESS}")
            await self._connection.execute("ANALYZE")

    async def _number_on(self, table: Table) -> None:
        (key,) = table.key
        await self._connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', '{key}'), coalesce(max({key}), 0) + 1, false)"
            f" FROM {table.name}"
        )

    async def select(self, sql: str) -> list[Any]:
        """The rows of a plain query that means the same on every database."""
        with _translated(self.name):
            return [tuple(row) for row in await self._connection.fetch(sql)]

    async def damages(self) -> list[str]:
        """Nothing: PostgreSQL has tools of its own for that."""
        return []

    async def close(self) -> None:
        """Let go of the database."""
        await self._connection.close()


@contextmanager
def _translated(name: str, problem: str = "cannot be used") -> Iterator[None]:
    try:
        yield
    except (ValueError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise TransferFailure(f"{name} {problem}: {error or type(error).__name__}.") from error
