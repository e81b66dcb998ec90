"""Callbacks on several nodes with one database: sent once each while nobody dies, in order, and by whoever is left."""

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack

import pytest

from palace.app import open_services
from palace.clock import timestamp
from palace.resource import Services
from palace.settings import load_settings
from palace.storage import Record
from palace.webhooks import Callback, call_back, keep_delivering
from tests.acceptance.several import MASTER_KEY, nodes, rows
from tests.api.making import created
from tests.media import jpeg
from tests.postgres import new_database
from tests.receiver import Receiver, receiver
from tests.sites import site
from tests.waiting import until, wait_until

FLAGS = ("--allow-private-addresses", "127.0.0.0/8")
CONVERSATIONS, TOLD = 12, 15


async def opened(database: str, folder) -> Services:
    environment = {
        "PALACE_DATABASE": database,
        "PALACE_MASTER_KEY": MASTER_KEY,
        "PALACE_DATA": str(folder),
        "PALACE_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
    }
    services = await open_services(load_settings(environment))
    await services.store.listen(services.changes)
    return services


async def told(services: Services, about: str, there: Receiver) -> None:
    """A conversation that tells something in each of its steps; each step is alone with it, as it changes it."""
    at = timestamp(services.clock.now())
    record = Record("conversation", about, 1, 1, at, at, b"{}")
    document = await services.store.transact(lambda tx: tx.insert(record))
    for number in range(TOLD):

        async def step(tx, number=number):
            known = await tx.get("conversation", about, 1)
            await tx.replace(known, body=b"{}", secrets=None, updated_at=at, etag="", base=1)
            callback = Callback(1, document, about, there.url(), "step", {"about": about, "number": number})
            await call_back(callback, tx, services)

        await services.store.transact(step)


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("senders", [2, 3])
def test_each_callback_is_sent_once_and_in_order_whoever_sends_it(tmp_path, senders):
    async def scene(there):
        running = []

        def shares() -> list[float]:
            return [services.meter.value("deliveries/delivered") for services in running]

        async with AsyncExitStack() as stack:
            database = new_database()
            for number in range(senders):
                running.append(await opened(database, tmp_path / str(number)))
                stack.push_async_callback(running[-1].store.close)
            for services in running:
                stack.push_async_callback(ended, asyncio.create_task(keep_delivering(services)))
            await asyncio.gather(*(told(running[n % senders], f"c{n}", there) for n in range(CONVERSATIONS)))
            await until(lambda: sum(shares()) >= CONVERSATIONS * TOLD)
        return shares()

    with receiver() as there:
        shares = asyncio.run(scene(there))
    arrived = defaultdict(list)
    for call in there.calls:
        arrived[call.said["about"]].append(call.said["number"])
    assert arrived == {f"c{n}": list(range(TOLD)) for n in range(CONVERSATIONS)}
    assert sum(shares) == CONVERSATIONS * TOLD == len(set(there.ids))


def test_when_a_node_is_killed_another_one_sends_what_it_had_and_what_it_was_sending(tmp_path):
    database = new_database()
    with receiver() as there, site() as pictures, nodes(tmp_path, database, 2, *FLAGS) as (one, other):
        pictures.pages["/a.jpg"] = (200, {"content-type": "image/jpeg"}, jpeg(100, 100))
        there.answers = (500, {}, b"")
        with one.client() as client:
            wanted = {"train_image_url": pictures.url("/a.jpg", "127.0.0.1"), "voice_name": "calm-alto"}
            faces = [created(client, **wanted, callback_url=there.url(f"/{n}")) for n in range(6)]
        there.wait(6)
        one.kill()
        there.answers = (200, {}, b"")
        wait_until(lambda: rows(database, "SELECT count(*) FROM deliveries WHERE state = 'delivered'") == [(6,)], 60)
        assert {call.said["replica_id"] for call in there.calls[-6:]} == set(faces)
        with other.client() as client:
            assert client.get("/v2/webhooks/deliveries?status=delivered").json()["total_count"] == 6
