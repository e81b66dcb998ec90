"""How many requests a key may make: a bucket for each key, which fills evenly; several servers can share the count.

What time it is, and what the others counted, it is told. A server decides at once, from what it knows. Every now and
then it tells the others what it let pass in the present minute, and hears what all did; what the others did since it
heard last is taken out of its own bucket. So all together exceed the rate only by what each lets pass before it hears.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import structlog

SECONDS_OF_A_WINDOW = 60
BURST_SECONDS = 10
SHARE_EVERY_SECONDS = 0.2
MOST_BUCKETS = 10_000
"""Beyond it, keys are forgotten that have not been used for so long that their buckets are full."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace")


class Use(NamedTuple):
    """How many requests with a key were let pass in one minute, which is named by its number since 1970."""

    key_id: str
    window: int
    requests: int


Share = Callable[[Sequence[Use]], Awaitable[Sequence[Use]]]
"""Adds what this server let pass to what all did, and returns the totals of the same keys and windows.

With none to add it must not be asked.
"""


class Verdict(NamedTuple):
    """Whether a request may pass; how many more may at once; when one more may, and when the bucket is full again."""

    is_allowed: bool
    remaining: int
    wait_seconds: int
    reset_seconds: int


@dataclass(slots=True)
class _Bucket:
    left: float
    filled_at: float
    window: int = -1
    heard: int = 0
    """what all let pass in the window, when that was heard last"""


class Rates:
    """The buckets of all keys. Each holds `burst` requests and is filled with `limit` a minute."""

    def __init__(self, limit: int, burst: int = 0, *, is_shared: bool = True) -> None:
        """`burst` 0 stands for what comes in ten seconds. Only where it `is_shared` is there anything to tell."""
        self.limit = limit
        self._burst = burst or max(1, limit * BURST_SECONDS // 60)
        self._per_second = limit / 60
        self._is_shared = is_shared
        self._buckets: dict[str, _Bucket] = {}
        self._untold: dict[tuple[str, int], int] = {}

    def take(self, key_id: str, seconds: float, now: float) -> Verdict:
        """Let one request pass, or not. `seconds` never go backwards; `now` is the time since 1970."""
        bucket = self._filled(key_id, seconds)
        is_allowed = bucket.left >= 1
        if is_allowed:
            bucket.left -= 1
            if self._is_shared:
                place = (key_id, int(now // SECONDS_OF_A_WINDOW))
                self._untold[place] = self._untold.get(place, 0) + 1
        wait = 0 if bucket.left >= 1 else math.ceil((1 - bucket.left) / self._per_second)
        reset = math.ceil((self._burst - bucket.left) / self._per_second)
        return Verdict(is_allowed, max(0, int(bucket.left)), max(wait, 1 - is_allowed), reset)

    def _filled(self, key_id: str, seconds: float) -> _Bucket:
        bucket = self._buckets.get(key_id)
        if bucket is None:
            if len(self._buckets) >= MOST_BUCKETS:
                self._forget(seconds)
            bucket = self._buckets[key_id] = _Bucket(self._burst, seconds)
        bucket.left = min(self._burst, bucket.left + (seconds - bucket.filled_at) * self._per_second)
        bucket.filled_at = seconds
        return bucket

    def _forget(self, seconds: float) -> None:
        full_after = self._burst / self._per_second
        untold = {key_id for key_id, _ in self._untold}
        self._buckets = {
            key_id: bucket
            for key_id, bucket in self._buckets.items()
            if seconds - bucket.filled_at < full_after or key_id in untold
        }

    # --- With others --------------------------------------------------------------------------------------------------

    def take_untold(self) -> list[Use]:
        """What was let pass since the last time, to be told to the others."""
        untold, self._untold = self._untold, {}
        return [Use(*place, requests) for place, requests in untold.items()]

    def put_back(self, uses: Sequence[Use]) -> None:
        """The others could not be told: they will be, the next time; not of minutes that are long over."""
        newest = max((use.window for use in uses), default=0)
        for key_id, window, requests in uses:
            if window < newest - 1:
                continue
            self._untold[key_id, window] = self._untold.get((key_id, window), 0) + requests

    def learn(self, told: Sequence[Use], totals: Sequence[Use], now: float) -> None:
        """What all let pass, with what this one `told` just now. Of a minute that is over nothing is learnt.

        Who hears of a minute for the first time cannot know when in it the others let how much pass: then the bucket
        holds no more than if it had been full when the minute began.
        """
        own = {(use.key_id, use.window): use.requests for use in told}
        for key_id, window, total in totals:
            elapsed, bucket = now - window * SECONDS_OF_A_WINDOW, self._buckets.get(key_id)
            if bucket is None or not 0 <= elapsed < SECONDS_OF_A_WINDOW:
                continue
            if bucket.window == window:
                left = bucket.left - (total - bucket.heard - own[key_id, window])
            else:
                passed = total + self._untold.get((key_id, window), 0)
                left = min(bucket.left, self._burst + elapsed * self._per_second - passed)
            bucket.left, bucket.window, bucket.heard = max(-self._burst, left), window, total


async def keep_sharing(rates: Rates, share: Share, now: Callable[[], float]) -> None:
    """Share until cancelled. While nobody answers, each server counts for itself; what it counted is told later."""
    while True:
        try:
            await share_once(rates, share, now)
        except Exception as error:
            log.warning("could not share rates", problem=str(error))
        await asyncio.sleep(SHARE_EVERY_SECONDS)


async def share_once(rates: Rates, share: Share, now: Callable[[], float]) -> None:
    """Tell the others and hear from them. Raises what `share` raises, and then tells them the next time."""
    told = rates.take_untold()
    if not told:
        return
    try:
        totals = await share(told)
    except BaseException:
        rates.put_back(told)
        raise
    rates.learn(told, totals, now())
