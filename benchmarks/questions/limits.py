"""The physical limit of a write: the rows that one PATCH of Palace writes, with the same durability, and nothing else.

No HTTP, no JSON, no patch: read the document, write it back, add a revision and an audit row, move the head of the log.
In groups of one and of 32, as group commit makes them.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import asyncpg

from benchmarks.bench import Bench, note
from benchmarks.postgres import Database
from benchmarks.processes import cpu_seconds

DOCUMENTS = 128
GROUP = 32
BODY = secrets.token_hex(1500).encode()
"""3 KB that do not compress away."""
PATCH = secrets.token_hex(150).encode()
NOW = "2026-10-07T23:44:47.917639Z"
MAC = bytes(32)

SCHEMA = (
    """CREATE TABLE documents (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, owner INTEGER NOT NULL,
       revision INTEGER NOT NULL, base INTEGER NOT NULL, etag TEXT NOT NULL, updated_at TEXT NOT NULL,
       body {bytes} NOT NULL, UNIQUE (kind, id))""",
    """CREATE TABLE revisions (document INTEGER NOT NULL REFERENCES documents (seq), number INTEGER NOT NULL,
       base INTEGER NOT NULL, created_at TEXT NOT NULL, action TEXT NOT NULL, etag TEXT NOT NULL, key_id TEXT NOT NULL,
       request_id TEXT NOT NULL, touched {bytes} NOT NULL, content {bytes} NOT NULL, PRIMARY KEY (document, number))""",
    """CREATE TABLE audit (seq INTEGER PRIMARY KEY, at TEXT NOT NULL, account INTEGER NOT NULL, key_id TEXT,
       action TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER, request_id TEXT,
       mac {bytes} NOT NULL)""",
    "CREATE TABLE audit_head (one INTEGER PRIMARY KEY, seq INTEGER NOT NULL, tag {bytes} NOT NULL)",
)
READ = "SELECT seq, revision, body FROM documents WHERE kind = 'pal' AND id = ?"
WRITE = (
    "UPDATE documents SET revision = revision + 1, updated_at = ?, body = ?, etag = ? WHERE seq = ? AND revision = ?"
)
REMEMBER = "INSERT INTO revisions VALUES (?, ?, 1, ?, 'patch', ?, 'k2524da2d13', 'r-6ecc0adb37b8', ?, ?)"
LOG = "INSERT INTO audit VALUES (?, ?, 1, 'k2524da2d13', 'patch', 'pal', ?, ?, 'r-6ecc0adb37b8', ?)"
HEAD = "UPDATE audit_head SET seq = ?, tag = ?"

READ_MANY = "SELECT seq, revision, body FROM documents WHERE kind = 'pal' AND id = ANY ($1::text[]) FOR NO KEY UPDATE"
WRITE_MANY = """
WITH new AS (SELECT * FROM unnest($1::integer[], $2::integer[], $3::bytea[]) AS new (seq, revision, body)),
written AS (
    UPDATE documents SET revision = new.revision + 1, updated_at = $4, body = new.body, etag = $5
    FROM new WHERE documents.seq = new.seq AND documents.revision = new.revision
    RETURNING documents.seq, documents.id, documents.revision),
remembered AS (
    INSERT INTO revisions
    SELECT seq, revision, 1, $4, 'patch', $5, 'k2524da2d13', 'r-6ecc0adb37b8', '[]', $6 FROM written)
