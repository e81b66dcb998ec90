"""Documents in one SQLite file, or in memory: reads at once, writes in groups that share one commit.

Everything runs on the event loop except COMMIT, which waits for the disk and therefore runs in a thread. While it does,
new writes queue up; they all become the next group. So a lone client waits for one commit, and many clients share one
(docs/decisions/0003-group-commit.md has the figures). In memory there is no disk to wait for, and one connection reads
and writes: nothing can be read between the begin and the end of a group (docs/decisions/0015-ephemeral.md).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import apsw

from palace.audit import Deed
from palace.changes import FOR_GOOD, Feed
from palace.clock import Clock
from palace.metrics import Meter
from palace.rates import Use
from palace.storage.auditing import write_deeds
from palace.storage.base import OutcomeUnknown, Overloaded, StorageFailure
from palace.storage.migrate import migrate, present_schema, refuse_other
from palace.storage.sqlite_statements import ReadingStatements, SqliteStatements
from palace.storage.store import Work
from palace.storage.transaction import Transaction

T = TypeVar("T")

LARGEST_GROUP = 256
MOST_WAITING = 1000
BUSY_MILLISECONDS = 10_000
IN_MEMORY = ":memory:"
TO_BE_WIPED = 1
"""The `application_id` of a file that still has bytes of what was taken away for good."""


@dataclass(slots=True)
class _Write:
    """Work for one transaction, which it shares with others unless it needs the whole database for itself."""

    work: Work[Any]
    done: asyncio.Future[Any]
    is_alone: bool = False
    result: Any = None
    error: Exception | None = None

    def finish(self) -> None:
        if self.done.done():  # The client went away; the write happened all the same.
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


class Image:
    """A whole store as it was at one moment, kept in memory."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(IN_MEMORY)


