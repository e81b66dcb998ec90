"""What every store promises of its two indexes: who refers to what, and what lists find."""

import pytest

from palace.storage import Label, Listing, Record, Use
from palace.storage.base import User

MINE, YOURS, STOCK = 1, 2, 0
NOW = "2026-01-01T00:00:00.000000Z"


def record(id, owner=MINE, kind="pal"):
    return Record(kind, id, owner, 1, NOW, NOW, f'"{id}"'.encode())


async def put(store, *records):
    """Store them; their numbers."""
    return [await store.transact(lambda tx, item=item: tx.insert(item)) for item in records]


async def use(store, document, new=(), gone=()):
    await store.transact(lambda tx: tx.links.put_uses(document, gone=gone, new=new))


async def label(store, document, new=(), gone=()):
    await store.transact(lambda tx: tx.links.put_labels(document, gone=gone, new=new))


async def found(store, account=MINE, kind="pal", **listing):
    """The ids that a list has, and how many it says there are."""
    page = await store.reading.links.search(kind, account, Listing(**listing))
    return [body.decode().strip('"') for body in page.bodies], page.total_count


# --- Uses -------------------------------------------------------------------------------------------------------------


def test_users_are_told_oldest_first_once_for_each_place_with_their_names(play):
    async def scene(store):
        first, second = await put(store, record("p1"), record("p2"))
        await use(store, second, [Use("tool", "t1", "/tool_ids/0")])
        await use(store, first, [Use("tool", "t1", "/tool_ids/1"), Use("tool", "t1", "/a"), Use("tool", "t2", "/b")])
        await label(store, first, [Label("name", "Night Desk"), Label("tag", "a")])
        assert await store.reading.links.users("tool", "t1", MINE) == [
            User("pal", "p1", "Night Desk", "/a"),
            User("pal", "p1", "Night Desk", "/tool_ids/1"),
            User("pal", "p2", None, "/tool_ids/0"),
        ]
        assert await store.reading.links.users("face", "t1", MINE) == []
        assert await store.reading.links.users("tool", "t3", MINE) == []

    play(scene)


@pytest.mark.parametrize(
    ("owner", "asks", "is_told"),
    [
        pytest.param(MINE, MINE, True, id="its owner is told"),
        pytest.param(MINE, YOURS, False, id="another account is not"),
        pytest.param(STOCK, MINE, False, id="a stock object is nobody's user"),
    ],
)
def test_who_is_told_of_a_user(play, owner, asks, is_told):
    async def scene(store):
        [document] = await put(store, record("p1", owner))
        await use(store, document, [Use("tool", "t1", "/tool_ids/0")])
        assert (await store.reading.links.users("tool", "t1", asks) != []) == is_told

    play(scene)


def test_a_place_refers_to_one_object_and_a_new_one_takes_it_over(play):
    async def scene(store):
        [document] = await put(store, record("p1"))
        await use(store, document, [Use("tool", "t1", "/tool_ids/0"), Use("tool", "t2", "/tool_ids/1")])
        gone = [Use("tool", "t1", "/tool_ids/0"), Use("tool", "t2", "/tool_ids/1")]
        await use(store, document, [Use("tool", "t2", "/tool_ids/0")], gone)
        assert [user.pointer for user in await store.reading.links.users("tool", "t2", MINE)] == ["/tool_ids/0"]
        assert await store.reading.links.users("tool", "t1", MINE) == []
        await use(store, document, [Use("skill", "s1", "/tool_ids/0")])
        assert await store.reading.links.users("tool", "t2", MINE) == []
        assert len(await store.reading.links.users("skill", "s1", MINE)) == 1

    play(scene)


def test_what_is_deleted_uses_nothing_until_it_comes_back(play):
    async def scene(store):
        [document] = await put(store, record("p1"))
        await use(store, document, [Use("tool", "t1", "/tool_ids/0")])
        before = await store.reading.get("pal", "p1", MINE)
        await store.transact(lambda tx: tx.hide(before, NOW, 1))
        assert await store.reading.links.users("tool", "t1", MINE) == []
        hidden, _ = await store.reading.get_with_deleted("pal", "p1", MINE)
        columns = {"body": b"{}", "secrets": None, "updated_at": NOW, "etag": "e", "base": 1}
        await store.transact(lambda tx: tx.replace(hidden, **columns))
        assert len(await store.reading.links.users("tool", "t1", MINE)) == 1
        back = await store.reading.get("pal", "p1", MINE)
        await store.transact(lambda tx: tx.delete(back))
        assert await store.reading.links.users("tool", "t1", MINE) == []

    play(scene)


def test_what_is_written_in_a_rehearsal_or_in_a_deed_that_fails_is_not_there(play):
    async def scene(store):
        [document] = await put(store, record("p1"))

        async def rehearsed(tx):
            async with tx.rehearsal():
                await tx.links.put_uses(document, gone=(), new=[Use("tool", "t1", "/a")])
                assert len(await tx.links.users("tool", "t1", MINE)) == 1
            assert await tx.links.users("tool", "t1", MINE) == []

        async def failing(tx):
            await tx.links.put_uses(document, gone=(), new=[Use("tool", "t1", "/a")])
            await tx.links.put_labels(document, gone=(), new=[Label("name", "x")])
            raise RuntimeError

        await store.transact(rehearsed)
        with pytest.raises(RuntimeError):
            await store.transact(failing)
        assert await store.reading.links.users("tool", "t1", MINE) == []
        assert await found(store, search="x") == ([], 0)

    play(scene)


# --- Lists ------------------------------------------------------------------------------------------------------------

NAMES = ["Ärztin", "night desk", "Night Desk 2", "100%", "ärztin b"]


