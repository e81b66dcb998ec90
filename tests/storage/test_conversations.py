"""What every store promises about conversations: one step after the other, what happened in order, found by words, gone
for good.
"""

import asyncio
import os
import random
from itertools import count

import pytest

from palace.audit import Deed
from palace.changes import Feed
from palace.storage import PARTS, Label, Listing, Logged, Record, SqliteStore, Stale

NUMBERS = count(1)
EARLY, NOW, LATER, LAST = (f"2026-01-0{day}T00:00:00.000000Z" for day in (1, 2, 3, 4))
MINE, YOURS = 7, 8


async def new(store, *, owner=MINE, wake_at=LATER, updated_at=NOW, kind="conversation"):
    """The number of a document, with a conversation that has gone no step."""
    id = f"c{next(NUMBERS)}"

    async def begin(tx):
        document = await tx.insert(Record(kind, id, owner, 1, NOW, updated_at, b'{"id":"%b"}' % id.encode()))
        if kind == "conversation":
            await tx.conversations.add(document, wake_at, b"state 0", b"script", b"given")
        return document

    return await store.transact(begin)


async def log(store, document, step, *happened):
    await store.transact(lambda tx: tx.conversations.log(document, step, [Logged(*one) for one in happened]))


def test_a_conversation_goes_one_step_after_the_other_and_nobody_goes_one_twice(play):
    async def scene(store):
        document = await new(store)
        assert await store.reading.conversations.get(document) == (0, b"state 0", b"script", b"given")
        await store.transact(lambda tx: tx.conversations.put(document, 0, NOW, b"state 1"))
        assert await store.reading.conversations.get(document) == (1, b"state 1", b"script", b"given")
        with pytest.raises(Stale):
            await store.transact(lambda tx: tx.conversations.put(document, 0, NOW, b"state 1, too"))
        assert await store.reading.conversations.get(document + 1) is None

    play(scene)


def test_of_two_who_go_the_same_step_at_once_one_is_late(play):
    async def scene(store):
        document = await new(store)
        steps = (store.transact(lambda tx, n=n: tx.conversations.put(document, 0, NOW, b"%d" % n)) for n in range(8))
        done = await asyncio.gather(*steps, return_exceptions=True)
        assert sorted(map(type, done), key=str) == sorted([type(None), *[Stale] * 7], key=str)
        assert (await store.reading.conversations.get(document)).number == 1

    play(scene)


def test_what_happened_is_read_by_kind_in_order_and_page_by_page(play):
    async def scene(store):
        document, other = await new(store), await new(store)
        await log(store, document, 2, ("message", 3, b"m3"), ("line", 3, b"l2"))
        await log(
            store, document, 1, ("line", 1, b"l0"), ("message", 1, b"m1"), ("line", 2, b"l1"), ("message", 2, b"m2")
        )
        await log(store, other, 1, ("line", 1, b"another's"))
        log_of = store.reading.conversations
        assert [one.body for one in await log_of.logged(document, "line")] == [b"l0", b"l1", b"l2"]
        assert [one.body for one in await log_of.logged(document, "message", 1)] == [b"m2", b"m3"]
        assert [one.body for one in await log_of.logged(document, "message", 0, 2)] == [b"m1", b"m2"]
        assert await log_of.page(document, "line", (-1, 0), 2) == [(1, 0, b"l0"), (1, 2, b"l1")]
        assert await log_of.page(document, "line", (1, 2), 2) == [(2, 1, b"l2")]
        assert await log_of.page(document, "turn", (-1, 0), 2) == []

    play(scene)


def test_those_are_due_whose_time_has_come_unless_they_are_deleted_or_over(play):
    async def scene(store):
        first, second = await new(store, wake_at=EARLY), await new(store, wake_at=NOW, owner=YOURS)
        deleted, _over, _later = await new(store, wake_at=EARLY), await new(store, wake_at=None), await new(store)
        gone = (await store.reading.get("conversation", await id_of(store, deleted), MINE), NOW, 1)
        await store.transact(lambda tx: tx.hide(*gone))
        assert [(one.document, one.owner) for one in await store.reading.conversations.due(NOW, 10)] == [
            (first, MINE),
            (second, YOURS),
        ]
        assert len(await store.reading.conversations.due(NOW, 1)) == 1
        assert await store.reading.conversations.active(MINE) == 2
        assert await store.reading.conversations.going_on() == 4

    play(scene)


