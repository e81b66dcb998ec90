"""A whole server in this process, spoken to as uvicorn does, for what cannot be brought about from outside."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message

from palace.api.emulator import Emulator
from palace.api.server import build_application
from palace.app import open_services, prepare
from palace.resource import Services
from palace.resources import RESOURCES
from palace.settings import load_settings
from palace.storage import Transaction
from tests.serving import KEY


@dataclass
class Exchange:
    """A request that is on its way, and what was answered so far."""

    task: asyncio.Task[None]
    messages: list[Message] = field(default_factory=list)

    async def answered(self) -> "Exchange":
        """This one, once the answer is complete, whatever the server still does."""
        async with asyncio.timeout(10):
            while not self.messages or self.messages[-1]["type"] != "http.response.body":
                await asyncio.sleep(0.01)
        return self

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> Any:
        return json.loads(self.messages[-1]["body"])


@dataclass
class Within:
    """A server without sockets."""

    application: ASGIApp
    services: Services

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Exchange:
        """Send a request, and do not wait for the answer. An `Ellipsis` is a body that never comes."""
        sent = b"" if body is ... or body is None else json.dumps(body).encode()
        told = {"x-api-key": KEY, "content-type": "application/json", **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in told.items()],
        }
        messages: list[Message] = []
        is_over = asyncio.Event()

        async def receive() -> Message:
            if body is ...:
                await is_over.wait()
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": sent, "more_body": False}

        async def answer(message: Message) -> None:
            messages.append(message)
            if message["type"] == "http.response.body":
                is_over.set()

        return Exchange(asyncio.create_task(self.application(scope, receive, answer)), messages)

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Exchange:
        """Send a request and wait for the answer."""
        return await self.send(method, path, body, **headers).answered()

    @asynccontextmanager
    async def busy_store(self) -> AsyncIterator[None]:
        """The writer is at work for as long as the context lasts."""
        is_free, is_busy = asyncio.Event(), asyncio.Event()

        async def work(_: Transaction) -> None:
            is_busy.set()
            await is_free.wait()

        task = asyncio.create_task(self.services.store.transact(work))
        await is_busy.wait()
        try:
            yield
        finally:
            is_free.set()
            await task


@asynccontextmanager
async def within(folder: Path, **environment: str) -> AsyncIterator[Within]:
    """A server on a database of its own."""
    settings = load_settings({"PALACE_DATA": str(folder / "within"), "PALACE_API_KEY": KEY, **environment})
    services = await open_services(settings)
    await prepare(settings, services)
    try:
        yield Within(build_application(RESOURCES, services, settings, lambda: True, Emulator()), services)
    finally:
        await services.store.close()
