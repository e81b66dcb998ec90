"""The schema on PostgreSQL: numbered SQL files, applied once each, in order, by one server at a time."""

import re
from typing import Any, Literal

import asyncpg

from palace.storage.base import StorageFailure
from palace.storage.migrate import IMPORT_PROGRESS, migrations, newest_schema, refuse_newer, refuse_other
from palace.storage.postgres_statements import Connection

PATIENCE = "SET lock_timeout = '60s'; SET statement_timeout = 0"
IMPATIENCE = "RESET lock_timeout; RESET statement_timeout"
MOST_SECONDS = 3600
"""of one migration: it may have to read everything"""
VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS schema_version (
    one     bigint PRIMARY KEY CHECK (one = 1),
    version bigint NOT NULL
)
"""


COLUMNS = """
SELECT CAST(table_name AS text), CAST(column_name AS text)
FROM information_schema.columns WHERE table_schema = current_schema()
"""


async def present_schema(connection: Connection) -> int:
    """The number of the newest migration that was applied; 0 for an empty database.

    Raises StorageFailure where others have tables of the same names.
    """
    await _refuse_foreign(connection)
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        return 0
    version: int | None = await connection.fetchval("SELECT version FROM schema_version")
    return version or 0


async def _refuse_foreign(connection: Connection) -> None:
    """Who began with the schema wrote `schema_version` first, with a column `one`. Raises StorageFailure."""
    columns = {(row[0], row[1]) for row in await connection.fetch(COLUMNS)}
    if ("schema_version", "one") in columns:
        return
    scripts = "\n".join(script for _, script in migrations("postgres"))
    ours = {"schema_version", *re.findall(r"^CREATE TABLE (\w+)", scripts, re.MULTILINE)}
    if foreign := sorted({table for table, _ in columns} & ours):
        problem = f"The database has a table {foreign[0]} that is not of Palace."
        raise StorageFailure(f"{problem} Give it a database of its own, or a schema that is the user's search_path.")


async def ready(connection: Connection, migrations: Literal["auto", "manual"]) -> None:
    """Bring the schema up to date, if that is not left to a person.

    Raises NewerSchema, OlderSchema, and StorageFailure while an import is not finished.
    """
    if await connection.fetchval("SELECT to_regclass($1)", IMPORT_PROGRESS) is not None:
        raise StorageFailure("An import into this database is not finished: run the same `palace import` again.")
    if migrations == "auto":
        await migrate(connection)
    else:
        refuse_other(await present_schema(connection))


async def migrate(connection: Connection) -> int:
    """Apply what is missing, all in one transaction, and return the number of the newest.

    Raises NewerSchema, and StorageFailure like `present_schema`. Where nothing is missing, the user of the database may
    be one who makes no tables. The one row of `schema_version` is the lock: other servers that start at the same time
    wait for it.
    """
    newest = newest_schema()
    if await present_schema(connection) == newest:
        return newest
    await connection.execute(PATIENCE)
    try:
        await _begin(connection)
        async with connection.transaction():
            turn = "SELECT version FROM schema_version FOR UPDATE"
            present: Any = await connection.fetchval(turn, timeout=MOST_SECONDS)
            refuse_newer(present)
            for number, script in migrations("postgres"):
                if number > present:
                    await connection.execute(script, timeout=MOST_SECONDS)
            if newest > present:
                await connection.execute("UPDATE schema_version SET version = $1", newest)
    finally:
        await connection.execute(IMPATIENCE)
    return newest


async def _begin(connection: Connection) -> None:
    """Make sure that there is the row which remembers the newest migration. Several servers may do it at once."""
    for _ in range(3):
        try:
            await connection.execute(VERSION_TABLE)
            await connection.execute("INSERT INTO schema_version VALUES (1, 0) ON CONFLICT DO NOTHING")
        except asyncpg.UniqueViolationError:  # Another one made the same table at the same moment.
            continue
        return
