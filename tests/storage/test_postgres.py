"""What is asked of PostgreSQL alone: several servers on one database, and a database that is in the way."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from threading import Thread
from typing import Any

import asyncpg
import pytest

from palace.storage import AnswerTaken, Draft, NameTaken, OutcomeUnknown, Record, StorageFailure, Transaction, Use
from palace.storage.base import Answer
from palace.storage.postgres import PostgresStore, open_postgres
from tests.postgres import new_database

MINE = 1
NOW = "2026-01-01T00:00:00.000000Z"
SECONDS = 3
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'palace' AND datname = $1"


@pytest.fixture
def url() -> str:
    return new_database()


@asynccontextmanager
async def opened(url: str, count: int = 1, seconds: float = SECONDS):
    """So many servers' stores on one database, and two documents in it."""
    stores = [await open_postgres(url, most_connections=4, statement_seconds=seconds) for _ in range(count)]
    for record in (Record("pal", id, MINE, 1, NOW, NOW, b"0") for id in ("p1", "p2")):
        await stores[0].transact(lambda tx, record=record: tx.insert(record))
    try:
        yield stores[0] if count == 1 else stores
    finally:
        for store in stores:
            await store.close()


def on(url: str, scene: Callable[[Any], Awaitable[Any]], count: int = 1, seconds: float = SECONDS) -> Any:
    """What a scene makes of so many stores, whose statements may take so long."""

    async def act() -> Any:
        async with opened(url, count, seconds) as stores:
            return await asyncio.wait_for(scene(stores), 60)

    return asyncio.run(act())


async def add_one(tx: Transaction, id: str = "p1", *, alone: bool = False) -> int:
    """Read a number and write the next one."""
    if alone:
        await tx.find_account("what is not asked together")
    record = await tx.get("pal", id, MINE)
    assert record is not None
    number = int(record.body) + 1
    await tx.replace(record, body=b"%d" % number, secrets=None, updated_at=NOW, etag="", base=0)
    return number


async def number(store: PostgresStore, id: str = "p1") -> int:
    shown = await store.reading.read("pal", id, MINE)
    assert shown is not None
    return int(shown.body)


# --- Several servers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [False, True], ids=["in groups", "each in a transaction of its own"])
def test_64_counters_over_two_servers_lose_nothing(url: str, alone: bool) -> None:
    async def scene(stores: list[PostgresStore]) -> None:
        async def count(counter: int) -> list[int]:
            store = stores[counter % 2]
            return [await store.transact(lambda tx: add_one(tx, alone=alone)) for _ in range(5)]

        seen = await asyncio.gather(*(count(counter) for counter in range(64)))
        assert sorted(chain.from_iterable(seen)) == list(range(1, 64 * 5 + 1))
        assert await number(stores[0]) == 64 * 5
        assert (await stores[1].reading.get("pal", "p1", MINE)).revision == 64 * 5 + 1

    on(url, scene, 2)


def test_no_document_begins_to_use_what_is_deleted_meanwhile(url: str) -> None:
    async def begin_to_use(tx: Transaction) -> bool:
        user = await tx.get("pal", "p1", MINE)
        if not await tx.exists("pal", "p2", MINE):
            return False
        await tx.links.put_uses(user.seq, gone=[], new=[Use("pal", "p2", "/face")])
        return True

    async def delete(tx: Transaction) -> bool:
        record = await tx.get("pal", "p2", MINE)
        if await tx.links.users("pal", "p2", MINE):
            return False
        await tx.hide(record, NOW, 0)
        return True

    async def afresh(tx: Transaction) -> None:
        user, (used, _) = await tx.get("pal", "p1", MINE), await tx.get_with_deleted("pal", "p2", MINE)
        await tx.links.put_uses(user.seq, gone=[Use("pal", "p2", "/face")], new=[])
        await tx.replace(used, body=b"0", secrets=None, updated_at=NOW, etag="", base=0)

    async def scene(stores: list[PostgresStore]) -> None:
        one, other = stores

        async def begin_after(milliseconds: int) -> bool:
            await asyncio.sleep(milliseconds / 1000)
            return await one.transact(begin_to_use)

        turn, came_first = 0, set()
        while turn < 60 or len(came_first) < 2:  # Each came first at some time, or nothing is proven.
            uses, is_deleted = await asyncio.gather(begin_after(turn % 5), other.transact(delete))
            assert uses is not is_deleted
            came_first.add(uses)
            await one.transact(afresh)
            turn += 1

    on(url, scene, 2)


def test_a_name_is_claimed_once_on_all_servers(url: str) -> None:
    async def scene(stores: list[PostgresStore]) -> None:
        for turn in range(20):
            claims = [
                store.transact(lambda tx, holder=holder, name=f"n{turn}": tx.claim("name", name, "pal", holder))
                for store in stores
                for holder in ("p1", "p2")
            ]
            ends = await asyncio.gather(*claims, return_exceptions=True)
            assert sorted(map(repr, map(type, ends))) == sorted(map(repr, [type(None), *[NameTaken] * 3]))

    on(url, scene, 2)