async def some_named(store):
    """Five of one account, one of another and a stock one, with their names and some tags."""
    numbers = await put(store, *(record(f"p{n}") for n in range(5)), record("p5", YOURS), record("p6", STOCK))
    for number, name in zip(numbers, [*NAMES, "Night Desk 3", "night owl"], strict=True):
        await label(store, number, [Label("name", name)])
    await label(store, numbers[0], [Label("tag", "desk"), Label("tag", "Night")])
    await label(store, numbers[1], [Label("tag", "night"), Label("state", "ready")])
    await label(store, numbers[2], [Label("tag", "day")])
    return numbers


LISTS = [
    pytest.param({"search": "night"}, ["p1", "p2", "p6"], id="a part of the name, whatever the case"),
    pytest.param({"search": "NIGHT DESK"}, ["p1", "p2"], id="a part in capitals"),
    pytest.param({"search": "ÄRZT"}, ["p0", "p4"], id="letters beyond ASCII, whatever the case"),
    pytest.param({"search": "%"}, ["p3"], id="a per cent sign is one"),
    pytest.param({"search": "_"}, [], id="an underscore is one"),
    pytest.param({"search": "p4"}, ["p4"], id="the whole id"),
    pytest.param({"search": "p"}, [], id="a part of the id finds nothing"),
    pytest.param({"search": "night", "owned": "own"}, ["p1", "p2"], id="your own"),
    pytest.param({"search": "night", "owned": "stock"}, ["p6"], id="stock objects"),
    pytest.param({"ids": ("p2", "p5", "p0", "none")}, ["p0", "p2"], id="ids, without those of others"),
    pytest.param({"ids": ()}, [], id="no ids"),
    pytest.param({"ids": ("p2", "\0", "p\0")}, ["p2"], id="ids with a zero byte, which nothing has"),
    pytest.param({"labels": {"tag": ["night"]}}, ["p0", "p1"], id="a value of a label, whatever the case"),
    pytest.param({"labels": {"tag": ["day", "desk"]}}, ["p0", "p2"], id="one of several values"),
    pytest.param({"labels": {"tag": ["night"], "state": ["ready"]}}, ["p1"], id="both labels"),
    pytest.param({"labels": {"tag": ["nigh"]}}, [], id="a part of a value is none"),
    pytest.param({"labels": {"tag": []}}, [], id="none of no values"),
    pytest.param({"labels": {"tag": ["day", "\0"]}}, ["p2"], id="a value with a zero byte, which nothing has"),
    pytest.param({"search": "\0"}, [], id="a zero byte, which no name has"),
    pytest.param({"search": "desk", "labels": {"tag": ["night"]}}, ["p1"], id="a name and a label"),
    pytest.param({"order": "name", "owned": "own"}, ["p3", "p1", "p2", "p0", "p4"], id="by name"),
    pytest.param({"order": "name_backwards", "owned": "own"}, ["p4", "p0", "p2", "p1", "p3"], id="backwards"),
    pytest.param({"search": "night", "order": "newest"}, ["p6", "p2", "p1"], id="newest first"),
]


@pytest.mark.parametrize(("listing", "ids"), LISTS)
def test_what_a_list_finds(play, listing, ids):
    async def scene(store):
        await some_named(store)
        assert await found(store, **listing) == (ids, len(ids))
        assert await found(store, **listing, limit=1, offset=1) == (ids[1:2], len(ids))
        assert await found(store, kind="face", **listing) == ([], 0)

    play(scene)


def test_a_name_that_is_gone_finds_nothing_and_one_that_is_deleted_neither(play):
    async def scene(store):
        numbers = await some_named(store)
        await label(store, numbers[1], [Label("name", "Day Desk")], [Label("name", "night desk")])
        assert await found(store, search="night", owned="own") == (["p2"], 1)
        assert await found(store, search="day") == (["p1"], 1)
        before = await store.reading.get("pal", "p2", MINE)
        await store.transact(lambda tx: tx.hide(before, NOW, 1))
        assert await found(store, search="desk", owned="own") == (["p1"], 1)

    play(scene)


def test_the_values_of_a_label_are_told_once_each_in_order(play):
    async def scene(store):
        numbers = await some_named(store)
        await label(store, numbers[3], [Label("tag", "day")])
        await label(store, numbers[5], [Label("tag", "of somebody else")])
        values = store.reading.links.label_values
        every = {"limit": 10, "offset": 0}
        assert await values("pal", MINE, "tag", search="", **every) == (["Night", "day", "desk", "night"], 4)
        assert await values("pal", MINE, "tag", search="NIGHT", **every) == (["Night", "night"], 2)
        assert await values("pal", MINE, "tag", search="", limit=2, offset=1) == (["day", "desk"], 4)
        assert await values("pal", MINE, "state", search="", **every) == (["ready"], 1)
        assert await values("face", MINE, "tag", search="", **every) == ([], 0)

    play(scene)


def test_a_name_may_be_as_long_as_anything(play):
    """And nothing in it repeats, so that no compression makes it short."""
    name = "".join(f"{number * 0x9E3779B97F4A7C15 % (1 << 64):016x}" for number in range(1000))

    async def scene(store):
        (document,) = await put(store, record("p1"))
        for _ in range(2):
            await label(store, document, new=[Label("name", name)])
        assert await found(store, search=name[5000:5100]) == (["p1"], 1)
        assert await store.reading.links.label_values("pal", MINE, "name", search="", limit=9, offset=0) == ([name], 1)
        await label(store, document, gone=[Label("name", name)])
        assert await found(store, search=name[5000:5100]) == ([], 0)

    play(scene)
