"""How many callbacks are sent: in order where that matters, and nobody waits for strangers."""

import asyncio
import threading

from palace.webhooks import sender
from palace.webhooks.schedule import JITTER, WAITS_SECONDS
from tests.api.sending import YOURS, play
from tests.receiver import OK


def test_what_one_conversation_tells_one_url_arrives_in_order_and_the_urls_do_not_wait_for_each_other():
    async def scene(here, there):
        places = [(about, path, number) for number in range(20) for about in ("c1", "c2") for path in ("/a", "/b")]
        ids = [await here.call(there.url(path), [about, number], about=about) for about, path, number in places]
        for id in ids:
            assert (await here.settled(id)).state == "delivered"
        for about in ("c1", "c2"):
            for path in ("/a", "/b"):
                told = [call.said for call in there.calls if call.path == path and call.said[0] == about]
                assert told == [[about, number] for number in range(20)]
        assert len(there.calls) == 80

    play(scene)


def test_one_that_fails_keeps_those_behind_it_waiting_and_nobody_else_until_it_is_parked():
    async def scene(here, there):
        bad = await here.call(there.url("/bad"), ["bad"])
        behind = [await here.call(there.url("/bad"), [f"behind {number}"]) for number in range(3)]
        other = await here.call(there.url("/good"), ["other"])
        assert (await here.settled(other)).state == "delivered"
        await here.attempted(bad)
        for wait in WAITS_SECONDS:
            assert {call.said[0] for call in there.calls} == {"bad", "other"}
            await here.pass_time(seconds=wait * (1 + JITTER))
            await here.attempted(bad, WAITS_SECONDS.index(wait) + 2)
        assert (await here.settled(bad)).state == "parked"
        for id in behind:
            assert (await here.settled(id)).state == "delivered"
        assert [call.said[0] for call in there.calls[-3:]] == ["behind 0", "behind 1", "behind 2"]

    play(scene, lambda call: (500, {}, b"") if call.said == ["bad"] else OK)


def test_a_queue_in_front_of_a_receiver_that_is_dead_does_not_take_as_many_days_as_it_has_callbacks():
    async def scene(here, there):
        ids = [await here.call(there.url()) for _ in range(5)]
        await here.attempted(ids[0])
        for number, wait in enumerate(WAITS_SECONDS, 2):
            await here.pass_time(seconds=wait * (1 + JITTER))
            await here.attempted(ids[0], number)
        await here.attempted(ids[1])
        await here.pass_time(days=2)
        for id in ids:
            await here.settled(id)
        assert [(await here.get(id)).attempts for id in ids] == [10, 2, 1, 1, 1]

    play(scene, (500, {}, b""))


def test_slow_receivers_of_one_account_do_not_keep_another_account_waiting():
    over = threading.Event()

    async def scene(here, there):
        slow = [await here.call(there.url("/slow"), about=f"c{number}") for number in range(sender.AT_ONCE + 10)]
        quick = await here.call(there.url("/quick"), about="c-yours", account=YOURS)
        async with asyncio.timeout(5):
            while (await here.get(quick, YOURS)).state == "waiting":
                await asyncio.sleep(0.01)
        assert sum(call.path == "/slow" for call in there.calls) <= sender.SHARE
        over.set()
        for id in slow:
            assert (await here.settled(id)).state == "delivered"

    def answers(call):
        if call.path == "/slow":
            over.wait(10)
        return OK

    play(scene, answers)
