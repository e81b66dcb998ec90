"""Works in a group are as works one after the other, whatever they do; the database is a few dictionaries."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.audit import Chain, Deed
from palace.storage import Label, Record, Revision, Transaction, Use
from palace.storage.postgres_groups import Group, NeedsOwnTransaction, Questions

MINE, YOURS, STOCK = 1, 2, 0
CHAIN = Chain(bytes(32))
Work = Callable[[Transaction], Awaitable[Any]]
MANY = {
    "lock_documents": "get_document",
    "hold_documents": "document_exists",
    "get_secrets": "get_secret",
    "open_drafts": "open_draft",
}


def document(id: str, owner: int = MINE, revision: int = 1, seq: int = 1) -> tuple[Any, ...]:
    return ("pal", id, owner, revision, "then", "then", b"", None, "", 1, seq)


@dataclass
class Database:
    """What a database keeps, with the answer to every question that groups ask."""

    documents: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    drafts: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    written: list[tuple[Any, ...]] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)

    @classmethod
    def of(cls, *ids: str) -> "Database":
        return cls({("pal", id): document(id, seq=number) for number, id in enumerate(ids, 1)})

    # --- One question, one change -------------------------------------------------------------------------------------

    def ask(self, statement: str, values: dict[str, Any]) -> Any:
        if statement == "get_secret":
            found = self.secrets.get(values["secret"])
            return None if found is None else (found,)
        if statement == "open_draft":
            return self.drafts.get(values["document"])
        row = self.documents.get((values["kind"], values["id"]))
        if row is None or row[2] not in (STOCK, values["account"]):
            return None
        return row if statement == "get_document" else (1,)

    def change(self, statement: str, values: dict[str, Any]) -> int:
        if statement == "replace_document":
            return self._replace(**values)
        if statement == "insert_secret":
            self.secrets[values["secret"]] = values["sealed"]
        self.written.append((statement, *sorted(values.items())))
        return 1

    def _replace(
        self, seq: int, revision: int, body: bytes, secrets: Any, updated_at: str, etag: str, base: int
    ) -> int:
        for place, row in self.documents.items():
            if (row[-1], row[3]) == (seq, revision):
                self.documents[place] = (*row[:3], revision + 1, row[4], updated_at, body, secrets, etag, base, seq)
                return 1
        return 0

    # --- A group, and works one after the other -----------------------------------------------------------------------

    def together(self, *works: Work) -> Group:
        """The works as a group, and what they write, once all are done; those that want their own are not done."""
        group = Group(works)
        while asked := group.run():
            for questions in asked:
                self.asked.append((questions.statement, len(questions.asked)))
                group.answer(questions, self._answers(questions))
        for new in group.replaced.values():
            place = (new.row[0], new.row[1])
            assert self.documents[place][3] == new.was, "nobody else has changed it"
            self.documents[place] = new.row
        for statement, values in group.writes:
            self.change(statement, values)
        self.deeds += group.deeds
        return group

    def _answers(self, questions: Questions) -> Sequence[tuple[Any, ...]]:
        statement, found = MANY[questions.statement], []
        for place, values in enumerate(questions.asked, 1):
            if statement == "get_document":  # Whoever owns it: the group looks at that itself.
                row = self.documents.get((values["kind"], values["id"]))
            else:
                row = self.ask(statement, values)
            if row is not None:
                found.append((place, *row))
        return found[::-1]

    def alone(self, work: Work) -> Any:
        """One work in a transaction of its own: its result, or its error, after which nothing of it is left."""
        before, alone = deepcopy(self), Alone(self)
        transaction = Transaction(alone)
        try:
            result = asyncio.run(_awaited(work(transaction)))
        except Exception as error:
            self.__dict__ = before.__dict__
            return error
        self.deeds += transaction.deeds
        return result


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


class Alone:
    """The statements of a transaction that nobody shares."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def row(self, statement: str, /, **values: Any) -> Any:
        return self._database.ask(statement, values)

    async def change(self, statement: str, /, **values: Any) -> int:
        return self._database.change(statement, values)

    @asynccontextmanager
    async def rehearsal(self):
        before = deepcopy(self._database)
        try:
            yield
        finally:
            self._database.__dict__ = before.__dict__


# --- Works ------------------------------------------------------------------------------------------------------------


async def append(tx: Transaction, id: str, letter: str, account: int = MINE) -> bytes:
    """The document with one letter more; its revision is remembered, and the audit log tells of it."""
    record = await tx.get("pal", id, account)
    if record is None:
        raise LookupError(id)
    body = record.body + letter.encode()
    await tx.replace(record, body=body, secrets=None, updated_at="now", etag=letter, base=1)
    number = record.revision + 1
    told = Revision(record.seq, number, 1, "now", "patch", letter, "k", "r", None, b"[]", None, None, b"[]")
    await tx.add_revision(told)
    await tx.add_audit(Deed("now", account, "k", "patch", "pal", id, number), CHAIN)
    return body


