"""Locks between servers, each held by a connection of its own for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from palace.storage.base import DatabaseInUse, StorageFailure
from palace.storage.postgres_statements import ANY, QUERIES, Connection, failure

TURN_SECONDS = 60
LONG_TURN = (
    "BEGIN; SET LOCAL lock_timeout = '{seconds}s'; SET LOCAL statement_timeout = '{seconds}s'; "
    "SET LOCAL idle_in_transaction_session_timeout = 0"
)
CLOSE_SECONDS = 1.0
ANSWER_SECONDS = 5.0
LOOKS, SECONDS_BETWEEN_LOOKS = 50, 0.1
"""at a lock: the session of who held it may outlive its process by a moment"""


@asynccontextmanager
async def held(
    connect: Callable[[], Awaitable[Connection]], lock: Callable[[Connection], Awaitable[None]]
) -> AsyncIterator[None]:
    """A block during which a connection of its own holds a lock. Where that is lost, it ends with a StorageFailure."""
    try:
        connection = await connect()
    except ANY as error:
        raise failure(error) from error
    try:
        await _locked(lock, connection)
        async with _unbroken(connection):
            yield
    finally:
        with suppress(*ANY):
            await connection.close(timeout=CLOSE_SECONDS)


@asynccontextmanager
async def _unbroken(connection: Connection) -> AsyncIterator[None]:
    """A block that is cancelled when the connection breaks, as the lock went with it. Raises StorageFailure then."""
    task = asyncio.current_task()
    assert task is not None
    was_cancelled, is_broken, is_over = task.cancelling(), False, False

    def end(_: object) -> None:
        nonlocal is_broken
        if not is_over:
            is_broken = True
            task.cancel()

    connection.add_termination_listener(end)
    try:
        yield
        await asyncio.sleep(0)  # A loss that was noticed during the last step is told here, and not after the block.
    except asyncio.CancelledError:
        if not is_broken or task.uncancel() > was_cancelled:
            raise
        problem = "The connection to the database broke, and with it the lock that keeps others out. Try again."
        raise StorageFailure(problem) from None
    finally:
        is_over = True


async def _locked(lock: Callable[[Connection], Awaitable[None]], connection: Connection) -> None:
    try:
        await lock(connection)
    except ANY as error:
        raise failure(error) from error


async def granted(lock: str, connection: Connection) -> bool:
    """Whether the lock is granted, for as long as the connection lasts; who is just leaving is waited for."""
    for look in range(LOOKS):
        if look:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        if await connection.fetchval(QUERIES[lock].sql, timeout=ANSWER_SECONDS):
            return True
    return False


async def lock_alone(connection: Connection, *, unproven: bool) -> None:
    """No server works on the database, and none starts. Raises DatabaseInUse when one does, or nobody knows."""
    if not await granted("lock_alone", connection):
        raise DatabaseInUse("A server works on this database: stop all of them first.")
    if not unproven and not await connection.fetchval(QUERIES["sees_own_lock"].sql):
        problem = "This database cannot tell whether a server works on it."
        raise DatabaseInUse(f"{problem} Stop all of them, and say so with --no-server-runs.")


async def take_turn(connection: Connection) -> None:
    """Wait for the servers that are at it; then it is this one's turn."""
    await connection.execute(LONG_TURN.format(seconds=TURN_SECONDS))
    await connection.execute(QUERIES["take_turn"].sql, timeout=TURN_SECONDS)