async def id_of(store, document):
    due = await store.reading.conversations.due("9999", 99)
    return next(one.id for one in due if one.document == document)


# --- Times ------------------------------------------------------------------------------------------------------------


async def turn(store, document, number, *, account=MINE, pal="p1", revision=1, at=NOW, **parts):
    times = {name: parts.get(name) for name in PARTS}
    more = {"account": account, "pal": pal, "revision": revision, "at": at}
    await store.transact(lambda tx: tx.conversations.add_turn(document, number, **more, parts=times))


def test_the_newest_turns_of_a_pal_are_told_with_the_revision_and_every_part(play):
    async def scene(store):
        document = await new(store)
        await turn(store, document, 1, at=EARLY, first_token=1)
        await turn(store, document, 2, at=NOW, revision=2, context_built=10, first_token=20, tools=0, delivered=40)
        await turn(store, document, 3, at=LATER, revision=2, first_token=3)
        await turn(store, document, 4, pal="p2", first_token=4)
        await turn(store, document, 5, account=YOURS, first_token=5)
        found = await store.reading.conversations.times(MINE, "p1", NOW, 10)
        assert found == [(2, (None, 3, None, None, None, None)), (2, (10, 20, None, None, 0, 40))]
        assert len(await store.reading.conversations.times(MINE, "p1", EARLY, 2)) == 2

    play(scene)


# --- Words ------------------------------------------------------------------------------------------------------------


async def found_by(store, *words, account=MINE, most=100, **listing):
    page = await store.reading.conversations.search(account, words, most, Listing(**{"order": "newest", **listing}))
    return page.bodies, page.total_count


async def named(store, *words, owner=MINE, status="active"):
    document = await new(store, owner=owner)

    async def index(tx):
        await tx.conversations.add_words(document, owner, words)
        await tx.links.put_labels(document, gone=(), new=[Label("status", status)])

    await store.transact(index)
    return document


def test_a_conversation_is_found_by_the_beginnings_of_its_words_and_only_by_all_of_them(play):
    async def scene(store):
        await named(store, "zeppelin", "night")
        await named(store, "zebra", "night", "zeppelin")
        await named(store, "zeppelin", owner=YOURS)
        for words, number in {("zeppelin",): 2, ("zep", "night"): 2, ("zeb", "night"): 1, ("zeppelins",): 0}.items():
            assert (await found_by(store, *words))[1] == number, words
        assert (await found_by(store, "zep", account=YOURS))[1] == 1

    play(scene)


def test_found_ones_come_in_order_page_by_page_filtered_and_without_those_that_are_deleted(play):
    async def scene(store):
        for number in range(5):
            await named(store, "night", status="ended" if number % 2 else "active")
        newest, total = await found_by(store, "night", limit=2)
        assert total == 5
        assert (await found_by(store, "night", limit=2, offset=4))[0] == [(await found_by(store, "night"))[0][-1]]
        assert (await found_by(store, "night", order="oldest"))[0][-2:] == newest[::-1]
        assert (await found_by(store, "night", labels={"status": ["ended"]}))[1] == 2
        assert (await found_by(store, "night", most=3))[1] == 3, "so many are looked at"
        [due, *_] = await store.reading.conversations.due("9999", 1)
        gone = (await store.reading.get("conversation", due.id, MINE), NOW, 1)
        await store.transact(lambda tx: tx.hide(*gone))
        assert (await found_by(store, "night"))[1] == 4

    play(scene)


