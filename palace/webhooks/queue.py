"""Writing a callback: in the transaction of what it tells, so that neither is there without the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from palace.clock import timestamp
from palace.resource import Services
from palace.storage import Transaction
from palace.webhooks.bodies import body_of

ID_PREFIX = "wd"
ID_BYTES = 12
LANE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Callback:
    """What is to be told: `document` is the store's number of the object that it tells of, whose id is `about`."""

    account: int
    document: int
    about: str
    url: str
    event_type: str
    said: Mapping[str, Any]


def lane_of(about: str, url: str) -> str:
    """What one object tells one URL arrives in order. A hash, as the URL may be longer than what an index takes."""
    return blake2b(f"{about}\n{url}".encode(), digest_size=LANE_BYTES).hexdigest()


async def call_back(callback: Callback, tx: Transaction, services: Services) -> str:
    """Have it sent once the transaction is on disk, after what the same object told the same URL before; its id.

    Who writes must be alone with the object, as after reading it in this transaction: that makes the order.
    """
    id = (
        ID_PREFIX + services.ids.random_bytes(ID_BYTES).hex()
    )  # Never one that a reset took back: it may be on its way.
    await tx.webhooks.add(
        id,
        account=callback.account,
        document=callback.document,
        lane=lane_of(callback.about, callback.url),
        url=callback.url,
        event_type=callback.event_type,
        body=body_of(callback.said),
        now=timestamp(services.clock.now()),
    )
    return id
