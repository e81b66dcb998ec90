"""The arguments that a model gives, read and checked by the tool's `parameters` before anything is sent.

The schema is a client's and the arguments are a model's: neither may hold the server up, so judging has a budget and
regular expressions are left to the tool's server.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from copy import deepcopy
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from palace.resource import Problem
from palace.schemas import problems_found
from palace.tool_delivery.placeholders import RESERVED_PREFIX, compact

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

LONGEST_ARGUMENTS = 100_000
"""characters"""
MOST_STEPS = 10_000
"""of judging: keywords and items that are looked at; a tenth of a second, about"""
STEPS_OF_A_REFERENCE = 10
MOST_PARTS = 400
"""objects within a schema"""
MOST_TOLD = 20
WITHOUT_JUDGEMENT = ("pattern", "patternProperties", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef")
"""Keywords that run a client's regular expressions, or go over the schema again and again."""
FIXED = ("const", "default")

_left: ContextVar[int] = ContextVar("steps that are left")


class BadArguments(Exception):
    """The arguments do not fit the tool. The text tells the model how to repair its call."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class _TooInvolved(Exception):
    """Judging takes more steps than there are."""


def read_arguments(text: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, with those that the schema fixes or has a default for. Raises BadArguments.

    A schema that is none, that refers to another document or that is too involved does not judge: the server of the
    tool has the last word in any case.
    """
    arguments = _parsed(text)
    properties = parameters.get("properties", {})
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        for keyword in FIXED:
            if isinstance(schema, dict) and schema.get(keyword) is not None and name not in arguments:
                arguments[name] = deepcopy(schema[keyword])
    found = [*_reserved(arguments), *argument_problems(parameters, arguments)]
    if found:
        told = [f"- {_place(problem)}: {problem.explained or problem.text}" for problem in found[:MOST_TOLD]]
        more = [f"- and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else []
        head = "The tool was not called, because its arguments do not fit. Call it again with these put right:"
        raise BadArguments("\n".join([head, *told, *more]))
    return arguments


def _parsed(text: str) -> dict[str, Any]:
    """The object that a model wrote; nothing at all is none. Raises BadArguments."""
    wanted = 'Give one JSON object, such as {"name": "value"}.'
    if len(text) > LONGEST_ARGUMENTS:
        raise BadArguments(f"The tool was not called: its arguments have more than {LONGEST_ARGUMENTS} characters.")
    try:
        arguments = json.loads(text) if text.strip() else {}
        compact(arguments).encode()
    except (ValueError, RecursionError):
        raise BadArguments(f"The tool was not called, because its arguments are no valid JSON. {wanted}") from None
    if not isinstance(arguments, dict):
        raise BadArguments(f"The tool was not called, because its arguments are no object. {wanted}")
    return arguments


def _reserved(arguments: Mapping[str, Any]) -> Iterator[Problem]:
    for name in arguments:
        if name.startswith(RESERVED_PREFIX):
            yield Problem((name,), "reserved", "Unknown field. Leave it out.")


def _place(problem: Problem) -> str:
    return ".".join(str(token) for token in problem.pointer) or "all of it"


def argument_problems(parameters: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[Problem]:
    """Every reason why arguments do not fit a schema, as far as it can be judged by."""
    from referencing.exceptions import Unresolvable  # Only here: it takes long to import.

    validator = _validator(json.dumps(parameters))
    if validator is None:
        return []
    before = _left.set(MOST_STEPS)
    try:
        return problems_found(validator, arguments, "tool")
    except (_TooInvolved, RecursionError, Unresolvable):
        return []
    finally:
        _left.reset(before)


@lru_cache(maxsize=256)
def _validator(text: str) -> "Draft202012Validator | None":
    """What judges by a schema, None for a schema that is none. It looks up nothing outside of it."""
    from jsonschema import Draft202012Validator, SchemaError
    from referencing import Registry

    schema = json.loads(text)
    schema.pop("$schema", None)
    try:
        parts = list(islice(_objects(schema), MOST_PARTS + 1))
        if len(parts) > MOST_PARTS or any(isinstance(part.get("$schema"), str) for part in parts):
            return None  # With a draft of its own, a part would be judged without a budget.
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError):
        return None
    return _judge()(schema, registry=Registry())


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The value and everything within it that is an object."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(item)


@lru_cache(maxsize=1)
def _judge() -> "type[Draft202012Validator]":
    """The judge of the draft, with a budget and without regular expressions."""
    from jsonschema import Draft202012Validator, validators

    rules = {
        keyword: _nothing if keyword in WITHOUT_JUDGEMENT else _counted(keyword, rule)
        for keyword, rule in Draft202012Validator.VALIDATORS.items()
    }
    judge: type[Draft202012Validator] = validators.extend(Draft202012Validator, rules)
    return judge


Rule = Callable[..., Any]


def _nothing(*_: Any) -> Iterator[Any]:
    return iter(())


def _counted(keyword: str, rule: Rule) -> Rule:
    """The rule of a keyword, which takes steps for what it goes over."""

    def judge(validator: Any, limit: Any, value: Any, schema: Any) -> Any:
        if keyword == "additionalProperties" and "patternProperties" in schema:
            return ()
        size = len(value) if isinstance(value, list | dict) else 0
        steps = 1 + size * (size if keyword == "uniqueItems" else 1)
        steps += len(limit) if isinstance(limit, list | dict) else 0
        steps += STEPS_OF_A_REFERENCE if keyword == "$ref" else 0
        _left.set(_left.get() - steps)
        if _left.get() < 0:
            raise _TooInvolved
        return rule(validator, limit, value, schema) or ()

    return judge
