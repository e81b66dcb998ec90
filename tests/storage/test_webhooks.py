"""What every store promises about callbacks: their order, who sends them, what becomes of them."""

from dataclasses import replace
from itertools import count

import pytest

from palace.changes import Feed
from palace.storage import Attempt, Record

NUMBERS = count(1)
EARLY, NOW, LATER, LAST = (f"2026-01-0{day}T00:00:00.000000Z" for day in (1, 2, 3, 4))
ALL = {"state": "", "conversation": "", "limit": 10, "offset": 0}


async def new_document(store, id, kind="conversation", owner=7):
    return await store.transact(lambda tx: tx.insert(Record(kind, id, owner, 1, NOW, NOW, b"{}")))


async def add(store, body=b"{}", *, lane="a", account=7, document=None, now=NOW, url="https://a.example/?token=t"):
    id = f"wd{next(NUMBERS)}"
    values = {"document": document, "lane": lane, "url": url, "event_type": "system.shutdown"}
    await store.transact(lambda tx: tx.webhooks.add(id, account=account, body=body, now=now, **values))
    return id


async def due(store, now=NOW, most=10, share=10):
    return await store.reading.webhooks.due(now, most, share)


async def bodies(store, now=NOW, **options):
    return [one.body for one in await due(store, now, **options)]


async def start(store, delivery, now=NOW, until=LATER):
    return await store.transact(lambda tx: tx.webhooks.start(delivery, now, until))


async def settle(store, delivery, state, due_at=NOW, status=200, problem=None, answer=b""):
    attempt = Attempt(delivery.attempts + 1, NOW, 12, status, problem, answer)
    delivered_at = NOW if state == "delivered" else None
    return await store.transact(lambda tx: tx.webhooks.settle(delivery, attempt, state, due_at, delivered_at))


async def sent(store, state, due_at=NOW, **told):
    """Send the first one that is due."""
    [delivery, *_] = await due(store)
    assert await start(store, delivery)
    assert await settle(store, delivery, state, due_at, **told)
    return delivery


def test_of_each_lane_the_oldest_that_waits_is_due(play):
    async def scene(store):
        for lane, body in (("a", b"a1"), ("b", b"b1"), ("a", b"a2"), ("b", b"b2")):
            await add(store, body, lane=lane)
        assert await bodies(store) == [b"a1", b"b1"]
        assert await bodies(store, most=1) == [b"a1"]
        assert await bodies(store, EARLY) == []
        [first, _] = await due(store)
        assert await start(store, first)
        assert await bodies(store) == [b"b1"], "while one is sent, nothing passes it"
        assert not await start(store, first), "nobody sends it twice at once"
        assert await settle(store, first, "delivered")
        assert sorted(await bodies(store)) == [b"a2", b"b1"]

    play(scene)


@pytest.mark.parametrize("end", ["delivered", "parked"])
def test_whoever_stands_behind_one_that_failed_waits_with_it_until_it_is_settled(play, end):
    async def scene(store):
        await add(store, b"1")
        await add(store, b"2")
        await sent(store, "waiting", LATER, status=None, problem="no answer")
        await add(store, b"3")
        assert await bodies(store) == []
        assert await bodies(store, LATER) == [b"1"]
        [first] = await due(store, LATER)
        assert (first.attempts, first.tries, first.asked_at) == (1, 1, NOW)
        assert await start(store, first, LATER, LAST)
        assert await settle(store, first, end, LATER)
        assert await bodies(store, LATER) == [b"2"]
        [second] = await due(store, LATER)
        assert await start(store, second, LATER, LAST)
        assert await settle(store, second, end, LATER)
        assert await bodies(store, LATER) == [b"3"]

    play(scene)


def test_no_account_sends_more_than_its_share_at_once(play):
    async def scene(store):
        for number in range(4):
            await add(store, b"mine %d" % number, lane=f"lane {number}")
        await add(store, b"yours", lane="yours", account=8)
        first, second, other = await due(store, share=2)
        assert (first.account, second.account, other.body) == (7, 7, b"yours")
        assert await start(store, first)
        assert [one.account for one in await due(store, share=2)] == [7, 8]
        assert await start(store, second)
        assert await bodies(store, share=2) == [b"yours"]
        assert await settle(store, first, "delivered")
        assert [one.account for one in await due(store, share=2)] == [7, 8]

    play(scene)


