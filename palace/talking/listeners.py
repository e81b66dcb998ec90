"""Those who hear a conversation as it happens: each app message once, in order, however often they lose the line."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]
MOST_WAITING = 2000
"""for one listener; who is further behind has to come again"""


class Listener:
    """What waits for one listener; `after` is the number of the newest message that it has been handed."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.is_over = False
        """whether nothing comes any more"""
        self._waiting: deque[Message] = deque()
        self._woken = asyncio.Event()

    def offer(self, messages: Sequence[Message]) -> None:
        """What happened just now; what the listener has already is left out."""
        self._waiting.extend(message for message in messages if message["seq"] > self.after)
        if self._waiting:
            self.after = max(self.after, self._waiting[-1]["seq"])
        if len(self._waiting) > MOST_WAITING:
            self.is_over = True
        self._woken.set()

    def end(self) -> None:
        """Nothing comes after what waits."""
        self.is_over = True
        self._woken.set()

    async def next(self, seconds: float | None = None) -> list[Message]:
        """What waits, or comes in this time; [] when nothing did, or nothing comes any more."""
        if not self._waiting and not self.is_over:
            self._woken.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                return []
        found = list(self._waiting)
        self._waiting.clear()
        return found
