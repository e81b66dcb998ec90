"""Takes jobs whose time has come and carries them out, a few at once; each at least once, whatever happens.

Kinds that may take an hour have places of their own, so that they do not keep those waiting that take seconds.

A job is written with its document and marked as done with its result, so neither is there without the other. When the
process dies in between, another one begins the job anew: what a job does outside the database must bear repeating.

Who works at a job has it for a time, and says again and again that it still does. Where several servers share a
database, one that died is noticed by that time being over; where there is one server, by its being started again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from palace.clock import timestamp
from palace.resource import Services
from palace.storage import Job, JobState, Stale, StorageFailure, Transaction

AT_ONCE = 4
LONG_AT_ONCE = 8
SHARE = 2
"""At once for one account, of each sort, so that slow sources of one do not keep the others waiting."""
LOOK_EVERY_SECONDS = 0.2
MOST_ATTEMPTS = 6
FIRST_WAIT_SECONDS = 2
WAIT_GROWS_BY = 4
"""Six attempts lie 2, 8, 32, 128 and 512 seconds apart."""
STORAGE_SECONDS = 5
LEASE_SECONDS = 30
RENEW_SECONDS = 10
EVER = "9999"
"""Later than every time."""
UNFINISHED = "The server could not finish this; its log tells why."

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.jobs")

Store = Callable[[Transaction], Awaitable[bool]]
"""Writes a result in a transaction. False when the document is deleted by now: the job waits until it is restored."""


class JobFailed(Exception):
    """The job cannot be done; the text is a sentence for the client. `is_temporary`: another try may succeed."""

    def __init__(self, text: str, *, is_temporary: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.is_temporary = is_temporary


@dataclass(frozen=True, slots=True)
class Work:
    """What is done for one kind of job: `carry_out` raises JobFailed; `give_up` tells the document why.

    `is_long`: it may take an hour.
    """

    carry_out: Callable[[Job, Services], Awaitable[Store]]
    give_up: Callable[[Job, str, Services], Store]
    is_long: bool = False


async def keep_working(kinds: Mapping[str, Work], services: Services) -> None:
    """Carry out jobs until cancelled, first those that another process left behind."""
    long = [name for name, work in kinds.items() if work.is_long]
    places = _Places(AT_ONCE, long, are_these=False), _Places(LONG_AT_ONCE, long, are_these=True)
    recover_at = 0.0
    try:
        while True:
            try:
                if services.clock.monotonic() >= recover_at:
                    await _recover(services, is_first=not recover_at)
                    recover_at = services.clock.monotonic() + LEASE_SECONDS
                for some in places:
                    for job in await _taken(some, services):
                        some.begin(_attempt(job, kinds, services), services)
            except Exception as error:  # Whatever it is, jobs go on as soon as it is over.
                cause = None if isinstance(error, StorageFailure) else error
                log.error("could not look for jobs", problem=str(error), exc_info=cause)
            await asyncio.sleep(LOOK_EVERY_SECONDS)
    finally:
        working = [task for some in places for task in some.working]
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)


class _Places:
    """Room for `most` jobs at once: those of some kinds, or of all others."""

    def __init__(self, most: int, kinds: Sequence[str], *, are_these: bool) -> None:
        self.kinds = kinds
        self.are_these = are_these
        self.working: set[asyncio.Task[None]] = set()
        self._most = most

    @property
    def left(self) -> int:
        """For how many there is room now."""
        return self._most - len(self.working)

    def begin(self, work: Coroutine[Any, Any, None], services: Services) -> None:
        """Have it done beside."""

        def ended(task: asyncio.Task[None]) -> None:
            self.working.discard(task)
            services.meter.count("jobs_running", -1)

        services.meter.count("jobs_running")
        task = asyncio.create_task(work)
        self.working.add(task)
        task.add_done_callback(ended)


async def _recover(services: Services, *, is_first: bool) -> None:
    """Let jobs wait again that a process which is gone had begun."""
    if services.store.is_shared:
        before = timestamp(services.clock.now())
        await services.store.transact(lambda tx: tx.jobs.recover(before))
    elif is_first:
        await services.store.transact(lambda tx: tx.jobs.recover(EVER))


def _lease(services: Services) -> str:
    return timestamp(services.clock.now() + timedelta(seconds=LEASE_SECONDS))


async def _taken(places: _Places, services: Services) -> list[Job]:
    """Jobs to be carried out now, marked as begun. Looking costs no write."""
    now, kinds, are_these = timestamp(services.clock.now()), places.kinds, places.are_these
    if not places.left or not await services.store.reading.jobs.due(now, 1, SHARE, kinds, are_these=are_these):
        return []

    async def take(tx: Transaction) -> list[Job]:
        due = await tx.jobs.due(now, places.left, SHARE, kinds, are_these=are_these)
        return [job for job in due if await tx.jobs.start(job.job, job.attempts, _lease(services))]

    return await services.store.transact(take)


async def _keep(job: Job, services: Services) -> None:
    """Say again and again that this attempt goes on, until cancelled."""
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        with suppress(StorageFailure):
            await services.store.transact(lambda tx: tx.jobs.extend(job.job, job.attempts + 1, _lease(services)))


async def _attempt(job: Job, kinds: Mapping[str, Work], services: Services) -> None:
    """Carry out a job once, and store what came of it. `job.attempts` counts the attempts before this one."""
    attempts = job.attempts + 1
    kind = kinds.get(job.kind)
    if kind is None:  # Of a newer server beside this one, which is to have it.
        log.warning("job of an unknown kind left to others", kind=job.kind, id=job.id)
        await _settled(job, "waiting", job.attempts, None, services, LEASE_SECONDS)
        return
    state: JobState = "done"
    keeping = asyncio.create_task(_keep(job, services))
    try:
        if attempts > MOST_ATTEMPTS:  # The process died each time, perhaps of this job.
            raise JobFailed(UNFINISHED)
        store = await kind.carry_out(job, services)
    except asyncio.CancelledError:  # The server ends: another one begins the job anew, and this was no attempt.
        services.meter.count("jobs/let_go")
        await _settled(job, "waiting", job.attempts, None, services)
        raise
    except Exception as error:
        failure = error if isinstance(error, JobFailed) else JobFailed(UNFINISHED, is_temporary=True)
        cause = None if failure is error else error
        log.warning("job failed", kind=job.kind, id=job.id, attempt=attempts, problem=failure.text, exc_info=cause)
        if failure.is_temporary and attempts < MOST_ATTEMPTS:
            wait = FIRST_WAIT_SECONDS * WAIT_GROWS_BY ** (attempts - 1)
            services.meter.count("jobs/retried")
            await _settled(job, "waiting", attempts, None, services, wait)
            return
        store, state = kind.give_up(job, failure.text, services), "failed"
    finally:
        keeping.cancel()
    state = await _concluded(job, kind, state, store, services)
    services.meter.count(f"jobs/{state}")


async def _concluded(job: Job, kind: Work, state: JobState, store: Store, services: Services) -> JobState:
    """Write a result, and tell what the job is then.

    Where that cannot be done, whatever the reason, it came to nothing: that is written instead; and if even that cannot
    be done, at least the job is over.
    """
    ways: tuple[tuple[JobState, Callable[[], Store | None]], ...] = (
        (state, lambda: store),
        ("failed", lambda: kind.give_up(job, UNFINISHED, services)),
        ("failed", lambda: None),
    )
    for state, made in ways:
        try:
            await _settled(job, state, job.attempts + 1, made(), services)
        except Exception as error:
            log.error("could not store what a job did", kind=job.kind, id=job.id, problem=str(error), exc_info=error)
        else:
            break
    return state


async def _settled(
    job: Job, state: JobState, attempts: int, store: Store | None, services: Services, wait_seconds: float = 0
) -> None:
    """Write what came of an attempt; tried again while the database cannot take it, or others write in between."""

    async def settle(tx: Transaction) -> None:
        if not await tx.jobs.is_held(job.job, job.attempts + 1):  # Gone with its document, or begun by another server.
            return
        due_at = timestamp(services.clock.now() + timedelta(seconds=wait_seconds))
        if store is None or await store(tx):
            await tx.jobs.put(job.job, state, attempts, due_at)
        else:
            await tx.jobs.put(job.job, "waiting", attempts - 1, due_at)

    while True:
        try:
            await services.store.transact(settle)
        except StorageFailure as error:
            log.error("could not store what a job did", kind=job.kind, id=job.id, problem=str(error))
            await asyncio.sleep(STORAGE_SECONDS)
        except Stale:  # Another server was faster at the document: what it did is read anew.
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        else:
            return
