"""Models that only one PAL has, kept for a while after each use: what they know and their connections serve again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from palace.engines.base import Ask, LanguageModel, Stream
from palace.fetching import IDLE_SECONDS

MOST_IDLE = 500
"""models that nobody asks just now; what would be more is closed at once"""


@dataclass(slots=True, eq=False)
class _Kept:
    key: bytes
    model: LanguageModel
    users: int = 0
    closing: asyncio.TimerHandle | None = None


class Lending:
    """Opens models, or lends them again; closes each when nobody had it for `seconds`, and then forgets its secrets."""

    def __init__(self, seconds: float = IDLE_SECONDS) -> None:
        self._seconds = seconds
        self._kept: dict[bytes, _Kept] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def lend(self, settings: Any, open_it: Callable[[], LanguageModel]) -> LanguageModel:
        """The model that is opened with these settings, a JSON value. Closing it gives it back."""
        key = orjson.dumps(settings, option=orjson.OPT_SORT_KEYS)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(key, open_it())
        if kept.closing is not None:
            kept.closing.cancel()
            kept.closing = None
        kept.users += 1
        return _Borrowed(kept, self)

    async def take_back(self, kept: _Kept) -> None:
        """One of its users has done with it."""
        kept.users -= 1
        if kept.users or self._kept.get(kept.key) is not kept:
            return
        if sum(not one.users for one in self._kept.values()) > MOST_IDLE:
            del self._kept[kept.key]
            await kept.model.close()
        else:
            kept.closing = asyncio.get_running_loop().call_later(self._seconds, self._end, kept)

    async def close(self) -> None:
        """Close them all."""
        all_kept, self._kept = list(self._kept.values()), {}
        for kept in all_kept:
            if kept.closing is not None:
                kept.closing.cancel()
            await kept.model.close()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self, kept: _Kept) -> None:
        del self._kept[kept.key]
        task = asyncio.create_task(kept.model.close())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


class _Borrowed:
    """A model that others may have at the same time."""

    def __init__(self, kept: _Kept, lending: Lending) -> None:
        self._kept = kept
        self._lending = lending
        self._is_back = False

    def stream(self, ask: Ask) -> Stream:
        return self._kept.model.stream(ask)

    async def close(self) -> None:
        """Give it back."""
        if not self._is_back:
            self._is_back = True
            await self._lending.take_back(self._kept)
