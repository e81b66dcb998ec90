"""The conversations of this server that go on. Each step: the brain reacts, the step is stored, then told and done.
Only the model is asked while it is being stored.

A room in memory is a copy of what is stored. Another server may have gone a step meanwhile: the store refuses ours
then, the room is read anew, and the brain reacts once more.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Protocol

import orjson
import structlog

from palace.clock import timestamp
from palace.conversation import Command, Event, react, script_of
from palace.conversation.brain import AWAY
from palace.conversation.commands import AskModel, CallTool, Close, Emit, StopModel
from palace.conversation.events import AtWork, Joined, Lost, LostTouch, ModelSpoke, What
from palace.conversation.state import state_of, stored_state
from palace.resource import Services
from palace.storage import Stale, StorageFailure, Transaction
from palace.talking.given import Place, given_of
from palace.talking.keeping import keep
from palace.talking.lines import Lines
from palace.talking.listeners import Listener, Message
from palace.talking.room import Damaged, Gone, Room
from palace.talking.seeing import Seeing
from palace.talking.words import words_said
from palace.unavailable import Stopping
from palace.verbs import put_facts

KIND = "conversation"
POST_CALL = "post_call_action"
JOB_BYTES = 7
"""of the number of a job, which fits an integer of the store"""
AT_LEAST_AHEAD = 2000
"""So far the numbers of app messages jump with a step while an answer is awaited elsewhere, or was: those of messages
that were told there and not stored are not given again. It is more than an answer has at most."""
REST_SECONDS = 60.0
"""So long a room stays in memory that nobody listens to."""
WORK_SECONDS, LEASE_SECONDS, STAYS_BEFORE_SECONDS = 15.0, 120.0, 10.0
"""Where several servers share a database, one that is at work for a conversation is taken for gone when it does not say
so for so long, and so is a person whose server does not; it does when so much of that is left."""
BROKEN_SECONDS = 30.0
"""So long a person whose line is broken may take to come back."""
BY_HTTP = "(http)"
"""The one person that all plain requests of a conversation are; it has no line that it could lose."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.talking")


Also = Callable[[Transaction], Awaitable[None]]
"""What is stored with a step that its cause alone knows of."""


class Doing(Protocol):
    """What a conversation has done outside: it says what came of it by calling `happen`."""

    def __call__(self, rooms: "Rooms", room: "Room", command: AskModel | CallTool) -> Coroutine[Any, Any, None]:
        """Carry it out."""


