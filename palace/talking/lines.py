"""How many clients hang on to conversations at once: in all, and for each account."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from palace.metrics import Meter
from palace.unavailable import TooManyLines


class Lines:
    """WebSockets and event streams of conversations, of this process."""

    def __init__(self, most: int, most_of_account: int, meter: Meter) -> None:
        self._most = most
        self._most_of_account = most_of_account
        self._meter = meter
        self._open: Counter[int] = Counter()

    @property
    def open(self) -> int:
        """How many there are."""
        return self._open.total()

    @contextmanager
    def one_more(self, account: int) -> Iterator[None]:
        """One more for a conversation of this account. Raises TooManyLines."""
        if self.open >= self._most:
            raise TooManyLines("most_lines", self._most)
        if self._open[account] >= self._most_of_account:
            raise TooManyLines("most_account_lines", self._most_of_account)
        self._open[account] += 1
        self._meter.count("lines_open")
        try:
            yield
        finally:
            self._meter.count("lines_open", -1)
            self._open[account] -= 1
            if not self._open[account]:
                del self._open[account]
