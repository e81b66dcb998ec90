"""Where rows come from and go to: what a transfer asks of a database."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol

from palace.transfer.form import Row
from palace.transfer.tables import Table

Tell = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


class TransferFailure(Exception):
    """The database cannot be exported or imported into; the text says why."""


class Progress(NamedTuple):
    """How far an import is: `file` is the SHA-256 of what is imported, `rows` counts those of all tables."""

    file: str
    rows: int


def refusal(name: str, table: Table) -> TransferFailure:
    """What to say of a target that is in use."""
    problem = f"There are rows in {name} already (table {table.name})."
    return TransferFailure(f"{problem} Import into a new database, before a server works on it.")


class Side(Protocol):
    """A database: all its rows in order, in one state; or a new one that takes rows."""

    name: str
    kind: Literal["sqlite", "postgresql"]

    async def schema(self) -> tuple[int, int]:
        """The number of the newest migration that was applied, and of the newest there is."""

    async def bring_up_to_date(self) -> None:
        """Apply the migrations that are missing, all or none. Raises NewerSchema."""

    async def is_unfinished(self) -> bool:
        """Whether an import into it was begun and is not complete: it is no database to work with."""

    def snapshot(self) -> AbstractAsyncContextManager[None]:
        """Whatever is read inside is read from one and the same state."""

    async def count(self, table: Table) -> int:
        """How many rows a table has."""

    def rows(self, table: Table) -> AsyncIterator[list[Row]]:
        """The rows of a table in the order of its key, some at a time."""

    async def progress(self) -> Progress | None:
        """How far an import is that was begun; None when none was. Raises TransferFailure for a database in use."""

    async def begin(self, file: str) -> None:
        """Remember that an import of this file begins."""

    async def put(self, table: Table, rows: Sequence[Row], progress: Progress) -> None:
        """Add rows and remember how far that is, in one transaction."""

    async def finish(self) -> None:
        """Make the database ready for a server; nothing of the import remains but the rows."""

    async def select(self, sql: str) -> list[Any]:
        """The rows of a plain query that means the same on every database."""

    async def damages(self) -> list[str]:
        """What the database itself finds wrong with its files, if it can tell."""

    async def close(self) -> None:
        """Let go of the database."""