class SqliteStore:
    """One SQLite file, in WAL mode: one connection writes, another one reads what is committed.

    Without a path it is in memory, on one connection, and gone when it is closed.
    """

    is_shared = False
    """whether other servers work on the same database"""

    def __init__(
        self,
        path: Path | None,
        *,
        durability: Literal["full", "normal"] = "full",
        migrations: Literal["auto", "manual"] = "auto",
        most_waiting: int = MOST_WAITING,
        meter: Meter | None = None,
    ) -> None:
        """Open or create the file and bring its schema up to date, if that is not left to a person.

        Raises NewerSchema, OlderSchema and StorageFailure. While `most_waiting` writes wait for their turn, no other
        one may. The meter is told what the writer does.
        """
        try:
            self._writing = _connect(path, durability)
            if migrations == "auto" or path is None:
                migrate(self._writing)
            else:
                refuse_other(present_schema(self._writing))
            self._reading = self._writing if path is None else _connect(path, durability)
            self._reading.pragma("query_only", path is not None)
        except apsw.Error as error:
            raise StorageFailure(f"{path} cannot be opened as a database: {error}") from error
        self.reading = Transaction(ReadingStatements(self._reading))
        self._statements = SqliteStatements(self._writing)
        self._transaction = Transaction(self._statements)
        self._is_in_memory = path is None
        self._committer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._queue: deque[_Write] = deque()
        self._most_waiting = most_waiting
        self._meter = meter or Meter()
        self._clock = Clock()
        self._drain: asyncio.Task[None] | None = None
        self._feed: Feed | None = None

    async def transact(self, work: Work[T]) -> T:
        """See Store."""
        return await self._queued(work)

    async def image(self) -> Image:
        """Everything as it is now, to be put back later."""

        async def copy(_: Transaction) -> Image:
            image = Image()
            await self._waiting_for_disk(_copy, self._writing, image.connection)
            return image

        return await self._queued(copy, is_alone=True)

    async def put_back(self, image: Image, rewind: Callable[[], None]) -> None:
        """Make everything what it was when the image was made: after the writes that are queued, before all others.

        `rewind` does the same, at the same moment, to what lies outside the database. Raises StorageFailure.
        """

        async def copy(_: Transaction) -> None:
            await self._waiting_for_disk(_copy, image.connection, self._writing)
            rewind()
            if self._feed is not None:
                self._feed.lose()

        await self._queued(copy, is_alone=True)

    async def wipe(self) -> None:
        """See Store. The file is written anew, and the log of writes before that is emptied.

        `secure_delete` would not do: it leaves what was moved from page to page (docs/decisions/0031-seeing.md).
        """

        async def rewrite(_: Transaction) -> None:
            await self._waiting_for_disk(_rewrite, self._writing)
            self._writing.pragma("application_id", 0)

        if not self._is_in_memory:
            await self._queued(rewrite, is_alone=True)

    async def listen(self, feed: Feed) -> None:
        """See Store."""
        self._feed = feed
        if self._writing.pragma("application_id") == TO_BE_WIPED:
            feed.erased.set()

    @asynccontextmanager
    async def alone(self, *, unproven: bool = False) -> AsyncIterator[None]:
        """See Store. Who holds the data folder is alone."""
        del unproven
        yield

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """See Store. There is one server only."""
        yield

    async def share_rates(self, told: Sequence[Use]) -> Sequence[Use]:
        """See Store. There is one server only."""
        return told

    async def settle(self) -> None:
        """See Store."""
        if self._drain is not None:
            await self._drain

    async def close(self) -> None:
        """Finish the writes that are queued, then close the file."""
        await self.settle()
        self._committer.shutdown()
        self._reading.close()
        self._writing.close()

    async def _queued(self, work: Work[T], *, is_alone: bool = False) -> T:
        if len(self._queue) >= self._most_waiting:
            raise Overloaded(f"{len(self._queue)} writes wait for the database already.")
        write = _Write(work, asyncio.get_running_loop().create_future(), is_alone)
        self._queue.append(write)
        self._meter.set("writes_waiting", len(self._queue))
        if self._drain is None:
            self._drain = asyncio.create_task(self._drain_queue())
        result: T = await write.done
        return result

    async def _drain_queue(self) -> None:
        try:
            while self._queue:
                await self._gather()
                group, started = self._next_group(), self._clock.monotonic()
                await (self._run_alone(group[0]) if group[0].is_alone else self._commit_group(group))
                self._meter.committed(len(group), self._clock.monotonic() - started, len(self._queue))
                for write in group:
                    write.finish()
        finally:
            self._drain = None

    async def _gather(self) -> None:
        """Let the loop read on while each pass brings new writes: a commit costs more than a write, so share it.

        Measured: 1.2 times the throughput with 32 clients, 0.9 to 0.95 with 128; a lone client does not wait.
        """
        waiting = 0
        while waiting < len(self._queue) < LARGEST_GROUP:
            waiting = len(self._queue)
            await asyncio.sleep(0)

    def _next_group(self) -> list[_Write]:
        group = [self._queue.popleft()]
        while self._queue and len(group) < LARGEST_GROUP and not (group[0].is_alone or self._queue[0].is_alone):
            group.append(self._queue.popleft())
        return group

    async def _run_alone(self, write: _Write) -> None:
        try:
            write.result = await write.work(self._transaction)
        except Exception as error:
            write.error = StorageFailure(f"The database could not be copied or written anew: {error}")
            write.error.__cause__ = error

    async def _waiting_for_disk(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Carry out what waits for the disk: in a thread, where there is a disk."""
        if self._is_in_memory:
            work(*arguments)
        else:
            await asyncio.get_running_loop().run_in_executor(self._committer, work, *arguments)

    async def _commit_group(self, group: list[_Write]) -> None:
        """All of them in one transaction. A failed commit fails each: some may have read what others wrote."""
        connection = self._writing
        changes = connection.total_changes()
        while connection.in_transaction:  # In memory: a snapshot is being read.
            await asyncio.sleep(0)
        try:
            connection.execute("BEGIN IMMEDIATE")
            for write in group:
                await self._run(write)
            await self._log()
            if not self._is_in_memory and any(one.action in FOR_GOOD for one in self._deeds()):
                connection.pragma("application_id", TO_BE_WIPED)
            if connection.total_changes() == changes:
                connection.execute("COMMIT")
            else:
                await self._commit()
            if self._feed is not None:
                self._feed.tell(self._deeds())
        except (apsw.Error, OutcomeUnknown) as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._meter.count("store_failures")
            for write in group:
                write.error = (
                    error
                    if isinstance(error, OutcomeUnknown)
                    else StorageFailure(f"The database could not store the change: {error}")
                )
                write.error.__cause__ = error.__cause__ or error
        finally:
            self._transaction.back_to()

    def _deeds(self) -> list[Deed]:
        return [*self._transaction.deeds, *self._transaction.unlogged]

    async def _commit(self) -> None:
        """Raises OutcomeUnknown when the disk refuses to say whether it has it: a crash right now may bring it back."""
        try:
            await self._waiting_for_disk(self._writing.execute, "COMMIT")
        except apsw.IOError as error:
            raise OutcomeUnknown(f"The disk failed while it stored the change: {error}") from error

    async def _run(self, write: _Write) -> None:
        connection, known = self._writing, self._transaction.mark()
        connection.execute("SAVEPOINT write")
        try:
            write.result = await write.work(self._transaction)
        except apsw.Error:
            raise
        except Exception as error:
            connection.execute("ROLLBACK TO write")
            self._transaction.back_to(known)
            write.error = error
        connection.execute("RELEASE write")

    async def _log(self) -> None:
        """Write what the whole group did to the audit log."""
        transaction = self._transaction
        if transaction.sealed_with is not None and transaction.deeds:
            await write_deeds(self._statements, transaction.deeds, transaction.sealed_with)


def _copy(source: apsw.Connection, target: apsw.Connection) -> None:
    """Exchange what is in `target` for what is in `source`, at one stroke."""
    with target.backup("main", source, "main") as backup:
        backup.step()


def _rewrite(connection: apsw.Connection) -> None:
    """Write the file anew with what it holds. Raises StorageFailure while somebody reads an older state of it."""
    connection.execute("VACUUM")
    [(is_busy, *_)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if is_busy:
        raise StorageFailure("somebody reads it.")


def _connect(path: Path | None, durability: str) -> apsw.Connection:
    connection = apsw.Connection(IN_MEMORY if path is None else str(path))
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.pragma("journal_mode", "wal")  # In memory it stays what it is: there it is memory, too.
    connection.pragma("temp_store", "memory" if path is None else "default")
    connection.pragma("synchronous", durability)
    connection.pragma("foreign_keys", True)
    return connection
