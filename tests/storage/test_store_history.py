"""What every store promises about revisions, secrets, deleted documents, first answers and rehearsals."""

import asyncio
from dataclasses import replace

import pytest

from palace.storage import Answer, AnswerTaken, IdTaken, Record, Revision, Stale, StorageFailure, Transaction

MINE, YOURS = 1, 2
DAYS = [f"2026-01-{day:02}T00:00:00.000000Z" for day in range(1, 10)]
NOW = DAYS[0]
MANY = 1 << 40


def record(id="p1", owner=MINE, body=b'{"n":0}'):
    return Record("pal", id, owner, 1, NOW, NOW, body, etag="e1", base=1)


def revision(document, number, *, base=1, etag="e", content=b"[]", comment=None):
    return Revision(document, number, base, NOW, "patch", etag, "k1", "r-1", comment, b'["/n"]', None, None, content)


async def put(store, *records):
    """Store the records; their numbers in the store."""
    return [await store.transact(lambda tx, item=item: tx.insert(item)) for item in records]


async def remember(store, *revisions):
    for item in revisions:
        await store.transact(lambda tx, item=item: tx.add_revision(item))


async def account(store):
    return await store.transact(lambda tx: tx.insert_account("default", NOW))


# --- Revisions --------------------------------------------------------------------------------------------------------


def test_a_revision_comes_back_as_it_was_remembered_also_after_a_restart(play):
    told = Revision(
        1, 1, 1, NOW, "create", "e1", "k1", "r-1", "Zoë's “why”", b'[""]', b'{"to":1}', b'{"/a":"s"}', b"\x00"
    )

    async def first(store):
        await put(store, record())
        await remember(store, told, replace(told, number=2, base=1, comment=None, about=None, secrets=None))

    async def second(store):
        rows = await store.reading.revisions(1, before=MANY, limit=10)
        assert rows == [replace(told, number=2, base=1, comment=None, about=None, secrets=None), told]

    play(first)
    play(second)


@pytest.mark.parametrize(
    ("before", "limit", "numbers"),
    [
        pytest.param(MANY, 10, [5, 4, 3, 2, 1], id="newest first"),
        pytest.param(MANY, 2, [5, 4], id="at most so many"),
        pytest.param(4, 2, [3, 2], id="a page in the middle"),
        pytest.param(2, 10, [1], id="the last page"),
        pytest.param(1, 10, [], id="nothing lies before the first"),
    ],
)
def test_pages_of_revisions(play, before, limit, numbers):
    async def scene(store):
        mine, other = await put(store, record("p1"), record("p2"))
        await remember(store, *(revision(mine, number) for number in range(1, 6)), revision(other, 1))
        rows = await store.reading.revisions(mine, before=before, limit=limit)
        assert [row.number for row in rows] == numbers

    play(scene)


@pytest.mark.parametrize(
    ("number", "chain"),
    [
        pytest.param(1, [1], id="a whole document needs no other"),
        pytest.param(3, [1, 2, 3], id="patches need the whole document below them and all between"),
        pytest.param(4, [4], id="the next whole document"),
        pytest.param(6, [4, 5, 6], id="a chain ends at the newest whole document below"),
        pytest.param(7, [], id="no such revision"),
        pytest.param(0, [], id="nothing is before the first"),
        pytest.param(-1, [], id="nor at a negative number"),
    ],
)
def test_what_a_revision_is_made_of(play, number, chain):
    async def scene(store):
        mine, other = await put(store, record("p1"), record("p2"))
        bases = {1: 1, 2: 1, 3: 1, 4: 4, 5: 4, 6: 4}
        await remember(store, *(revision(mine, number, base=base) for number, base in bases.items()))
        await remember(store, revision(other, 7, base=7))
        assert [row.number for row in await store.reading.chain(mine, number)] == chain

    play(scene)


def test_a_number_is_remembered_once_and_refusing_another_leaves_the_first(play):
    async def scene(store):
        (mine,) = await put(store, record())
        await remember(store, revision(mine, 1, comment="first"))
        with pytest.raises(StorageFailure):
            await remember(store, revision(mine, 1, comment="second"))
        (kept,) = await store.reading.revisions(mine, before=MANY, limit=10)
        assert kept.comment == "first"

    play(scene)


@pytest.mark.parametrize(
    ("etag", "number"),
    [
        pytest.param("a", 3, id="the newest of two"),
        pytest.param("b", 2, id="the only one"),
        pytest.param("c", None, id="one of another document"),
    ],
)
def test_finding_a_revision_by_its_tag(play, etag, number):
    async def scene(store):
        mine, other = await put(store, record("p1"), record("p2"))
        await remember(store, *(revision(mine, number, etag=tag) for number, tag in enumerate("aba", start=1)))
        await remember(store, revision(other, 1, etag="c"))
        assert await store.reading.find_etag(mine, etag) == number

    play(scene)


