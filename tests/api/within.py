"""A whole server in this process, spoken to as uvicorn does, for what cannot be brought about from outside."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Send

from palace.api.emulator import Emulator
from palace.api.server import build_application
from palace.app import open_services, prepare
from palace.resource import Services
from palace.resources import RESOURCES
from palace.settings import load_settings
from palace.storage import Transaction
from palace.talking import Deliver, ModelOf, Rooms, Think
from tests.serving import KEY, STOCK_FACE


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
        path, _, query = path.partition("?")
        told = {"x-api-key": KEY, "content-type": "application/json", **headers}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
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

    async def begin(self, **members: Any) -> str:
        """A new conversation with a new PAL."""
        pal = {"system_prompt": "Answer.", "default_face_id": STOCK_FACE}
        made = (await self.ask("POST", "/v2/pals", pal)).body["pal_id"]
        begun = await self.ask("POST", "/v2/conversations", {"pal_id": made, **members})
        return str(begun.body["conversation_id"])

    async def over_socket(self, conversation: str, received: Sequence[Message], send: Send) -> None:
        """A line of a conversation, until it is over: what comes in is all there at once."""
        path, waiting = f"/c/{conversation}/ws", [{"type": "websocket.connect"}, *received]

        async def receive() -> Message:
            return waiting.pop(0)

        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"palace.test")],
            "extensions": {},
        }
        await self.application(scope, receive, send)

    @property
    def rooms(self) -> Rooms:
        """The conversations that go on."""
        assert isinstance(self.services.talks, Rooms)
        return self.services.talks

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
    rooms = Rooms(services, Think(ModelOf(services.models, services)), Deliver(services))
    services = replace(services, talks=rooms)
    try:
        yield Within(build_application(RESOURCES, services, settings, lambda: True, Emulator()), services)
    finally:
        await rooms.let_go()
        await services.store.close()
