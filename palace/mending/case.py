"""One problem with everything a remedy may look at, and what a remedy is."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from palace.errors import Detail
from palace.json_patch import Json, Limits, PatchError, apply_patch, format_pointer, parse_pointer
from palace.mending.places import Found, find
from palace.mending.shapes import Shape, Tokens, shape_at, shape_of
from palace.resource import Document, Resource

REPLACE_TO_ADD = "replace_to_add"
ADDED_PARENT = "added_parent"

Operation = dict[str, Any]


@dataclass(frozen=True)
class Remedy:
    """What to send instead of an operation (nothing, where that is `()`); None where nobody can tell."""

    operations: tuple[Operation, ...] | None = None
    name: str = ""
    nearest: tuple[str, ...] = ()


NO_REMEDY = Remedy()


@dataclass(frozen=True)
class Case:
    """One problem of one operation."""

    resource: Resource
    limits: Limits
    before: Document
    patch: Sequence[Json]
    """all operations as they were tried"""
    index: int
    """of the operation with the problem"""
    sent: Json
    """that operation, after the remedies for its other problems"""
    detail: Detail
    documents: dict[int, Json] = field(default_factory=dict)
    """the document after so many operations, where another problem has asked for it"""

    @cached_property
    def operation(self) -> Operation:
        return self.sent if isinstance(self.sent, dict) else {}

    @cached_property
    def tokens(self) -> Tokens:
        """Those of `path`; () where it is not a pointer."""
        return pointer_tokens(self.operation.get("path"), self.limits)

    @cached_property
    def place(self) -> Tokens:
        """The tokens of the place at fault."""
        return pointer_tokens(self.detail.pointer, self.limits)

    @property
    def document(self) -> Json:
        """The document as the operation meets it."""
        return self._after(self.index)

    @property
    def result(self) -> Json:
        """The document as the whole patch would leave it."""
        return self._after(len(self.patch))

    def _after(self, count: int) -> Json:
        if count not in self.documents:
            self.documents[count] = document_after(self.before, self.patch[:count], self.limits)
        return self.documents[count]

    @property
    def shape(self) -> Shape:
        return shape_of(self.resource.model)

    def shape_at(self, tokens: Sequence[str]) -> Shape | None:
        """The shape of a place, or None where the model has no such place."""
        return shape_at(self.shape, tokens)

    def find(self, tokens: Tokens) -> Found:
        """Where a place that does not exist was meant to be."""
        return find(self.resource, self.document, tokens)

    def is_written_elsewhere(self, tokens: Tokens) -> bool:
        """Whether another operation of the patch writes this place, or something in it."""
        others = [other for index, other in enumerate(self.patch) if index != self.index]
        places = [place for other in others for place in written_by(other, self.limits)]
        return any(place[: len(tokens)] == tokens for place in places)


def pointer_tokens(pointer: Any, limits: Limits) -> Tokens:
    """The tokens of a pointer; () for what is none."""
    with suppress(PatchError):
        return parse_pointer(pointer, limits)
    return ()


def written_by(operation: Json, limits: Limits) -> list[Tokens]:
    """The places that an operation writes."""
    if not isinstance(operation, dict) or operation.get("op") == "test":
        return []
    members = ("path", "from") if operation.get("op") == "move" else ("path",)
    return [pointer_tokens(operation.get(member), limits) for member in members if operation.get(member)]


def overlap(one: Tokens, other: Tokens) -> bool:
    """Whether one place lies in the other, or is the other."""
    return all(a == b for a, b in zip(one, other, strict=False))


def document_after(before: Document, operations: Sequence[Json], limits: Limits) -> Json:
    """The document after these operations, as far as they fit: a replace of what is absent counts as an add."""
    if not operations:
        return before
    with suppress(PatchError):
        return apply_patch(before, list(operations), limits).document
    document: Json = before
    for operation in operations:
        for tried in (operation, {**operation, "op": "add"} if isinstance(operation, dict) else operation):
            try:
                document = apply_patch(document, [tried], limits).document
            except PatchError:
                if not isinstance(operation, dict) or operation.get("op") != "replace":
                    break
            else:
                break
    return document


def pointers(places: Sequence[Tokens]) -> tuple[str, ...]:
    """The places as pointers."""
    return tuple(format_pointer(place) for place in places)
