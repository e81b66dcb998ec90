"""How far conversations have come, and what happened in them; both belong to documents and go with them."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import orjson

from palace.storage.base import Stale
from palace.storage.statements import Statements

Kind = Literal["message", "line", "event", "call", "turn"]


class Kept(NamedTuple):
    """A conversation after `number` steps. All the rest is JSON: how far it has come, and what it was given."""

    number: int
    state: bytes
    script: bytes
    given: bytes


class Logged(NamedTuple):
    """Something that happened, as JSON, and the number of the newest app message by then."""

    kind: Kind
    seq: int
    body: bytes


class Due(NamedTuple):
    """A conversation: its document, and whose that is."""

    document: int
    id: str
    owner: int


class Conversations:
    """Part of a transaction: conversations, step by step."""

    def __init__(self, run: Statements) -> None:
        self._run = run

    async def add(self, document: int, wake_at: str | None, state: bytes, script: bytes, given: bytes) -> None:
        """A conversation begins, after no step."""
        values = {"wake_at": wake_at, "state": state, "script": script, "given": given}
        await self._run.change("insert_conversation", document=document, **values)

    async def get(self, document: int) -> Kept | None:
        """How far it has come."""
        row = await self._run.row("get_conversation", document=document)
        return Kept(*row) if row else None

    async def find(self, id: str) -> Due | None:
        """The conversation with this id, whoever owns it; also one in test mode, which never began."""
        row = await self._run.row("find_conversation", id=id)
        return Due(*row) if row else None

    async def moved(self, known: Mapping[int, int]) -> list[int]:
        """Of documents, each with the number of steps that somebody knows of it, those that are not there any more."""
        told = orjson.dumps([[document, number] for document, number in known.items()]).decode()
        return [int(row[0]) for row in await self._run.rows("moved_conversations", known=told)]

    async def put(self, document: int, number: int, wake_at: str | None, state: bytes) -> None:
        """One step further than `number`. Raises Stale when somebody else went it, or the conversation is gone."""
        values = {"document": document, "number": number, "wake_at": wake_at, "state": state}
        if not await self._run.change("put_conversation", **values):
            raise Stale(f"The conversation is not at step {number} any more.")

    async def log(self, document: int, step: int, happened: Sequence[Logged]) -> None:
        """What happened in a step; a step is written once."""
        lines = [
            {"document": document, "step": step, "place": place, "kind": one.kind, "seq": one.seq, "body": one.body}
            for place, one in enumerate(happened)
        ]
        await self._run.many("insert_logged", lines)

    async def logged(self, document: int, kind: Kind, after: int = -1, most: int = 100_000) -> list[Logged]:
        """What happened of one kind, of app messages those after a number."""
        values = {"document": document, "kind": kind, "after": after, "most": most}
        return [Logged(*row) for row in await self._run.rows("logged", **values)]

    async def due(self, now: str, most: int) -> list[Due]:
        """Conversations in which something is to happen by itself by now."""
        return [Due(*row) for row in await self._run.rows("due_conversations", now=now, most=most)]

    async def active(self, owner: int) -> int:
        """How many conversations of an account go on."""
        return int((await self._run.row("count_active_conversations", owner=owner))[0])
