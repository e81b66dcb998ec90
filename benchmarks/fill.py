"""Many PALs in a store at once, past the server: each has all the rows that the server writes for a new one.

The server creates one PAL; whatever rows that left in these tables are written again for every other PAL, with its own
id, name and tag. So the rows are the server's own, whichever columns they have. Only audit rows are not written.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import asyncpg

from benchmarks.bench import note
from benchmarks.postgres import Database
from palace.etags import content_etag

TABLES = ("documents", "revisions", "labels", "uses")
AT_ONCE = 20_000
WHOLE = frozenset({"body", "content"})


@dataclass(frozen=True)
class Template:
    """The rows of one PAL: by table, the names of the columns and the rows."""

    number: int
    id: str
    name: str
    rows: dict[str, tuple[list[str], list[tuple[Any, ...]]]]

    def copies(self, table: str, count: int) -> Iterator[tuple[Any, ...]]:
        """The rows of so many new PALs in one table."""
        columns, rows = self.rows[table]
        for made in range(1, count + 1):
            texts = (new_id(made).encode(), f"PAL {made:09d}".encode())
            for row in rows:
                yield self._copy(columns, row, self.number + made, *texts)

    def _copy(self, columns: list[str], row: tuple[Any, ...], number: int, id: bytes, name: bytes) -> tuple[Any, ...]:
        copied = dict(zip(columns, row, strict=True))
        for column, value in copied.items():
            if column in ("seq", "document"):
                copied[column] = number
            elif column in WHOLE:
                copied[column] = value.replace(self.id.encode(), id).replace(self.name.encode(), name)
            elif value == self.id:
                copied[column] = id.decode()
            elif value == self.name:
                copied[column] = name.decode()
            elif value == self.name.casefold():
                copied[column] = name.decode().casefold()
        whole = copied.get("body") or copied.get("content")
        if whole is not None:
            copied["etag"] = content_etag(whole, None)
        return tuple(copied.values())


def new_id(made: int) -> str:
    """The id of the PAL that was made as number `made`, from 1 on; spread over the index as random ids are."""
    return f"p{made * 0x9E3779B1 % (1 << 44):011x}"


def fill_sqlite(file: Path, id: str, name: str, count: int) -> None:
    """Write so many PALs like the one with this id and name. No server may have the file open."""
    note(f"filling SQLite with {count:,} PALs")
    connection = apsw.Connection(str(file))
    connection.pragma("synchronous", "off")
    connection.pragma("foreign_keys", "off")
    ((seq,),) = connection.execute("SELECT seq FROM documents WHERE kind = 'pal' AND id = ?", (id,))
    rows = {table: _sqlite_rows(connection, table, seq) for table in TABLES}
    template = Template(seq, id, name, rows)
    for table, (columns, _) in rows.items():
        marks = ", ".join("?" * len(columns))
        insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        for group in _groups(template.copies(table, count)):
            with connection:
                connection.executemany(insert, group)
    connection.pragma("synchronous", "full")
    connection.pragma("wal_checkpoint", "truncate")
    connection.close()


def _sqlite_rows(connection: apsw.Connection, table: str, seq: int) -> tuple[list[str], list[tuple[Any, ...]]]:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    key = "seq" if table == "documents" else "document"
    return columns, list(connection.execute(f"SELECT * FROM {table} WHERE {key} = ?", (seq,)))


def _groups(rows: Iterable[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    rest = iter(rows)
    while group := list(islice(rest, AT_ONCE)):
        yield group


def fill_postgres(database: Database, id: str, name: str, count: int) -> None:
    """The same in PostgreSQL, through COPY; then VACUUM and ANALYZE, as autovacuum would do it within minutes."""
    note(f"filling PostgreSQL with {count:,} PALs")
    asyncio.run(_fill_postgres(database.uri, id, name, count))


async def _fill_postgres(uri: str, id: str, name: str, count: int) -> None:
    connection = await asyncpg.connect(uri)
    try:
        seq = await connection.fetchval("SELECT seq FROM documents WHERE kind = 'pal' AND id = $1", id)
        rows = {table: await _postgres_rows(connection, table, seq) for table in TABLES}
        template = Template(seq, id, name, rows)
        for table, (columns, _) in rows.items():
            await connection.copy_records_to_table(table, records=template.copies(table, count), columns=columns)
        next_one = "SELECT pg_get_serial_sequence('documents', 'seq')"
        if sequence := await connection.fetchval(next_one):
            await connection.execute(f"SELECT setval('{sequence}', (SELECT max(seq) FROM documents))")
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def _postgres_rows(connection: Any, table: str, seq: int) -> tuple[list[str], list[tuple[Any, ...]]]:
    key = "seq" if table == "documents" else "document"
    found = await connection.fetch(f"SELECT * FROM {table} WHERE {key} = $1", seq)
    wanted = "SELECT column_name FROM information_schema.columns WHERE table_name = $1 AND is_generated = 'NEVER'"
    named = {row[0] for row in await connection.fetch(wanted, table)}
    columns = [name for name in found[0].keys() if name in named] if found else []  # noqa: SIM118
    return columns, [tuple(row[name] for name in columns) for row in found]
