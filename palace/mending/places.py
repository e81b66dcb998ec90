"""Where a pointer that leads nowhere was meant to lead."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from palace.json_patch.limits import DEFAULT_LIMITS
from palace.json_patch.pointer import END_OF_ARRAY, array_index
from palace.mending.likeness import clearly_meant, perhaps_meant
from palace.mending.shapes import Shape, Tokens, named_places, shape_at, shape_of
from palace.resource import Resource

ABSENT = object()
MOST_NEAR = 5
WRAPPINGS = frozenset(("data", "body", "document", "object", "resource"))
"""First tokens of those who take the envelope of an answer for a part of the document."""


@dataclass(frozen=True, slots=True)
class Found:
    """The one place that is clearly meant, if there is one, and those that resemble the pointer."""

    clear: Tokens | None = None
    near: tuple[Tokens, ...] = ()
    is_servers: bool = False
    """whether the place is the server's own: nobody needs to write it"""


def tokens_of(text: str) -> Tokens:
    """The tokens of whatever somebody wrote for a pointer: `layers.llm.model`, `$.tool_ids[0]`, `#/greeting`."""
    bare = text.strip().lstrip("#$@")
    slashed = "/" in bare
    pieces = re.split(r"[/\[\]]+" if slashed else r"[./\\\[\]]+", bare)
    unquoted = [piece.strip().strip("'\"") for piece in pieces]
    return tuple(piece.replace("~1", "/").replace("~0", "~") for piece in unquoted if piece)


def value_of(document: Any, tokens: Sequence[str]) -> Any:
    """The value at a place, arrays included, or ABSENT."""
    for token in tokens:
        if isinstance(document, list):
            index = array_index(token, DEFAULT_LIMITS)
            document = document[index] if index is not None and index < len(document) else ABSENT
        else:
            document = document.get(token, ABSENT) if isinstance(document, dict) else ABSENT
        if document is ABSENT:
            return ABSENT
    return document


def is_known(resource: Resource, document: Any, tokens: Sequence[str]) -> bool:
    """Whether the document has the place, or the model knows it."""
    return shape_at(shape_of(resource.model), tokens) is not None or value_of(document, tokens) is not ABSENT


def find(resource: Resource, document: Any, tokens: Tokens) -> Found:
    """What a place that is neither in the document nor in the model was meant to be."""
    for respelled in _respelled(resource, tokens):
        if respelled != tokens and is_known(resource, document, respelled):
            return Found(respelled, (respelled,))
        known = _by_other_name(resource, respelled)
        if known is not None:
            return Found(known, (known,)) if known else Found(is_servers=True)
    walked, likely = _walked(resource, document, tokens)
    elsewhere = _elsewhere(resource, tokens)
    clear = {*([walked] if walked else []), *(elsewhere if len(elsewhere) == 1 else [])}
    if walked and _is_same_spelling(walked, tokens):
        clear = {walked}
    near = tuple(dict.fromkeys([*([walked] if walked else []), *elsewhere, *likely]))[:MOST_NEAR]
    return Found(clear.pop() if len(clear) == 1 and len(elsewhere) <= 1 else None, near)


def _respelled(resource: Resource, tokens: Tokens) -> Iterator[Tokens]:
    """The same tokens without what is often wrong about them: empty ones, dots for slashes, an envelope."""
    yield tokens
    split = tuple(piece for token in tokens for piece in re.split(r"[.\[\]]+", token) if piece)
    bare = tuple(token for token in tokens if token)
    for cleaned in dict.fromkeys((bare, split)):
        yield cleaned
        legacy = resource.names.legacy
        older = (legacy.kind, legacy.collection) if legacy else ()
        envelopes = {resource.kind, resource.collection, *older, *WRAPPINGS}
        if cleaned and cleaned[0] in envelopes:
            yield cleaned[2:] if cleaned[1:2] == ("0",) else cleaned[1:]


def _by_other_name(resource: Resource, tokens: Tokens) -> Tokens | None:
    """The place that the resource declares this one to be another name of; () for one that is the server's."""
    for length in range(len(tokens), 0, -1):
        other = resource.synonyms.get("/" + "/".join(tokens[:length]))
        if other == "":
            return ()
        if other is not None:
            place = (*other.split("/")[1:], *tokens[length:])
            is_right = shape_at(shape_of(resource.model), place) is not None
            return place if is_right else _by_other_name(resource, place) or place
    return None


def _walked(resource: Resource, document: Any, tokens: Tokens) -> tuple[Tokens | None, list[Tokens]]:
    """The way through document and model with each unknown name replaced by the one clearly meant, if that succeeds.

    Besides, the places that the first unknown name resembles.
    """
    way: Tokens = ()
    likely: list[Tokens] = []
    for place, token in enumerate(tokens):
        if is_known(resource, document, (*way, token)):
            way = (*way, token)
            continue
        names = names_at(resource, document, way)
        meant = clearly_meant(token, names)
        likely = likely or [(*way, name) for name in perhaps_meant(token, names)]
        if meant is None:
            return None, likely
        way = (*way, meant)
        likely = likely if place == len(tokens) - 1 else []
    return (way if way != tokens else None), likely


def names_at(resource: Resource, document: Any, way: Tokens) -> list[str]:
    """The names of members that may exist at a place; those that exist, where any may."""
    shape = shape_at(shape_of(resource.model), way) or Shape()
    if shape.members and not shape.is_open:
        return [*shape.members, *(() if way else resource.read_only)]
    there = value_of(document, way)
    return list(dict.fromkeys([*shape.members, *(there if isinstance(there, dict) else ())]))


def _elsewhere(resource: Resource, tokens: Tokens) -> list[Tokens]:
    """Places of the model that end as this pointer does, wherever they are: `/llm/model`, `/layers/tts/stt_engine`."""
    shape = shape_of(resource.model)
    unknown = next((i for i in range(len(tokens)) if shape_at(shape, tokens[: i + 1]) is None), len(tokens))
    for start in sorted({0, unknown}):
        # What follows a place of the model may be an index, or a member of free form: it comes along.
        for stop in range(len(tokens), start, -1):
            tail = tokens[start:stop]
            ends = [place for place in named_places(resource.model) if place[-len(tail) :] == tail]
            found = [(*end, *tokens[stop:]) for end in ends if shape_at(shape, (*end, *tokens[stop:])) is not None]
            if found:
                return found
    return []


def _is_same_spelling(one: Tokens, other: Tokens) -> bool:
    return [re.sub(r"[\W_]+", "", token).lower() for token in one] == [
        re.sub(r"[\W_]+", "", token).lower() for token in other
    ]


def list_above(tokens: Tokens) -> Tokens:
    """The place of the array that an index or `-` belongs to; other places are themselves."""
    return tokens[:-1] if tokens and (tokens[-1] == END_OF_ARRAY or tokens[-1].isdecimal()) else tokens
