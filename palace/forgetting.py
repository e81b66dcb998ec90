"""Taking away for good what is remembered for a time only: deleted objects, first answers, callbacks that are done."""

import asyncio
from datetime import timedelta

import structlog

from palace.audit import Deed
from palace.clock import timestamp
from palace.resource import Services
from palace.storage import StorageFailure, Transaction

EVERY_SECONDS = 3600
DOCUMENTS_AT_ONCE = 20
ANSWERS_AT_ONCE = 500
DELIVERIES_AT_ONCE = 100
"""Forgetting goes in small transactions, so that requests need not wait for all of it."""

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


async def forget(services: Services) -> dict[str, int]:
    """Take away everything whose time is over, and tell how much of each kind."""
    return {
        "documents": await forget_documents(services),
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
        return len(gone)

    total = 0
    while count := await services.store.transact(some):
        total += count
    return total


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
