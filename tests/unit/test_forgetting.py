"""What is taken away for good, and when, with a clock that stands where the test puts it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from palace import forgetting
from palace.app import open_services
from palace.call import Account, Call
from palace.clock import Clock, timestamp
from palace.resources.pals import PAL
from palace.settings import Settings
from palace.storage import Attempt
from palace.verbs import create, delete
from palace.vocabulary import Words

START = datetime(2026, 1, 1, tzinfo=UTC)
MANY = forgetting.DOCUMENTS_AT_ONCE * 2 + 1


class StillClock(Clock):
    """Stands at `moment`."""

    moment = START

    def now(self) -> datetime:
        return self.moment


def body():
    return {"pal_name": "Night Desk", "system_prompt": "x"}


async def services_in(folder, clock, **settings):
    opened = await open_services(Settings(data=folder, **settings))
    return replace(opened, clock=clock)


async def make_and_delete(services):
    call = Call(Account(1, "k1"), Words(is_legacy=True), body=body())
    made = []
    await create(PAL, call, services, answer=lambda outcome: made.append(outcome.record.id))
    await delete(PAL, replace(call, ids={"id": made[0]}), services)
    return made[0]


async def purged(services):
    return [row.deed.id async for row in services.store.reading.audit_rows() if row.deed.action == "purge"]


@pytest.mark.parametrize(
    ("restore_days", "age", "count"),
    [
        pytest.param(30, timedelta(days=30), 0, id="on the last day nothing"),
        pytest.param(30, timedelta(days=30, microseconds=1), 1, id="after it"),
        pytest.param(0, timedelta(microseconds=1), 1, id="at once, where nothing can be restored"),
    ],
)
def test_a_deleted_object_is_kept_for_restore_days(tmp_path, restore_days, age, count):
    async def scene():
        clock = StillClock()
        services = await services_in(tmp_path, clock, restore_days=restore_days)
        id = await make_and_delete(services)
        clock.moment = START + age
        assert await forgetting.forget_documents(services) == count
        assert await purged(services) == [id] * count
        await services.store.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("age", "state", "count"),
    [
        pytest.param(timedelta(days=7), "delivered", 0, id="on the last day nothing"),
        pytest.param(timedelta(days=7, microseconds=1), "delivered", 1, id="after it"),
        pytest.param(timedelta(days=7, microseconds=1), "parked", 1, id="also what was given up"),
        pytest.param(timedelta(days=700), "waiting", 0, id="never what is still to be delivered"),
    ],
)
def test_a_callback_is_kept_for_keep_deliveries_days(tmp_path, age, state, count):
    async def scene():
        clock = StillClock()
        services = await services_in(tmp_path, clock, keep_deliveries_days=7)
        at = timestamp(clock.now())
        values = {"account": 1, "document": None, "lane": "a", "url": "u", "event_type": "e", "body": b"{}"}
        await services.store.transact(lambda tx: tx.webhooks.add("wd1", **values, now=at))
        [delivery] = await services.store.reading.webhooks.due(at, 1, 1)
        attempt = Attempt(0, at, 1, 200, None, b"")
        await services.store.transact(lambda tx: tx.webhooks.settle(delivery, attempt, state, at, None))
        clock.moment = START + age
        assert (await forgetting.forget(services))["deliveries"] == count
        await services.store.close()

    asyncio.run(scene())


def test_many_go_in_small_transactions_and_each_is_logged(tmp_path):
    async def scene():
        clock = StillClock()
        services = await services_in(tmp_path, clock)
        ids = [await make_and_delete(services) for _ in range(MANY)]
        clock.moment = START + timedelta(days=40)
        assert await forgetting.forget_documents(services) == MANY
        assert sorted(await purged(services)) == sorted(ids)
        assert await forgetting.forget_documents(services) == 0
        await services.store.close()

    asyncio.run(scene())


def test_forgetting_goes_on_every_hour_until_it_is_cancelled(tmp_path, monkeypatch):
    async def scene():
        monkeypatch.setattr(forgetting, "EVERY_SECONDS", 0.01)
        clock = StillClock()
        services = await services_in(tmp_path, clock)
        await make_and_delete(services)
        task = asyncio.create_task(forgetting.keep_forgetting(services))
        await asyncio.sleep(0.05)
        assert await purged(services) == []
        clock.moment = START + timedelta(days=40)
        while not await purged(services):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await services.store.close()

    asyncio.run(scene())
