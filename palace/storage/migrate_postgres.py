"""The schema on PostgreSQL: numbered SQL files, applied once each, in order, by one server at a time."""

from typing import Any

import asyncpg

from palace.storage.migrate import NewerSchema, migrations
from palace.storage.postgres_statements import Connection

VERSION_TABLE = """
CREATE TABLE IF NOT EXISTS schema_version (
    one     bigint PRIMARY KEY CHECK (one = 1),
    version bigint NOT NULL
)
"""


async def migrate(connection: Connection) -> int:
    """Apply what is missing, all in one transaction, and return the number of the newest. Raises NewerSchema.

    The one row of `schema_version` is the lock: other servers that start at the same time wait for it.
    """
    known = migrations("postgres")
    newest = known[-1][0]
    await connection.execute("SET lock_timeout = '60s'")
    try:
        await _begin(connection)
        async with connection.transaction():
            present: Any = await connection.fetchval("SELECT version FROM schema_version FOR UPDATE")
            if present > newest:
                raise NewerSchema(f"The database has schema {present}; this server knows schemas up to {newest}.")
            for number, script in known:
                if number > present:
                    await connection.execute(script)
            if newest > present:
                await connection.execute("UPDATE schema_version SET version = $1", newest)
    finally:
        await connection.execute("RESET lock_timeout")
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
