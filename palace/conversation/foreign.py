"""What people, models and tools send, made fit to be kept: whatever it says, it is only ever text and JSON."""

import json
import re
from dataclasses import fields, is_dataclass, replace
from math import isfinite
from typing import Any, NoReturn, TypeVar

DEEPEST = 32
"""levels of arrays and objects in the arguments of a call"""
UNFIT = re.compile("[\x00\ud800-\udfff]")
"""what neither UTF-8 nor a database can hold"""

T = TypeVar("T")


def cleaned(event: T) -> T:
    """The event with U+FFFD for every character that cannot be stored."""
    old = {one.name: getattr(event, one.name) for one in fields(event)}  # type: ignore[arg-type]
    new = {name: _clean(value) for name, value in old.items()}
    return event if new == old else replace(event, **new)  # type: ignore[type-var]


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() and "\x00" not in value else UNFIT.sub("\ufffd", value)
    if isinstance(value, tuple):
        return tuple(map(_clean, value))
    return cleaned(value) if is_dataclass(value) else value


def object_of(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, {} for an empty one; None when it is none, or cannot be stored or sent on."""
    try:
        value = json.loads(text or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _is_fit(value, DEEPEST) else None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _is_fit(value: Any, levels: int) -> bool:
    """Whether every JSON reader takes it: characters of Unicode, integers of 64 bits, numbers that are finite."""
    if isinstance(value, dict):
        return levels > 0 and all(not UNFIT.search(name) and _is_fit(one, levels - 1) for name, one in value.items())
    if isinstance(value, list):
        return levels > 0 and all(_is_fit(one, levels - 1) for one in value)
    if isinstance(value, str):
        return not UNFIT.search(value)
    if isinstance(value, float):
        return isfinite(value)
    return value is None or -(2**63) <= value < 2**63