def test_a_patch_and_a_draft_that_is_opened_on_another_server_meet(url: str) -> None:
    async def open_draft(tx: Transaction, number: int) -> int:
        record = await tx.get("pal", "p1", MINE)
        draft = Draft(record.seq, number, "open", record.revision, "k", NOW, NOW, "", None, None, b"", b"")
        await tx.put_draft(draft)
        return record.revision

    async def discard(tx: Transaction) -> None:
        record = await tx.get("pal", "p1", MINE)
        await tx.put_draft(replace(await tx.open_draft(record.seq), state="discarded"))

    async def patch(tx: Transaction) -> tuple[int, bool]:
        record = await tx.get("pal", "p1", MINE)
        draft = await tx.open_draft(record.seq)
        await tx.replace(record, body=b"1", secrets=None, updated_at=NOW, etag="", base=0)
        return record.revision, draft is not None

    async def scene(stores: list[PostgresStore]) -> None:
        one, other = stores
        for turn in range(1, 31):
            patches = [other.transact(patch) for _ in range(3)]
            base, *patched = await asyncio.gather(one.transact(lambda tx, turn=turn: open_draft(tx, turn)), *patches)
            assert [saw for revision, saw in patched] == [revision >= base for revision, _ in patched]
            await one.transact(discard)

    on(url, scene, 2)


def test_the_same_request_on_two_servers_is_carried_out_once(url: str) -> None:
    answer = Answer(b"f", 200, b"{}", b"{}", False)

    async def carry_out(tx: Transaction, key: str) -> int:
        made = await add_one(tx)
        await tx.add_answer(MINE, key, NOW, answer, NOW)
        return made

    async def scene(stores: list[PostgresStore]) -> None:
        await stores[0].transact(lambda tx: tx.insert_account("default", NOW))
        for turn in range(1, 21):
            twice = [store.transact(lambda tx, key=f"k{turn}": carry_out(tx, key)) for store in stores]
            ends = await asyncio.gather(*twice, return_exceptions=True)
            assert sorted(type(end).__name__ for end in ends) == [AnswerTaken.__name__, "int"], ends
            assert await number(stores[0]) == turn

    on(url, scene, 2)


# --- A database that is in the way ------------------------------------------------------------------------------------


@asynccontextmanager
async def somebody(url: str, *statements: str):
    """A connection of somebody else's, in a transaction in which it has carried out these statements."""
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN")
    for statement in statements:
        await connection.execute(statement)
    try:
        yield connection
    finally:
        await connection.close()


async def end_connections(url: str) -> None:
    """As when the database fails over: no server keeps a connection."""
    connection = await asyncpg.connect(url)
    await connection.execute(KILL.replace("$1", "current_database()"))
    await connection.close()


async def waits_for(url: str, event: str) -> None:
    """Until somebody waits for this in the database."""
    connection = await asyncpg.connect(url)
    those = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND $1 IN (wait_event_type, wait_event)"
    async with asyncio.timeout(20):
        while not await connection.fetch(those, event):
            await asyncio.sleep(0.01)
    await connection.close()


LOCK = "SELECT FROM documents WHERE id = '{}' FOR UPDATE"


def test_after_a_deadlock_it_is_tried_again(url: str) -> None:
    async def both(tx: Transaction) -> None:
        await tx.get("pal", "p1", MINE)
        await add_one(tx, "p2")

    async def scene(store: PostgresStore) -> None:
        async with somebody(url, LOCK.format("p2")) as other:
            ours = asyncio.create_task(store.transact(both))
            await waits_for(url, "Lock")
            await other.execute(LOCK.format("p1"))
            await other.execute("COMMIT")
        await ours
        assert await number(store, "p2") == 1

    on(url, scene)


@pytest.mark.parametrize("alone", [False, True], ids=["in a group", "in a transaction of its own"])
def test_a_lock_that_others_hold_for_a_while_is_waited_for(url: str, alone: bool) -> None:
    async def scene(store: PostgresStore) -> None:
        async with somebody(url, LOCK.format("p1")) as other:
            ours = asyncio.create_task(store.transact(lambda tx: add_one(tx, alone=alone)))
            await asyncio.sleep(1.5)
            assert not ours.done()
            await other.execute("COMMIT")
        assert await ours == 1

    on(url, scene)


def test_a_lock_that_others_hold_for_too_long_is_a_failure_that_leaves_nothing(url: str) -> None:
    async def scene(store: PostgresStore) -> None:
        store.pool.patience_seconds = 1.0
        async with somebody(url, LOCK.format("p1")):
            with pytest.raises(StorageFailure) as refused:
                await store.transact(add_one)
            assert not isinstance(refused.value, OutcomeUnknown)
        assert await store.transact(add_one) == 1

    on(url, scene)


