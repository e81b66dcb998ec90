"""What PostgreSQL says when it refuses something is passed on without the values that it quotes."""

import pytest

from palace.storage import StorageFailure, Transaction
from palace.storage.postgres import PostgresStore
from tests.storage.test_postgres import on, url

__all__ = ["url"]

TOO_LARGE = 98765 << 64


@pytest.mark.parametrize("alone", [False, True], ids=["in a group", "alone"])
def test_a_value_that_no_column_can_hold_is_refused_and_not_quoted(url: str, alone: bool) -> None:
    async def refused(tx: Transaction) -> None:
        if alone:
            await tx.find_account("what is not asked together")
        await tx.exists("pal", "p2", TOO_LARGE)

    async def scene(store: PostgresStore) -> None:
        with pytest.raises(StorageFailure) as found:
            await store.transact(refused)
        with pytest.raises(StorageFailure):
            await store.reading.get("pal", "p2", TOO_LARGE)
        assert str(TOO_LARGE) not in str(found.value)

    on(url, scene)


def test_what_the_database_says_of_stored_values_is_not_passed_on(url: str) -> None:
    async def twice(tx: Transaction) -> None:
        await tx.add_secret("s1", 1, "pal/p1/key", b"sealed-text")

    async def scene(store: PostgresStore) -> None:
        await store.transact(twice)
        with pytest.raises(StorageFailure) as found:
            await store.transact(twice)
        assert "UniqueViolation" in str(found.value)
        assert "s1" not in str(found.value)

    on(url, scene)
