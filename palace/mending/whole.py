"""A body that is not an array of operations, but can only mean one."""

from collections.abc import Iterator, Mapping
from typing import Any

from palace.json_patch import InvalidJson, Json, Limits, format_pointer, read_json
from palace.mending.case import Operation
from palace.mending.places import ABSENT, find, is_known, tokens_of, value_of
from palace.mending.shapes import Tokens, shape_at, shape_of
from palace.resource import Document, Resource

ENVELOPES = frozenset(("operations", "ops", "patch", "patches", "json_patch", "jsonpatch", "changes", "body", "data"))
MOST_MEMBERS = 200
PARTS_OF_OPERATIONS = frozenset(("op", "path", "from", "operation"))


def array_of_operations(sent: Json, resource: Resource, before: Document, limits: Limits) -> tuple[list[Json], bool]:
    """The operations that the body must mean, or [] where nobody can tell; and whether they are the client's own.

    An object of members, `{"greeting": "Hello"}`, has no operations of its own: they are made here.
    """
    if isinstance(sent, str):
        sent = from_text(sent, limits)
    if isinstance(sent, dict):
        sent = _without_envelope(sent)
    if isinstance(sent, list):
        return sent, True
    if isinstance(sent, dict) and PARTS_OF_OPERATIONS & sent.keys():
        return [sent], True
    if isinstance(sent, dict) and is_document(sent, resource, before):
        return list(member_wise(sent, (), resource, before)), False
    return [], False


def _without_envelope(sent: Document) -> Json:
    """The array of operations that is the only member of an object, or the object itself."""
    name, inside = next(iter(sent.items())) if len(sent) == 1 else ("", [])
    is_envelope = name.lower() in ENVELOPES and isinstance(inside, list) and bool(inside)
    return inside if is_envelope and all(isinstance(item, dict) for item in inside) else sent


def from_text(text: str, limits: Limits) -> Json:
    """The JSON that a string holds, or None."""
    try:
        return read_json(text.encode(), limits)
    except (InvalidJson, UnicodeEncodeError):
        return None


def is_document(members: Mapping[str, Any], resource: Resource, before: Document) -> bool:
    """Whether these look like members of the document, or like pointers to some."""
    return 0 < len(members) <= MOST_MEMBERS and all(_is_member(tokens_of(name), resource, before) for name in members)


def _is_member(place: Tokens, resource: Resource, before: Document) -> bool:
    return bool(place) and (is_known(resource, before, place) or find(resource, before, place).clear is not None)


def member_wise(value: Document, way: Tokens, resource: Resource, document: Any) -> Iterator[Operation]:
    """One operation for each member; objects that are there already are entered, so that they keep what is not named.

    A name may be a pointer itself: `{"layers.llm.model": "m"}`.
    """
    shape = shape_of(resource.model)
    for name, inner in value.items():
        place = (*way, *(tokens_of(name) if not way else (name,)))
        there = value_of(document, place)
        below = shape_at(shape, place)
        if isinstance(inner, dict) and inner and isinstance(there, dict) and below is not None and below.members:
            yield from member_wise(inner, place, resource, document)
        else:
            op = "add" if there is ABSENT else "replace"
            yield {"op": op, "path": format_pointer(place), "value": inner}
