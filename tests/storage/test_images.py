"""A store is put back to what it was: all of it, and only between the writes of others."""

import asyncio

from palace.storage import Record

NOW = "2026-01-01T00:00:00.000000Z"

NOT_ON = {"postgres"}
"""A database that others share is never set back."""


def record(id="p1", body=b"{}"):
    return Record("pal", id, 1, 1, NOW, NOW, body)


async def ids(store):
    found = [f"p{n}" for n in range(300)]
    return {id for id in found if await store.reading.exists("pal", id, 1)}


def nothing():
    """There is nothing outside the store to take back."""


def test_what_was_written_since_an_image_is_gone_and_what_was_taken_away_is_back(play):
    async def scene(store):
        account = await store.transact(lambda tx: tx.insert_account("mine", NOW))
        await store.transact(lambda tx: tx.insert(record("p1")))
        image = await store.image()
        for _ in range(2):  # An image can be put back any number of times.
            found = await store.reading.get("pal", "p1", 1)
            await store.transact(lambda tx, found=found: tx.delete(found))
            await store.transact(lambda tx: tx.insert(record("p2")))
            await store.transact(lambda tx: tx.insert_account("yours", NOW))
            await store.put_back(image, nothing)
            assert await ids(store) == {"p1"}
            assert await store.reading.account_names() == {account: "mine"}

    play(scene)


def test_an_image_that_was_put_back_is_there_after_a_restart(play):
    async def first(store):
        image = await store.image()
        await store.transact(lambda tx: tx.insert(record("p1")))
        await store.put_back(image, nothing)
        await store.transact(lambda tx: tx.insert(record("p2")))

    async def second(store):
        assert await ids(store) == {"p2"}

    play(first)
    play(second)


def test_it_is_put_back_between_writes_those_before_it_are_gone_and_those_after_it_stay(play):
    async def scene(store):
        image = await store.image()
        order = []

        async def put(n):
            await store.transact(lambda tx: tx.insert(record(f"p{n}")))
            order.append(n)

        before = [asyncio.ensure_future(put(n)) for n in range(20)]
        await asyncio.sleep(0)
        back = asyncio.ensure_future(store.put_back(image, lambda: order.append("back")))
        await asyncio.sleep(0)
        after = [asyncio.ensure_future(put(n)) for n in range(100, 120)]
        await asyncio.gather(*before, back, *after)
        assert await ids(store) == {f"p{n}" for n in range(100, 120)}
        assert order.index("back") == 20

    play(scene)


def test_whoever_reads_on_meanwhile_finds_one_state_or_the_other(play):
    async def scene(store):
        await store.transact(lambda tx: tx.insert(record("p1", b"before")))
        image = await store.image()
        seen = set()

        async def look_on():
            for _ in range(200):
                async with store.reading.snapshot() as tx:
                    page = await tx.page("pal", 1, owned="all", newest_first=False, limit=9, offset=0)
                seen.add((*page.bodies, page.total_count))
                await asyncio.sleep(0)

        async def change_and_go_back():
            for _ in range(20):
                await store.transact(lambda tx: tx.insert(record("p2", b"since")))
                await store.put_back(image, nothing)

        await asyncio.gather(look_on(), change_and_go_back())
        assert seen <= {(b"before", 1), (b"before", b"since", 2)}

    play(scene)


def test_a_snapshot_that_is_being_read_stays_one_state_while_others_write(play):
    async def scene(store):
        await store.transact(lambda tx: tx.insert(record("p1")))

        async def read_slowly():
            async with store.reading.snapshot():
                seen = []
                for _ in range(10):
                    seen.append(await ids(store))
                    await asyncio.sleep(0.001)
                return seen

        reading = asyncio.ensure_future(read_slowly())
        await asyncio.sleep(0)
        await store.transact(lambda tx: tx.insert(record("p2")))
        assert all(seen == {"p1"} for seen in await reading)
        assert await ids(store) == {"p1", "p2"}

    play(scene)
