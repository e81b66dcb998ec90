"""What every store tells a feed; and what the servers on one database tell each other."""

import asyncio
import os
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest

from palace.audit import Chain, Deed
from palace.changes import Feed
from palace.storage import DatabaseInUse, Record, postgres_locks, postgres_reading
from palace.storage.postgres import open_postgres
from palace.storage.postgres_reading import Keys
from palace.storage.postgres_statements import QUERIES
from tests.postgres import new_database

CHAIN = Chain(b"k" * 32)
TIME = "2026-01-01T00:00:00.000000Z"


def deed(number: int, account: int = 1, id: str = "p1") -> Deed:
    return Deed(TIME, account, "k1", "patch", "pal", id, number, "r-1")


def told(events) -> list:
    return [event.deed.revision if event.deed else event.name for event in events]


async def next_of(listener, count: int = 1) -> list:
    found: list = []
    while len(found) < count:
        events = await listener.next(5)
        assert events, f"only {found} came"
        found += told(events)
    return found


@pytest.mark.parametrize("chain", [CHAIN, None], ids=["logged", "not logged"])
def test_what_was_committed_is_told_and_nothing_else(play, chain):
    async def failing(tx):
        await tx.add_audit(deed(2), chain)
        raise ValueError

    async def rehearsed(tx):
        async with tx.rehearsal():
            await tx.add_audit(deed(3), chain)

    async def scene(store):
        feed = Feed("f")
        await store.transact(lambda tx: tx.add_audit_head(CHAIN.start()))
        await store.listen(feed)
        with feed.listening(1) as listener:
            works = [lambda tx: tx.add_audit(deed(1), chain), failing, rehearsed]
            works.append(lambda tx: tx.add_audit(deed(4), chain))
            await asyncio.gather(*map(store.transact, works), return_exceptions=True)
            assert sorted(await next_of(listener, 3), key=str) == [1, 4, "ready"]

    play(scene)


# --- Several servers --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(url: str):
    store = await open_postgres(url, most_connections=4, statement_seconds=10)
    try:
        yield store
    finally:
        await store.close()


def on_two(scene) -> None:
    """A scene with two servers' stores on one database, which both have a feed that hears the other."""
    url = new_database()

    async def act() -> None:
        async with opened(url) as a, opened(url) as b:
            await a.transact(lambda tx: tx.add_audit_head(CHAIN.start()))
            feeds = Feed("a"), Feed("b")
            await a.listen(feeds[0])
            await b.listen(feeds[1])
            await scene(url, a, b, *feeds)

    asyncio.run(act())


def test_what_one_server_stored_all_tell_once():
    async def scene(_url, a, b, feed_a, feed_b):
        with feed_a.listening(1) as on_a, feed_b.listening(1) as on_b, feed_b.listening(2) as other:
            for number in range(1, 6):
                await (a, b)[number % 2].transact(lambda tx, n=number: tx.add_audit(deed(n), CHAIN))
            assert sorted(await next_of(on_a, 6), key=str) == [1, 2, 3, 4, 5, "ready"]
            assert sorted(await next_of(on_b, 6), key=str) == [1, 2, 3, 4, 5, "ready"]
            await asyncio.sleep(0.1)
            assert told(await on_a.next(0.01)) == told(await on_b.next(0.01)) == []
            assert told(await other.next(0.01)) == ["ready"]

    on_two(scene)


def test_very_many_changes_and_long_ids_arrive_whole():
    async def scene(_url, a, _b, _feed_a, feed_b):
        with feed_b.listening(1) as listener:
            await next_of(listener)

            async def many(tx):
                for number in range(1, 401):
                    await tx.add_audit(deed(number, id=f"Zoë 'x' {number:>200}"), CHAIN)

            await a.transact(many)
            assert await next_of(listener, 400) == list(range(1, 401))

    on_two(scene)


async def new_key(store) -> bytes:
    digest = os.urandom(32)

    async def insert(tx):
        account = await tx.find_account("one") or await tx.insert_account("one", TIME)
        await tx.insert_key(key_id="k1", digest=digest, account=account, label="", hint="", created_at=TIME)

    await store.transact(insert)
    return digest


async def revoke(store) -> None:
    async def end(tx):
        await tx.revoke_key("k1", TIME)
        await tx.add_audit(Deed(TIME, 1, None, "revoke", "key", "k1"), CHAIN)

    await store.transact(end)


@pytest.fixture
def believed_for_long(monkeypatch):
    """What ends a key is the word of another server, and not that its time is over."""
    monkeypatch.setattr(postgres_reading, "KEY_SECONDS", 3600)


async def is_revoked_soon(store, digest: bytes) -> None:
    async with asyncio.timeout(20):
        while (await store.reading.find_key(digest))[3] is None:
            await asyncio.sleep(0.005)


def test_a_revoked_key_opens_nothing_any_more_at_once_on_every_server(believed_for_long):
    async def scene(_url, a, b, _feed_a, _feed_b):
        digest = await new_key(a)
        assert (await b.reading.find_key(digest))[3] is None
        await revoke(a)
        await is_revoked_soon(b, digest)
        assert (await a.reading.find_key(digest))[3] is not None

    on_two(scene)


def test_a_key_that_the_command_line_revokes_is_told_before_the_command_ends(believed_for_long):
    async def scene(url, a, b, _feed_a, _feed_b):
        digest = await new_key(a)
        assert (await b.reading.find_key(digest))[3] is None
        async with opened(url) as command:
            await revoke(command)
        await is_revoked_soon(b, digest)

    on_two(scene)


