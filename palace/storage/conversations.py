"""How far conversations have come, and what happened in them; both belong to documents and go with them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import orjson

from palace.storage.base import Listing, Page, Stale
from palace.storage.links import folded_labels
from palace.storage.statements import Statements

Kind = Literal["message", "line", "event", "call", "turn"]
PARTS = ("context_built", "first_token", "first_sentence", "last_token", "tools", "delivered")
"""What a turn has of times, in this order."""
LAST = "\U0010ffff"
"""Behind every character."""


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


class Happened(NamedTuple):
    """Something that happened, as JSON, and where it stands in the log."""

    step: int
    place: int
    body: bytes


class Times(NamedTuple):
    """How long after somebody spoke each part of a turn came, in microseconds, in the order of PARTS."""

    revision: int
    parts: tuple[int | None, ...]


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

    async def going_on(self) -> int:
        """How many conversations of all accounts go on."""
        return int((await self._run.row("count_conversations_going_on"))[0])

    # --- Seeing what happened -----------------------------------------------------------------------------------------

    async def page(self, document: int, kind: Kind, after: tuple[int, int], most: int) -> list[Happened]:
        """What happened of one kind, behind a step and a place in it."""
        values = {"document": document, "kind": kind, "step": after[0], "place": after[1], "most": most}
        return [Happened(*row) for row in await self._run.rows("page_of_log", **values)]

    async def add_turn(
        self,
        document: int,
        turn: int,
        *,
        account: int,
        pal: str,
        revision: int,
        at: str,
        parts: Mapping[str, int | None],
    ) -> None:
        """How long the parts of a turn took, each in microseconds after `at`."""
        values = {"account": account, "pal": pal, "revision": revision, "at": at}
        times = {f"{name}_us": parts[name] for name in PARTS}
        await self._run.change("insert_turn", document=document, turn=turn, **values, **times)

    async def times(self, account: int, pal: str, since: str, most: int) -> list[Times]:
        """The newest turns of a PAL in the conversations of an account, from a time on."""
        rows = await self._run.rows("turns_of_pal", account=account, pal=pal, since=since, most=most)
        return [Times(row[0], tuple(row[1:])) for row in rows]

    async def add_words(self, document: int, account: int, words: Iterable[str]) -> None:
        """Have the conversation found by these words, too."""
        lines = [{"document": document, "account": account, "word": word} for word in words]
        if lines:
            await self._run.many("insert_word", lines)

    async def search(self, account: int, words: Sequence[str], most: int, listing: Listing) -> Page:
        """Conversations that have, for each of the words, one that begins with it; in the order of a list.

        Of those that have the longest one, `most` are looked at.
        """
        longest, *others = sorted(words, key=len, reverse=True)
        values = {
            "account": account,
            "word": longest,
            "others": orjson.dumps(others).decode(),
            "last": LAST,
            "most": most,
            "labels": orjson.dumps(folded_labels(listing.labels)).decode(),
        }
        place = {"order": listing.order, "limit": listing.limit, "offset": listing.offset}
        rows = await self._run.rows("search_conversations", **values, **place)
        [total] = await self._run.row("count_found_conversations", **values)
        return Page([row[0] for row in rows], total)

    async def forget(self, before: str, most: int) -> list[tuple[str, str, int, int]]:
        """Take away for good at most `most` that were over before a time: kind, id, owner, revision."""
        return [tuple(row) for row in await self._run.rows("delete_old_conversations", before=before, most=most)]
