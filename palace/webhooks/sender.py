"""Sends callbacks whose time has come, many at once, in order within each lane; each at least once, whatever happens.

Who sends one has it until a time that lies behind the longest attempt. Where several servers share a database, one that
died is noticed by that time being over; where there is one server, by its being started again. A commit on this server
that holds a callback wakes the loop at once; it also looks by itself, for what is to be tried again.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import structlog

from palace.clock import parse_moment, timestamp
from palace.fetching import REDIRECTS, Answer, Bounds, FetchFailed, Request, problem_with_url, send
from palace.resource import Services
from palace.storage import Attempt, DeliveryState, Outgoing, StorageFailure, Transaction, Work
from palace.webhooks.keyring import read_keyring
from palace.webhooks.schedule import Tried, next_try
from palace.webhooks.signing import signed_headers

AT_ONCE = 64
SHARE = 16
"""At once for one account, so that slow receivers of one do not keep the others waiting."""
LOOK_EVERY_SECONDS = 0.5
SECONDS = 10
"""for one attempt"""
LEASE_SECONDS = 30
STORAGE_SECONDS = 5
ANSWER_BYTES = 1024
"""How much of an answer is kept, for people to look at."""
JITTER_BYTES = 4
BOUNDS = Bounds(ANSWER_BYTES, SECONDS)
UNFINISHED = "The server could not send this; its log tells why."

T = TypeVar("T")

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.webhooks")


async def keep_delivering(services: Services) -> None:
    """Send callbacks until cancelled, first those that another process left behind."""
    sending: set[asyncio.Task[None]] = set()
    woken, is_first = services.changes.callbacks, True
    try:
        while True:
            woken.clear()
            try:
                if is_first and not services.store.is_shared:
                    await services.store.transact(lambda tx: tx.webhooks.free())
                is_first = False
                due = await _taken(AT_ONCE - len(sending), services)
            except Exception as error:  # Whatever it is, callbacks go on as soon as it is over.
                cause = None if isinstance(error, StorageFailure) else error
                log.error("could not look for callbacks", problem=str(error), exc_info=cause)
                due = []
            for delivery in due:
                _begin(_deliver(delivery, services), sending, woken)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECONDS):
                    await woken.wait()
    finally:
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)


def _begin(work: Coroutine[Any, Any, None], sending: set[asyncio.Task[None]], woken: asyncio.Event) -> None:
    """Have it done beside; when it ends, the next one of its lane is due."""

    def ended(task: asyncio.Task[None]) -> None:
        sending.discard(task)
        woken.set()

    task = asyncio.create_task(work)
    sending.add(task)
    task.add_done_callback(ended)


async def _taken(most: int, services: Services) -> list[Outgoing]:
    """Callbacks to be sent now, marked as being sent. Looking costs no write."""
    now = services.clock.now()
    at, until = timestamp(now), timestamp(now + timedelta(seconds=LEASE_SECONDS))
    if most <= 0 or not await services.store.reading.webhooks.due(at, 1, SHARE):
        return []

    async def take(tx: Transaction) -> list[Outgoing]:
        due = await tx.webhooks.due(at, most, SHARE)
        return [delivery for delivery in due if await tx.webhooks.start(delivery, at, until)]

    return await services.store.transact(take)


async def _deliver(delivery: Outgoing, services: Services) -> None:
    """Make one attempt, and store what came of it."""
    at, started = services.clock.now(), services.clock.monotonic()
    answer, problem = None, None
    try:
        answer = await _send(delivery, services)
        problem = None if 200 <= answer.status < 300 else _said(answer, delivery)
    except asyncio.CancelledError:  # The server ends: another one sends it at once, and this was no try.
        services.meter.count("deliveries/let_go")
        await _stored(delivery, lambda tx: tx.webhooks.let_go(delivery), services)
        raise
    except FetchFailed as error:
        problem = error.text
    except Exception as error:
        log.error("could not send a callback", id=delivery.id, exc_info=error)
        problem = UNFINISHED
    ms = round(1000 * (services.clock.monotonic() - started))
    status, content = (answer.status, answer.body) if answer else (None, b"")
    attempt = Attempt(delivery.attempts + 1, timestamp(at), ms, status, problem, content)
    await _settle(delivery, attempt, answer.headers.get("retry-after", "") if answer else "", services)


async def _send(delivery: Outgoing, services: Services) -> Answer:
    """What the receiver answers to a freshly signed request. Raises FetchFailed."""
    keyring, now = await read_keyring(delivery.account, services), services.clock.now()
    headers = signed_headers(keyring.secrets(now), delivery.id, int(now.timestamp()), delivery.body)
    told = (("content-type", "application/json"), *headers)
    return await send(Request("POST", delivery.url, told, delivery.body), BOUNDS, services.fetcher)


def _said(answer: Answer, delivery: Outgoing) -> str:
    """Why an answer is no success; nothing of the address but the host, as the rest may be secret."""
    host = httpx.URL(delivery.url).host
    more = "; redirects are not followed" if answer.status in REDIRECTS else ""
    return f"{host} answered {answer.status}{more}."


async def _settle(delivery: Outgoing, attempt: Attempt, retry_after: str, services: Services) -> None:
    """Write what became of an attempt, and decide on the next one: by the tries that count when it is written."""
    now, jitter = services.clock.now(), _jitter(services)
    is_hopeless = problem_with_url(delivery.url, services.fetcher.allowed) is not None

    async def settle(tx: Transaction) -> DeliveryState | None:
        known = await tx.webhooks.tries(delivery)
        if known is None:
            return None
        tries, asked_at = known
        tried = Tried(tries, parse_moment(asked_at), now, attempt.status, retry_after, is_hopeless)
        again_at = None if tried.is_delivered else next_try(tried, jitter)
        state: DeliveryState = "delivered" if tried.is_delivered else "waiting" if again_at else "parked"
        delivered_at = timestamp(now) if state == "delivered" else None
        await tx.webhooks.settle(delivery, attempt, state, timestamp(again_at or now), delivered_at)
        return state

    state = await _stored(delivery, settle, services)
    if attempt.problem is not None:
        told = {"attempt": attempt.attempt, "state": state, "problem": attempt.problem}
        log.warning("callback failed", id=delivery.id, **told)
    if state is not None:
        services.meter.count(f"deliveries/{'retried' if state == 'waiting' else state}")


async def _stored(delivery: Outgoing, work: Work[T], services: Services) -> T:
    """Store what became of an attempt; tried again while the database cannot take it.

    An attempt that somebody else repeats meanwhile, because its time was over, counts no more: the store tells.
    """
    while True:
        try:
            return await services.store.transact(work)
        except StorageFailure as error:
            log.error("could not store what became of a callback", id=delivery.id, problem=str(error))
            await asyncio.sleep(STORAGE_SECONDS)


def _jitter(services: Services) -> float:
    return int.from_bytes(services.ids.random_bytes(JITTER_BYTES)) / (1 << 8 * JITTER_BYTES)
