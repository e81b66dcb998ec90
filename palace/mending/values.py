"""Values of the wrong kind that can only mean one of the right kind, and edits inside values."""

from collections.abc import Callable, Sequence

import orjson

from palace.json_patch import Json, Limits
from palace.mending.case import Case, Remedy
from palace.mending.places import ABSENT, value_of
from palace.mending.shapes import Shape, Tokens
from palace.mending.whole import from_text

TRUE, FALSE = frozenset(("true", "yes", "on")), frozenset(("false", "no", "off"))
LONGEST_NUMBER = 30


def converted(value: Json, shape: Shape, limits: Limits) -> Json:
    """The value as the kind that the shape takes, or ABSENT where that would be a guess."""
    for kind in sorted(shape.kinds):
        found = _CONVERSIONS[kind](value, shape, limits)
        if found is not ABSENT:
            return found
    return ABSENT


def _to_boolean(value: Json, shape: Shape, limits: Limits) -> Json:
    del shape, limits
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else ""
    return word in TRUE if word in TRUE | FALSE else ABSENT


def _to_number(value: Json, shape: Shape, limits: Limits) -> Json:
    del shape
    number = from_text(value.strip(), limits) if isinstance(value, str) and len(value) <= LONGEST_NUMBER else ABSENT
    return number if type(number) in (int, float) else ABSENT


def _to_integer(value: Json, shape: Shape, limits: Limits) -> Json:
    number = value if isinstance(value, float) else _to_number(value, shape, limits)
    if isinstance(number, float):
        return int(number) if number.is_integer() and abs(number) < 2**53 else ABSENT
    return number


def _to_string(value: Json, shape: Shape, limits: Limits) -> Json:
    del shape, limits
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        return value[0]
    if type(value) in (int, float):
        return orjson.dumps(value).decode() if abs(value) < 2**63 else ABSENT
    return ABSENT


def _to_array(value: Json, shape: Shape, limits: Limits) -> Json:
    inside = from_text(value, limits) if isinstance(value, str) else None
    if isinstance(inside, list):
        return inside
    if not isinstance(value, str | dict) or not value:
        return ABSENT
    item = shape.item or Shape()
    fits = ("string" if isinstance(value, str) else "object") in item.kinds
    # "a, b" may be one thing or two.
    return [value] if fits and not (isinstance(value, str) and any(mark in value for mark in ",;\n[{")) else ABSENT


def _to_object(value: Json, shape: Shape, limits: Limits) -> Json:
    inside = from_text(value, limits) if isinstance(value, str) else None
    if isinstance(inside, dict):
        return inside
    if value == [] and shape.is_open and not shape.members:  # What PHP makes of an empty object.
        return {}
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        return value[0]
    return ABSENT


_CONVERSIONS: dict[str, Callable[[Json, Shape, Limits], Json]] = {
    "array": _to_array,
    "boolean": _to_boolean,
    "integer": _to_integer,
    "number": _to_number,
    "object": _to_object,
    "string": _to_string,
}


def inside(value: Json, way: Sequence[str], change: Callable[[Json], Json]) -> Json:
    """A copy of the value in which the part at `way`, which exists, is changed; ABSENT takes it away."""
    if not way:
        return change(value)
    token, rest = way[0], way[1:]
    if isinstance(value, list):
        index = int(token)
        changed = inside(value[index], rest, change)
        return [*value[:index], *([] if changed is ABSENT else [changed]), *value[index + 1 :]]
    changed = inside(value[token], rest, change)
    if changed is ABSENT:
        return {name: other for name, other in value.items() if name != token}
    return {**value, token: changed}


def put(value: Json, way: Sequence[str], new: Json) -> Json:
    """A copy of the value with `new` at `way`, and objects made where they are missing; ABSENT if that cannot be."""
    if not way:
        return new
    if not isinstance(value, dict):
        return ABSENT
    below = put(value.get(way[0], {}), way[1:], new)
    return ABSENT if below is ABSENT else {**value, way[0]: below}


def value_way(case: Case) -> Tokens | None:
    """The way from the value of the operation to the place at fault, or None when it does not lie in that value."""
    if case.operation.get("op") not in {"add", "replace"} or len(case.place) < len(case.tokens):
        return None
    way = case.place[len(case.tokens) :]
    return way if value_of(case.operation["value"], way) is not ABSENT else None


def with_value(case: Case, value: Json, name: str) -> Remedy:
    """The operation with another value; an operation that has nothing to write is left out."""
    return Remedy(({**case.operation, "value": value},), name)


def changed(case: Case, way: Tokens, new: Json, name: str) -> Remedy:
    """The operation with another part of its value; ABSENT takes the part away."""
    return with_value(case, inside(case.operation["value"], way, lambda _old: new), name)