def appending(id: str, letter: str, account: int = MINE) -> Work:
    return lambda tx: append(tx, id, letter, account)


def bodies(database: Database) -> dict[str, bytes]:
    return {id: row[6] for (_, id), row in database.documents.items()}


def test_works_on_one_document_take_turns_and_each_sees_what_the_one_before_made_of_it() -> None:
    database = Database.of("p1")
    group = database.together(*(appending("p1", letter) for letter in "abc"))
    assert [member.result for member in group.members] == [b"a", b"ab", b"abc"]
    assert database.documents["pal", "p1"][3] == 4
    assert [(new.was, new.row[3]) for new in group.replaced.values()] == [(1, 4)]
    assert database.asked == [("lock_documents", 1)]
    assert [deed.revision for deed in database.deeds] == [2, 3, 4]


def test_questions_of_one_kind_are_asked_together_whoever_asks() -> None:
    database = Database.of(*(f"p{number}" for number in range(20)))
    group = database.together(*(appending(f"p{number}", "x") for number in range(20)))
    assert [member.result for member in group.members] == [b"x"] * 20
    assert database.asked == [("lock_documents", 20)]


def test_answers_go_to_those_who_asked_also_where_some_have_none() -> None:
    database = Database(secrets={"s1": b"one", "s3": b"three"})
    group = database.together(*(lambda tx, n=n: tx.get_secret(f"s{n}") for n in range(5)))
    assert [member.result for member in group.members] == [None, b"one", None, b"three", None]


def test_a_work_that_fails_leaves_nothing_and_the_others_go_on() -> None:
    async def fails_late(tx: Transaction) -> None:
        await append(tx, "p1", "b")
        raise ValueError("too late")

    database = Database.of("p1")
    group = database.together(appending("p1", "a"), fails_late, appending("p1", "c"))
    assert bodies(database) == {"p1": b"ac"}
    assert isinstance(group.members[1].error, ValueError)
    assert [deed.revision for deed in database.deeds] == [2, 3]
    assert len(database.written) == 2


@pytest.mark.parametrize(
    "wants",
    [
        pytest.param(lambda tx: tx.get("pal", "p2", MINE), id="a second document"),
        pytest.param(lambda tx: tx.get("pal", "p1", MINE), id="the same one again"),
        pytest.param(lambda tx: append(tx, "p1", "y"), id="to change it twice"),
        pytest.param(lambda tx: tx.links.users("pal", "p1", MINE), id="rows"),
        pytest.param(lambda tx: tx.claim("name", "x", "pal", "p1"), id="to write what may be refused"),
        pytest.param(lambda tx: tx.find_account("x"), id="what is not asked together"),
    ],
)
def test_a_work_that_wants_what_cannot_be_shared_is_sent_away_and_leaves_nothing(wants: Work) -> None:
    ended = []

    async def greedy(tx: Transaction) -> None:
        await append(tx, "p1", "x")
        try:
            await wants(tx)
        except Exception:
            ended.append("caught")  # No work can make anything of it.
        finally:
            ended.append("finally")

    database = Database.of("p1", "p2")
    group = database.together(appending("p1", "a"), greedy, appending("p1", "b"))
    assert [member.needs_own for member in group.members] == [False, True, False]
    assert bodies(database) == {"p1": b"ab", "p2": b""}
    assert ended == ["finally"]
    assert len(database.deeds) == 2


def test_a_rehearsal_needs_a_transaction_of_its_own() -> None:
    async def rehearses(tx: Transaction) -> None:
        async with tx.rehearsal():
            await append(tx, "p1", "x")

    group = Database.of("p1").together(rehearses)
    assert group.members[0].needs_own


@pytest.mark.parametrize(
    "foreign", [pytest.param(lambda: asyncio.sleep(0), id="a pause"), pytest.param(asyncio.Event().wait, id="an event")]
)
def test_a_work_that_awaits_something_foreign_is_told_so_and_holds_up_nobody(foreign: Callable[[], Any]) -> None:
    async def waits(tx: Transaction) -> None:
        await append(tx, "p1", "x")
        await foreign()

    async def scene() -> None:
        database = Database.of("p1")
        group = database.together(waits, appending("p1", "a"))
        assert isinstance(group.members[0].error, RuntimeError)
        assert bodies(database) == {"p1": b"a"}

    asyncio.run(scene())


def test_what_belongs_to_another_account_is_not_found_and_stock_is() -> None:
    database = Database({("pal", "p1"): document("p1", YOURS), ("pal", "p2"): document("p2", STOCK, seq=2)})
    group = database.together(
        appending("p1", "x"), appending("p1", "y", YOURS), appending("p1", "z"), lambda tx: tx.get("pal", "p2", MINE)
    )
    mine, yours, again, stock = group.members
    assert (type(mine.error), yours.result, type(again.error)) == (LookupError, b"y", LookupError)
    assert stock.result.id == "p2"


