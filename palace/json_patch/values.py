"""Facts about JSON values, found without recursion: kind, height, size in text, and whether text can carry them."""

from collections.abc import Iterable
from math import inf, isfinite
from typing import Any

import orjson

from palace.json_patch.limits import Limits

Json = Any
"""None, bool, int, float, str, list or dict with str keys, exactly as a JSON decoder makes them (no subclasses)."""

CONTAINERS = frozenset((dict, list))
FAULTY = -1
"""what `survey` answers when a value holds something its limits do not allow"""
UNKNOWN = -1
"""what `height` answers when it ran out of steps"""

_KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    type(None): "null",
}


def kind(value: Json) -> str:
    """The JSON type of the value with its article: "an object", "null"; for errors, which never show values."""
    return _KINDS.get(type(value), "not a JSON value")


def is_clean(text: str, limits: Limits) -> bool:
    """True unless the text holds a lone surrogate, or U+0000 where the limits forbid it."""
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return False
    return limits.null_characters or "\0" not in text


def survey(value: Json, limits: Limits) -> int:
    """How many arrays and objects lie inside one another: 0 for a scalar, 1 for `[]`, 2 for `[{}]`.

    FAULTY when `fault` would name a problem; one level below the deepest allowed the search ends.
    """
    height = 0
    level: Iterable[Json] = (value,)
    while level:
        below: list[Json] = []
        nested = False
        for item in level:
            type_ = type(item)
            if type_ is str:
                # ASCII without U+0000 is the rule; asking here saves a call for nearly every text.
                if (not item.isascii() or "\0" in item) and not is_clean(item, limits):
                    return FAULTY
            elif type_ is dict:
                nested = True
                for name in item:
                    if type(name) is not str:
                        return FAULTY
                    if (not name.isascii() or "\0" in name) and not is_clean(name, limits):
                        return FAULTY
                below.extend(item.values())
            elif type_ is list:
                nested = True
                below.extend(item)
            elif type_ is int:
                if not limits.smallest_integer <= item <= limits.largest_integer:
                    return FAULTY
            elif type_ is float:
                if not isfinite(item):
                    return FAULTY
            elif item is not None and type_ is not bool:
                return FAULTY
        height += nested
        if height > limits.depth:
            return height
        level = below
    return height


def fault(value: Json, limits: Limits) -> tuple[str, str, tuple[str | int, ...]]:
    """Why `survey` called the value FAULTY: a code, the end of a sentence, and the way to the place inside."""
    pending: list[tuple[Json, tuple[str | int, ...]]] = [(value, ())]
    for item, way in pending:
        if type(item) is dict:
            for name in item:
                if type(name) is not str:
                    return "not_json", "an object with a member name that is not a string", way
                if not is_clean(name, limits):
                    return *string_fault(name), way
            pending.extend((child, (*way, name)) for name, child in item.items())
        elif type(item) is list:
            pending.extend((child, (*way, index)) for index, child in enumerate(item))
        elif type(item) is str and not is_clean(item, limits):
            return *string_fault(item), way
        elif type(item) is int and not limits.smallest_integer <= item <= limits.largest_integer:
            return "number_out_of_range", integer_range(limits), way
        elif type(item) is float and not isfinite(item):
            return "not_finite", "a number that is not finite", way
        elif type(item) not in _KINDS:
            return "not_json", "something that is not JSON", way
    raise AssertionError("only a value that survey called FAULTY has a fault")


def string_fault(text: str) -> tuple[str, str]:
    """Code and wording for a string that `is_clean` refuses."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "lone_surrogate", "a string with half of a surrogate pair"
    return "null_character", "a string with the character U+0000"


def integer_range(limits: Limits) -> str:
    return f"an integer outside {limits.smallest_integer} to {limits.largest_integer}"


def height(value: Json, steps: float = inf) -> int:
    """How many arrays and objects lie inside one another, or UNKNOWN when finding out takes more steps than given."""
    levels = 0
    level = [value] if type(value) in CONTAINERS else []
    while level:
        levels += 1
        below: list[Json] = []
        for container in level:
            steps -= len(container) + 1
            if steps < 0:
                return UNKNOWN
            children = container.values() if type(container) is dict else container
            below.extend([child for child in children if type(child) in CONTAINERS])
        level = below
    return levels


def count(value: Json) -> int:
    """How many values there are in all: this one, and whatever lies inside it."""
    total, level = 1, [value]
    while level:
        inside = [item.values() if type(item) is dict else item for item in level if type(item) in CONTAINERS]
        total += sum(map(len, inside))
        level = [child for children in inside for child in children if type(child) in CONTAINERS]
    return total


def text_bytes(value: Json) -> int:
    """The length of the value as compact JSON text in UTF-8, in bytes."""
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return _text_bytes_of_anything(value)


def _text_bytes_of_anything(value: Json) -> int:
    """An estimate for what the encoder refuses (254 levels, 64-bit integers, lone surrogates): never far too low."""
    total = 0
    pending = [value]
    for item in pending:
        if type(item) is dict:
            total += 2 + sum(4 + len(str(name)) for name in item)
            pending.extend(item.values())
        elif type(item) is list:
            total += 2 + len(item)
            pending.extend(item)
        elif type(item) is str:
            total += 2 + len(item)
        elif type(item) is int:
            total += 1 + item.bit_length() // 4
        else:
            total += 5
    return total


def sorted_text(value: Json) -> bytes:
    """A text that only equal values have in common; what cannot be encoded has one of its own."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return b"#%d" % id(value)