def test_when_the_word_is_lost_a_revoked_key_is_believed_for_a_second():
    async def act() -> None:
        keys, loop = Keys(), asyncio.get_running_loop()

        async def looked_up(seconds: float, row: str) -> str:
            loop.time = lambda: 100 + seconds
            return await keys.look_up(b"k", lambda: asyncio.sleep(0, row))

        assert await looked_up(0, "as it was before") == "as it was before"
        assert await looked_up(0.99, "revoked") == "as it was before"
        assert await looked_up(1.01, "revoked") == "revoked"

    asyncio.run(act())


def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_believed():
    async def act() -> None:
        keys = Keys()

        async def working() -> str:
            keys.forget()
            return "as it was before"

        async def revoked() -> None:
            return None

        assert await keys.look_up(b"k", working) == "as it was before"
        assert await keys.look_up(b"k", revoked) is None

    asyncio.run(act())


def test_a_connection_that_broke_is_made_anew_and_everybody_is_told_to_look():
    async def scene(url, a, b, feed_a, feed_b):
        with feed_a.listening(1) as on_a, feed_b.listening(1) as on_b:
            assert await next_of(on_a) == await next_of(on_b) == ["ready"]
            connection = await asyncpg.connect(url)
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
            await connection.close()
            assert (await next_of(on_a))[0] == (await next_of(on_b))[0] == "resync"
            number, heard = 6, "resync"
            while heard != number:  # Each has the other look, too, and then what came before is heard no more.
                number += 1
                await a.transact(lambda tx, n=number: tx.add_audit(deed(n), CHAIN))
                heard = (await next_of(on_b))[-1]

    on_two(scene)


def test_a_server_that_is_told_nonsense_goes_on():
    async def scene(url, a, _b, _feed_a, feed_b):
        with feed_b.listening(1) as listener:
            await next_of(listener)
            connection = await asyncpg.connect(url)
            for text in ("nonsense", "[]", "[[1]]", '{"a": 1}', "[1]", '[["x", 2, 3, 4, "five"]]', "null"):
                await connection.execute("SELECT pg_notify('palace', $1)", text)
            await connection.close()
            await a.transact(lambda tx: tx.add_audit(deed(8), CHAIN))
            assert await next_of(listener) == [8]

    on_two(scene)


def test_without_notify_a_server_tells_its_own_listeners_and_troubles_them_with_nothing_else():
    url = new_database()

    async def scene() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(
            "CREATE SCHEMA without; CREATE FUNCTION without.pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS "
            "$$BEGIN RAISE feature_not_supported; END$$"
        )
        database = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {database} SET search_path = without, public, pg_catalog")
        await connection.close()
        async with opened(url) as store:
            await store.transact(lambda tx: tx.add_audit_head(CHAIN.start()))
            feed = Feed()
            await store.listen(feed)
            with feed.listening(1) as listener:
                assert await next_of(listener) == ["ready"]
                await store.transact(lambda tx: tx.add_audit(deed(8), CHAIN))
                assert await next_of(listener) == [8]
                assert told(await listener.next(1)) == []
            assert not feed.hears_all

    asyncio.run(scene())


# --- Alone, and in turn -----------------------------------------------------------------------------------------------


@contextmanager
def refused(problem: str):
    """A block that raises DatabaseInUse; nobody waits for those who have the lock."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DatabaseInUse, match=problem):
        patch.setattr(postgres_locks, "LOOKS", 1)
        yield


def test_nobody_is_alone_with_a_database_on_which_a_server_works_and_no_server_starts_meanwhile():
    url = new_database()

    async def scene() -> None:
        async with opened(url) as server, opened(url) as command:
            async with command.alone():
                with refused("master key"):
                    await server.listen(Feed())
            await server.listen(Feed())
            with refused("stop all of them first"):
                async with command.alone():
                    raise AssertionError
        async with opened(url) as command, command.alone():
            pass

    asyncio.run(scene())


@pytest.mark.parametrize("lock", ["lock_as_server", "lock_alone"])
def test_a_session_that_outlives_its_process_by_a_moment_is_waited_for(lock: str):
    url = new_database()

    async def scene() -> None:
        async with opened(url) as store:
            session = await asyncpg.connect(url)
            assert await session.fetchval(QUERIES[lock].sql)
            asyncio.get_running_loop().call_later(0.2, session.terminate)
            if lock == "lock_alone":
                await store.listen(Feed())
            else:
                async with store.alone():
                    pass

    asyncio.run(scene())


def test_who_does_not_get_a_lock_keeps_no_connection():
    url = new_database()

    async def scene() -> None:
        connection = await asyncpg.connect(url)
        async with opened(url) as server, opened(url) as command:
            await server.listen(Feed())
            sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            before = await connection.fetchval(sessions)
            for _ in range(3):
                with refused("stop all of them first"):
                    async with command.alone():
                        raise AssertionError
            assert await connection.fetchval(sessions) == before
        await connection.close()

    asyncio.run(scene())


def test_a_turn_is_taken_by_one_server_after_the_other(play):
    async def scene(store):
        await store.transact(lambda tx: tx.add_server_secret("audit_key", b"x"))
        inside: list[int] = []
        most = []

        async def one(number: int) -> None:
            async with store.turn():
                inside.append(number)
                most.append(len(inside))
                await store.transact(lambda tx: tx.insert(record(number)))
                inside.remove(number)

        if store.is_shared:
            await asyncio.gather(*map(one, range(3)))
            assert set(most) == {1}
        else:
            await one(0)

    play(scene)


def record(number: int) -> Record:
    return Record("pal", f"p{number}", 1, 1, TIME, TIME, b"{}")
