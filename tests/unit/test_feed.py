"""The feed of changes: who is told what, from where on, and when something was lost."""

import asyncio

import pytest

from palace.audit import Deed
from palace.changes import CALLBACK, MOST_REMEMBERED, MOST_WAITING, Feed


def deed(number: int, account: int = 1) -> Deed:
    return Deed("", account, "k1", "patch", "pal", f"p{number}", number)


def told(events) -> list[str]:
    return [event.deed.id if event.deed else event.name for event in events]


def now(listener) -> list[str]:
    return told(asyncio.run(listener.next(0.01)))


def test_a_listener_hears_of_its_account_only_and_of_objects_only():
    feed = Feed("f")
    with feed.listening(1) as mine, feed.listening(2) as yours:
        feed.tell([deed(1), deed(2, 2), Deed("", 1, None, "revoke", "key", "k1"), deed(3)])
        assert now(mine) == ["ready", "p1", "p3"]
        assert now(yours) == ["ready", "p2"]
        assert now(mine) == []
    feed.tell([deed(4)])
    assert feed.listeners == 0


@pytest.mark.parametrize(
    ("cursor", "first"),
    [
        pytest.param("", ["ready"], id="none"),
        pytest.param("f-3", ["ready"], id="the last one"),
        pytest.param("f-1", ["p2", "p3", "ready"], id="an older one"),
        pytest.param("f-0", ["p1", "p2", "p3", "ready"], id="the first one"),
        pytest.param("f-4", ["resync"], id="one that is to come"),
        pytest.param("g-1", ["resync"], id="of another process"),
        pytest.param("f-", ["resync"], id="without a number"),
        pytest.param("nonsense", ["resync"], id="nonsense"),
        pytest.param("f-²", ["resync"], id="a number that is none"),
    ],
)
def test_who_was_cut_off_goes_on_behind_its_cursor_or_is_told_to_look(cursor, first):
    feed = Feed("f")
    feed.tell([deed(1), deed(2), deed(3)])
    with feed.listening(1, cursor) as listener:
        assert now(listener) == first


def test_every_cursor_that_was_told_leads_to_the_rest():
    feed = Feed("f")
    with feed.listening(1) as listener:
        for number in range(20):
            feed.tell([deed(2 * number, 1 + number % 2), deed(2 * number + 1)])
        events = asyncio.run(listener.next(1))
    for place, event in enumerate(events):
        with feed.listening(1, event.cursor) as again:
            assert now(again) == [*told(events[place + 1 :]), "ready"]


def test_what_is_too_long_ago_is_lost():
    feed = Feed("f")
    feed.tell([deed(number) for number in range(MOST_REMEMBERED + 5)])
    with feed.listening(1, "f-4") as late, feed.listening(1, "f-5") as in_time:
        assert now(late) == ["resync"]
        assert len(now(in_time)) == MOST_REMEMBERED + 1


def test_who_does_not_follow_is_told_to_look_and_then_goes_on():
    feed = Feed("f")
    with feed.listening(1) as slow:
        feed.tell([deed(number) for number in range(MOST_WAITING + 7)])
        events = now(slow)
        assert events[0] == "resync"
        assert len(events) <= MOST_WAITING
        feed.tell([deed(9999)])
        assert now(slow) == ["p9999"]


def test_when_something_may_be_lost_all_are_told_and_no_older_cursor_counts():
    feed = Feed("f")
    feed.tell([deed(1)])
    with feed.listening(1) as mine, feed.listening(2) as yours:
        feed.lose()
        assert now(mine) == now(yours) == ["resync"]
    with feed.listening(1, "f-1") as listener:
        assert now(listener) == ["resync"]


def test_a_listener_waits_for_the_next_change_and_is_woken_without_one():
    feed = Feed("f")

    async def scene():
        with feed.listening(1) as listener:
            assert told(await listener.next(1)) == ["ready"]
            asyncio.get_running_loop().call_later(0.02, feed.tell, [deed(1)])
            assert told(await listener.next(5)) == ["p1"]
            asyncio.get_running_loop().call_later(0.02, feed.wake)
            assert await listener.next(5) == []
            asyncio.get_running_loop().call_later(0.02, feed.end)
            assert (await listener.next(5), feed.is_over) == ([], True)

    asyncio.run(scene())


def test_of_a_callback_only_its_sender_hears():
    feed = Feed("f")
    with feed.listening(1) as mine:
        feed.tell([Deed("", 1, None, "add", CALLBACK, "wd1")])
        assert feed.callbacks.is_set()
        assert now(mine) == ["ready"]
    feed.callbacks.clear()
    feed.tell([deed(1)])
    assert not feed.callbacks.is_set()
    feed.lose()
    assert feed.callbacks.is_set()
