"""An event loop in which a test lets time pass: what takes half a minute is over at once, and nothing else hurries."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Skipping(asyncio.SelectorEventLoop):
    """Its time goes on as ever, and further where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped = 0.0

    def time(self) -> float:
        """Seconds, as the timers of this loop count them."""
        return super().time() + self._skipped

    def skip(self, seconds: float) -> None:
        """Let so much time pass, from whatever thread: what is due then is due now."""
        self._skipped += seconds
        self.call_soon_threadsafe(lambda: None)  # It may sleep until something is due.


def run(scene: Coroutine[Any, Any, T], loop: Skipping) -> T:
    """What `asyncio.run` does, in this loop."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(scene)
