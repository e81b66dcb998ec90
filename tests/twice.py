"""`python -m tests.twice serve …`: a Palace whose store runs every work twice and stores what the second run wrote.

The store on PostgreSQL may run any work again: what it changes outside its transaction the second run would find.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from palace.cli import main
from palace.storage import SqliteStore, Transaction

Work = Callable[[Transaction], Awaitable[Any]]
transact_once = SqliteStore.transact


class Undone(Exception):
    """Ends the first run, so that nothing of it is stored."""


async def transact_twice(self: SqliteStore, work: Work) -> Any:
    async def for_nothing(tx: Transaction) -> None:
        await work(tx)
        raise Undone

    with suppress(Exception):  # The second run raises what it has to.
        await transact_once(self, for_nothing)
    return await transact_once(self, work)


if __name__ == "__main__":
    SqliteStore.transact = transact_twice  # type: ignore[method-assign]
    main()
