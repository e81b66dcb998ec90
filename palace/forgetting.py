"""Taking away for good what is remembered for a time only: deleted objects, first answers, callbacks that are done,
conversations that are over; and leaving no byte of it.
"""

import asyncio
from datetime import timedelta

import orjson
import structlog

from palace.audit import Deed
from palace.clock import timestamp
from palace.resource import Services
from palace.storage import Listing, StorageFailure, Transaction

EVERY_SECONDS = 3600
DOCUMENTS_AT_ONCE = 20
ANSWERS_AT_ONCE = 500
DELIVERIES_AT_ONCE = 100
CONVERSATIONS_AT_ONCE = 20
REPLAYS_AT_ONCE = 100
CONVERSATION, REHEARSAL = "conversation", "rehearsal"
"""Forgetting goes in small transactions, so that requests need not wait for all of it."""

WAIT_SECONDS = 0.5
"""So long others that take something away may still join in before the file is written anew."""
RESTS = 500
"""So many times as long as the last time took it is not done again: writes wait meanwhile."""
RETRY_SECONDS = 60

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace")


async def keep_forgetting(services: Services) -> None:
    """Forget now and every hour, until cancelled. A database that cannot take it now is tried again."""
    while True:
        try:
            forgot = await forget(services)
        except Exception as error:  # Whatever it is, it may be over in an hour.
            cause = None if isinstance(error, StorageFailure) else error
            log.error("could not forget", problem=str(error), exc_info=cause)
        else:
            if any(forgot.values()):
                log.info("forgot", **forgot)
        await asyncio.sleep(EVERY_SECONDS)


async def keep_wiping(services: Services) -> None:
    """Leave no byte of what is taken away for good, until cancelled: soon after it was, but not all the time."""
    erased = services.changes.erased
    while True:
        await erased.wait()
        await asyncio.sleep(WAIT_SECONDS)
        erased.clear()
        began = services.clock.monotonic()
        try:
            await services.store.wipe()
        except StorageFailure as error:
            log.error("could not wipe what was taken away; tried again", problem=str(error))
            erased.set()
            await asyncio.sleep(RETRY_SECONDS)
        else:
            await asyncio.sleep((services.clock.monotonic() - began) * RESTS)


async def forget(services: Services) -> dict[str, int]:
    """Take away everything whose time is over, and tell how much of each kind."""
    return {
        "documents": await forget_documents(services),
        "conversations": await forget_conversations(services),
        "answers": await forget_answers(services),
        "deliveries": await forget_deliveries(services),
    }


async def forget_documents(services: Services) -> int:
    """Take away, with their history and secrets, objects that were deleted more than `restore_days` ago."""
    now = services.clock.now()
    before, at = timestamp(now - timedelta(days=services.settings.restore_days)), timestamp(now)

    async def some(tx: Transaction) -> int:
        gone = await tx.forget_documents(before, DOCUMENTS_AT_ONCE)
        for kind, id, owner, revision in gone:
            await tx.add_audit(Deed(at, owner, None, "purge", kind, id, revision), services.audit)
            if kind == CONVERSATION:
                await forget_replays(tx, id, owner, services)
        return len(gone)

    total = 0
    while count := await services.store.transact(some):
        total += count
    return total


async def forget_conversations(services: Services) -> int:
    """Take away, with all that was said, conversations that were over `keep_conversations_days` ago; 0 keeps them."""
    days = services.settings.keep_conversations_days
    now = services.clock.now()
    before, at = timestamp(now - timedelta(days=days)), timestamp(now)

    async def some(tx: Transaction) -> int:
        gone = await tx.conversations.forget(before, CONVERSATIONS_AT_ONCE)
        for kind, id, owner, revision in gone:
            await tx.add_audit(Deed(at, owner, None, "purge", kind, id, revision), services.audit)
            await forget_replays(tx, id, owner, services)
        return len(gone)

    total = 0
    while days and (count := await services.store.transact(some)):
        total += count
    return total


async def forget_replays(tx: Transaction, conversation: str, owner: int, services: Services) -> None:
    """Take away the rehearsals that said a conversation again, which hold all that was said in it."""
    at = timestamp(services.clock.now())
    listing = Listing("own", "newest", REPLAYS_AT_ONCE, labels={CONVERSATION: [conversation]})
    while found := (await tx.links.search(REHEARSAL, owner, listing)).bodies:
        for body in found:
            record = await tx.get(REHEARSAL, orjson.loads(body)["rehearsal_id"], owner)
            if record is not None:  # Else somebody else did just now.
                deed = Deed(at, owner, None, "purge", REHEARSAL, record.id, record.revision)
                await tx.add_audit(deed, services.audit)
                await tx.delete(record)


async def forget_answers(services: Services) -> int:
    """Take away answers that are older than `idempotency_hours`."""
    before = timestamp(services.clock.now() - timedelta(hours=services.settings.idempotency_hours))
    total = 0
    while count := await services.store.transact(lambda tx: tx.forget_answers(before, ANSWERS_AT_ONCE)):
        total += count
    return total


async def forget_deliveries(services: Services) -> int:
    """Take away callbacks from more than `keep_deliveries_days` ago, but for those that are still to be delivered."""
    before = timestamp(services.clock.now() - timedelta(days=services.settings.keep_deliveries_days))
    total = 0
    while count := await services.store.transact(lambda tx: tx.webhooks.forget(before, DELIVERIES_AT_ONCE)):
        total += count
    return total
