"""Locks between servers, each held by a connection of its own for as long as a block lasts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from palace.storage.base import DatabaseInUse
from palace.storage.postgres_statements import ANY, QUERIES, Connection, failure

TURN_SECONDS = 60
LONG_TURN = (
    "BEGIN; SET LOCAL lock_timeout = '{seconds}s'; SET LOCAL statement_timeout = '{seconds}s'; "
    "SET LOCAL idle_in_transaction_session_timeout = 0"
)
CLOSE_SECONDS = 1.0


@asynccontextmanager
async def held(
    connect: Callable[[], Awaitable[Connection]], lock: Callable[[Connection], Awaitable[None]]
) -> AsyncIterator[None]:
    """A block during which a connection of its own holds a lock."""
    try:
        connection = await connect()
    except ANY as error:
        raise failure(error) from error
    try:
        await _locked(lock, connection)
        yield
    finally:
        with suppress(*ANY):
            await connection.close(timeout=CLOSE_SECONDS)


async def _locked(lock: Callable[[Connection], Awaitable[None]], connection: Connection) -> None:
    try:
        await lock(connection)
    except ANY as error:
        raise failure(error) from error


async def lock_alone(connection: Connection, *, unproven: bool) -> None:
    """No server works on the database, and none starts. Raises DatabaseInUse when one does, or nobody knows."""
    if not await connection.fetchval(QUERIES["lock_alone"].sql):
        raise DatabaseInUse("A server works on this database: stop all of them first.")
    if not unproven and not await connection.fetchval(QUERIES["sees_own_lock"].sql):
        problem = "This database cannot tell whether a server works on it."
        raise DatabaseInUse(f"{problem} Stop all of them, and say so with --no-server-runs.")


async def take_turn(connection: Connection) -> None:
    """Wait for the servers that are at it; then it is this one's turn."""
    await connection.execute(LONG_TURN.format(seconds=TURN_SECONDS))
    await connection.execute(QUERIES["take_turn"].sql, timeout=TURN_SECONDS)
