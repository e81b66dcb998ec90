"""What every store promises. A second kind of store is one more line in conftest.py."""

import asyncio
from dataclasses import replace

import pytest

from palace.storage import IdTaken, NameTaken, Record, Stale, Transaction

MINE, YOURS, STOCK = 1, 2, 0
NOW, LATER = "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"


def record(id="p1", owner=MINE, body=b'{"n":0}'):
    return Record("pal", id, owner, 1, NOW, NOW, body)


async def put(store, *records):
    for item in records:
        await store.transact(lambda tx, item=item: tx.insert(item))


@pytest.mark.parametrize(
    ("owner", "reader", "is_found"),
    [
        pytest.param(MINE, MINE, True, id="its owner finds it"),
        pytest.param(MINE, YOURS, False, id="another account does not"),
        pytest.param(STOCK, YOURS, True, id="everybody finds a stock object"),
    ],
)
def test_who_finds_a_document(play, owner, reader, is_found):
    async def scene(store):
        await put(store, record(owner=owner))
        assert (await store.reading.get("pal", "p1", reader) is not None) == is_found
        assert (await store.reading.read("pal", "p1", reader) is not None) == is_found
        assert await store.reading.get("face", "p1", reader) is None

    play(scene)


def test_a_document_comes_back_as_it_was_stored_also_after_a_restart(play):
    stored = replace(record(body='{"name":"Zoë\\u0001"}'.encode()), secrets=b"\x00\xff")

    async def first(store):
        await put(store, stored)

    async def second(store):
        assert replace(await store.reading.get("pal", "p1", MINE), seq=0) == stored

    play(first)
    play(second)


def test_an_id_is_taken_once(play):
    async def scene(store):
        await put(store, record())
        with pytest.raises(IdTaken):
            await put(store, record(owner=YOURS))
        assert (await store.reading.get("pal", "p1", MINE)).owner == MINE

    play(scene)


def test_replacing_counts_revisions_and_refuses_a_stale_one(play):
    async def scene(store):
        await put(store, record())
        old = await store.reading.get("pal", "p1", MINE)
        next_state = {"body": b"{}", "secrets": b"s", "updated_at": LATER, "etag": "e2", "base": 1}
        await store.transact(lambda tx: tx.replace(old, **next_state))
        new = await store.reading.get("pal", "p1", MINE)
        assert new == Record("pal", "p1", MINE, 2, NOW, LATER, b"{}", b"s", "e2", 1, old.seq)
        for stale_write in (
            lambda tx: tx.replace(old, **next_state),
            lambda tx: tx.hide(old, LATER, 0),
            lambda tx: tx.delete(old),
        ):
            with pytest.raises(Stale):
                await store.transact(stale_write)
        assert await store.reading.get("pal", "p1", MINE) == new

    play(scene)


