"""The one door for time: everything else is banned from reading the clock itself, so tests can hold it still."""

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Where a clock may be set: what the server takes off the time and adds to it leads to a date from there."""


class Clock:
    """The clock of the machine; or one that stands still at a moment until it is set to another one."""

    def __init__(self, fixed: datetime | None = None) -> None:
        self._fixed = fixed

    @property
    def is_fixed(self) -> bool:
        """Whether it stands still."""
        return self._fixed is not None

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return self._fixed or datetime.now(UTC)

    def set(self, moment: datetime) -> None:
        """Let a clock that stands still stand at another moment."""
        assert self.is_fixed, "nobody sets the clock of the machine"
        self._fixed = moment

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes backwards, and never stands still."""
        return time.monotonic()


def timestamp(moment: datetime) -> str:
    """A moment in UTC as ISO 8601 with microseconds and a `Z`: `2026-10-07T23:44:47.917639Z` (contract 1.7)."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_moment(text: str) -> datetime:
    """The moment that ISO 8601 with an offset or a `Z` names, in UTC. Raises ValueError with a sentence."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("it must be a date and time such as 2026-01-01T00:00:00Z, with the Z or an offset")
    return checked_moment(moment)


def checked_moment(moment: datetime) -> datetime:
    """The moment in UTC, if a clock may stand there. Raises ValueError with a sentence."""
    if not EARLIEST <= moment < LATEST:
        raise ValueError(f"it must lie in the years {EARLIEST.year} to {LATEST.year - 1}")
    return moment.astimezone(UTC)


SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def seconds_to_wait(retry_after: str, now: datetime) -> float | None:
    """What a `Retry-After` asks for, in seconds or as a date (RFC 9110, section 10.2.3); None when it says neither."""
    if SECONDS.fullmatch(retry_after):
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - now).total_seconds())
    except (TypeError, ValueError, OverflowError):  # TypeError: a date without its zone.
        return None
