"""What lies in the database of a data folder, read and changed past the server, whichever database it is."""

import itertools
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.postgres import connected
from tests.serving import database_of

Row = tuple[Any, ...]


def rows(data: Path, query: str, *values: Any) -> list[Row]:
    """The rows of a query in the common SQL; `?` stands for a value."""
    if url := database_of(data).get("PALACE_DATABASE"):
        found: Sequence[Any] = connected(url, lambda it: it.fetch(_numbered(query), *values))
        return [tuple(row) for row in found]
    with closing(sqlite3.connect(data / "palace.db")) as file:
        return file.execute(query, values).fetchall()


def change(data: Path, statement: str, *values: Any) -> int:
    """Carry out a statement, or several without values, and tell how many rows the (last) one changed."""
    if url := database_of(data).get("PALACE_DATABASE"):
        status: str = connected(url, lambda it: it.execute(_numbered(statement), *values))
        return int(status.rpartition(" ")[2])
    with closing(sqlite3.connect(data / "palace.db")) as file, file:
        if values:
            return file.execute(statement, values).rowcount
        changed = [file.execute(one).rowcount for one in statement.split(";")]
        return changed[-1]


def everything(data: Path) -> dict[str, bytes]:
    """What is in every file of the data folder and in every table of a database elsewhere."""
    found = {str(path): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    if database_of(data):
        for (table,) in rows(data, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"):
            values = itertools.chain.from_iterable(rows(data, f"SELECT * FROM {table}"))
            found[table] = b"\n".join(one if isinstance(one, bytes) else str(one).encode() for one in values)
    return found


def check_sound(data: Path) -> None:
    """The database finds nothing wrong with itself. PostgreSQL has no such check, and needs none after our end."""
    if not database_of(data):
        assert rows(data, "PRAGMA integrity_check") == [("ok",)]
        assert rows(data, "PRAGMA foreign_key_check") == []


def _numbered(query: str) -> str:
    numbers = itertools.count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", query)
