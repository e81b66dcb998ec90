"""What differs between two documents, member by member; pure. An array counts as one value.

Undoing, rebasing and comparing all work on these changes: unlike the operations of a patch, whose indexes depend on
each other, they can be looked at, carried over and taken back one at a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from palace.json_patch import Json, diff, equal, format_pointer

Tokens = tuple[str, ...]
ABSENT: Final = object()
"""in place of a value: there is no such member"""


@dataclass(frozen=True, slots=True)
class Change:
    """One member that differs: its place, in two forms, and its value before and after, which may be ABSENT."""

    pointer: str
    tokens: Tokens
    before: Any
    after: Any

    @property
    def kind(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before is ABSENT:
            return "added"
        return "removed" if self.after is ABSENT else "changed"


def changes(before: dict[str, Json], after: dict[str, Json], *, ignored: Sequence[str] = ()) -> list[Change]:
    """Every member that differs, in the order of `before`, then of `after`; root members in `ignored` are left out."""
    found: list[Change] = []
    _compare(before, after, (), found, ignored)
    return found


def _compare(
    before: dict[str, Json], after: dict[str, Json], place: Tokens, found: list[Change], ignored: Sequence[str]
) -> None:
    for name, old in before.items():
        new = after.get(name, ABSENT)
        if new is old or name in ignored:
            continue
        kind = type(old)
        if kind is not type(new):
            if new is ABSENT or not equal(old, new):
                found.append(_change(place, name, old, new))
        elif kind is dict:
            if old != new or not _have_one_text(old, new):  # Most that differ are told apart by the cheaper one.
                _compare(old, new, (*place, name), found, ())
        elif old != new or (kind is list and not _have_one_text(old, new) and not equal(old, new)):
            found.append(_change(place, name, old, new))
    for name, new in after.items():
        if name not in before and name not in ignored:
            found.append(_change(place, name, ABSENT, new))


def _change(place: Tokens, name: str, before: Any, after: Any) -> Change:
    tokens = (*place, name)
    return Change(format_pointer(tokens), tokens, before, after)


def _have_one_text(old: Json, new: Json) -> bool:
    """Whether both are written the same way, and so are equal, as most layers are. A walk costs ten times as much."""
    try:
        return orjson.dumps(old) == orjson.dumps(new)
    except TypeError:  # Deeper than the encoder goes, which only the pure function meets.
        return False


def as_patch(found: Iterable[Change]) -> list[dict[str, Json]]:
    """The JSON Patch that makes these changes; inside an array only what moved apart is put in or taken out."""
    operations: list[dict[str, Json]] = []
    for change in found:
        path = change.pointer
        if change.after is ABSENT:
            operations.append({"op": "remove", "path": path})
        elif change.before is ABSENT:
            operations.append({"op": "add", "path": path, "value": change.after})
        elif type(change.before) is list and type(change.after) is list:
            steps = diff(change.before, change.after)
            operations.extend({**step, "path": path + step["path"]} for step in steps)
        else:
            operations.append({"op": "replace", "path": path, "value": change.after})
    return operations


def reversed_changes(found: Iterable[Change]) -> list[Change]:
    """The changes that take these back."""
    return [Change(change.pointer, change.tokens, change.after, change.before) for change in found]


def value_of(document: Json, tokens: Tokens) -> Any:
    """The value at a place, or ABSENT."""
    for token in tokens:
        if type(document) is not dict or token not in document:
            return ABSENT
        document = document[token]
    return document


def still_to_make(document: Json, found: Iterable[Change]) -> list[Change]:
    """Those changes whose place does not hold yet what they lead to."""
    return [change for change in found if not _is_same(value_of(document, change.tokens), change.after)]


def moved(document: Json, found: Iterable[Change]) -> list[Change]:
    """Those changes whose place no longer holds what they start from, or is gone itself: they cannot be made here."""
    return [
        change
        for change in found
        if type(value_of(document, change.tokens[:-1])) is not dict
        or not _is_same(value_of(document, change.tokens), change.before)
    ]


def _is_same(one: Any, other: Any) -> bool:
    if one is ABSENT or other is ABSENT:
        return one is other
    return equal(one, other)


def make(document: dict[str, Json], found: Iterable[Change]) -> dict[str, Json] | None:
    """The document with the changes made, on a copy of what changes; None when a place for one of them is missing."""
    for change in found:
        made = _with(document, change.tokens, change.after)
        if made is None:
            return None
        document = made
    return document


def _with(document: Json, tokens: Tokens, value: Any) -> dict[str, Json] | None:
    if type(document) is not dict:
        return None
    token, *rest = tokens
    copied = dict(document)
    if rest:
        below = _with(document.get(token), tuple(rest), value)
        if below is None:
            return None
        copied[token] = below
    elif value is ABSENT:
        copied.pop(token, None)
    else:
        copied[token] = value
    return copied


def overlap(tokens: Tokens, other: Tokens) -> bool:
    """Whether one place is the other, or lies inside it."""
    shorter = min(len(tokens), len(other))
    return tokens[:shorter] == other[:shorter]
