"""A plain model of one PAL: what it said and hid at each revision, and what must hold after each call."""

import json
from dataclasses import dataclass, field
from typing import Any

from palace.json_patch import apply_patch, equal, parse_pointer
from palace.masks import load_refs
from tests.inside import Answered, Inside

STAMP = "updated_at"
GONE = object()


def operation(op: str, path: str, *value: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **({"value": value[0]} if value else {})}


def pointer(*tokens: str) -> str:
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def value_at(document: Any, tokens: tuple[str, ...]) -> Any:
    """The value at a place that may lie in an array, or GONE."""
    for token in tokens:
        if not isinstance(document, dict) or token not in document:
            return GONE
        document = document[token]
    return document


def without_stamp(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != STAMP}


def same(one: Any, other: Any) -> bool:
    return one is other if GONE in (one, other) else equal(one, other)


def members(document: Any, place: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every member at any depth with its value, and for an object that there is one. An array is one value."""
    if not isinstance(document, dict):
        return {place: document}
    found: dict[tuple[str, ...], Any] = {place: "an object"}
    for name, value in document.items():
        found |= members(value, (*place, name))
    return found


def differing(one: Any, other: Any) -> set[tuple[str, ...]]:
    """Places of the members that only one has or that differ."""
    first, second = members(one), members(other)
    return {
        place for place in first.keys() | second.keys() if not same(first.get(place, GONE), second.get(place, GONE))
    }


@dataclass
class Said:
    """What the model knows of one revision."""

    document: dict[str, Any]
    etag: str
    refs: dict[str, str]
    """ids of its secrets, by their pointers"""
    secrets: dict[str, str]
    """the secrets themselves"""

    @property
    def content(self) -> dict[str, Any]:
        return without_stamp(self.document)

    @property
    def text(self) -> tuple[str, dict[str, str]]:
        """All it says, letter by letter."""
        return json.dumps(self.content), self.refs

    def is_like(self, other: "Said") -> bool:
        return equal(self.content, other.content) and self.refs == other.refs


def hidden(said: Said, place: tuple[str, ...]) -> str | None:
    return said.refs.get(pointer(*place))


def differs(one: Said, other: Said, place: tuple[str, ...]) -> bool:
    """Whether the two say something else at a place, or have another secret there."""
    is_same = same(value_at(one.content, place), value_at(other.content, place))
    return not is_same or hidden(one, place) != hidden(other, place)


@dataclass
class Model:
    """One PAL and everything it ever said."""

    palace: Inside
    id: str = ""
    said: list[Said] = field(default_factory=list)
    deleted: bool = False

    @property
    def now(self) -> Said:
        return self.said[-1]

    def call(self, operation_id: str, body: Any = None, number: int | None = None, **options: Any) -> Answered:
        return self.palace.call(operation_id, self.id, body, number, **options)

    def create(self, body: dict[str, Any]) -> None:
        answer = self.palace.call("createPal", body=body)
        assert answer.status == 200, answer
        self.id = answer.body["pal_id"]
        self.learn()

    def learn(self) -> None:
        """Take down what the PAL says now, as its newest revision."""
        record, deleted_at = self.palace.run(
            self.palace.services.store.reading.get_with_deleted("pal", self.id, self.palace.account)
        )
        secrets = self.palace.secrets_of(record.secrets, self.id)
        said = Said(json.loads(record.body), record.etag, load_refs(record.secrets), secrets)
        self.said.append(said)
        assert record.revision == len(self.said), "revisions are numbered without a gap"
        assert (deleted_at is not None) == self.deleted
        assert not any(secret.encode() in record.body for secret in secrets.values())

    def check_unchanged(self) -> None:
        """The PAL says what it said, and nothing was added to its history."""
        if self.deleted:
            assert self.call("getPal").status == 400
        else:
            shown = self.call("getPal")
            assert shown.body == self.now.document
            assert (shown.headers["etag"], shown.headers["x-revision"]) == (f'"{self.now.etag}"', str(len(self.said)))
        newest = self.call("listPalRevisions", query={"limit": "1"}).body["data"][0]
        assert newest["revision"] == len(self.said)

    def take(self, answer: Answered, *allowed: int) -> bool:
        """Whether the PAL was changed; what was refused or changed nothing left no trace."""
        assert answer.status in (200, *allowed), answer
        if answer.status == 200:
            self.learn()
            assert answer.body == self.now.document
            assert answer.headers["etag"] == f'"{self.now.etag}"'
            return True
        self.check_unchanged()
        return False

    def patch(self, *operations: dict[str, Any], allowed: tuple[int, ...] = ()) -> bool:
        """A patch; 304 when the document says the same with it as without."""
        before = self.now
        preview = self.call("patchPal", list(operations), query={"dry_run": "true"})
        self.check_unchanged()
        answer = self.call("patchPal", list(operations))
        changed = self.take(answer, 304, *allowed)
        assert changed == (preview.status == 200 and preview.body["changed"])
        if changed:
            assert {**preview.body["document"], STAMP: 0} == {**self.now.document, STAMP: 0}
            assert not self.now.is_like(before)
        return changed

    # --- What is remembered -------------------------------------------------------------------------------------------

    def check_history(self) -> None:
        """Every revision reads as it was, patches lead there and back, and the list has each number once."""
        replayed: Any = {}
        for number, said in enumerate(self.said, start=1):
            shown = self.call("getPalRevision", None, number).body
            assert equal(without_stamp(shown["document"]), said.content)
            assert shown["document"][STAMP] == shown["created_at"]
            assert shown["action"] == "delete" or shown["created_at"] == said.document[STAMP]
            assert shown["etag"] == f'"{said.etag}"'
            if number > 1:
                self.check_step(shown, self.said[number - 2], said)
                replayed = apply_patch(replayed, shown["patch"]).document
                assert equal(without_stamp(replayed), said.content)
            else:
                replayed = shown["document"]
        for one in self.said:
            assert all((one.etag == other.etag) == (one.text == other.text) for other in self.said)
        assert self.listed() == list(range(len(self.said), 0, -1))
        assert self.spilled() == []

    @staticmethod
    def check_step(shown: dict[str, Any], before: Said, after: Said) -> None:
        """What a revision tells of its change is what happened."""
        assert shown["etag_before"] == f'"{before.etag}"'
        assert equal(without_stamp(apply_patch(after.document, shown["inverse"]).document), before.content)
        if shown["action"] in ("delete", "restore"):
            return
        touched = [parse_pointer(place) for place in shown["touched"]]
        assert all(differs(before, after, place) for place in touched)
        different = differing(before.content, after.content)
        assert all(any(place[: len(tokens)] == tokens for tokens in touched) for place in different)
        exchanged = [parse_pointer(place) for place in before.refs.keys() & after.refs.keys()]
        assert all(place in touched for place in exchanged if hidden(before, place) != hidden(after, place))

    def listed(self) -> list[int]:
        """The numbers of all revisions, page by page."""
        numbers, query = [], {"limit": "7"}
        while True:
            page = self.call("listPalRevisions", query=query).body
            numbers += [revision["revision"] for revision in page["data"]]
            if page["next_cursor"] is None:
                return numbers
            query["cursor"] = page["next_cursor"]

    def spilled(self) -> list[str]:
        """Secrets that stand in the history in plain text."""
        reading = self.palace.services.store.reading

        async def contents() -> bytes:
            record, _ = await reading.get_with_deleted("pal", self.id, self.palace.account)
            rows = await reading.revisions(record.seq, before=1 << 40, limit=1 << 20)
            return b"".join(row.content + row.touched + (row.secrets or b"") for row in rows)

        text = self.palace.run(contents())
        return [secret for said in self.said for secret in said.secrets.values() if secret.encode() in text]
