"""What happens in conversations by itself: timers, and what a process that is gone left open."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from palace.clock import timestamp
from palace.conversation.events import LostTouch, TimeCame
from palace.resource import Services
from palace.storage import StorageFailure
from palace.talking.given import Place
from palace.talking.room import Damaged, Gone, Room
from palace.talking.rooms import BROKEN_SECONDS, BY_HTTP, REST_SECONDS, Rooms

LOOK_EVERY_SECONDS = 0.25
MOST_DUE = 10_000
EVER = "9999"
"""Later than every time."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.talking")


class Waking:
    """Looks for conversations whose time has come, four times a second; looking costs no write."""

    def __init__(self, rooms: Rooms, services: Services) -> None:
        self._rooms = rooms
        self._services = services
        self._left_alone: dict[int, float] = {}
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
                        await self._rooms.stay()
                    self._rooms.clear_up()
                except Exception as error:  # Whatever it is, time goes on.
                    cause = None if isinstance(error, StorageFailure) else error
                    log.error("could not look after conversations", problem=str(error), exc_info=cause)
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        finally:
            await self._rooms.let_go()

    async def _take_over(self) -> None:
        """Another process held all lines before: who does not come back has left."""
        await self._each(EVER, self._take)

    async def _take(self, room: Room) -> None:
        people = [one for one in room.state.people if one != BY_HTTP and one not in room.visitors]
        if people:
            await self._rooms.happen(room, *(LostTouch(one, BROKEN_SECONDS) for one in people))
        await self._wake(room)

    async def _wake_all(self) -> None:
        await self._each(timestamp(self._services.clock.now()), self._wake)

    async def _each(self, until: str, look_after: Callable[[Room], Awaitable[None]]) -> None:
        """Look after the conversations in which something is to happen by then.

        One that cannot be looked after is left alone for a minute, so that it keeps no other one waiting.
        """
        now = self._services.clock.monotonic()
        for due in await self._services.store.reading.conversations.due(until, MOST_DUE):
            if self._left_alone.get(due.document, 0.0) > now:
                continue
            try:
                await look_after(await self._rooms.room(Place(*due)))
            except Gone:
                self._left_alone.pop(due.document, None)
            except Exception as error:
                if isinstance(error, StorageFailure) and not isinstance(error, Damaged):
                    raise
                self._left_alone[due.document] = now + REST_SECONDS
                cause = None if isinstance(error, Damaged) else error
                log.error("could not look after a conversation", id=due.id, problem=str(error), exc_info=cause)

    async def _wake(self, room: Room) -> None:
        """Let happen what is due; a step finds out by itself that what was under way is lost."""
        now = self._rooms.now()
        due = [TimeCame(timer) for timer, at in sorted(room.state.timers.items(), key=lambda one: one[1]) if at <= now]
        if due or (self._rooms.is_lost(room) and not self._rooms.is_shared):  # Others tell that they are at work.
            await self._rooms.happen(room, *due)
