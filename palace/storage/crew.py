"""Tasks that work off what waits, and end when nothing does."""

import asyncio
from collections.abc import Awaitable, Callable


class Crew:
    """At most `most` tasks at once; each does `work`, which returns when nothing waits any more."""

    def __init__(self, most: int, work: Callable[[], Awaitable[None]]) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._most = most
        self._work = work

    def call(self) -> None:
        """Something waits: see that somebody comes for it."""
        if len(self.tasks) < self._most:
            self.tasks.add(asyncio.create_task(self._work_off()))

    async def _work_off(self) -> None:
        """A task leaves when it stops to look, not in a callback after it: nobody came for what is added in between."""
        try:
            await self._work()
        finally:
            task = asyncio.current_task()
            assert task is not None
            self.tasks.discard(task)