# --- Secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_are_kept_sealed_anew_listed_and_go_with_their_document(play):
    async def scene(store):
        mine, other = await put(store, record("p1"), record("p2"))
        await store.transact(lambda tx: tx.add_secret("s1", mine, "pal/p1/a", b"\x00one"))
        await store.transact(lambda tx: tx.add_secret("s2", other, "pal/p2/a", b"two"))
        assert await store.reading.get_secret("s1") == b"\x00one"
        assert await store.reading.get_secret("s3") is None
        await store.transact(lambda tx: tx.replace_secret("s1", b"anew"))
        assert sorted(await store.reading.all_secrets()) == [("s1", "pal/p1/a", b"anew"), ("s2", "pal/p2/a", b"two")]
        holder = await store.reading.get("pal", "p1", MINE)
        await store.transact(lambda tx: tx.delete(holder))
        assert await store.reading.all_secrets() == [("s2", "pal/p2/a", b"two")]

    play(scene)


def test_a_secret_of_no_document_is_refused(play):
    async def scene(store):
        with pytest.raises(StorageFailure):
            await store.transact(lambda tx: tx.add_secret("s1", 99, "pal/p1/a", b"one"))
        assert await store.reading.all_secrets() == []

    play(scene)


# --- Deleted documents ------------------------------------------------------------------------------------------------


def test_a_hidden_document_is_out_of_sight_but_for_those_who_ask_for_deleted_ones(play):
    async def scene(store):
        await put(store, record("p1"), record("p2"))
        old = await store.reading.get("pal", "p1", MINE)
        await store.transact(lambda tx: tx.hide(old, DAYS[1], 2))
        assert await store.reading.get("pal", "p1", MINE) is None
        assert await store.reading.read("pal", "p1", MINE) is None
        page = await store.reading.page("pal", MINE, owned="all", newest_first=False, limit=9, offset=0)
        assert (len(page.bodies), page.total_count) == (1, 1)
        found = await store.reading.get_with_deleted("pal", "p1", MINE)
        assert found == (replace(old, revision=2, base=2), DAYS[1])
        assert await store.reading.get_with_deleted("pal", "p1", YOURS) is None
        assert await store.reading.get_with_deleted("pal", "p3", MINE) is None
        kept = await store.reading.get("pal", "p2", MINE)
        assert await store.reading.get_with_deleted("pal", "p2", MINE) == (kept, None)

    play(scene)


def test_a_hidden_document_keeps_its_id_and_gives_back_its_names(play):
    async def scene(store):
        await put(store, record())
        await store.transact(lambda tx: tx.claim("names", "night", "pal", "p1"))
        old = await store.reading.get("pal", "p1", MINE)
        await store.transact(lambda tx: tx.hide(old, DAYS[1], 1))
        assert not await store.reading.is_claimed("names", "night")
        with pytest.raises(IdTaken):
            await put(store, record(owner=YOURS))

    play(scene)


def test_replacing_a_hidden_document_brings_it_back_in_its_place(play):
    async def scene(store):
        await put(store, record("p1", body=b"1"), record("p2", body=b"2"))
        old = await store.reading.get("pal", "p1", MINE)
        await store.transact(lambda tx: tx.hide(old, DAYS[1], 1))
        hidden, _ = await store.reading.get_with_deleted("pal", "p1", MINE)
        next_state = {"body": b"3", "secrets": None, "updated_at": DAYS[2], "etag": "e3", "base": 1}
        with pytest.raises(Stale):
            await store.transact(lambda tx: tx.replace(old, **next_state))
        await store.transact(lambda tx: tx.replace(hidden, **next_state))
        back = await store.reading.get("pal", "p1", MINE)
        assert (back.revision, back.body, back.seq) == (3, b"3", old.seq)
        page = await store.reading.page("pal", MINE, owned="all", newest_first=False, limit=9, offset=0)
        assert page.bodies == [b"3", b"2"]

    play(scene)


def test_what_was_deleted_long_ago_is_forgotten_with_its_history_and_secrets(play):
    async def scene(store):
        ids = ("p1", "p2", "p3")
        for id, seq in zip(ids, await put(store, *map(record, ids)), strict=True):
            await remember(store, revision(seq, 1))
            await store.transact(lambda tx, seq=seq, secret=f"s-{id}": tx.add_secret(secret, seq, "pal/p/a", b"x"))
        for id, day in (("p1", DAYS[1]), ("p2", DAYS[3])):
            found = await store.reading.get("pal", id, MINE)
            await store.transact(lambda tx, found=found, day=day: tx.hide(found, day, 1))
        assert len(await store.transact(lambda tx: tx.forget_documents(DAYS[3], 10))) == 1
        found = [await store.reading.get_with_deleted("pal", id, MINE) for id in ids]
        assert [item is not None for item in found] == [False, True, True]
        assert {secret for secret, _, _ in await store.reading.all_secrets()} == {"s-p2", "s-p3"}
        assert await store.reading.revisions(1, before=MANY, limit=9) == []
        assert len(await store.reading.revisions(2, before=MANY, limit=9)) == 1

    play(scene)