def test_a_document_that_is_not_there_is_asked_for_once() -> None:
    database = Database()
    group = database.together(*(appending("p1", "x") for _ in range(3)))
    assert [type(member.error) for member in group.members] == [LookupError] * 3
    assert database.asked == [("lock_documents", 1)]


def test_a_secret_that_a_work_kept_is_found_by_those_after_it() -> None:
    async def keeps(tx: Transaction) -> bytes | None:
        await append(tx, "p1", "a")
        await tx.add_secret("s1", 1, "place", b"sealed")
        return await tx.get_secret("s1")

    async def looks(tx: Transaction) -> bytes | None:
        await append(tx, "p1", "b")
        return await tx.get_secret("s1")

    async def fails(tx: Transaction) -> None:
        await append(tx, "p1", "x")
        await tx.add_secret("s2", 1, "place", b"sealed")
        raise ValueError

    async def looks_in_vain(tx: Transaction) -> bytes | None:
        await append(tx, "p1", "c")
        return await tx.get_secret("s2")

    group = Database.of("p1").together(keeps, looks, fails, looks_in_vain)
    assert [member.result for member in group.members] == [b"sealed", b"sealed", None, None]


def test_nothing_catches_what_sends_a_work_away() -> None:
    assert not issubclass(NeedsOwnTransaction, Exception)


# --- Any works --------------------------------------------------------------------------------------------------------

IDS = ["p1", "p2", "p3", "gone"]
WHATEVER = st.sampled_from(["write", "secret", "keep", "draft", "label", "use", "rehearse", "fail"])
STEPS = st.one_of(
    *[WHATEVER] * 4, st.sampled_from(IDS).map("exists {}".format), st.sampled_from(IDS).map("read {}".format)
)
PLANS = st.lists(
    st.tuples(st.sampled_from([MINE, YOURS]), st.sampled_from(IDS), st.lists(STEPS, max_size=5)), max_size=8
)


def planned(name: int, account: int, id: str, steps: Sequence[str], ended: list[int]) -> Work:
    """A work on a document that does these steps and tells what it saw."""

    async def write(tx: Transaction, record: Record) -> Record:
        body = record.body + f"{name},".encode()
        await tx.replace(record, body=body, secrets=None, updated_at="now", etag="e", base=1)
        await tx.add_audit(Deed("now", account, "k", "patch", "pal", id, record.revision + 1), CHAIN)
        return replace(record, revision=record.revision + 1, body=body)

    async def step(tx: Transaction, what: str, record: Record) -> Any:
        match what.split():
            case ["exists", other]:
                return await tx.exists("pal", other, account)
            case ["read", other]:
                return await tx.get("pal", other, account)
            case ["secret"]:
                return await tx.get_secret(id)
            case ["keep"]:
                return await tx.add_secret(id, record.seq, "place", str(name).encode())
            case ["draft"]:
                return await tx.open_draft(record.seq)
            case ["label"]:
                return await tx.links.put_labels(record.seq, gone=[Label("name", "x")], new=[Label("name", str(name))])
            case ["use"]:
                return await tx.links.put_uses(record.seq, gone=[], new=[Use("/voice", "voice", str(name))])
            case ["rehearse"]:
                async with tx.rehearsal():
                    return await write(tx, record)
        raise ValueError(name)

    async def work(tx: Transaction) -> list[Any]:
        try:
            record = await tx.get("pal", id, account)
            seen: list[Any] = [record]
            for what in steps if record is not None else ():
                if what == "write":
                    record = await write(tx, record)
                else:
                    seen.append(await step(tx, what, record))
            return seen
        finally:
            ended.append(name)

    return work


@given(PLANS)
def test_a_group_of_any_works_is_as_the_same_works_one_after_the_other(plans: list[tuple[int, str, list[str]]]) -> None:
    start = Database.of("p1", "p2", "p3")
    start.documents["pal", "p3"] = document("p3", STOCK, seq=3)
    start.secrets["p1"] = b"first"
    start.drafts[1] = (1, 1, "open", 1, "k", "then", "then", "", None, None, b"", b"")
    shared, single, ended = deepcopy(start), deepcopy(start), list[int]()
    works = [planned(name, *plan, ended) for name, plan in enumerate(plans)]
    group = shared.together(*works)
    order = sorted(ended, key=lambda name: group.members[name].needs_own)  # Those are done when the others are stored.
    assert sorted(order) == list(range(len(plans))), "each has come to its end"
    for name in order:
        member = group.members[name]
        told = shared.alone(works[name]) if member.needs_own else member.error or member.result
        assert repr(told) == repr(single.alone(works[name]))
    assert (shared.documents, shared.secrets) == (single.documents, single.secrets)
    assert sorted(map(repr, shared.written)) == sorted(map(repr, single.written))
    assert sorted(map(repr, shared.deeds)) == sorted(map(repr, single.deeds))