INSERT INTO audit (at, account, key_id, action, kind, id, revision, request_id, mac)
SELECT $4, 1, 'k2524da2d13', 'patch', 'pal', id, revision, 'r-6ecc0adb37b8', $7 FROM written
"""
POSTGRES_LOG = "CREATE SEQUENCE audit_seq; ALTER TABLE audit ALTER seq SET DEFAULT nextval('audit_seq')"


def ask(bench: Bench) -> dict[str, Any]:
    """Writes a second and CPU time for each write, for every database and size of group."""
    seconds = bench.options.seconds
    rows = []
    for group in (1, GROUP):
        note(f"raw transactions of SQLite in groups of {group}")
        rows.append(_sqlite(bench.folder / f"raw-{group}.db", group, seconds))
    for connections, group in ((1, 1), (GROUP, 1), (1, GROUP)):
        note(f"raw transactions of PostgreSQL: {connections} connections, groups of {group}")
        database = bench.database("raw")
        rows.append(asyncio.run(_postgres(database, connections, group, seconds)))
        assert bench.postgres is not None
        bench.postgres.drop(database)
    return {"document_bytes": len(BODY), "rows": rows}


def _row(
    database: str, connections: int, group: int, writes: int, taken: float, cpu: tuple[float, float]
) -> dict[str, Any]:
    return {
        "database": database,
        "connections": connections,
        "group": group,
        "per_second": round(writes / taken, 1),
        "client_cpu_us": round(cpu[0] * 1_000_000 / writes, 1),
        "database_cpu_us": round(cpu[1] * 1_000_000 / writes, 1),
    }


def _sqlite(path: Path, group: int, seconds: float) -> dict[str, Any]:
    """In this process, on one connection: what apsw does while no interpreter lock is fought for."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    for statement in SCHEMA:
        connection.execute(statement.format(bytes="BLOB"))
    documents = [(number, "pal", f"p{number:011d}", 1, 1, 1, "e", NOW, BODY) for number in range(DOCUMENTS)]
    connection.executemany("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", documents)
    connection.execute("INSERT INTO audit_head VALUES (1, 0, ?)", (MAC,))
    writes, begun, before = 0, time.perf_counter(), time.process_time()
    while not writes or time.perf_counter() - begun < seconds:
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(group):
            writes += 1
            _write(connection.execute, writes)
        connection.execute("COMMIT")
    taken, cpu = time.perf_counter() - begun, time.process_time() - before
    connection.close()
    return _row("SQLite", 1, group, writes, taken, (cpu, 0.0))


def _write(execute: Callable[..., Any], number: int) -> None:
    id = f"p{number % DOCUMENTS:011d}"
    seq, revision, body = execute(READ, (id,)).fetchone()
    execute(WRITE, (NOW, body, "etag", seq, revision))
    execute(REMEMBER, (seq, revision + 1, NOW, "etag", b"[]", PATCH))
    execute(LOG, (number, NOW, id, revision + 1, MAC))
    execute(HEAD, (number, MAC))


async def _postgres(database: Database, connections: int, group: int, seconds: float) -> dict[str, Any]:
    """Two statements in a transaction: one reads the group, one writes all its rows."""
    pool = [await asyncpg.connect(database.uri) for _ in range(connections)]
    for statement in (*SCHEMA, *POSTGRES_LOG.split(";")):
        await pool[0].execute(statement.format(bytes="BYTEA"))
    documents = [(number, "pal", f"p{number:011d}", 1, 1, 1, "e", NOW, BODY) for number in range(DOCUMENTS * 8)]
    await pool[0].copy_records_to_table("documents", records=documents)
    prepared = [(each, await each.prepare(READ_MANY), await each.prepare(WRITE_MANY)) for each in pool]
    begun, before = time.perf_counter(), (time.process_time(), cpu_seconds([database.pid]))
    until = begun + seconds
    counts = await asyncio.gather(*(_keep_writing(*each, start, group, until) for start, each in enumerate(prepared)))
    taken = time.perf_counter() - begun
    cpu = (time.process_time() - before[0], cpu_seconds([database.pid]) - before[1])
    for each in pool:
        await each.close()
    return _row("PostgreSQL", connections, group, sum(counts), taken, cpu)


async def _keep_writing(connection: Any, read: Any, write: Any, start: int, group: int, until: float) -> int:
    """Documents of this connection alone, in turns."""
    mine = [f"p{number:011d}" for number in range(start * GROUP, (start + 1) * GROUP)]
    writes = 0
    while not writes or time.perf_counter() < until:
        ids = [mine[(writes + offset) % GROUP] for offset in range(group)]
        async with connection.transaction():
            found = await read.fetch(ids)
            columns = [[row[column] for row in found] for column in range(3)]
            await write.fetch(*columns, NOW, "etag", PATCH, MAC)
        writes += group
    return writes