def test_words_of_every_script_and_quotes_are_only_words(play):
    async def scene(store):
        await named(store, "\U0001d7d8x", "東京", "straße", "it's", "%", "100%")
        for word in ("\U0001d7d8", "東", "stra", "it'", "100%", "%"):
            assert (await found_by(store, word))[1] == 1, word
        assert (await found_by(store, "_"))[1] == 0

    play(scene)


# --- The end ----------------------------------------------------------------------------------------------------------


def test_what_was_over_before_a_time_goes_with_everything_and_nothing_else_does(play):
    async def scene(store):
        old = await new(store, wake_at=None, updated_at=EARLY)
        kept = [await new(store, wake_at=None, updated_at=NOW), await new(store, wake_at=LAST, updated_at=EARLY)]
        await new(store, kind="pal", updated_at=EARLY)
        await log(store, old, 1, ("line", 1, b"text"))
        await turn(store, old, 1)
        await store.transact(lambda tx: tx.conversations.add_words(old, MINE, ["text"]))
        gone = await store.transact(lambda tx: tx.conversations.forget(NOW, 10))
        assert [one[0] for one in gone] == ["conversation"]
        reading = store.reading.conversations
        assert await reading.get(old) is None
        assert await reading.logged(old, "line") == await reading.times(MINE, "p1", EARLY, 10) == []
        assert (await found_by(store, "text"))[1] == 0
        assert all([await reading.get(one) for one in kept])
        assert await store.transact(lambda tx: tx.conversations.forget(NOW, 10)) == []

    play(scene)


def test_of_what_was_deleted_no_byte_is_left_in_the_file_once_it_is_wiped(tmp_path):
    """Many conversations that grow at the same time: rows are moved from page to page, and leave copies behind."""
    grown, chance = 60, random.Random(1)

    def text(number):
        return b"the secret of number %d." % number

    async def scene():
        store = SqliteStore(tmp_path / "test.db")
        documents = [await new(store) for _ in range(grown)]
        for step in range(12):
            for number, document in enumerate(documents):
                said = text(number) * chance.randint(10, 60)
                await store.transact(lambda tx, d=document, n=step, s=said: tx.conversations.put(d, n, LATER, s))
                await log(store, document, step, *[("line", 1, text(number) + os.urandom(100).hex().encode())] * 3)
        for document in documents[::2]:
            [one] = [one for one in await store.reading.conversations.due("9999", 99) if one.document == document]
            record = await store.reading.get("conversation", one.id, MINE)
            await store.transact(lambda tx, record=record: tx.delete(record))
        await store.wipe()
        left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert [number for number in range(grown) if text(number) in left] == list(range(1, grown, 2))
        await store.close()

    asyncio.run(scene())


@pytest.mark.parametrize("action", ["erase", "purge"])
def test_that_something_is_to_be_wiped_is_told_at_once_and_again_by_the_next_server_until_it_is(tmp_path, action):
    async def scene():
        store, feed = SqliteStore(tmp_path / "test.db"), Feed()
        await store.listen(feed)
        await store.transact(lambda tx: tx.add_audit(Deed(NOW, MINE, None, "delete", "pal", "p1"), None))
        assert not feed.erased.is_set()

        async def erase(tx):
            await tx.insert(Record("pal", "p2", MINE, 1, NOW, NOW, b"{}"))
            await tx.add_audit(Deed(NOW, MINE, None, action, "pal", "p1"), None)

        await store.transact(erase)
        assert feed.erased.is_set()
        await store.close()
        for is_left in (True, False):
            store, feed = SqliteStore(tmp_path / "test.db"), Feed()
            await store.listen(feed)
            assert feed.erased.is_set() == is_left
            await store.wipe()
            await store.close()

    asyncio.run(scene())


def test_wiping_says_so_while_somebody_reads_an_older_state(tmp_path):
    async def scene():
        store = SqliteStore(tmp_path / "test.db")
        await new(store)
        async with store.reading.snapshot() as tx:
            assert await tx.conversations.going_on() == 1
            store._writing.set_busy_timeout(50)
            with pytest.raises(Exception, match="somebody reads it"):
                await store.wipe()
        await store.wipe()
        await store.close()

    asyncio.run(scene())