def test_one_whose_sender_died_is_due_again_when_its_time_is_over_and_the_late_attempt_counts_no_more(play):
    async def scene(store):
        await add(store)
        [first] = await due(store)
        assert await start(store, first, NOW, LATER)
        assert await due(store, LATER) == []
        [again] = await due(store, LAST)
        assert (again.id, again.attempts) == (first.id, 1)
        assert await start(store, again, LAST, LAST)
        assert not await settle(store, first, "parked", status=500)
        assert await settle(store, again, "delivered")

    play(scene)


def test_an_attempt_at_a_callback_that_is_gone_says_nothing_about_the_one_with_its_number(play):
    async def scene(store):
        await add(store)
        [delivery] = await due(store)
        gone = replace(delivery, id="wd-of-before-a-reset")
        assert not await start(store, gone)
        assert await start(store, delivery)
        assert not await settle(store, gone, "delivered")
        await store.transact(lambda tx: tx.webhooks.let_go(gone))
        assert await settle(store, delivery, "delivered")

    play(scene)


def test_one_that_was_let_go_is_due_at_once_and_that_was_no_try(play):
    async def scene(store):
        await add(store)
        [first] = await due(store)
        assert await start(store, first)
        await store.transact(lambda tx: tx.webhooks.let_go(first))
        [again] = await due(store)
        assert (again.attempts, again.tries) == (1, 0)

    play(scene)


def test_a_server_that_is_alone_frees_what_another_process_left_behind(play):
    async def scene(store):
        await add(store)
        [first] = await due(store)
        assert await start(store, first)
        assert await store.transact(lambda tx: tx.webhooks.free()) == 1
        assert [one.id for one in await due(store)] == [first.id]

    play(scene)


def test_its_owner_sees_it_with_every_attempt_and_nobody_else_does(play):
    async def scene(store):
        document = await new_document(store, "c1")
        id = await add(store, b'{"a":1}', document=document)
        await sent(store, "waiting", NOW, status=503, problem="a.example answered 503.", answer=b"\xff busy")
        await sent(store, "delivered", answer=b"ok")
        found = await store.reading.webhooks.get(id, 7)
        assert (found.kind, found.about, found.url) == ("conversation", "c1", "https://a.example/?token=t")
        assert (found.state, found.attempts, found.last_status, found.last_problem) == ("delivered", 2, 200, None)
        assert (found.body, found.created_at, found.delivered_at) == (b'{"a":1}', NOW, NOW)
        assert await store.reading.webhooks.attempts(found.seq, 10) == [
            Attempt(2, NOW, 12, 200, None, b"ok"),
            Attempt(1, NOW, 12, 503, "a.example answered 503.", b"\xff busy"),
        ]
        assert len(await store.reading.webhooks.attempts(found.seq, 1)) == 1
        assert await store.reading.webhooks.get(id, 8) is None

    play(scene)


def test_lists_are_newest_first_by_state_and_by_conversation(play):
    async def scene(store):
        talk, face = await new_document(store, "c1"), await new_document(store, "r1", "face")
        first = await add(store, document=talk, lane="a")
        second = await add(store, document=face, lane="b")
        third = await add(store, document=talk, lane="c")
        await add(store, account=8, lane="d")
        await sent(store, "parked", status=410, problem="gone")

        async def listed(**wanted):
            found, total = await store.reading.webhooks.page(7, **(ALL | wanted))
            return [one.id for one in found], total

        assert await listed() == ([third, second, first], 3)
        assert await listed(limit=1, offset=1) == ([second], 3)
        assert await listed(state="parked") == ([first], 1)
        assert await listed(state="waiting") == ([third, second], 2)
        assert await listed(conversation="c1") == ([third, first], 2)
        assert await listed(conversation="r1") == ([], 0)
        assert await store.reading.webhooks.waiting() == 3

    play(scene)


@pytest.mark.parametrize("end", ["delivered", "parked"])
def test_one_that_is_asked_for_again_is_due_at_once_and_keeps_nobody_waiting(play, end):
    async def scene(store):
        id = await add(store, b"1")
        await add(store, b"2")
        await sent(store, end)
        delivery = await store.reading.webhooks.get(id, 7)
        await store.transact(lambda tx: tx.webhooks.ask_again(delivery, LATER, 7))
        assert await bodies(store, LATER) == [b"2", b"1"]
        [_, again] = await due(store, LATER)
        assert (again.attempts, again.tries, again.asked_at) == (1, 0, LATER)

    play(scene)


