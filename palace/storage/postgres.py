"""Documents in PostgreSQL, for any number of servers: writes in groups that share their statements and one commit.

The works that wait when a group begins are done together, by `postgres_groups`, in one transaction. What it reads to
change it locks, so that no other server changes it meanwhile; every write is guarded by the revision it started from
all the same. What cannot be shared, and what a group failed to do, is done in a transaction of its own, a few at once.

Tried again for a while: deadlocks, locks that others hold, serialisation failures, connections that break before the
commit. A connection that breaks during the commit leaves open whether it took place, so that is not tried again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import asyncpg

from palace.audit import Deed
from palace.changes import Feed
from palace.clock import Clock
from palace.metrics import Meter
from palace.rates import Use
from palace.settings import HOW_URLS_ARE, database_shown
from palace.storage.auditing import write_deeds
from palace.storage.base import OutcomeUnknown, Overloaded, StorageFailure
from palace.storage.crew import Crew
from palace.storage.migrate_postgres import ready
from palace.storage.postgres_groups import Group, Questions
from palace.storage.postgres_locks import held, lock_alone, take_turn
from palace.storage.postgres_reading import Pauses, Pool, PooledStatements
from palace.storage.postgres_statements import (
    ANY,
    GONE,
    QUERIES,
    TRANSIENT,
    Connection,
    DirectStatements,
    columns,
    failure,
)
from palace.storage.postgres_telling import Telling
from palace.storage.store import Work
from palace.storage.transaction import Transaction

T = TypeVar("T")

LARGEST_GROUP = 256
MOST_WAITING = 1000
GROUPS_AT_ONCE = 2
"""While the database works for one, the server works on the other."""
PATIENCE_SECONDS = 5.0
LOCK_SECONDS = 1.0
SHORTEST_POOL = 4
"""connections: for the groups, for a work of its own, for reading"""


@dataclass(slots=True)
class _Write:
    work: Work[Any]
    done: asyncio.Future[Any]

    def finish(self, result: Any, error: Exception | None) -> None:
        if self.done.done():  # The client went away; the write happened all the same.
            return
        if error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(result)


class PostgresStore:
    """A database of PostgreSQL, or of what speaks its protocol. Made by `open_postgres`."""

    is_shared = True
    """whether other servers work on the same database"""

    def __init__(
        self, pool: "asyncpg.Pool[Any]", connect: Callable[[], Awaitable[Connection]], most_waiting: int, meter: Meter
    ) -> None:
        """While `most_waiting` writes wait, no other one may. The meter is told what the writer does.

        `connect` opens connections that are not of the pool, for what holds one for long.
        """
        self.pool = Pool(pool, PATIENCE_SECONDS)
        self._connect = connect
        statements = PooledStatements(self.pool)
        self.reading = Transaction(statements)
        self._telling = Telling(connect, statements.keys.forget)
        self._minute = 0
        self._queue: deque[_Write] = deque()
        self._drains = Crew(GROUPS_AT_ONCE, self._drain_queue)
        self._alone: set[asyncio.Task[None]] = set()
        self._waiting_alone = 0
        self._most_waiting = most_waiting
        self._meter = meter
        self._clock = Clock()

    async def transact(self, work: Work[T]) -> T:
        """See Store."""
        if self._waiting >= self._most_waiting:
            raise Overloaded(f"{self._waiting} writes wait for the database already.")
        write = _Write(work, asyncio.get_running_loop().create_future())
        self._queue.append(write)
        self._measure()
        self._drains.call()
        result: T = await write.done
        return result

    @property
    def _waiting(self) -> int:
        return len(self._queue) + self._waiting_alone

    def _measure(self) -> None:
        connections, idle = self.pool.pool.get_size(), self.pool.pool.get_idle_size()
        self._meter.set("writes_waiting", self._waiting)
        self._meter.set("database_connections/busy", connections - idle)
        self._meter.set("database_connections/idle", idle)

    async def listen(self, feed: Feed) -> None:
        """See Store."""
        await self._telling.listen(feed)

    @asynccontextmanager
    async def alone(self, *, unproven: bool = False) -> AsyncIterator[None]:
        """See Store."""
        async with held(self._connect, lambda connection: lock_alone(connection, unproven=unproven)):
            yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """See Store."""
        async with held(self._connect, take_turn):
            yield

    async def share_rates(self, told: Sequence[Use]) -> list[Use]:
        """Add what this server let pass to what all did, and return the totals. Raises StorageFailure.

        When the connection breaks it is told twice, which errs on the strict side.
        """
        lines, minute = [use._asdict() for use in told], max(use.window for use in told)

        async def add(connection: Connection) -> list[Any]:
            if minute != self._minute:
                await DirectStatements(connection).change("forget_rates", minute=minute - 1)
                self._minute = minute
            return await connection.fetch(QUERIES["add_rates"].sql, *columns(lines, "add_rates"))

        return [Use(*row) for row in await self.pool.carry_out(add)]

    async def wipe(self) -> None:
        """See Store. Old versions of rows are overwritten when PostgreSQL vacuums them."""

    async def settle(self) -> None:
        """See Store."""
        while self._drains.tasks or self._alone:
            await asyncio.gather(*self._drains.tasks, *self._alone)

    async def close(self) -> None:
        """Finish the writes that are under way, then close the connections."""
        await self.settle()
        await self._telling.close()
        await self.pool.pool.close()

    # --- Together -----------------------------------------------------------------------------------------------------

    async def _drain_queue(self) -> None:
        while self._queue:
            await self._gather()
            writes = [self._queue.popleft() for _ in range(min(len(self._queue), LARGEST_GROUP))]
            if writes:  # Else another group took them.
                started = self._clock.monotonic()
                await self._together(writes)
                self._meter.committed(len(writes), self._clock.monotonic() - started, self._waiting)

    async def _gather(self) -> None:
        """Let the loop read on while each pass brings new writes: a commit costs more than a write, so share it."""
        waiting = 0
        while waiting < len(self._queue) < LARGEST_GROUP:
            waiting = len(self._queue)
            await asyncio.sleep(0)

    async def _together(self, writes: list[_Write]) -> None:
        group = Group([write.work for write in writes])
        try:
            asked = group.run()
            if asked or group.is_writing:  # Else all of them failed, or want a transaction of their own.
                async with self.pool.connection() as connection:
                    await _committed(connection, lambda: _carry_out(group, asked, connection), lambda: group.is_writing)
        except OutcomeUnknown as error:
            self._telling.lose()
            self._meter.count("store_failures")
            for write, member in zip(writes, group.members, strict=True):
                if member.has_written:
                    write.finish(None, error)
                else:  # It stored nothing; what it found may have been what others of the group had written.
                    self._each_alone([write])
            return
        except ANY:  # Also where it is the fault of one of them: only that one fails then.
            self._meter.count("store_retries", len(writes))
            self._each_alone(writes)
            return
        except Exception as error:
            self._meter.count("store_failures")
            for write in writes:
                write.finish(None, error)
            return
        self._telling.tell([*group.deeds, *group.unlogged])
        for write, member in zip(writes, group.members, strict=True):
            if member.needs_own and member.error is None:
                self._each_alone([write])
            else:
                write.finish(member.result, member.error)

    # --- Alone --------------------------------------------------------------------------------------------------------

    def _each_alone(self, writes: Sequence[_Write]) -> None:
        for write in writes:
            self._waiting_alone += 1
            task = asyncio.create_task(self._do_alone(write))
            self._alone.add(task)
            task.add_done_callback(self._alone.discard)

    async def _do_alone(self, write: _Write) -> None:
        result, error = None, None
        try:
            result = await self._tried_alone(write.work)
        except Exception as problem:
            error = problem
            if isinstance(error, OutcomeUnknown):
                self._telling.lose()
            if isinstance(error, StorageFailure):
                self._meter.count("store_failures")
        self._waiting_alone -= 1  # Before the end of this task: who waits for the result may write at once.
        write.finish(result, error)

    async def _tried_alone(self, work: Work[T]) -> T:
        pauses = Pauses(self.pool.patience_seconds)
        while True:
            try:
                async with self.pool.connection() as connection:
                    result, deeds = await _committed(connection, lambda: _carry_out_alone(work, connection))
                self._telling.tell(deeds)
                return result
            except TRANSIENT as error:
                self._meter.count("store_retries")
                await pauses.rest(error)
            except asyncpg.PostgresError as error:
                raise failure(error) from error


async def _carry_out(group: Group, asked: list[Questions], connection: Connection) -> None:
    """Ask what the works ask until all are done, and write what they write."""
    direct = DirectStatements(connection)
    while asked:
        for questions in asked:
            group.answer(questions, await _answers(questions, connection))
        asked = group.run()
    await _store_replaced(group, connection)
    runs: dict[str, list[Mapping[str, Any]]] = {}
    for statement, values in group.writes:
        if f"{statement}s" in QUERIES:
            runs.setdefault(statement, []).append(values)
        else:
            await direct.change(statement, **values)
    for statement, lines in runs.items():
        await direct.many(statement, lines)
    if group.deeds and group.chain is not None:
        await write_deeds(direct, group.deeds, group.chain)


async def _answers(questions: Questions, connection: Connection) -> list[Any]:
    return await connection.fetch(QUERIES[questions.statement].sql, *columns(questions.asked, questions.statement))


async def _store_replaced(group: Group, connection: Connection) -> None:
    if not group.replaced:
        return
    names = ("kind", "id", "owner", "revision", "created_at", "updated_at", "body", "secrets", "etag", "base", "seq")
    lines = [{**dict(zip(names, new.row, strict=True)), "was": new.was} for new in group.replaced.values()]
    status = await connection.execute(QUERIES["replace_documents"].sql, *columns(lines, "replace_documents"))
    if int(status.rpartition(" ")[2]) != len(lines):
        raise asyncpg.SerializationError("a document that was locked was changed")


async def _carry_out_alone(work: Work[T], connection: Connection) -> tuple[T, Sequence[Deed]]:
    statements = DirectStatements(connection)
    transaction = Transaction(statements)
    result = await work(transaction)
    if transaction.deeds and transaction.sealed_with is not None:
        await write_deeds(statements, transaction.deeds, transaction.sealed_with)
    return result, [*transaction.deeds, *transaction.unlogged]


async def _committed(
    connection: Connection, work: Callable[[], Awaitable[T]], has_written: Callable[[], bool] = lambda: True
) -> T:
    """What `work` returns, once what it wrote is on disk. When it raises, nothing is stored."""
    try:
        await connection.execute("BEGIN")
        result = await work()
        if connection.is_closed():  # Nobody asks it to commit, so nothing was.
            raise asyncpg.ConnectionDoesNotExistError("the connection broke before the commit")
    except BaseException:
        await _roll_back(connection)
        raise
    try:
        status = await connection.execute("COMMIT")
    except GONE as error:
        _abandon(connection)
        if not has_written():
            raise
        problem = "The connection to the database broke while it stored the change."
        raise OutcomeUnknown(problem) from error
    if status != "COMMIT":  # Of a transaction in which something failed, PostgreSQL says ROLLBACK and no more.
        raise asyncpg.InFailedSQLTransactionError("nothing of the transaction was stored")
    return result


async def _roll_back(connection: Connection) -> None:
    try:
        await connection.execute("ROLLBACK")
    except ANY:
        _abandon(connection)


def _abandon(connection: Connection) -> None:
    """Close it at once. One that broke may have left the pool already, which is no other error than that it broke."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


