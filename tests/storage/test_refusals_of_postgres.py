"""What PostgreSQL refuses fails alone, and what it says of it is passed on without the values that it quotes."""

import asyncio

import pytest

from palace.storage import StorageFailure, Transaction, Use
from palace.storage.postgres import PostgresStore
from tests.storage.test_postgres import MINE, add_one, on, url

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


def test_what_the_database_refuses_of_one_work_does_not_fail_the_others_of_its_group(url: str) -> None:
    async def refused(tx: Transaction) -> None:
        record = await tx.get("pal", "p2", MINE)
        await tx.links.put_uses(record.seq, gone=[], new=[Use("pal", "no text: \ud800", "/face")])

    async def scene(store: PostgresStore) -> None:
        ends = await asyncio.gather(*map(store.transact, (add_one, refused, add_one)), return_exceptions=True)
        assert isinstance(ends[1], StorageFailure)
        assert sorted((ends[0], ends[2])) == [1, 2]

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
