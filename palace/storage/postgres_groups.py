"""Many works in one transaction: what they ask is asked together, and what they write is written together.

Nothing here waits for anything: works are coroutines that are driven by hand. A work that asks for something stops
there; when all have stopped, what they ask is handed out, one statement for all questions of one kind, and with the
answers they go on. Two works on one document take turns, so that the second sees what the first made of it.

Nothing is stored before all are done. So a work that fails has nothing to take back, and one that asks for what is
not asked together, or writes what may be refused, is sent away, to be done again in a transaction of its own.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from palace.audit import Chain, Deed
from palace.call import STOCK_OWNER
from palace.storage.transaction import Transaction

TOGETHER = {"open_draft": "open_drafts", "get_secret": "get_secrets", "document_exists": "hold_documents"}
"""Questions that may be asked together, and how; besides `get_document`."""

WRITES = frozenset(
    {
        *("insert_revision", "insert_secret", "insert_use", "delete_use", "insert_label", "delete_label"),
        "insert_delivery",
    }
)
"""What may be written at the end, as nothing comes of it that the work needs to know; besides `replace_document`."""

KIND, ID, OWNER, REVISION, UPDATED_AT, BODY, SECRETS, ETAG, BASE, SEQ = 0, 1, 2, 3, 5, 6, 7, 8, 9, 10
Place = tuple[str, str]


class NeedsOwnTransaction(BaseException):
    """A work wants what cannot be shared. No work may catch this, so it is no Exception."""


@dataclass(slots=True)
class Ask:
    """A question that a work stops for."""

    statement: str
    values: dict[str, Any]

    def __await__(self) -> Generator["Ask", Any, Any]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class Replaced:
    """A document as it is after the group, and the revision at which the group found it."""

    was: int
    row: tuple[Any, ...]


class Member:
    """One work of a group. It stands in for the statements of the work's own transaction."""

    def __init__(self, work: Callable[[Transaction], Awaitable[Any]]) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self.needs_own = False
        self.held: Place | None = None
        self.document: tuple[Any, ...] | None = None
        self.is_replaced = False
        self.writes: list[tuple[str, dict[str, Any]]] = []
        self.secrets: dict[str, bytes] = {}
        self.transaction = Transaction(self)
        self._coroutine: Coroutine[Ask, Any, Any] = _begun(work, self.transaction)

    def step(self, answer: Any) -> Ask | None:
        """Go on with an answer, to the next question or, for None, to the end."""
        try:
            asked = self._coroutine.send(answer)
        except StopIteration as done:
            self.result = done.value
        except NeedsOwnTransaction:
            self.needs_own = True
        except Exception as error:
            self.error = error
        else:
            if isinstance(asked, Ask):
                return asked
            self.leave()
            self.error = RuntimeError("A transaction awaits nothing but the verbs of its store.")
        return None

    def leave(self) -> None:
        """Stop here for good."""
        self.needs_own = True
        self._coroutine.close()

    @property
    def is_done(self) -> bool:
        """Whether it came to a good end, so that what it wrote counts."""
        return self.error is None and not self.needs_own

    @property
    def has_written(self) -> bool:
        """Whether anything of it counts."""
        return self.is_done and bool(self.is_replaced or self.writes or self.transaction.deeds)

    # --- Statements, as the work's transaction asks for them ----------------------------------------------------------

    async def rows(self, _statement: str, /, **_values: Any) -> Sequence[Any]:
        raise NeedsOwnTransaction

    async def row(self, statement: str, /, **values: Any) -> Any:
        if statement == "get_document":
            if self.held is not None:  # Two works that hold one document each could wait for each other.
                raise NeedsOwnTransaction
            self.document = await Ask(statement, values)
            return self.document
        if statement not in TOGETHER:
            raise NeedsOwnTransaction
        if statement == "get_secret" and values["secret"] in self.secrets:
            return (self.secrets[values["secret"]],)
        return await Ask(statement, values)

    async def change(self, statement: str, /, **values: Any) -> int:
        if statement == "replace_document":
            return self._replace(values)
        if statement not in WRITES:
            raise NeedsOwnTransaction
        if statement == "insert_secret":
            self.secrets[values["secret"]] = values["sealed"]
        self.writes.append((statement, values))
        return 1

    async def many(self, _statement: str, _lines: Sequence[Mapping[str, Any]], /) -> None:
        raise NeedsOwnTransaction

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[None]:
        raise NeedsOwnTransaction
        yield

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Member"]:
        raise NeedsOwnTransaction
        yield self

    def _replace(self, values: dict[str, Any]) -> int:
        known = self.document
        if known is None or self.is_replaced or known[SEQ] != values["seq"]:
            raise NeedsOwnTransaction
        if known[REVISION] != values["revision"]:
            return 0
        row = list(known)
        row[REVISION] += 1
        for place, name in ((UPDATED_AT, "updated_at"), (BODY, "body"), (SECRETS, "secrets"), (ETAG, "etag")):
            row[place] = values[name]
        row[BASE] = values["base"]
        self.document, self.is_replaced = tuple(row), True
        return 1


