"""What happens in conversations by itself: timers, and what a process that is gone left open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import structlog

from palace.clock import timestamp
from palace.conversation.events import Lost, LostTouch, TimeCame
from palace.resource import Services
from palace.storage import StorageFailure
from palace.talking.given import Place
from palace.talking.room import Damaged, Gone, Room
from palace.talking.rooms import BROKEN_SECONDS, BY_HTTP, REST_SECONDS, Rooms

LOOK_EVERY_SECONDS = 0.25
MOST_DUE = 10_000
EVER = "9999"
"""Later than every time."""
ENDINGS = ("call", "left", "absent")
"""Timers after which there is nothing left to take over."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.talking")


class Waking:
    """Looks for conversations whose time has come, four times a second; looking costs no write."""

    def __init__(self, rooms: Rooms, services: Services) -> None:
        self._rooms = rooms
        self._services = services
        self._damaged: dict[int, float] = {}
        """until when conversations are left alone"""

    async def keep_talking(self) -> None:
        """Let happen what is to happen by itself, until cancelled; first what a process that is gone left open."""
        begun = self._rooms.is_shared  # Then others may be at work: what is theirs is left until it is late.
        try:
            while True:
                try:
                    if begun:
                        await self._wake_all()
                    else:
                        await self._take_over()
                        begun = True
                    if self._rooms.is_shared:
                        await self._rooms.hear_of_others()
                        await self._rooms.tell_of_work()
                    self._rooms.clear_up()
                except Exception as error:  # Whatever it is, time goes on.
                    cause = None if isinstance(error, StorageFailure) else error
                    log.error("could not look after conversations", problem=str(error), exc_info=cause)
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        finally:
            await self._rooms.let_go()

    async def _take_over(self) -> None:
        """Another process held all lines before: who does not come back has left."""
        async for room in self._due(EVER):
            people = [one for one in room.state.people if one != BY_HTTP and one not in room.visitors]
            with suppress(Gone):
                if people:
                    await self._rooms.happen(room, *(LostTouch(one, BROKEN_SECONDS) for one in people))
                await self._wake(room)

    async def _wake_all(self) -> None:
        async for room in self._due(timestamp(self._services.clock.now())):
            with suppress(Gone):
                await self._wake(room)

    async def _due(self, until: str) -> AsyncIterator[Room]:
        """The conversations in which something is to happen by then.

        One that cannot be read is left alone for a minute, so that it keeps no other one waiting.
        """
        now = self._services.clock.monotonic()
        for due in await self._services.store.reading.conversations.due(until, MOST_DUE):
            if self._damaged.get(due.document, 0.0) > now:
                continue
            try:
                room = await self._rooms.room(Place(*due))
            except Gone:
                continue
            except Damaged as error:
                self._damaged[due.document] = now + REST_SECONDS
                log.error("could not look after a conversation", id=due.id, problem=str(error))
                continue
            yield room

    async def _wake(self, room: Room) -> None:
        now = self._rooms.now()
        due = [TimeCame(timer) for timer, at in sorted(room.state.timers.items(), key=lambda one: one[1]) if at <= now]
        is_lost = self._rooms.is_lost(room) and not self._rooms.is_shared  # Others tell that they are at work.
        if any(one.timer in ENDINGS for one in due) or (due and not is_lost):
            await self._rooms.happen(room, *due)
        elif is_lost:
            await self._rooms.happen(room, Lost())