def test_while_one_document_is_locked_others_are_written(url: str) -> None:
    async def scene(store: PostgresStore) -> None:
        async with somebody(url, LOCK.format("p1")) as other:
            ours = asyncio.create_task(store.transact(add_one))
            await waits_for(url, "Lock")
            assert await asyncio.wait_for(store.transact(lambda tx: add_one(tx, "p2")), 3) == 1
            await other.execute("COMMIT")
        assert await ours == 1

    on(url, scene)


def test_a_connection_that_breaks_before_the_commit_is_made_again_and_so_is_the_work(url: str) -> None:
    runs, broken = [], asyncio.Event()

    async def work(tx: Transaction) -> int:
        made = await add_one(tx, alone=True)
        runs.append(made)
        if len(runs) == 1:
            tx._run._connection.add_termination_listener(lambda _: broken.set())
            await end_connections(url)
            await broken.wait()  # So that it is known: at the commit, nobody could tell what became of it.
        return made

    async def scene(store: PostgresStore) -> None:
        assert await store.transact(work) == 1
        assert runs == [1, 1]
        assert await number(store) == 1

    on(url, scene)


def test_a_group_whose_connection_breaks_is_done_all_the_same(url: str) -> None:
    async def scene(store: PostgresStore) -> None:
        async with somebody(url, LOCK.format("p1")) as other:
            works = [asyncio.create_task(store.transact(partial(add_one, id=id))) for id in ("p1", "p2")]
            await waits_for(url, "Lock")
            await end_connections(url)
            await other.execute("COMMIT")
        assert [await work for work in works] == [1, 1]
        assert [await number(store, id) for id in ("p1", "p2")] == [1, 1]

    on(url, scene)


def test_reading_goes_on_when_all_connections_broke(url: str) -> None:
    async def scene(store: PostgresStore) -> None:
        await end_connections(url)
        assert await number(store) == 0
        assert await store.transact(add_one) == 1
        unseen = Thread(target=asyncio.run, args=(end_connections(url),))
        unseen.start()
        unseen.join()
        async with store.reading.snapshot() as tx:
            assert await tx.get("pal", "p1", MINE)

    on(url, scene)


TRIGGER = """
CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep({}); RETURN NEW; END';
CREATE {} TRIGGER slow {} UPDATE ON documents {} FOR EACH ROW EXECUTE FUNCTION sleep()
"""
AT_COMMIT = ("CONSTRAINT", "AFTER", "DEFERRABLE INITIALLY DEFERRED")
AT_ONCE = ("", "BEFORE", "")


async def slow_down(url: str, seconds: float, how: tuple[str, str, str]) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(TRIGGER.format(seconds, *how))
    await connection.close()


@pytest.mark.parametrize("alone", [False, True], ids=["in a group", "in a transaction of its own"])
def test_when_the_connection_breaks_during_the_commit_nobody_knows_whether_it_took_place(url: str, alone: bool) -> None:
    async def scene(store: PostgresStore) -> None:
        await slow_down(url, 30, AT_COMMIT)
        ours = asyncio.create_task(store.transact(lambda tx: add_one(tx, alone=alone)))
        await waits_for(url, "PgSleep")
        await end_connections(url)
        with pytest.raises(OutcomeUnknown):
            await ours
        assert await number(store) in (0, 1)

    on(url, scene, seconds=60)


def test_a_statement_that_takes_too_long_is_a_failure_and_the_next_one_is_not(url: str) -> None:
    async def scene(store: PostgresStore) -> None:
        await slow_down(url, SECONDS + 3, AT_ONCE)
        with pytest.raises(StorageFailure) as refused:
            await store.transact(add_one)
        assert not isinstance(refused.value, OutcomeUnknown)
        assert await number(store) == 0

    on(url, scene)


def test_a_zero_byte_which_no_text_can_hold_shows_as_its_picture_in_indexes(url: str) -> None:
    """The document itself is bytes, and keeps it. Names that differ in this alone are one name."""

    async def scene(store: PostgresStore) -> None:
        await store.transact(lambda tx: tx.claim("name", "a\0b", "pal", "p1"))
        assert await store.reading.is_claimed("name", "a\0b")
        with pytest.raises(NameTaken):
            await store.transact(lambda tx: tx.claim("name", "a\N{SYMBOL FOR NULL}b", "pal", "p2"))

    on(url, scene)


def test_a_server_that_starts_waits_for_one_that_migrates_however_short_its_statements_are_to_be(url: str) -> None:
    async def act() -> None:
        await (await open_postgres(url, most_connections=4, statement_seconds=SECONDS)).close()
        other = await asyncpg.connect(url)
        await other.execute("UPDATE schema_version SET version = version - 1")
        async with other.transaction():
            await other.execute("SELECT version FROM schema_version FOR UPDATE")
            starting = asyncio.create_task(open_postgres(url, most_connections=4, statement_seconds=1))
            await waits_for(url, "Lock")
            await asyncio.sleep(2.1)  # Any other statement is given up after twice a second.
            await other.execute("UPDATE schema_version SET version = version + 1")
        await (await starting).close()
        await other.close()

    asyncio.run(act())
