"""How one callback is sent: in this process, on a clock that stands where the test puts it, to a real receiver."""

import asyncio
import json
import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from palace.webhooks import Callback, call_back, keep_delivering, sender
from palace.webhooks.schedule import JITTER, WAITS_SECONDS
from tests.api.sending import MINE, START, answering, play, sending
from tests.receiver import OK, receiver

# --- One callback -----------------------------------------------------------------------------------------------------


def test_what_is_sent_is_the_body_as_it_was_stored_to_the_whole_url():
    async def scene(here, there):
        url = there.url("/in/%2Fhook?token=t%20%2B+1&b=%C3%BC")
        id = await here.call(url, {"text": "Grüße", "n": 1})
        delivery = await here.settled(id)
        assert (delivery.state, delivery.url, delivery.last_status, delivery.attempts) == ("delivered", url, 200, 1)
        [call] = there.calls
        assert call.path == "/in/%2Fhook?token=t%20%2B+1&b=%C3%BC"
        assert call.body == delivery.body == '{"text":"Grüße","n":1}'.encode()
        assert (call.id, call.headers["content-type"]) == (id, "application/json")
        assert call.headers["webhook-timestamp"] == str(int(START.timestamp()))
        assert call.headers["webhook-signature"].startswith("v1,")
        assert call.headers["user-agent"].startswith("palace/")

    play(scene)


def test_a_commit_wakes_the_sender_at_once(monkeypatch):
    monkeypatch.setattr(sender, "LOOK_EVERY_SECONDS", 60)

    async def scene(here, there):
        for number in range(10):
            await here.settled(await here.call(there.url(), about=f"c{number}"))

    play(scene)


def test_it_is_tried_again_on_the_schedule_under_one_id_and_parked_after_the_last_try():
    async def scene(here, there):
        id = await here.call(there.url())
        for number, seconds in enumerate(WAITS_SECONDS, 1):
            delivery = await here.attempted(id, number)
            due_at = datetime.fromisoformat(delivery.due_at)
            wait = due_at - here.services.clock.now()
            assert timedelta(seconds=seconds) <= wait <= timedelta(seconds=seconds * (1 + JITTER))
            assert (delivery.state, delivery.last_status) == ("waiting", 500)
            here.services.clock.set(due_at - timedelta(microseconds=1))
            here.services.changes.callbacks.set()
            await asyncio.sleep(0.02)
            assert len(there.calls) == number, "not before its time"
            await here.pass_time(microseconds=1)
        delivery = await here.settled(id)
        assert (delivery.state, delivery.attempts) == ("parked", 10)
        assert delivery.last_problem == "127.0.0.1 answered 500."
        await here.pass_time(days=10)
        await asyncio.sleep(0.1)
        assert there.ids == [id] * 10
        stamps = [int(call.headers["webhook-timestamp"]) for call in there.calls]
        assert stamps == sorted(set(stamps)), "each attempt is signed for its own time"
        assert here.services.meter.value("deliveries/retried") == 9
        assert here.services.meter.value("deliveries/parked") == 1

    play(scene, (500, {}, b""))


def test_a_try_that_succeeds_is_the_last_one():
    async def scene(here, there):
        id = await here.call(there.url())
        await here.attempted(id)
        await here.pass_time(seconds=6)
        delivery = await here.settled(id)
        assert (delivery.state, delivery.last_status, delivery.last_problem) == ("delivered", 204, None)
        assert [(one.attempt, one.status) for one in await here.attempts(id)] == [(2, 204), (1, 503)]

    play(scene, answering(503, 204))


def test_gone_parks_at_once_and_a_busy_receiver_is_given_the_time_it_asks_for():
    async def scene(here, there):
        gone = await here.call(there.url("/gone"))
        busy = await here.call(there.url("/busy"))
        assert (await here.settled(gone)).attempts == 1
        assert (await here.attempted(busy)).due_at == "2026-01-01T01:00:00.000000Z"

    def answers(call):
        return (410, {}, b"") if call.path == "/gone" else (429, {"retry-after": "3600"}, b"")

    play(scene, answers)


def test_a_redirect_is_a_failure_and_is_not_followed():
    async def scene(here, there):
        delivery = await here.attempted(await here.call(there.url("/from")))
        assert delivery.last_problem == "127.0.0.1 answered 307; redirects are not followed."
        assert [call.path for call in there.calls] == ["/from"]

    play(scene, lambda call: (307, {"location": "/to"}, b""))


def test_a_receiver_that_takes_too_long_has_failed(monkeypatch):
    monkeypatch.setattr(sender, "BOUNDS", replace(sender.BOUNDS, seconds=0.2))
    over = threading.Event()

    async def scene(here, there):
        delivery = await here.attempted(await here.call(there.url()))
        assert (delivery.state, delivery.last_status) == ("waiting", None)
        assert delivery.last_problem == "127.0.0.1 took longer than 0.2 seconds."
        over.set()

    def answers(_call):
        over.wait(10)
        return OK

    play(scene, answers)


