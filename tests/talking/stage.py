"""Servers that hold conversations on one store in memory, with a clock that moves when told to."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from palace.app import open_services
from palace.clock import timestamp
from palace.conversation import Script, opened
from palace.conversation.commands import AskModel, CallTool
from palace.conversation.events import ModelAnswered, ModelSpoke, What
from palace.conversation.script import stored_script
from palace.conversation.state import stored_state
from palace.resource import Services
from palace.settings import Settings
from palace.storage import Overloaded, Record, Transaction
from palace.talking import Given, Listener, Place, Room, Rooms, Waking, keep
from palace.talking.given import Pinned

Speaks = Callable[[Rooms, Room, AskModel], Awaitable[None]]
BODY = {"pal_id": "p1", "face_id": None, "conversation_name": "", "status": "active"}


async def silent(rooms: Rooms, room: Room, command: AskModel | CallTool) -> None:
    """A model, or a tool, that answers never."""
    await asyncio.Event().wait()


class Store:
    """A store of which others may have a part, and that can be out of order for some writes."""

    def __init__(self, inner: Any, is_shared: bool) -> None:
        self._inner = inner
        self.is_shared = is_shared
        self.broken = 0
        self.is_open = asyncio.Event()
        self.is_open.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def transact(self, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
        """As ever, unless it is out of order; while it is not open, writes are on their way."""
        await self.is_open.wait()
        if self.broken:
            self.broken -= 1
            raise Overloaded("It is out of order.")
        return await self._inner.transact(work)


@dataclass
class Server:
    """One server: its rooms, and what wakes them."""

    rooms: Rooms
    store: Store
    waking: Waking = field(init=False)

    def __post_init__(self) -> None:
        self.waking = Waking(self.rooms, self.rooms._services)

    async def look(self) -> None:
        """What a server does four times a second."""
        await self.waking._wake_all()
        if self.rooms.is_shared:
            await self.rooms.hear_of_others()
            await self.rooms.stay()
        self.rooms.clear_up()


class Stage:
    """Servers on one store, and a conversation."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.servers: list[Server] = []

    def server(self, think: Any = silent, call: Any = silent, *, is_shared: bool = False) -> Server:
        """One more server."""
        store = Store(self.services.store, is_shared)
        rooms = Rooms(replace(self.services, store=store), think, call)  # type: ignore[arg-type]
        self.servers.append(Server(rooms, store))
        return self.servers[-1]

    def later(self, seconds: float) -> None:
        """Time goes by."""
        clock = self.services.clock
        clock.set(clock.now() + timedelta(seconds=seconds))

    async def begin(self, id: str = "c1", **more: Any) -> Place:
        """A new conversation."""
        now = self.services.clock.now()
        facts: dict[str, Any] = {"prompt": "You keep a hotel.", "is_chat": True, "left_seconds": 300, **more}
        script = Script(id, "p1", "f1", started_at=now.timestamp(), **facts)
        state, _, commands = opened(script, script.started_at)
        given = Given(Pinned("pal", "p1", 1, {"pal_name": "Night Desk"}, {}))

        async def write(tx: Transaction) -> Place:
            at = timestamp(now)
            body = orjson.dumps({"conversation_id": id, **BODY, "created_at": at, "updated_at": at})
            seq = await tx.insert(Record("conversation", id, 1, 1, at, at, body))
            due = None if state.wake_at is None else timestamp(datetime.fromtimestamp(state.wake_at, UTC))
            await tx.conversations.add(seq, due, stored_state(state), stored_script(script), given.stored())
            await keep(tx, place := Place(seq, id, 1), 0, commands, state.seq, given, self.services)
            return place

        return await self.services.store.transact(write)


def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
    """Play a scene on a stage of its own."""

    async def whole() -> None:
        stage = Stage(await open_services(Settings(ephemeral=True, fixed_time="2026-01-01T00:00:00Z")))
        try:
            async with asyncio.timeout(20):
                await scene(stage)
        finally:
            for server in stage.servers:
                await server.rooms.let_go()
            await stage.services.store.close()

    asyncio.run(whole())


async def settled() -> None:
    """Everything that can go on without anybody's doing has done so."""
    for _ in range(50):
        await asyncio.sleep(0.001)


class Model:
    """A model that writes and answers when told to."""

    def __init__(self) -> None:
        self.asked: list[AskModel] = []
        self.stopped: list[str] = []
        self._rooms: Rooms
        self._room: Room

    async def __call__(self, rooms: Rooms, room: Room, command: AskModel) -> None:
        self.asked.append(command)
        self._rooms, self._room = rooms, room
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.stopped.append(command.inference_id)
            raise

    async def writes(self, text: str) -> None:
        """It has come so far."""
        await self._rooms.stream(self._room, ModelSpoke(self.asked[-1].inference_id, text))

    async def answers(self, text: str, *wishes: Any) -> None:
        """It is done."""
        await self._rooms.surely(self._room, ModelAnswered(self.asked[-1].inference_id, text, wishes))


async def heard(listener: Listener) -> list[str]:
    """The kinds of what a listener was told since it was asked last, without `conversation.`."""
    await settled()
    return [one["event_type"].removeprefix("conversation.") for one in await listener.next(0)]


async def failing(server: Server, room: Room, *happened: What) -> None:
    """Something happens while the store is out of order."""
    server.store.broken = 1
    with suppress(Overloaded):
        await server.rooms.happen(room, *happened)
    assert not server.store.broken
