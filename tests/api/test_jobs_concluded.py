"""Results of jobs that cannot be stored as they are: tried again, or told to have come to nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from palace.app import open_services
from palace.clock import timestamp
from palace.jobs import keep_working
from palace.jobs.runner import AT_ONCE, SHARE, UNFINISHED, Work
from palace.resource import Services
from palace.settings import load_settings
from palace.storage import Job, Record, Stale, Transaction

Told = list[str]


async def stores(_tx: Transaction) -> bool:
    return True


def falls(error: Exception, times: int = 1000) -> Callable[[Transaction], Any]:
    """What stores nothing so many times."""
    left = times

    async def store(_tx: Transaction) -> bool:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return True

    return store


def works(result: Any, told: Told, giving_up: Any = stores) -> Work:
    async def carry_out(_job: Job, _services: Services) -> Any:
        return result

    def give_up(_job: Job, problem: str, _services: Services) -> Any:
        told.append(problem)
        return giving_up

    return Work(carry_out, give_up)


async def played(kinds: dict[str, Work], jobs: list[tuple[str, int]], until: Callable[[Services], Any]) -> None:
    """Jobs, each of a kind and an account, until something is so."""
    services = await open_services(load_settings({"PALACE_EPHEMERAL": "true"}))
    now = timestamp(services.clock.now())

    async def add(tx: Transaction) -> None:
        for number, (kind, account) in enumerate(jobs):
            document = await tx.insert(Record("thing", f"t{number}", account, 1, now, now, b"{}"))
            await tx.jobs.add(number, kind, document, now, b"{}")

    await services.store.transact(add)
    working = asyncio.create_task(keep_working(kinds, services))
    try:
        async with asyncio.timeout(20):
            while not await until(services):
                await asyncio.sleep(0.02)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await services.models.close()
        await services.store.close()


def counted(name: str) -> Callable[[Services], Any]:
    async def is_so(services: Services) -> bool:
        return bool(services.meter.value(name)) and await services.store.reading.jobs.waiting() == 0

    return is_so


@pytest.mark.parametrize(
    ("result", "giving_up", "outcome", "told"),
    [
        (falls(Stale("Somebody was faster."), times=2), stores, "done", []),
        (falls(TypeError("surrogates not allowed")), stores, "failed", [UNFINISHED]),
        (falls(TypeError("surrogates not allowed")), falls(KeyError("t1")), "failed", [UNFINISHED]),
    ],
    ids=["others write in between", "it cannot be stored", "nothing can be stored"],
)
def test_a_job_ends_whatever_happens_to_its_result(result: Any, giving_up: Any, outcome: str, told: Told) -> None:
    found: Told = []
    with capture_logs() as lines:
        asyncio.run(played({"do": works(result, found, giving_up)}, [("do", 1)], counted(f"jobs/{outcome}")))
    assert found == told
    assert bool(lines) is bool(told), "the log tells why"


def test_jobs_that_take_long_do_not_keep_others_waiting() -> None:
    async def hangs(_job: Job, _services: Services) -> Any:
        await asyncio.Event().wait()

    kinds = {"play": Work(hangs, works(stores, []).give_up, is_long=True), "do": works(stores, [])}
    long = [("play", account) for account in range(1, AT_ONCE + 1) for _ in range(SHARE)]
    asyncio.run(played(kinds, [*long, ("do", 1)], counted("jobs/done")))