def test_one_that_waits_and_is_asked_for_again_keeps_its_place_and_is_due_with_those_behind_it(play):
    async def scene(store):
        id = await add(store, b"1")
        await add(store, b"2")
        await sent(store, "waiting", LAST, status=500, problem="no")
        delivery = await store.reading.webhooks.get(id, 7)
        await store.transact(lambda tx: tx.webhooks.ask_again(delivery, NOW, 7))
        assert await bodies(store) == [b"1"]
        await sent(store, "delivered")
        assert await bodies(store) == [b"2"]

    play(scene)


def test_one_that_is_settled_and_asked_for_again_does_not_hurry_those_that_wait_in_its_lane(play):
    async def scene(store):
        id = await add(store, b"1")
        await add(store, b"2")
        await sent(store, "delivered")
        await sent(store, "waiting", LAST, status=503, problem="busy until then")
        delivery = await store.reading.webhooks.get(id, 7)
        await store.transact(lambda tx: tx.webhooks.ask_again(delivery, LATER, 7))
        assert await bodies(store, LATER) == [b"1"]

    play(scene)


def test_one_that_is_asked_for_again_while_it_is_sent_has_no_try_behind_it(play):
    async def scene(store):
        id = await add(store)
        [first] = await due(store)
        assert await start(store, first)
        assert await store.transact(lambda tx: tx.webhooks.tries(first)) == (1, NOW)
        delivery = await store.reading.webhooks.get(id, 7)
        await store.transact(lambda tx: tx.webhooks.ask_again(delivery, LATER, 7))
        assert await store.transact(lambda tx: tx.webhooks.tries(first)) == (0, LATER)
        await store.transact(lambda tx: tx.webhooks.let_go(first))
        [again] = await due(store, LATER)
        assert (again.attempts, again.tries, again.asked_at) == (1, 0, LATER)
        assert await store.transact(lambda tx: tx.webhooks.tries(replace(first, attempts=5))) is None

    play(scene)


def test_who_saw_one_before_another_attempt_failed_does_not_send_it(play):
    async def scene(store):
        await add(store)
        [seen] = await due(store)
        await sent(store, "waiting", LATER, status=500, problem="no")
        assert not await start(store, seen, LATER, LAST)

    play(scene)


def test_callbacks_stay_while_their_document_is_only_deleted_and_go_with_it_for_good(play):
    async def scene(store):
        id = await add(store, document=await new_document(store, "c1"))
        await sent(store, "waiting", NOW, status=500, problem="no")
        record = await store.reading.get("conversation", "c1", 7)
        await store.transact(lambda tx: tx.hide(record, NOW, 1))
        assert len(await due(store)) == 1
        hidden, _ = await store.reading.get_with_deleted("conversation", "c1", 7)
        await store.transact(lambda tx: tx.delete(hidden))
        assert await store.reading.webhooks.get(id, 7) is None
        assert await due(store) == []

    play(scene)


def test_what_is_settled_is_forgotten_by_its_age_and_what_waits_is_not(play):
    async def scene(store):
        old, waiting, young = await add(store, now=EARLY), await add(store, lane="b", now=EARLY), await add(store)
        await sent(store, "delivered")
        assert await store.transact(lambda tx: tx.webhooks.forget(EARLY, 10)) == 0
        assert await store.transact(lambda tx: tx.webhooks.forget(NOW, 10)) == 1
        found, _ = await store.reading.webhooks.page(7, **ALL)
        assert {one.id for one in found} == {waiting, young}
        assert old not in {one.id for one in found}

    play(scene)


def test_who_sends_hears_of_a_callback_after_its_commit_and_not_of_one_that_was_undone(play):
    class Undone(Exception):
        pass

    async def scene(store):
        feed = Feed("f")
        await store.listen(feed)
        feed.callbacks.clear()

        async def undone(tx):
            await tx.webhooks.add("wd0", account=7, document=None, lane="a", url="u", event_type="e", body=b"", now=NOW)
            raise Undone

        with pytest.raises(Undone):
            await store.transact(undone)
        assert not feed.callbacks.is_set()
        await add(store)
        assert feed.callbacks.is_set()
        assert feed.listeners == 0

    play(scene)
