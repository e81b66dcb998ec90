"""Waiting until something is so, however long a busy machine takes for it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

SECONDS = 60
"""Only a test that fails waits for so long."""
T = TypeVar("T")


def wait_until(there: Callable[[], T], seconds: float = SECONDS) -> T:
    """What there is, as soon as there is anything."""
    deadline = time.monotonic() + seconds
    while not (found := there()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


async def until(is_so: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Wait until something is so, while the loop goes on."""
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.01)