def test_a_transaction_that_raises_leaves_nothing_and_harms_no_other(play):
    class Unhappy(Exception):
        pass

    async def failing(tx: Transaction):
        await tx.insert(record("p1"))
        await tx.claim("names", "night", "pal", "p1")
        raise Unhappy

    async def scene(store):
        outcomes = await asyncio.gather(
            store.transact(lambda tx: tx.insert(record("p2"))),
            store.transact(failing),
            store.transact(lambda tx: tx.insert(record("p3"))),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [int, Unhappy, int]
        assert await store.reading.get("pal", "p1", MINE) is None
        assert not await store.reading.is_claimed("names", "night")
        assert await store.reading.get("pal", "p2", MINE)
        assert await store.reading.get("pal", "p3", MINE)

    play(scene)


def test_a_transaction_sees_what_those_before_it_in_the_queue_wrote(play):
    async def count_up(tx: Transaction):
        found = await tx.get("pal", "p1", MINE)
        await tx.replace(found, body=b"%d" % (int(found.body) + 1), secrets=None, updated_at=NOW, etag="", base=0)

    async def scene(store):
        await put(store, record(body=b"0"))
        await asyncio.gather(*(store.transact(count_up) for _ in range(1000)))
        found = await store.reading.get("pal", "p1", MINE)
        assert (found.body, found.revision) == (b"1000", 1001)

    play(scene)


def test_closing_finishes_the_writes_that_are_queued(play):
    writes = []

    async def first(store):
        writes.extend(
            asyncio.ensure_future(store.transact(lambda tx, n=n: tx.insert(record(f"p{n}")))) for n in range(50)
        )
        await asyncio.sleep(0)

    async def second(store):
        page = await store.reading.page("pal", MINE, owned="all", newest_first=False, limit=1, offset=0)
        assert page.total_count == 50

    play(first)
    play(second)


def test_a_write_whose_client_went_away_is_carried_out_and_the_next_one_too(play):
    async def scene(store):
        leaving = asyncio.ensure_future(store.transact(lambda tx: tx.insert(record("p1"))))
        await asyncio.sleep(0)
        leaving.cancel()
        await put(store, record("p2"))
        assert await store.reading.get("pal", "p1", MINE)
        assert await store.reading.get("pal", "p2", MINE)

    play(scene)


@pytest.mark.parametrize(
    ("owned", "newest_first", "limit", "offset", "bodies", "total"),
    [
        pytest.param(
            "all", False, 10, 0, [b"s0", b"m1", b"s2", b"m3"], 4, id="stock objects and one's own, oldest first"
        ),
        pytest.param("all", True, 10, 0, [b"m3", b"s2", b"m1", b"s0"], 4, id="newest first"),
        pytest.param("own", False, 10, 0, [b"m1", b"m3"], 2, id="only one's own"),
        pytest.param("stock", True, 10, 0, [b"s2", b"s0"], 2, id="only stock objects"),
        pytest.param("all", False, 2, 1, [b"m1", b"s2"], 4, id="a page in the middle"),
        pytest.param("all", False, 2, 9, [], 4, id="a page behind the end"),
    ],
)
def test_lists(play, owned, newest_first, limit, offset, bodies, total):
    async def scene(store):
        owners = {"s": STOCK, "m": MINE, "y": YOURS}
        await put(store, *(record(name, owners[name[0]], name.encode()) for name in ("s0", "m1", "s2", "m3", "y4")))
        page = await store.reading.page("pal", MINE, owned=owned, newest_first=newest_first, limit=limit, offset=offset)
        assert (page.bodies, page.total_count) == (bodies, total)

    play(scene)


def test_lists_count_what_is_there_through_all_that_becomes_of_it(play):
    async def count(store):
        page = await store.reading.page("pal", MINE, owned="own", newest_first=False, limit=1, offset=0)
        return page.total_count

    async def of(tx):
        return await tx.get("pal", "p1", MINE)

    async def insert(tx):
        await tx.insert(record("p1"))

    async def replace_it(tx):
        await tx.replace(await of(tx), body=b"{}", secrets=None, updated_at=NOW, etag="", base=0)

    async def hide(tx):
        await tx.hide(await of(tx), NOW, 0)

    async def restore(tx):
        found, _ = await tx.get_with_deleted("pal", "p1", MINE)
        await tx.replace(found, body=b"{}", secrets=None, updated_at=NOW, etag="", base=0)

    async def hide_and_forget(tx):
        await hide(tx)
        assert await tx.forget_documents(LATER, 10)

    async def delete(tx):
        await tx.delete(await of(tx))

    async def scene(store):
        await put(store, record("p0"), record("p9", YOURS))
        steps = ((insert, 2), (replace_it, 2), (hide, 1), (restore, 2), (hide_and_forget, 1), (insert, 2), (delete, 1))
        for step, expected in steps:
            await store.transact(step)
            assert await count(store) == expected, step.__name__

    play(scene)


def test_a_name_has_one_holder_until_it_is_released_or_its_holder_deleted(play):
    async def scene(store):
        await put(store, record("p1"), record("p2", YOURS))
        await store.transact(lambda tx: tx.claim("names", "night", "pal", "p1"))
        with pytest.raises(NameTaken):
            await store.transact(lambda tx: tx.claim("names", "night", "pal", "p2"))
        await store.transact(lambda tx: tx.release("names", "night", "pal", "p2"))
        assert await store.reading.is_claimed("names", "night")
        await store.transact(lambda tx: tx.release("names", "night", "pal", "p1"))
        await store.transact(lambda tx: tx.claim("names", "night", "pal", "p2"))
        holder = await store.reading.get("pal", "p2", YOURS)
        await store.transact(lambda tx: tx.delete(holder))
        assert not await store.reading.is_claimed("names", "night")

    play(scene)


def test_keys_are_found_by_digest_listed_and_revoked_once(play):
    async def scene(store):
        account = await store.transact(lambda tx: tx.insert_account("default", NOW))
        with pytest.raises(IdTaken):
            await store.transact(lambda tx: tx.insert_account("default", NOW))
        assert await store.reading.find_account("default") == account
        key = {"key_id": "k1", "digest": b"d", "account": account, "label": "ci", "hint": "…abcd", "created_at": NOW}
        await store.transact(lambda tx: tx.insert_key(**key))
        with pytest.raises(IdTaken):
            await store.transact(lambda tx: tx.insert_key(**{**key, "key_id": "k2"}))
        assert await store.reading.find_key(b"d") == ("k1", b"d", account, None)
        assert await store.reading.find_key(b"e") is None
        assert await store.transact(lambda tx: tx.revoke_key("k1", LATER))
        assert not await store.transact(lambda tx: tx.revoke_key("k1", NOW))
        (listed,) = await store.reading.list_keys()
        assert (listed.account_name, listed.label, listed.revoked_at) == ("default", "ci", LATER)

    play(scene)
