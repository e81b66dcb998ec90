"""When a callback is sent again, and when no more: decided from what came of an attempt. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from palace.clock import seconds_to_wait

MINUTE, HOUR = 60, 3600
WAITS_SECONDS = (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
"""After each attempt but the last, as the Standard Webhooks specification has it; the first one is made at once."""
MOST_TRIES = len(WAITS_SECONDS) + 1
JITTER = 0.1
"""Each wait is longer by up to this part of it, so that what failed together does not come back together."""
LONGEST_WAIT = timedelta(days=1)
"""that a receiver may ask for"""
OLDEST = timedelta(seconds=sum(WAITS_SECONDS) * (1 + JITTER)) + LONGEST_WAIT
"""What is older is not sent again: all waits, and a day for what the attempts took and a receiver asked for."""
GONE = 410
TOO_MUCH = (429, 503)
"""statuses whose `Retry-After` counts"""


@dataclass(frozen=True, slots=True)
class Tried:
    """What is known when an attempt has ended: the `tries` since it was `asked_at`, this one included.

    0 of them: it was asked for again while it was being sent.
    """

    tries: int
    asked_at: datetime
    now: datetime
    status: int | None
    retry_after: str = ""
    is_hopeless: bool = False
    """the address is none that anything is ever sent to"""

    @property
    def is_delivered(self) -> bool:
        """Any 2xx means that the receiver has it."""
        return self.status is not None and 200 <= self.status < 300


def next_try(tried: Tried, jitter: float) -> datetime | None:
    """When to send it again; None for no more. `jitter` is between 0 and 1.

    Not after the last try, nor when the receiver says that it is gone for good. What had to wait behind others is tried
    once at least, and no more when it is older than all tries together would have taken: else a queue in front of a
    receiver that is dead would take as many days as it has callbacks. What was asked for meanwhile is sent at once.
    """
    if tried.tries == 0:
        return tried.now
    if tried.is_hopeless or tried.status == GONE or tried.tries >= MOST_TRIES:
        return None
    wait = timedelta(seconds=WAITS_SECONDS[tried.tries - 1] * (1 + JITTER * jitter))
    if tried.status in TOO_MUCH:
        asked = seconds_to_wait(tried.retry_after, tried.now) or 0.0
        wait = max(wait, timedelta(seconds=min(asked, LONGEST_WAIT.total_seconds())))
    due_at = tried.now + wait
    return due_at if due_at <= tried.asked_at + OLDEST else None