class Rooms:
    """All conversations that this server has to do with at the moment."""

    def __init__(self, services: Services, think: Doing, call: Doing, seeing: Seeing | None = None) -> None:
        self._services = services
        self._think = think
        self._call = call
        self.lines = Lines(services.settings.most_lines, services.settings.most_account_lines, services.meter)
        self.is_stopping = False
        self.seeing = seeing or Seeing(services.meter, services.clock)
        self._rooms: dict[int, Room] = {}
        self._opening: dict[int, asyncio.Lock] = {}
        self._steps: set[asyncio.Task[None]] = set()

    @property
    def is_shared(self) -> bool:
        """Whether other servers hold lines of the same conversations."""
        return self._services.store.is_shared

    # --- Looking ------------------------------------------------------------------------------------------------------

    async def room(self, place: Place) -> Room:
        """The conversation, as it is stored or newer. Raises Gone, Damaged."""
        known = self._rooms.get(place.document)
        if known is None:
            try:
                async with self._opening.setdefault(place.document, asyncio.Lock()):
                    if (known := self._rooms.get(place.document)) is None:
                        known = await self._read(place)
                        self._rooms[place.document] = known
            finally:
                self._opening.pop(place.document, None)
        if known.is_stale:
            async with known.lock:
                await self._catch_up(known)
        known.touched_at = self._services.clock.monotonic()
        return known

    async def _read(self, place: Place) -> Room:
        conversations = self._services.store.reading.conversations
        kept = await conversations.get(place.document)
        if kept is None:
            raise Gone(place.id)
        logged = await conversations.logged(place.document, "line")
        try:
            state, lines = state_of(kept.state), [orjson.loads(one.body) for one in logged]
            room = Room(place, kept.number, script_of(kept.script), given_of(kept.given), state, lines)
        except ValueError:
            raise Damaged(place.id) from None
        return room

    async def find(self, id: str) -> Place | None:
        """Where the conversation with this id is, whoever owns it."""
        found = await self._services.store.reading.conversations.find(id)
        return Place(*found) if found else None

    async def messages(self, room: Room, after: int, most: int = 100_000) -> list[Message]:
        """The app messages behind a number, in order."""
        stored = await self._services.store.reading.conversations.logged(room.place.document, "message", after, most)
        told = [*room.streamed, *(command.message for command in room.unstored if isinstance(command, Emit))]
        found = [*(orjson.loads(one.body) for one in stored), *(one for one in told if one["seq"] > after)]
        return sorted(found, key=lambda message: message["seq"])

    @asynccontextmanager
    async def listening(self, room: Room, after: int | None = None) -> AsyncIterator[Listener]:
        """A listener to all that happens behind a number, or from now on. Raises Stopping."""
        async with room.lock:
            if self.is_shared or room.is_stale:
                await self._catch_up(room)
            if self.is_stopping:
                raise Stopping
            known = room.state.seq
            after = known if after is None else min(after, known)
            listener = Listener(after, await self.messages(room, after) if after < known else ())
            if room.state.is_over:
                listener.end("ended")
            room.listeners.add(listener)
        try:
            yield listener
        finally:
            room.listeners.discard(listener)
            room.touched_at = self._services.clock.monotonic()

    def stop(self) -> None:
        """Nobody hears anything here any more: the server stops. Who listens is told to come again."""
        self.is_stopping = True
        for room in self._rooms.values():
            for listener in room.listeners:
                listener.end("stopping")

    def forget_all(self) -> None:
        """Let go of everything that is in memory: what is stored is another world now."""
        for room in self._rooms.values():
            for task in room.doing.values():
                task.cancel()
            for listener in room.listeners:
                listener.end("gone")
        self._rooms.clear()

    # --- One step -----------------------------------------------------------------------------------------------------

    async def happen(self, room: Room, *happened: What, also: Also | None = None) -> None:
        """Something happened: react, store what follows and what else is to be stored with it, tell it, and have it
        done.

        A step that was begun is carried through, whoever waits for it goes away meanwhile. Raises Gone, and
        StorageFailure when nothing of it is stored; then it has not happened.
        """
        step = asyncio.create_task(self._step(room, happened, also))
        self._steps.add(step)
        step.add_done_callback(self._steps.discard)
        await asyncio.shield(step)

    async def _step(self, room: Room, happened: Sequence[What], also: Also | None) -> None:
        async with room.lock:
            while True:
                if room.is_stale:
                    await self._renew(room, await self._read(room.place))
                if self.is_thought_elsewhere(room):
                    room.state.seq += AT_LEAST_AHEAD
                lost = [Lost()] if self.is_lost(room) and not self.is_shared else []
                commands = [*room.unstored, *self._reacted(room, [*lost, *happened])]
                if self.is_shared and (room.doing or any(isinstance(one, AskModel | CallTool) for one in commands)):
                    self._reacted(room, [AtWork(WORK_SECONDS)])
                asked = [command for command in commands if isinstance(command, AskModel)]
                for command in asked:  # Nobody hears of that: the disk and the model are waited for at once.
                    self._begin(room, command.inference_id, self._think(self, room, command))
                try:
                    await self._store(room, commands, also)
                except BaseException as error:
                    room.is_stale = True
                    for command in asked:
                        self._stop(room, command.inference_id)
                    if not isinstance(error, Stale):
                        raise
                else:
                    break
            told = len(room.unstored)
            room.unstored.clear()
            self._follow(room, commands[told:])

    async def stream(self, room: Room, spoke: ModelSpoke) -> None:
        """The model has come further: tell it, and store nothing. What is read anew meanwhile is not spoken of."""
        async with room.lock:
            if not room.is_stale:
                commands = self._reacted(room, (spoke,))
                room.unstored += [command for command in commands if isinstance(command, Emit) and command.lasts]
                self._follow(room, commands)

    def _follow(self, room: Room, commands: Sequence[Command]) -> None:
        self._tell(room, commands)
        self.seeing.stepped(room.place, room.given, commands)
        for command in commands:
            self._do(room, command)
        room.moved.set()
        room.moved = asyncio.Event()

    @staticmethod
    def is_thought_elsewhere(room: Room) -> bool:
        """Whether an answer is awaited, and not here."""
        thinking = room.state.thinking
        return thinking is not None and thinking.inference_id not in room.doing

    def is_lost(self, room: Room) -> bool:
        """Whether something is under way that nobody here carries out."""
        return self.is_thought_elsewhere(room) or any(
            (tool := room.script.tool(call.name)) is not None and tool.is_api and id not in room.doing
            for id, call in room.state.calls.items()
        )

    def _reacted(self, room: Room, happened: Sequence[What]) -> list[Command]:
        at = self._services.clock.now().timestamp()
        return [command for what in happened for command in react(room.script, room.state, room.lines, Event(what, at))]

    async def _renew(self, room: Room, fresh: Room) -> None:
        """Make it what is stored, and tell what others did."""
        room.renew(fresh)
        if room.listeners:
            self._pass_on(room, await self.messages(room, min(listener.after for listener in room.listeners)))

    async def _catch_up(self, room: Room) -> None:
        """Take over what other servers stored, while nothing happens here."""
        fresh = await self._read(room.place)
        if room.is_stale or fresh.number != room.number:
            await self._renew(room, fresh)
            room.moved.set()
            room.moved = asyncio.Event()

    async def _store(self, room: Room, commands: Sequence[Command], also: Also | None) -> None:
        state, wake_at = stored_state(room.state), room.state.wake_at
        due = None if wake_at is None else timestamp(datetime.fromtimestamp(wake_at, UTC))
        is_over = any(isinstance(command, Close) for command in commands)

        async def write(tx: Transaction) -> None:
            await tx.conversations.put(room.place.document, room.number, due, state)
            await keep(tx, room.place, room.number + 1, commands, room.state.seq, room.given, self._services)
            if is_over:
                await self._end(tx, room)
            if also is not None:
                await also(tx)

        await self._services.store.transact(write)
        room.number += 1

    async def _end(self, tx: Transaction, room: Room) -> None:
        """The document says that it has ended, and what is to be done afterwards waits for its turn."""
        resource = self._services.kinds[KIND]
        record = await tx.get(KIND, room.place.id, room.place.owner)
        if record is None:
            return
        await put_facts(resource, tx, record, {"status": "ended"}, "end", self._services)
        await tx.conversations.add_words(record.seq, record.owner, words_said(room.lines))
        if any(line["role"] == "user" for line in room.lines):  # Without a dialogue there is nothing to act on.
            for tool in room.given.tools.values():
                if tool.document["trigger_type"] == "post_call":
                    job = int.from_bytes(self._services.ids.random_bytes(JOB_BYTES))
                    await tx.jobs.add(job, POST_CALL, record.seq, self._now(), orjson.dumps({"tool_id": tool.id}))

    def now(self) -> float:
        """The present moment, in seconds since 1970."""
        return self._services.clock.now().timestamp()

    def _now(self) -> str:
        return timestamp(self._services.clock.now())

    def _tell(self, room: Room, commands: Sequence[Command]) -> None:
        messages = [command.message for command in commands if isinstance(command, Emit)]
        room.streamed += [command.message for command in commands if isinstance(command, Emit) and not command.lasts]
        if room.state.thinking is None and not room.state.is_speaking:
            room.streamed.clear()
        self._pass_on(room, messages)

    def _pass_on(self, room: Room, messages: Sequence[Message]) -> None:
        for listener in room.listeners:
            listener.offer(messages)
            if room.state.is_over:
                listener.end("ended")

    def _do(self, room: Room, command: Command) -> None:
        match command:
            case CallTool():
                self._begin(room, command.tool_call_id, self._call(self, room, command))
            case StopModel():
                self._stop(room, command.inference_id)
            case _:
                """Stored, told or begun already."""

    def _begin(self, room: Room, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        room.doing[name] = task
        task.add_done_callback(lambda done: room.doing.pop(name, None) if room.doing.get(name) is done else None)

    @staticmethod
    def _stop(room: Room, name: str) -> None:
        if (task := room.doing.pop(name, None)) is not None:
            task.cancel()

    async def surely(self, room: Room, *happened: What) -> None:
        """`happen`, tried again while the database cannot take it; nothing when the conversation is gone."""
        while True:
            try:
                await self.happen(room, *happened)
            except (Gone, Damaged):
                return
            except StorageFailure as error:
                log.error("could not store a step of a conversation", id=room.place.id, problem=str(error))
                await asyncio.sleep(1)
            else:
                return

    async def happened(self, document: int, id: str, owner: int, what: What) -> None:
        """See Talks."""
        with suppress(Gone):
            await self.happen(await self.room(Place(document, id, owner)), what)

    # --- Others, and rest ---------------------------------------------------------------------------------------------

    async def hear_of_others(self) -> None:
        """Take over what other servers stored of the conversations that are in memory here."""
        known = {document: room.number for document, room in self._rooms.items() if not room.lock.locked()}
        for document in await self._services.store.reading.conversations.moved(known) if known else ():
            room = self._rooms.get(document)
            if room is not None:
                async with room.lock:
                    try:
                        await self._catch_up(room)
                    except (Gone, Damaged):
                        for listener in room.listeners:
                            listener.end("gone")

    async def stay(self) -> None:
        """Say that this server is at work, and who hangs on to it, where others would soon take them for gone."""
        await asyncio.gather(*(self._stay(room) for room in self._rooms.values() if not room.state.is_over))

    async def _stay(self, room: Room) -> None:
        before, timers = self.now() + STAYS_BEFORE_SECONDS, room.state.timers
        here = [one for one in room.visitors if timers.get(AWAY + one, before) < before]
        if here or (room.doing and timers.get("work", before) < before):
            with suppress(Gone, StorageFailure):  # What cannot be stored is tried again before long.
                await self.happen(
                    room, *(what for one in here for what in (Joined(one), LostTouch(one, LEASE_SECONDS)))
                )

    def clear_up(self) -> None:
        """Let go of rooms that nobody listens to."""
        before = self._services.clock.monotonic() - REST_SECONDS
        for document, room in list(self._rooms.items()):
            if not (room.listeners or room.doing or room.lock.locked()) and room.touched_at < before:
                del self._rooms[document]

    async def let_go(self) -> None:
        """End what is being done; whoever takes over does it anew, and knows what people heard."""
        speaking = [room for room in self._rooms.values() if room.state.is_speaking]
        await asyncio.gather(*(self.happen(room) for room in speaking), return_exceptions=True)
        tasks = [task for room in self._rooms.values() for task in room.doing.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
