"""A sender of callbacks in this process, on a clock that stands where a test puts it, and a real receiver."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from palace.app import open_services
from palace.clock import Clock
from palace.metrics import Meter
from palace.resource import Services
from palace.settings import load_settings
from palace.storage import Attempt, Delivery, Record
from palace.webhooks import Callback, call_back, keep_delivering
from tests.receiver import OK, Answer, Call, Receiver, receiver

START = datetime(2026, 1, 1, tzinfo=UTC)
AT = "2026-01-01T00:00:00.000000Z"
MINE, YOURS = 1, 2


@dataclass
class Sending:
    """A sender, and everything it works with."""

    services: Services
    documents: dict[str, int] = field(default_factory=dict)

    async def call(self, url: str, said: Any = None, *, about: str = "c1", account: int = MINE) -> str:
        """Write a callback that tells of a conversation."""
        if about not in self.documents:
            record = Record("conversation", about, account, 1, AT, AT, b"{}")
            self.documents[about] = await self.services.store.transact(lambda tx: tx.insert(record))
        callback = Callback(account, self.documents[about], about, url, "system.shutdown", said or {})
        return await self.services.store.transact(lambda tx: call_back(callback, tx, self.services))

    async def pass_time(self, **time: float) -> None:
        self.services.clock.set(self.services.clock.now() + timedelta(**time))
        self.services.changes.callbacks.set()

    async def get(self, id: str, account: int = MINE) -> Delivery:
        found = await self.services.store.reading.webhooks.get(id, account)
        assert found is not None
        return found

    async def attempts(self, id: str) -> list[Attempt]:
        return await self.services.store.reading.webhooks.attempts((await self.get(id)).seq, 100)

    async def until(self, id: str, is_so: Callable[[Delivery], bool]) -> Delivery:
        """The callback, once something is so."""
        async with asyncio.timeout(20):
            while not is_so(found := await self.get(id)):
                await asyncio.sleep(0.01)
        return found

    async def attempted(self, id: str, count: int = 1) -> Delivery:
        """The callback, once what came of so many attempts is stored."""
        async with asyncio.timeout(20):
            while len(await self.attempts(id)) < count:
                await asyncio.sleep(0.01)
        return await self.get(id)

    async def settled(self, id: str) -> Delivery:
        return await self.until(id, lambda found: found.state != "waiting")


@asynccontextmanager
async def sending(*, is_running: bool = True, **environment: str) -> AsyncIterator[Sending]:
    allowed = {"PALACE_EPHEMERAL": "true", "PALACE_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8"}
    services = await open_services(load_settings(allowed | environment), meter=Meter())
    services = replace(services, clock=Clock(START))
    await services.store.listen(services.changes)
    task = asyncio.create_task(keep_delivering(services)) if is_running else None
    try:
        yield Sending(services)
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await services.store.close()


Scene = Callable[[Sending, Receiver], Awaitable[None]]


def play(scene: Scene, answers: Answer | Callable[[Call], Answer] = OK, **environment: str) -> Receiver:
    """Run a scene with a receiver that answers like this."""

    async def act() -> Receiver:
        with receiver() as there:
            there.answers = answers
            async with sending(**environment) as here:
                await scene(here, there)
            return there

    return asyncio.run(act())


def answering(*statuses: int) -> Callable[[Call], Answer]:
    """One status after the other, then the last one for ever."""
    left = list(statuses)
    return lambda _: (left.pop(0) if len(left) > 1 else left[0], {}, b"")
