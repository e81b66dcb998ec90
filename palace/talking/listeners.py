"""Those who hear a conversation as it happens: each app message once, in order, however often they lose the line."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal

Message = Mapping[str, Any]
Why = Literal["", "ended", "behind", "stopping", "gone"]
MOST_WAITING = 2000
"""for one listener; who is further behind has to come again"""


class Listener:
    """What waits for one listener; `after` is the number of the newest message that it has been handed.

    `why` tells why nothing comes any more: the conversation has ended, the listener was too far behind, the server
    stops, the conversation is deleted.
    """

    def __init__(self, after: int, missed: Sequence[Message] = ()) -> None:
        self.after = missed[-1]["seq"] if missed else after
        self.why: Why = ""
        self._waiting: deque[Message] = deque(missed)
        self._most = MOST_WAITING + len(missed)
        self._woken = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after what waits."""
        return bool(self.why)

    def offer(self, messages: Sequence[Message]) -> None:
        """What happened just now; what the listener has already is left out."""
        if self.is_over:
            return
        self._waiting.extend(message for message in messages if message["seq"] > self.after)
        if self._waiting:
            self.after = max(self.after, self._waiting[-1]["seq"])
        if len(self._waiting) > self._most:
            self._waiting.clear()
            self.why = "behind"
        self._woken.set()

    def end(self, why: Why) -> None:
        """Nothing comes after what waits."""
        self.why = self.why or why
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
