"""What the servers on one database tell each other, through LISTEN and NOTIFY: what changed, which keys were revoked.

NOTIFY is not part of the transactions it tells of: there it would take a lock at the commit, one for all databases.
What was committed is told afterwards, bundled, over a connection that does nothing else. So it may be lost, when a
server dies or a connection breaks. Whoever connects anew takes it that something was lost: keys are asked for again,
and those who listen for changes are told to look.

Databases that have no LISTEN keep going without: a revoked key is then believed for KEY_SECONDS longer, and those who
listen hear of the changes of their own server only, and are told so.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import orjson
import structlog

from palace.audit import Deed
from palace.changes import Feed
from palace.storage.base import DatabaseInUse
from palace.storage.postgres_locks import ANSWER_SECONDS, granted
from palace.storage.postgres_statements import ANY, GONE, QUERIES, Connection, failure

CHANNEL = "palace"
MOST_BYTES = 7900
"""of one notification: PostgreSQL takes 7,999"""
MOST_UNTOLD = 10_000
BUNDLE_SECONDS = 0.02
"""Changes of so long a time are told together: 50 short transactions a second at most, whatever happens."""
PING_SECONDS = 10.0
LAST_WORDS_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
KEYS, LOST, NOTHING = ["keys"], ["lost"], "[]"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace")


class Telling:
    """One server's end: `connect` opens a connection of its own, `forget_keys` is called when a key may be revoked."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], forget_keys: Callable[[], None]) -> None:
        self._connect = connect
        self._forget_keys = forget_keys
        self._feed: Feed | None = None
        self._untold: deque[Deed] = deque()
        self._has_lost = False
        self._is_over = False
        self._has_channel = True
        """whether the database has LISTEN and NOTIFY"""
        self._work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def tell(self, deeds: Sequence[Deed]) -> None:
        """This was committed. Others hear of it soon."""
        if self._feed is not None:
            self._feed.tell(deeds)
        if len(self._untold) > MOST_UNTOLD:
            self._untold = deque(deed for deed in self._untold if _is_revocation(deed))
            self._has_lost = True
        self._untold.extend(deeds)
        self._work.set()

    def lose(self) -> None:
        """Nobody knows what was committed: everybody should look, here and elsewhere."""
        self._has_lost = True
        if self._feed is not None:
            self._feed.lose()
        self._work.set()

    async def listen(self, feed: Feed) -> None:
        """Hear what others tell, from now on until `close`. Raises DatabaseInUse, StorageFailure."""
        self._feed = feed
        try:
            connection = await self._open()
        except ANY as error:
            raise failure(error) from error
        self._task = asyncio.create_task(self._keep_talking(connection))

    async def close(self) -> None:
        """Tell what is left, as far as that can be done at once."""
        self._is_over = True
        self._work.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=LAST_WORDS_SECONDS)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        elif lines := self._lines():
            with suppress(*ANY):
                connection = await self._connect()
                try:
                    await _notify(connection, lines)
                finally:
                    await connection.close(timeout=ANSWER_SECONDS)

    # --- The connection -----------------------------------------------------------------------------------------------

    async def _open(self) -> Connection:
        connection = await self._connect()
        try:
            await self._begin(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _begin(self, connection: Connection) -> None:
        """Listen; and hold the lock that says that a server works here. Raises DatabaseInUse."""
        try:
            if not await granted("lock_as_server", connection):
                raise DatabaseInUse(
                    "The master key of this database is being changed: start the server when that is done."
                )
            await connection.add_listener(CHANNEL, self._hear)
            await _notify(connection, [NOTHING])
            self._has_channel = True
        except GONE:
            raise
        except asyncpg.PostgresError as error:
            log.warning("the database has no LISTEN: this server does not hear of others at once", problem=str(error))
            self._has_channel = False
        if self._feed is not None:
            self._feed.hears_all = self._has_channel
        connection.add_termination_listener(lambda _: self._work.set())

    async def _keep_talking(self, connection: Connection) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._is_over:
            try:
                await self._talk(connection)
            except (*ANY, DatabaseInUse) as error:
                log.warning("the connection to the other servers broke", problem=f"{type(error).__name__}: {error}")
            finally:
                connection.terminate()
            while connection.is_closed() and not self._is_over:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                with suppress(*ANY, DatabaseInUse):
                    connection = await self._open()
            pause = FIRST_PAUSE_SECONDS
            self._forget_keys()
            self.lose()  # What was told meanwhile, and perhaps what this server told last.

    async def _talk(self, connection: Connection) -> None:
        """Tell what there is to tell; now and then nothing, to see whether the connection is still one."""
        while not self._is_over:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_SECONDS):
                    await self._work.wait()
            self._work.clear()
            lines = self._lines()
            if self._has_channel:
                await _notify(connection, lines)
            else:
                await connection.execute("SELECT 1", timeout=ANSWER_SECONDS)
            await asyncio.sleep(BUNDLE_SECONDS)

    # --- What is said -------------------------------------------------------------------------------------------------

    def _lines(self) -> list[str]:
        """All that is to be told, as texts that notifications can carry."""
        deeds, self._untold = self._untold, deque()
        lines = []
        if any(map(_is_revocation, deeds)):
            self._forget_keys()
            lines.append(orjson.dumps(KEYS).decode())
        if self._has_lost:
            self._has_lost = False
            lines.append(orjson.dumps(LOST).decode())
        return lines + [f"[{','.join(bundle)}]" for bundle in _bundles(filter(_is_news, deeds))]

    def _hear(self, connection: Any, process: int, channel: str, text: object) -> None:
        del channel
        if process == connection.get_server_pid():
            return
        try:
            self._understand(orjson.loads(str(text)))
        except (ValueError, TypeError, IndexError):  # Whoever may connect to the database may notify.
            log.warning("a notification that no server sent")

    def _understand(self, said: Any) -> None:
        if said == KEYS:
            self._forget_keys()
        if self._feed is None:
            return
        if said == KEYS:
            self._feed.wake()
        elif said == LOST:
            self._feed.lose()
        else:
            self._feed.tell([Deed("", account, None, *what, int(number)) for account, *what, number in said])  # type: ignore[call-arg]


def _is_revocation(deed: Deed) -> bool:
    return deed.kind == "key" and deed.action == "revoke"


def _is_news(deed: Deed) -> bool:
    """Whether somebody may want to know: whose account listens, or whose key it was."""
    return (deed.revision is not None and deed.account > 0) or _is_revocation(deed)


def _bundles(deeds: Iterator[Deed]) -> Iterator[list[str]]:
    """Deeds that concern objects, so many together as one notification can carry."""
    bundle: list[str] = []
    size = 0
    for deed in deeds:
        if deed.revision is None:
            continue
        text = orjson.dumps((deed.account, deed.action, deed.kind, deed.id, deed.revision))
        if bundle and size + len(text) > MOST_BYTES:
            yield bundle
            bundle, size = [], 0
        bundle.append(text.decode())
        size += len(text) + 1
    if bundle:
        yield bundle


async def _notify(connection: Connection, lines: Sequence[str]) -> None:
    await connection.execute(QUERIES["notify"].sql, CHANNEL, list(lines), timeout=ANSWER_SECONDS)