def test_a_receiver_that_is_not_there_has_failed():
    async def scene(here, there):
        delivery = await here.attempted(await here.call("http://127.0.0.1:1/?token=hidden"))
        assert delivery.last_problem == "127.0.0.1 could not be reached."

    play(scene)


def test_of_an_answer_no_more_than_a_kilobyte_is_kept():
    async def scene(here, there):
        id = await here.call(there.url())
        assert (await here.settled(id)).state == "delivered"
        [attempt] = await here.attempts(id)
        assert attempt.answer == b"x" * 1024

    play(scene, (200, {}, b"x" * 1_000_000))


@pytest.mark.parametrize(
    ("url", "state", "problem"),
    [
        pytest.param("http://127.0.0.1:{port}/", "parked", "Must not lead to a private address", id="loopback"),
        pytest.param("http://169.254.169.254/latest", "parked", "Must not lead to a private address", id="metadata"),
        pytest.param("http://2130706433:{port}/", "parked", "Must not lead to a private address", id="as a number"),
        pytest.param("ftp://hooks.example/", "parked", "Must be an http or https URL.", id="another scheme"),
        pytest.param(
            "http://inwards.example:{port}/", "waiting", "inwards.example has no public address.", id="by name"
        ),
    ],
)
def test_nothing_is_sent_to_an_address_that_is_not_public(url, state, problem):
    async def resolve(_host):
        return ["127.0.0.1"]

    async def act():
        with receiver() as there:
            async with sending(is_running=False, PALACE_ALLOW_PRIVATE_ADDRESSES="none") as here:
                fetcher = replace(here.services.fetcher, resolve=resolve)
                here.services = replace(here.services, fetcher=fetcher)
                task = asyncio.create_task(keep_delivering(here.services))
                delivery = await here.attempted(await here.call(url.format(port=there.port)))
                task.cancel()
            assert there.calls == []
            assert (delivery.state, delivery.last_status) == (state, None)
            assert problem in delivery.last_problem

    asyncio.run(act())


def test_one_that_is_asked_for_again_while_its_last_try_fails_is_sent_again_at_once():
    asked_again = threading.Event()

    async def scene(here, there):
        id = await here.call(there.url())
        for number, seconds in enumerate(WAITS_SECONDS, 1):
            await here.attempted(id, number)
            await here.pass_time(seconds=seconds * (1 + JITTER))
        async with asyncio.timeout(10):
            while len(there.calls) < 10:
                await asyncio.sleep(0.01)
        delivery = await here.get(id)
        await here.services.store.transact(lambda tx: tx.webhooks.ask_again(delivery, delivery.due_at, MINE))
        asked_again.set()
        delivery = await here.attempted(id, 11)
        assert (delivery.state, delivery.attempts) == ("waiting", 11)
        await here.pass_time(seconds=WAITS_SECONDS[0] * (1 + JITTER))
        await here.attempted(id, 12)

    def answers(_call):
        count.append(1)
        if len(count) == 10:
            asked_again.wait(10)
        return (500, {}, b"")

    count = []
    play(scene, answers)


# --- Ends and beginnings ----------------------------------------------------------------------------------------------


def test_a_sender_that_is_told_to_stop_lets_go_and_the_next_one_sends_it_at_once():
    over = threading.Event()

    async def act():
        with receiver() as there:
            there.answers = lambda _call: (over.wait(10), OK)[1]
            async with sending(is_running=False) as here:
                first = asyncio.create_task(keep_delivering(here.services))
                id = await here.call(there.url())
                await asyncio.to_thread(there.wait)
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
                assert (await here.get(id)).attempts == 1
                over.set()
                second = asyncio.create_task(keep_delivering(here.services))
                delivery = await here.settled(id)
                second.cancel()
                assert (delivery.state, there.ids) == ("delivered", [id, id])
                assert here.services.meter.value("deliveries/let_go") == 1

    asyncio.run(act())


def test_what_cannot_be_sent_because_of_a_mistake_of_ours_is_tried_again_and_says_nothing_of_it(monkeypatch):
    async def broken(*_arguments, **_options):
        raise RuntimeError("https://hooks.example/?token=hidden")

    async def scene(here, there):
        with monkeypatch.context() as patched:
            patched.setattr(sender, "send", broken)
            id = await here.call(there.url())
            with capture_logs() as logged:
                assert (await here.attempted(id)).last_problem == sender.UNFINISHED
        assert [line["event"] for line in logged] == ["could not send a callback", "callback failed"]
        await here.pass_time(seconds=6)
        assert (await here.settled(id)).state == "delivered"

    play(scene)


def test_a_callback_that_was_undone_is_not_sent():
    async def scene(here, there):
        await here.settled(await here.call(there.url(), ["first"]))

        async def undone(tx):
            callback = Callback(MINE, here.documents["c1"], "c1", there.url(), "system.shutdown", {})
            await call_back(callback, tx, here.services)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await here.services.store.transact(undone)
        await here.settled(await here.call(there.url(), ["second"]))
        assert [json.loads(call.body) for call in there.calls] == [["first"], ["second"]]

    play(scene)
