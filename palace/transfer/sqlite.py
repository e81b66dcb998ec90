"""The side of a transfer that is a SQLite file."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import apsw

from palace.files import sync_folder
from palace.storage.damages import damages
from palace.storage.migrate import IMPORT_PROGRESS as PROGRESS
from palace.storage.migrate import migrate, newest_schema, present_schema
from palace.transfer.form import Row
from palace.transfer.sides import Progress, TransferFailure
from palace.transfer.tables import Table

BUSY_MILLISECONDS = 10_000
ROWS_AT_ONCE = 500
BESIDE = ("-wal", "-shm")
UNFINISHED = ".importing"
"""Behind the name of a database that is being imported: no server takes it for one."""


class SqliteSide:
    """One SQLite file: an existing one that is only read, or a new one, which gets its name when it is complete."""

    kind: Literal["sqlite", "postgresql"] = "sqlite"

    def __init__(self, path: Path, connection: apsw.Connection, final: Path | None) -> None:
        self.name = str(final or path)
        self._path = path
        self._final = final
        self._connection = connection

    @classmethod
    def glance(cls, path: Path) -> "SqliteSide":
        """An existing database, whatever its schema. Raises TransferFailure."""
        return cls(path, _glanced(path), None)

    @classmethod
    def writable(cls, path: Path) -> "SqliteSide":
        """A database, made if it is not there, to bring it up to date. Raises TransferFailure."""
        with _translated(path):
            return cls(path, _made(path), None)

    @classmethod
    def target(cls, path: Path) -> "SqliteSide":
        """A database that is to be made, or that an import began to make. Raises TransferFailure."""
        if path.exists():
            raise TransferFailure(f"There is a database at {path} already. Import into another folder.")
        beside = path.with_name(path.name + UNFINISHED)
        with _translated(beside):
            connection = _made(beside)
            if not _is_begun(connection):  # Also one that was complete, when the last step did not come about.
                connection.close()
                for end in ("", *BESIDE):
                    beside.with_name(beside.name + end).unlink(missing_ok=True)
                connection = _made(beside)
            migrate(connection)
        return cls(beside, connection, path)

    async def schema(self) -> tuple[int, int]:
        """The number of the newest migration that was applied, and of the newest there is."""
        with _translated(self._path):
            return present_schema(self._connection), newest_schema()

    async def is_unfinished(self) -> bool:
        """Whether an import into it was begun and is not complete."""
        with _translated(self._path):
            return _is_begun(self._connection)

    async def bring_up_to_date(self) -> None:
        """Apply the migrations that are missing, all or none. Raises NewerSchema."""
        with _translated(self._path):
            migrate(self._connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Whatever is read inside is read from one and the same state."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    async def count(self, table: Table) -> int:
        """How many rows a table has."""
        with _translated(self._path):
            count: Any = self._connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()
        return int(count[0])

    async def rows(self, table: Table) -> AsyncIterator[list[Row]]:
        """The rows of a table in the order of its key, some at a time."""
        columns, key = ", ".join(f'"{name}"' for name in table.columns), ", ".join(f'"{name}"' for name in table.key)
        with _translated(self._path):
            cursor = self._connection.execute(f"SELECT {columns} FROM {table.name} ORDER BY {key}")
            gathered: list[Row] = []
            for row in cursor:
                gathered.append(row)
                if len(gathered) == ROWS_AT_ONCE:
                    yield gathered
                    gathered = []
        if gathered:
            yield gathered

    async def progress(self) -> Progress | None:
        """How far an import is that was begun."""
        if not _is_begun(self._connection):
            return None
        row: Any = self._connection.execute(f"SELECT file, rows FROM {PROGRESS}").fetchone()
        return Progress(*row)

    async def begin(self, file: str) -> None:
        """Remember that an import of this file begins."""
        with self._connection:
            self._connection.execute(f"CREATE TABLE {PROGRESS} (file TEXT NOT NULL, rows INTEGER NOT NULL) STRICT")
            self._connection.execute(f"INSERT INTO {PROGRESS} VALUES (?, 0)", (file,))

    async def put(self, table: Table, rows: Sequence[Row], progress: Progress) -> None:
        """Add rows and remember how far that is, in one transaction."""
        columns, places = ", ".join(f'"{name}"' for name in table.columns), ", ".join("?" * len(table.columns))
        with _translated(self._path), self._connection:
            self._connection.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({places})", rows)
            self._connection.execute(f"UPDATE {PROGRESS} SET rows = ?", (progress.rows,))

    async def finish(self) -> None:
        """Sync everything to the disk and give the file its name."""
        assert self._final is not None, "only a target is finished"
        with _translated(self._path):
            self._connection.pragma("synchronous", "full")
            self._connection.execute(f"DROP TABLE {PROGRESS}")
        self._connection.close()  # The last one to close it leaves nothing beside the file.
        if self._final.exists():
            raise TransferFailure(f"A database came to be at {self._final} meanwhile; the import is in {self._path}.")
        self._path.rename(self._final)
        sync_folder(self._final.parent)

    async def select(self, sql: str) -> list[Any]:
        """The rows of a plain query that means the same on every database."""
        with _translated(self._path):
            return self._connection.execute(sql).fetchall()

    async def damages(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        with _translated(self._path):
            return damages(self._connection)

    async def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def _glanced(path: Path) -> apsw.Connection:
    with _translated(path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.pragma("query_only", True)
        connection.pragma("user_version")
    return connection


def _made(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "normal")  # Whole after a power cut; the end of the import syncs all.
    connection.pragma("foreign_keys", True)
    return connection


def _is_begun(connection: apsw.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (PROGRESS,)).fetchall())


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise TransferFailure(f"{path} cannot be used as a database: {error}.") from error
    except UnicodeDecodeError as error:
        raise TransferFailure(f"{path} is damaged: a text in it is not UTF-8.") from error
