"""The one door for time: everything else is banned from reading the clock itself, so tests can hold it still."""

import time
from datetime import UTC, datetime


class Clock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes backwards."""
        return time.monotonic()


def timestamp(moment: datetime) -> str:
    """A moment in UTC as ISO 8601 with microseconds and a `Z`: `2026-10-07T23:44:47.917639Z` (contract 1.7)."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
