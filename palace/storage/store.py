"""What every store is: documents are read at once, and written in transactions."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from palace.changes import Feed
from palace.rates import Use
from palace.storage.transaction import Transaction

T = TypeVar("T")
Work = Callable[[Transaction], Awaitable[T]]


class Store(Protocol):
    """A place where documents are kept."""

    reading: Transaction
    """reads what is committed"""
    is_shared: bool
    """whether other servers work on the same database"""

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in a transaction and return its result once that is on disk.

        When `work` raises, nothing of it is stored. It must await nothing but the verbs of its transaction, and bear
        being run again. Raises StorageFailure when the database cannot take the write, Overloaded when too many wait
        for it already, and OutcomeUnknown when nobody knows whether it was stored.
        """

    async def listen(self, feed: Feed) -> None:
        """From now on tell the feed, after each commit, what was done: here, and by other servers where it is shared.

        Raises DatabaseInUse while the master key is changed, and StorageFailure.
        """

    def alone(self, *, unproven: bool = False) -> AbstractAsyncContextManager[None]:
        """A block during which no server works on the database.

        Raises DatabaseInUse when one does; and when nobody knows, unless it may be `unproven`.
        """

    def turn(self) -> AbstractAsyncContextManager[None]:
        """A block that no two servers carry out at once: what is made at the start is made once."""

    async def share_rates(self, told: Sequence[Use]) -> Sequence[Use]:
        """Add what this server let pass to what all did, and return the totals. Raises StorageFailure."""

    async def wipe(self) -> None:
        """Leave no byte of what was taken away in the files of the database, where that is ours to do: SQLite.

        Writes wait meanwhile. Raises StorageFailure; then it is to be tried again.
        """

    async def settle(self) -> None:
        """Wait for the writes that are under way."""

    async def close(self) -> None:
        """Finish the writes that are under way, then let go of the database."""