# --- Opening ----------------------------------------------------------------------------------------------------------


async def open_postgres(
    url: str,
    *,
    most_connections: int,
    statement_seconds: float,
    migrations: Literal["auto", "manual"] = "auto",
    most_waiting: int = MOST_WAITING,
    meter: Meter | None = None,
) -> PostgresStore:
    """Connect, and bring the schema up to date, if that is not left to a person.

    Raises StorageFailure, NewerSchema and OlderSchema.
    """
    options: dict[str, Any] = {
        "timeout": PATIENCE_SECONDS,
        "command_timeout": 2 * statement_seconds,
        "statement_cache_size": 512,
        "server_settings": {
            "application_name": "palace",
            "statement_timeout": str(int(1000 * statement_seconds)),
            "lock_timeout": str(int(1000 * LOCK_SECONDS)),
            "idle_in_transaction_session_timeout": str(int(2000 * statement_seconds)),
            "jit": "off",
        },
    }
    pool = await asyncpg.create_pool(
        url,
        min_size=0,  # Else the client logs at length that it cannot keep one while the database is away.
        max_size=max(most_connections, SHORTEST_POOL),
        max_inactive_connection_lifetime=0,
        reset=_leave_as_it_is,
        **options,
    )
    try:
        async with pool.acquire() as connection:
            await ready(connection, migrations)
    except ValueError:  # It may quote a part of the password, so nobody is to see it.
        await pool.close()
        raise StorageFailure(f"The URL of the database cannot be read. {HOW_URLS_ARE}") from None
    except ANY as error:
        await pool.close()
        raise _unusable(url, error) from error
    except BaseException:
        await pool.close()
        raise
    return PostgresStore(pool, lambda: asyncpg.connect(url, **options), most_waiting, meter or Meter())


def _unusable(url: str, error: Exception) -> StorageFailure:
    is_gone = isinstance(error, GONE)
    how, hint = (
        ("reached", " Does PostgreSQL run there, and is the URL right (--database)?") if is_gone else ("used", "")
    )
    said = str(error).rstrip(".") or type(error).__name__
    return StorageFailure(f"The database {database_shown(url)} cannot be {how}: {said}.{hint}")


async def _leave_as_it_is(_: Any) -> None:
    """No transaction, no setting and no lock outlives the use of a connection: none needs cleaning."""
