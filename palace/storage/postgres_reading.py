"""Reading from PostgreSQL: the same question from many requests is asked once, for all of them.

While a question is on its way, those that come meanwhile wait and go together, as writes do. A lone request does not
wait; with many, one round trip serves them all.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg

from palace.storage.base import StorageFailure, Unreadable
from palace.storage.crew import Crew
from palace.storage.postgres_statements import ANY, GONE, QUERIES, Connection, DirectStatements, columns, failure

T = TypeVar("T")

TOGETHER = {"read_document": "read_documents", "find_key": "find_keys"}
MOST_TOGETHER = 256
ON_THE_WAY = 2
"""of each question at once"""
KEY_SECONDS = 1.0
"""How long the account behind a key is believed without asking again, when no word comes that the key was revoked."""
MOST_KEYS = 10_000
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0


class Pool:
    """Connections to the database, which are tried again for a while when it is away."""

    def __init__(self, pool: "asyncpg.Pool[Any]", patience_seconds: float) -> None:
        self.pool = pool
        self.patience_seconds = patience_seconds

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One that is free. Trouble in giving it back is none: what was done with it is done, and not done again."""
        connection = await self.pool.acquire(timeout=self.patience_seconds)
        try:
            yield connection
        finally:
            with suppress(*ANY):
                await self.pool.release(connection)

    async def carry_out(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Work that may be done again, as it stores nothing. Raises Unreadable."""
        pauses = Pauses(self.patience_seconds, Unreadable)
        while True:
            try:
                async with self.connection() as connection:
                    return await work(connection)
            except GONE as error:
                await pauses.rest(error)
            except asyncpg.PostgresError as error:
                raise failure(error, Unreadable) from error


class Pauses:
    """The time between tries: it doubles, and ends when patience does, with this kind of failure."""

    def __init__(self, patience_seconds: float, kind: type[StorageFailure] = StorageFailure) -> None:
        self._kind = kind
        self._until = asyncio.get_running_loop().time() + patience_seconds
        self._next = FIRST_PAUSE_SECONDS

    async def rest(self, error: Exception) -> None:
        """Wait before the next try. Raises StorageFailure when there is no time for one."""
        if asyncio.get_running_loop().time() + self._next > self._until:
            raise failure(error, self._kind) from error
        await asyncio.sleep(self._next)
        self._next = min(2 * self._next, LONGEST_PAUSE_SECONDS)


class PooledStatements:
    """Reading statements, each over whatever connection is free."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._questions = {name: _Question(many, pool) for name, many in TOGETHER.items()}
        self.keys = Keys()

    async def rows(self, statement: str, /, **values: Any) -> list[Any]:
        """See Statements, as for all of these."""
        return await self._pool.carry_out(lambda it: _reading(it).rows(statement, **values))

    async def row(self, statement: str, /, **values: Any) -> Any:
        question = self._questions.get(statement)
        if statement == "find_key":
            assert question is not None
            return await self.keys.look_up(values["digest"], lambda: question.ask(values))
        if question is not None:
            return await question.ask(values)
        return await self._pool.carry_out(lambda it: _reading(it).row(statement, **values))

    async def change(self, statement: str, /, **_values: Any) -> int:
        raise StorageFailure(f"{statement} writes; this reads.")

    async def many(self, statement: str, _lines: Sequence[Mapping[str, Any]], /) -> None:
        raise StorageFailure(f"{statement} writes; this reads.")

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        raise StorageFailure("What reads does not write.")
        yield

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[DirectStatements]:
        try:
            async with AsyncExitStack() as stack:
                yield _reading(await self._begun(stack))
        except ANY as error:
            raise failure(error, Unreadable) from error

    async def _begun(self, stack: AsyncExitStack) -> Connection:
        """A connection in a transaction that sees one state; both end with the stack."""
        pauses = Pauses(self._pool.patience_seconds, Unreadable)
        while True:
            try:
                async with AsyncExitStack() as trial:
                    connection = await trial.enter_async_context(self._pool.connection())
                    snapshot = connection.transaction(isolation="repeatable_read", readonly=True)
                    await trial.enter_async_context(snapshot)
                    stack.push_async_exit(trial.pop_all())
                    return connection
            except GONE as error:
                await pauses.rest(error)


def _reading(connection: Connection) -> DirectStatements:
    return DirectStatements(connection, is_writing=False)


class _Question:
    """One kind of question, and who waits for an answer to it."""

    def __init__(self, many: str, pool: Pool) -> None:
        self._many = many
        self._pool = pool
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[Any]]] = []
        self._on_the_way = Crew(ON_THE_WAY, self._ask_all)

    async def ask(self, values: dict[str, Any]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((values, answer))
        self._on_the_way.call()
        return await answer

    async def _ask_all(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
            try:
                found = await self._pool.carry_out(lambda it, asked=asked: self._found(it, asked))  # type: ignore[misc]
            except Exception as error:
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for place, (_, answer) in enumerate(asked, 1):
                if not answer.done():  # Else the client went away.
                    answer.set_result(found.get(place))

    async def _found(
        self, connection: Connection, asked: Sequence[tuple[dict[str, Any], object]]
    ) -> dict[int, tuple[Any, ...]]:
        arguments = columns([values for values, _ in asked], self._many)
        rows = await connection.fetch(QUERIES[self._many].sql, *arguments)
        return {row[0]: tuple(row)[1:] for row in rows}


class Keys:
    """What keys opened a moment ago. A key that is not known is asked for each time."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, Any]] = {}

    async def look_up(self, digest: bytes, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The row of the key, asked for unless it was lately."""
        now = asyncio.get_running_loop().time()
        known = self._known  # An answer that comes after `forget` may be from before it: it is not kept where all look.
        found = known.get(digest)
        if found is not None and found[0] > now:
            return found[1]
        row = await ask()
        if row is None:
            known.pop(digest, None)
            return None
        if len(known) >= MOST_KEYS:
            known.clear()
        known[digest] = (now + KEY_SECONDS, row)
        return row

    def forget(self) -> None:
        """Ask again for every key: one of them may have been revoked."""
        self._known = {}