# --- First answers ----------------------------------------------------------------------------------------------------


def test_an_answer_comes_back_while_it_is_young_and_makes_way_for_the_next_one(play):
    first = Answer(b"\x00\xff", 200, b'{"etag":"e"}', '{"name":"Zoë"}'.encode(), False)
    second = Answer(b"other", 409, b"{}", b"", True)

    async def scene(store):
        mine = await account(store)
        await store.transact(lambda tx: tx.add_answer(mine, "key", DAYS[1], first, NOW))
        assert await store.reading.find_answer(mine, "key", DAYS[1]) == first
        assert await store.reading.find_answer(mine, "key", DAYS[2]) is None
        assert await store.reading.find_answer(mine, "another", NOW) is None
        assert await store.reading.find_answer(mine + 1, "key", NOW) is None
        with pytest.raises(AnswerTaken):
            await store.transact(lambda tx: tx.add_answer(mine, "key", DAYS[2], second, DAYS[1]))
        assert await store.reading.find_answer(mine, "key", DAYS[1]) == first
        await store.transact(lambda tx: tx.add_answer(mine, "key", DAYS[3], second, DAYS[2]))
        assert await store.reading.find_answer(mine, "key", DAYS[2]) == second

    play(scene)


def test_old_answers_are_forgotten_and_young_ones_kept(play):
    kept = Answer(b"f", 200, b"{}", b"", True)

    async def scene(store):
        mine = await account(store)
        for key, day in (("old", DAYS[1]), ("young", DAYS[3])):
            await store.transact(lambda tx, key=key, day=day: tx.add_answer(mine, key, day, kept, NOW))
        assert await store.transact(lambda tx: tx.forget_answers(DAYS[3], 10)) == 1
        assert await store.reading.find_answer(mine, "old", NOW) is None
        assert await store.reading.find_answer(mine, "young", NOW) == kept

    play(scene)


# --- Rehearsals -------------------------------------------------------------------------------------------------------


async def count_up(tx: Transaction, body: bytes) -> None:
    found = await tx.get("pal", "p1", MINE)
    await tx.replace(found, body=body, secrets=None, updated_at=NOW, etag=body.decode(), base=1)
    await tx.add_revision(revision(found.seq, found.revision + 1, content=body))


def test_a_rehearsal_is_seen_inside_and_undone_at_its_end_and_what_is_around_it_stays(play):
    async def work(tx: Transaction):
        seen = []
        await count_up(tx, b"before")
        async with tx.rehearsal():
            await count_up(tx, b"inside")
            await tx.claim("names", "night", "pal", "p1")
            async with tx.rehearsal():
                await count_up(tx, b"deeper")
                seen.append((await tx.get("pal", "p1", MINE)).body)
            seen.append((await tx.get("pal", "p1", MINE)).body)
        seen.append((await tx.get("pal", "p1", MINE)).body)
        await count_up(tx, b"after")
        return seen

    async def scene(store):
        await put(store, record())
        assert await store.transact(work) == [b"deeper", b"inside", b"before"]
        found = await store.reading.get("pal", "p1", MINE)
        assert (found.body, found.revision) == (b"after", 3)
        rows = await store.reading.revisions(found.seq, before=MANY, limit=9)
        assert [(row.number, row.content) for row in rows] == [(3, b"after"), (2, b"before")]
        assert not await store.reading.is_claimed("names", "night")

    play(scene)


@pytest.mark.parametrize("is_caught", [True, False])
def test_a_rehearsal_that_fails_is_undone_too_and_harms_no_other_write(play, is_caught):
    class Unhappy(Exception):
        pass

    async def work(tx: Transaction):
        await count_up(tx, b"before")
        try:
            async with tx.rehearsal():
                await count_up(tx, b"inside")
                raise Unhappy
        except Unhappy:
            if not is_caught:
                raise

    async def scene(store):
        await put(store, record())
        outcomes = await asyncio.gather(
            store.transact(work), store.transact(lambda tx: tx.insert(record("p2"))), return_exceptions=True
        )
        assert isinstance(outcomes[0], Unhappy) != is_caught
        assert (await store.reading.get("pal", "p1", MINE)).body == (b"before" if is_caught else b'{"n":0}')
        assert await store.reading.get("pal", "p2", MINE)

    play(scene)


def test_nobody_else_ever_sees_a_rehearsal(play):
    async def scene(store):
        await put(store, record())
        seen = set()

        async def work(tx: Transaction):
            async with tx.rehearsal():
                await count_up(tx, b"inside")

        async def look_on():
            for _ in range(100):
                seen.add((await store.reading.get("pal", "p1", MINE)).body)
                await asyncio.sleep(0)

        await asyncio.gather(look_on(), *(store.transact(work) for _ in range(20)))
        seen.add((await store.reading.get("pal", "p1", MINE)).body)
        assert seen == {b'{"n":0}'}

    play(scene)
