"""What every store promises about its audit log, its own secrets, and what it forgets."""

import asyncio

import pytest

from palace.audit import Chain, Check, Deed
from palace.storage import Record, Revision, Transaction
from palace.storage.base import Answer
from tests.storage.conftest import plain_sql

CHAIN = Chain(b"k" * 32)
DAYS = [f"2026-01-0{day}T00:00:00.000000Z" for day in range(1, 10)]


def deed(id="p1"):
    return Deed(DAYS[0], 1, "k1", "patch", "pal", id, 2, "r-1")


async def begin(store):
    await store.transact(lambda tx: tx.add_audit_head(CHAIN.start()))


async def log_of(store):
    """The rows, after a check of the whole log that finds nothing."""
    check = Check(CHAIN, *(await store.reading.audit_heads() or [None]))
    rows = [row async for row in store.reading.audit_rows()]
    assert [finding for row in rows for finding in check.feed(row)] + check.finish() == []
    return rows


def test_rows_come_back_in_order_as_they_were_and_are_bound_to_each_other(play):
    deeds = [deed(), deed("Zoë \x01"), Deed(DAYS[1], 0, None, "begin", "audit", "")]

    async def first(store):
        await begin(store)
        await asyncio.gather(
            *(store.transact(lambda tx, item=item: tx.add_audit(item, CHAIN)) for item in deeds),
            store.transact(lambda tx: tx.add_audit(deed(), None)),
        )

    async def second(store):
        rows = await log_of(store)
        assert [(row.seq, row.deed) for row in rows] == list(enumerate(deeds, 1))
        assert [row async for row in store.reading.audit_rows(0, 3)] == rows[2:]

    play(first)
    play(second)


def test_a_write_that_fails_or_is_rehearsed_leaves_no_row_and_no_gap(play):
    async def failing(tx: Transaction):
        await tx.add_audit(deed("p2"), CHAIN)
        raise ValueError

    async def rehearsed(tx: Transaction):
        async with tx.rehearsal():
            await tx.add_audit(deed("p3"), CHAIN)

    async def scene(store):
        await begin(store)
        writes = [lambda tx: tx.add_audit(deed("p1"), CHAIN), failing, rehearsed]
        writes += [lambda tx: tx.add_audit(deed("p4"), CHAIN)]
        await asyncio.gather(*(store.transact(write) for write in writes), return_exceptions=True)
        assert [row.deed.id for row in await log_of(store)] == ["p1", "p4"]

    play(scene)


def test_when_the_head_was_taken_away_the_next_row_goes_on_counting_but_does_not_fit(play):
    async def scene(store):
        await begin(store)
        await store.transact(lambda tx: tx.add_audit(deed(), CHAIN))
        await plain_sql(store, "DELETE FROM audit_heads")
        assert await store.reading.audit_heads() == []
        await store.transact(lambda tx: tx.add_audit(deed(), CHAIN))
        check = Check(CHAIN, *(await store.reading.audit_heads() or [None]))
        found = [finding async for row in store.reading.audit_rows() for finding in check.feed(row)]
        assert [(finding.seq, finding.what) for finding in found] == [(2, "altered")]

    play(scene)


def test_secrets_of_the_server_are_kept_and_exchanged(play):
    async def scene(store):
        assert await store.reading.get_server_secret("a") is None
        for sealed in (b"one", b"two"):
            await store.transact(lambda tx, sealed=sealed: tx.put_server_secret("a", sealed))
            assert await store.reading.get_server_secret("a") == sealed
            assert await store.reading.all_server_secrets() == [("a", sealed)]

    play(scene)


# --- Forgetting -------------------------------------------------------------------------------------------------------


async def put_deleted(tx: Transaction, number: int):
    record = Record("pal", f"p{number}", 1, 1, DAYS[0], DAYS[0], b"{}", base=1)
    seq = await tx.insert(record)
    stored = await tx.get("pal", record.id, 1)
    await tx.add_secret(f"s{number}", seq, "place", b"sealed")
    row = Revision(seq, 1, 1, DAYS[0], "create", "", "k1", "r-1", None, b"[]", None, None, b"{}")
    await tx.add_revision(row)
    await tx.hide(stored, DAYS[number], 1)


def test_old_documents_go_the_oldest_first_with_all_that_is_remembered_of_them(play):
    async def scene(store):
        for number in (1, 2, 3, 4):
            await store.transact(lambda tx, number=number: put_deleted(tx, number))
        forget = [lambda tx: tx.forget_documents(DAYS[4], 2)] * 3
        gone = [await store.transact(work) for work in forget]
        assert gone == [[("pal", "p1", 1, 2), ("pal", "p2", 1, 2)], [("pal", "p3", 1, 2)], []]
        left = await store.reading.all_secrets()
        assert [secret for secret, _, _ in left] == ["s4"]
        for number in (1, 2, 3):
            assert await store.reading.get_with_deleted("pal", f"p{number}", 1) is None
            assert await store.reading.revisions(number, before=9, limit=9) == []
        assert await store.reading.get_with_deleted("pal", "p4", 1) is not None

    play(scene)


@pytest.mark.parametrize(("most", "counts"), [pytest.param(9, [3, 0], id="all"), pytest.param(2, [2, 1], id="two")])
def test_old_answers_go(play, most, counts):
    async def scene(store):
        account = await store.transact(lambda tx: tx.insert_account("default", DAYS[0]))
        for number in (1, 2, 3, 4):
            answer = Answer(b"f", 200, b"{}", b"{}", is_spelled=False)
            await store.transact(
                lambda tx, number=number, answer=answer: tx.add_answer(
                    account, f"a{number}", DAYS[number], answer, DAYS[0]
                )
            )
        assert [await store.transact(lambda tx: tx.forget_answers(DAYS[4], most)) for _ in counts] == counts
        assert await store.reading.find_answer(account, "a1", DAYS[0]) is None
        assert await store.reading.find_answer(account, "a4", DAYS[0]) is not None

    play(scene)