async def _begun(work: Callable[[Transaction], Awaitable[Any]], transaction: Transaction) -> Any:
    return await work(transaction)


@dataclass(slots=True)
class Questions:
    """The same question, asked by several members."""

    statement: str
    members: list[Member] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)


class Group:
    """Works that are done together. `run` them with the answers so far until nothing is asked any more."""

    def __init__(self, works: Sequence[Callable[[Transaction], Awaitable[Any]]]) -> None:
        self.members = [Member(work) for work in works]
        self.replaced: dict[int, Replaced] = {}
        self.writes: list[tuple[str, dict[str, Any]]] = []
        self.deeds: list[Deed] = []
        self.unlogged: list[Deed] = []
        self.chain: Chain | None = None
        self._ready: deque[tuple[Member, Any]] = deque((member, None) for member in self.members)
        self._documents: dict[Place, tuple[Any, ...] | None] = {}
        self._secrets: dict[str, bytes] = {}
        """what is not stored yet, and what those who ask find all the same"""
        self._holders: dict[Place, Member] = {}
        self._in_line: dict[Place, deque[tuple[Member, int]]] = {}

    @property
    def is_writing(self) -> bool:
        """Whether those that are done have written anything."""
        return bool(self.replaced or self.writes or self.deeds)

    def run(self) -> list[Questions]:
        """Go on until all have stopped, and tell what they ask; nothing when all are done."""
        asked: dict[str, Questions] = {}
        while self._ready:
            member, answer = self._ready.popleft()
            question = member.step(answer)
            if question is None:
                self._end(member)
            elif question.statement == "get_document":
                self._ask_document(member, question, asked)
            elif question.statement == "get_secret" and question.values["secret"] in self._secrets:
                self._ready.append((member, (self._secrets[question.values["secret"]],)))
            else:
                _ask(asked, TOGETHER[question.statement], member, question.values)
        return list(asked.values())

    def answer(self, questions: Questions, rows: Sequence[Sequence[Any]]) -> None:
        """Hand out answers: rows that begin with the place of their question, from 1 on."""
        found = {row[0]: tuple(row)[1:] for row in rows}
        for place, (member, values) in enumerate(zip(questions.members, questions.asked, strict=True), 1):
            row = found.get(place)
            if questions.statement == "lock_documents":
                self._documents[values["kind"], values["id"]] = row
                row = _if_readable(row, values["account"])
            self._ready.append((member, row))

    def _ask_document(self, member: Member, question: Ask, asked: dict[str, Questions]) -> None:
        """Have it for this member alone until it is done: now, or when those before it are."""
        values = question.values
        place = member.held = (values["kind"], values["id"])
        if place in self._holders:
            self._in_line.setdefault(place, deque()).append((member, values["account"]))
            return
        self._holders[place] = member
        if place in self._documents:
            self._ready.append((member, _if_readable(self._documents[place], values["account"])))
        else:
            _ask(asked, "lock_documents", member, values)

    def _end(self, member: Member) -> None:
        if member.is_done:
            self._keep(member)
        if member.held is not None and self._holders.get(member.held) is member:
            del self._holders[member.held]
            if line := self._in_line.get(member.held):
                following, account = line.popleft()
                self._holders[member.held] = following
                self._ready.append((following, _if_readable(self._documents[member.held], account)))

    def _keep(self, member: Member) -> None:
        if member.is_replaced:
            row, place = member.document, member.held
            assert row is not None and place is not None
            earlier = self.replaced.get(row[SEQ])
            before = self._documents[place]
            assert before is not None
            self.replaced[row[SEQ]] = Replaced(earlier.was if earlier else before[REVISION], row)
            self._documents[place] = row
        self.writes += member.writes
        self._secrets |= member.secrets
        self.deeds += member.transaction.deeds
        self.unlogged += member.transaction.unlogged
        self.chain = member.transaction.sealed_with or self.chain


def _ask(asked: dict[str, Questions], statement: str, member: Member, values: dict[str, Any]) -> None:
    questions = asked.setdefault(statement, Questions(statement))
    questions.members.append(member)
    questions.asked.append(values)


def _if_readable(row: tuple[Any, ...] | None, account: int) -> tuple[Any, ...] | None:
    return row if row is not None and row[OWNER] in (STOCK_OWNER, account) else None
