"""Back to the state after start-up: for tests that are to find the same server each time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from palace.audit import Deed
from palace.call import Account
from palace.clock import timestamp
from palace.resource import Services
from palace.storage import Image, SqliteStore


@dataclass(frozen=True, slots=True)
class Start:
    """What the server was when it had started: its store, its clock and its ids."""

    image: Image
    now: datetime
    ids: dict[str, Any]


async def start_of(services: Services) -> Start:
    """Everything as it is now."""
    return Start(await _own_store(services).image(), services.clock.now(), services.ids.mark())


async def start_over(
    start: Start, services: Services, account: Account, request_id: str, rewind: Callable[[], None]
) -> None:
    """Make everything what it was at the start, between two writes; `rewind` does it to what is not in `services`.

    A request in flight lands before it, and is undone, or after it. The audit log tells of it.
    """

    def rewind_all() -> None:
        services.ids.rewind(start.ids)
        if services.clock.is_fixed:
            services.clock.set(start.now)
        rewind()

    await _own_store(services).put_back(start.image, rewind_all)
    deed = Deed(timestamp(services.clock.now()), account.id, account.key_id, "reset", "server", "", None, request_id)
    await services.store.transact(lambda tx: tx.add_audit(deed, services.audit))


def _own_store(services: Services) -> SqliteStore:
    """A database of which other servers work, too, is never set back; the settings refuse to start so."""
    assert isinstance(services.store, SqliteStore)
    return services.store
