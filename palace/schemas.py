"""Judging a value by a JSON Schema (draft 2020-12): every problem at once, in the API's own words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from palace.resource import MOST_PROBLEMS, Problem

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

NAMES = {
    "string": "string",
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "array": "list",
    "object": "mapping type",
    "null": "null",
}
"""What the API calls the types of JSON."""
LIMITS = {
    "maxLength": ("too_long", "Longer than maximum length {}.", "maximum"),
    "maxItems": ("too_long", "Longer than maximum length {}.", "maximum"),
    "minLength": ("too_short", "Shorter than minimum length {}.", "minimum"),
    "minItems": ("too_short", "Shorter than minimum length {}.", "minimum"),
    "maximum": ("out_of_range", "Must be less than or equal to {}.", "maximum"),
    "exclusiveMaximum": ("out_of_range", "Must be less than {}.", "maximum"),
    "minimum": ("out_of_range", "Must be greater than or equal to {}.", "minimum"),
    "exclusiveMinimum": ("out_of_range", "Must be greater than {}.", "minimum"),
}


def with_defaults(schema: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """The object with its missing members, as far as the schema has a default for them."""
    properties = schema.get("properties", {})
    defaults = {name: below["default"] for name, below in properties.items() if _has_default(below)}
    return {**value, **{name: deepcopy(default) for name, default in defaults.items() if name not in value}}


def _has_default(schema: Any) -> bool:
    return isinstance(schema, Mapping) and "default" in schema


def schema_problems(schema: Mapping[str, Any], value: Any) -> list[Problem]:
    """Every reason why the value does not fit the schema, of very many the first ones; nothing of the value appears in
    them.
    """
    try:
        return problems_found(_validator(orjson.dumps(schema)), value, "skill")
    except RecursionError:  # A `$ref` that leads back to itself.
        return [Problem((), "rule", "Does not fit the schema of the skill ($ref).")]


def problems_found(validator: "Draft202012Validator", value: Any, whose: str) -> list[Problem]:
    """What a validator finds, in the API's own words. Raises what the validator raises."""
    errors = validator.iter_errors(value)
    found = islice((problem for error in errors for problem in _problems(error, whose)), MOST_PROBLEMS)
    return list({(problem.pointer, problem.text): problem for problem in found}.values())


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> "Draft202012Validator":
    """What judges by a schema. It looks up nothing outside of it."""
    from jsonschema import Draft202012Validator  # Only here: it takes long to import, and few requests need it.
    from referencing import Registry

    return Draft202012Validator(orjson.loads(schema), registry=Registry())


def _problems(error: "ValidationError", whose: str) -> Iterator[Problem]:
    place: Sequence[str | int] = tuple(error.absolute_path)
    keyword, limit = str(error.validator), error.validator_value
    if keyword == "required":
        missing = [name for name in limit if name not in error.instance]
        yield from _each(place, missing, "missing", "Missing data for required field.")
    elif keyword == "additionalProperties" and limit is False:
        explained = f"Unknown field. There are: {', '.join(error.schema.get('properties', {})) or 'none'}."
        yield from _each(place, _unknown(error), "unknown_field", "Unknown field.", explained)
    else:
        yield _problem(tuple(place), keyword, limit, error.instance, whose)


def _each(
    place: Sequence[str | int], names: Sequence[str], code: str, text: str, explained: str = ""
) -> Iterator[Problem]:
    for name in names:
        yield Problem((*place, name), code, text, explained=explained)


def _unknown(error: "ValidationError") -> list[str]:
    """The members that a schema does not name."""
    schema: Mapping[str, Any] = error.schema
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    return [name for name in error.instance if name not in named and not any(re.search(one, name) for one in patterns)]


def _problem(place: tuple[str | int, ...], keyword: str, limit: Any, value: Any, whose: str) -> Problem:
    if value is None and keyword in {"type", "enum", "const"}:
        return Problem(place, "null", "Field may not be null.")
    if keyword == "type":
        names = [NAMES.get(name, name) for name in ([limit] if isinstance(limit, str) else limit)]
        return Problem(place, "wrong_type", f"Not a valid {' or '.join(names)}.")
    if keyword in {"enum", "const"}:
        allowed = limit if keyword == "enum" else [limit]
        shown = ", ".join(one if isinstance(one, str) else orjson.dumps(one).decode() for one in allowed)
        return Problem(place, "not_allowed", f"Must be one of: {shown}.", facts={"allowed": allowed})
    if keyword in LIMITS:
        code, text, fact = LIMITS[keyword]
        return Problem(place, code, text.format(limit), facts={fact: limit})
    if keyword == "pattern":
        return Problem(place, "pattern", "String does not match expected pattern.", facts={"pattern": limit})
    return Problem(place, "rule", f"Does not fit the schema of the {whose} ({keyword}).")
