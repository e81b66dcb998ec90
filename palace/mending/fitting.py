"""Remedies for operations that do not fit the document: absent members, missing parents, indexes."""

from typing import Any

from palace.json_patch import Json, format_pointer
from palace.json_patch.pointer import END_OF_ARRAY
from palace.mending.case import ADDED_PARENT, NO_REMEDY, REPLACE_TO_ADD, Case, Operation, Remedy, pointers, written_by
from palace.mending.likeness import clearly_meant, perhaps_meant
from palace.mending.places import ABSENT, Found, value_of
from palace.mending.shapes import Tokens

WRITES_VALUE = frozenset(("add", "replace"))
MOST_DIGITS = 15


def absent_member(case: Case) -> Remedy:
    """A member that the parent does not have."""
    if case.detail.at == "from":
        return _other_source(case)
    if case.shape_at(case.tokens) is None:
        return repointed(case)
    *parent, name = case.tokens
    siblings = value_of(case.document, parent)
    names = list(siblings) if isinstance(siblings, dict) else []
    is_free = name not in getattr(case.shape_at(parent), "members", {})
    meant = clearly_meant(name, names) if is_free else None
    if meant is not None:  # In an object of free form, a name like one that is there is a slip.
        return _at(case, (*parent, meant))
    likely = pointers([(*parent, other) for other in (perhaps_meant(name, names) if is_free else [])])
    if case.operation["op"] == "replace":
        return Remedy(({**case.operation, "op": "add"},), REPLACE_TO_ADD, likely)
    if case.operation["op"] == "remove":
        return Remedy((), "dropped", likely)
    return Remedy(nearest=likely)


def missing_parent(case: Case) -> Remedy:
    """A pointer that leads through something that is not there."""
    if case.detail.at == "from":
        return _other_source(case)
    if case.shape_at(case.tokens) is None:
        return repointed(case)
    op = case.operation["op"]
    depth = _depth_of_parent(case.document, case.tokens)
    if op == "remove" and depth is not None:
        return Remedy((), "dropped")
    if op == "test" or depth is None or _is_touched_later(case, case.tokens[: depth + 1]):
        return NO_REMEDY
    path = format_pointer(case.tokens[: depth + 1])
    if op in WRITES_VALUE:
        value = _wrapped(case, case.tokens[depth + 1 :], case.tokens[: depth + 1], case.operation["value"])
        return Remedy(({"op": "add", "path": path, "value": value},), ADDED_PARENT)
    value = _wrapped(case, case.tokens[depth + 1 : -1], case.tokens[: depth + 1], {})
    return Remedy(({"op": "add", "path": path, "value": value}, case.operation), ADDED_PARENT)


def _depth_of_parent(document: Json, tokens: Tokens) -> int | None:
    """How many tokens lead to the last object that exists; None when the way ends at something else."""
    for depth in range(len(tokens)):
        below = value_of(document, tokens[: depth + 1])
        if below is ABSENT:
            return depth if isinstance(value_of(document, tokens[:depth]), dict) else None
    return None


def _wrapped(case: Case, tokens: Tokens, above: Tokens, value: Any) -> Any:
    """The value inside new objects, and arrays where the model has those."""
    if not tokens:
        return value
    inner = _wrapped(case, tokens[1:], (*above, tokens[0]), value)
    shape = case.shape_at(above)
    return [inner] if shape is not None and shape.item is not None else {tokens[0]: inner}


def _is_touched_later(case: Case, parent: Tokens) -> bool:
    """Whether a later operation writes the missing parent itself, and so would undo what is made here."""
    later = [place for other in case.patch[case.index + 1 :] for place in written_by(other, case.limits)]
    return any(parent[: len(place)] == place for place in later)


def repointed(case: Case) -> Remedy:
    """The same operation where its pointer was meant to lead."""
    found = case.find(case.tokens)
    if found.is_servers and case.operation["op"] not in {"move", "test"}:
        return Remedy((), "dropped")
    if found.clear is None:
        return Remedy(nearest=pointers(found.near))
    return _at(case, found.clear, found)


def _at(case: Case, place: Tokens, found: Found | None = None) -> Remedy:
    near = pointers(found.near if found is not None else (place,))
    op = case.operation["op"]
    if op != "test" and case.is_written_elsewhere(place):  # Two values for one member: which one was meant?
        return Remedy(nearest=near)
    return Remedy(({**case.operation, "path": format_pointer(place)},), "repointed", near)


def _other_source(case: Case) -> Remedy:
    found = case.find(case.place)
    if found.clear is None or value_of(case.document, found.clear) is ABSENT:
        return Remedy(nearest=pointers(found.near))
    return Remedy(
        ({**case.operation, "from": format_pointer(found.clear)},), "repointed", pointers(found.near or (found.clear,))
    )


# --- Indexes ----------------------------------------------------------------------------------------------------------


def index_beyond(case: Case) -> Remedy:
    """An index after the last element, or `-` where there is no element."""
    if case.detail.at == "from" or not case.tokens:
        return NO_REMEDY
    *parent, index = case.tokens
    there, operation = value_of(case.document, parent), case.operation
    if not isinstance(there, list):
        return NO_REMEDY
    may_append = operation["op"] == "add" or (
        operation["op"] == "replace" and (index == END_OF_ARRAY or index == str(len(there)))
    )
    if may_append:
        return _indexed(operation, parent, END_OF_ARRAY, "add")
    if operation["op"] == "remove" and index == END_OF_ARRAY and there:
        return _indexed(operation, parent, str(len(there) - 1), "remove")
    return NO_REMEDY


def no_index(case: Case) -> Remedy:
    """A token that is no index: padded, negative, empty, or an element instead of its place."""
    place = case.place
    there = next((n for n in range(len(place)) if isinstance(value_of(case.document, place[:n]), list)), None)
    if there is None or case.detail.at == "from" or len(place) != there + 1:
        return NO_REMEDY
    elements: list[Any] = value_of(case.document, place[:there])
    parent, token, operation = list(place[:there]), place[there], case.operation
    if token == "" and operation["op"] in WRITES_VALUE:
        is_whole = isinstance(operation["value"], list)
        if is_whole:
            return Remedy(({**operation, "op": "replace", "path": format_pointer(parent)},), "repointed")
        return _indexed(operation, parent, END_OF_ARRAY, "add") if operation["op"] == "add" else NO_REMEDY
    index = _index_meant(token, elements, operation)
    return _indexed(operation, parent, index, operation["op"]) if index is not None else NO_REMEDY


def _index_meant(token: str, elements: list[Any], operation: Operation) -> str | None:
    bare = token.strip().strip("[]").removeprefix("+")
    digits = bare.lstrip("0") or "0"
    op = operation["op"]
    if bare.isascii() and bare.isdigit():
        return digits if is_below(digits, len(elements) + (op == "add")) else None
    if op == "add":
        is_end = bare.lower() in {"end", "last", "*", "append"} or operation.get("value") == token
        return END_OF_ARRAY if is_end else None
    if bare.lower() in {"-1", "last"} and elements and op in {"remove", "replace", "test"}:
        return str(len(elements) - 1)
    if op in {"remove", "replace"} and elements.count(token) == 1:
        return str(elements.index(token))
    return None


def is_below(digits: str, length: int) -> bool:
    """Whether the index is below this one; no array has elements for many digits."""
    return len(digits) <= MOST_DIGITS and int(digits) < length


def _indexed(operation: Operation, parent: list[str], index: str, op: str) -> Remedy:
    path = format_pointer((*parent, index))
    return Remedy(({**operation, "op": op, "path": path},), "indexed", (path,))
