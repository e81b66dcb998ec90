"""Judging a document: its model and its rules, every problem at once, in the API's own words (contract 1.4)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from palace.errors import ClientError, Detail, InvalidDocument
from palace.json_patch import END_OF_ARRAY, Operation, format_pointer
from palace.resource import MOST_PROBLEMS, Problem

WHOLE_DOCUMENT = "_schema"

WORDS: dict[str, tuple[str, str]] = {
    "extra_forbidden": ("unknown_field", "Unknown field."),
    "missing": ("missing", "Missing data for required field."),
    "string_type": ("wrong_type", "Not a valid string."),
    "bool_type": ("wrong_type", "Not a valid boolean."),
    "bool_parsing": ("wrong_type", "Not a valid boolean."),
    "int_type": ("wrong_type", "Not a valid integer."),
    "float_type": ("wrong_type", "Not a valid number."),
    "list_type": ("wrong_type", "Not a valid list."),
    "dict_type": ("wrong_type", "Not a valid mapping type."),
    "model_type": ("wrong_type", "Not a valid mapping type."),
    "model_attributes_type": ("wrong_type", "Not a valid mapping type."),
}

RANGES: dict[str, tuple[str, str, str]] = {
    "greater_than": ("gt", "greater than", "minimum"),
    "greater_than_equal": ("ge", "greater than or equal to", "minimum"),
    "less_than": ("lt", "less than", "maximum"),
    "less_than_equal": ("le", "less than or equal to", "maximum"),
}

KINDS: dict[type, str] = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
"""What JSON calls a value that is no object, for people."""


class Model(BaseModel):
    """A JSON object with known members only; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=(), use_attribute_docstrings=True)


def problems_of(error: ValidationError) -> list[Problem]:
    """Every problem that a model found, in the API's words; no value of the document appears in them.

    Too many are told as one: who sends a million unknown members gets no million sentences.
    """
    found = error.error_count()
    if found > MOST_PROBLEMS:
        text = f"{found} problems, which are too many to tell: at most {MOST_PROBLEMS} are."
        return [Problem((), "too_many_problems", text, facts={"maximum": MOST_PROBLEMS, "actual": found})]
    return [_problem(found) for found in error.errors(include_url=False)]


def _problem(found: ErrorDetails) -> Problem:
    kind, context = found["type"], found.get("ctx", {})
    pointer = found["loc"]
    if found["input"] is None and kind not in {"missing", "extra_forbidden"}:
        return Problem(pointer, "null", "Field may not be null.")
    if kind in WORDS:
        return Problem(pointer, *WORDS[kind])
    if kind in RANGES:
        name, words, fact = RANGES[kind]
        limit = context[name]
        return Problem(pointer, "out_of_range", f"Must be {words} {limit:g}.", facts={fact: limit})
    if kind == "literal_error":
        allowed = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return Problem(pointer, "not_allowed", f"Must be one of: {', '.join(allowed)}.", facts={"allowed": allowed})
    if kind == "union_tag_not_found":
        return Problem((*pointer, _discriminator(context)), "missing", "Missing data for required field.")
    if kind == "union_tag_invalid":
        allowed = [word.strip("' ") for word in context["expected_tags"].split(",")]
        text = f"Must be one of: {', '.join(allowed)}."
        return Problem((*pointer, _discriminator(context)), "not_allowed", text, facts={"allowed": allowed})
    if kind in {"too_long", "string_too_long"}:
        maximum = context["max_length"]
        return Problem(pointer, "too_long", f"Longer than maximum length {maximum}.", facts={"maximum": maximum})
    if kind in {"too_short", "string_too_short"}:
        return Problem(pointer, "too_short", f"Shorter than minimum length {context['min_length']}.")
    if kind == "string_pattern_mismatch":
        return Problem(pointer, "pattern", "String does not match expected pattern.", facts=context)
    if kind == "value_error":
        return Problem(pointer, "rule", str(context["error"]))
    return Problem(pointer, kind, found["msg"] + ".")


def _discriminator(context: Mapping[str, Any]) -> str:
    """The member that tells which of several forms an object has."""
    return str(context["discriminator"]).strip("'")


def as_object(sent: Any, member: str) -> dict[str, Any]:
    """What was sent, if it is an object; `member` is one that it could have. Raises InvalidDocument."""
    if not isinstance(sent, dict):
        raise refuse([not_an_object(sent, member)])
    return sent


def refuse(problems: Sequence[Problem], operations: Sequence[Operation] = ()) -> ClientError:
    """The 400 that tells `problems`, each blamed on the operation that caused it, where there is one.

    Of very many the first ones are told.
    """
    problems = problems[:MOST_PROBLEMS]
    blame = _Blame(operations)
    details = [_detail(problem, blame) for problem in problems]
    first = problems[0]
    if first.form == "bare":
        return ClientError(first.text, details)
    if first.form == "sentence":
        return ClientError(f"Bad Request. {first.text}", details)
    return InvalidDocument(_fields(problem for problem in problems if problem.form == "field"), details)


def not_an_object(found: Any, member: str) -> Problem:
    """What is wrong with a body that is no JSON object; `member` is one that it could have."""
    kind = KINDS.get(type(found), "a number")
    explained = f'The body must be an object, as in {{"{member}": …}}; it is {kind}.'
    return Problem((), "wrong_type", "Invalid input type.", explained=explained)


def _fields(problems: Iterable[Problem]) -> dict[Any, Any]:
    """`{'layers': {'stt': {'stt_engine': ['Must be …']}}}`: the nested dict that the API prints."""
    fields: dict[Any, Any] = {}
    for problem in problems:
        *parents, last = problem.pointer or (WHOLE_DOCUMENT,)
        level = fields
        for parent in parents:
            below = level.setdefault(parent, {})
            if isinstance(below, list):
                below = level[parent] = {WHOLE_DOCUMENT: below}
            level = below
        said = level.setdefault(last, [])
        said = said.setdefault(WHOLE_DOCUMENT, []) if isinstance(said, dict) else said
        said.append(problem.text)
    return fields


def _detail(problem: Problem, blame: "_Blame") -> Detail:
    detail = Detail(
        problem.code, problem.explained or problem.text, format_pointer(problem.pointer), facts=problem.facts
    )
    operation = blame.on(problem.pointer)
    if operation is None:
        return detail
    at: Literal["value", "path"] = "value" if operation.op in {"add", "replace"} else "path"
    return replace(detail, operation=operation.position, op=operation.op, at=at)


class _Blame:
    """Which operation of a patch is the last one that wrote at, above or below a place."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._at: dict[tuple[str, ...], int] = {}
        self._at_or_below: dict[tuple[str, ...], int] = {}
        for index, operation in enumerate(operations):
            if operation.op != "test":
                self._note(operation.tokens, index)
                if operation.op == "move":
                    self._note(operation.source_tokens or (), index)

    def _note(self, tokens: tuple[str, ...], index: int) -> None:
        if tokens[-1:] == (END_OF_ARRAY,):  # Whatever became its index: it wrote into the array.
            tokens = tokens[:-1]
        self._at[tokens] = index
        for depth in range(len(tokens) + 1):
            self._at_or_below[tokens[:depth]] = index

    def on(self, pointer: Sequence[str | int]) -> Operation | None:
        """The operation to blame for what is wrong at a place, if one is."""
        place = tuple(map(str, pointer))
        found = [self._at_or_below.get(place, -1)]
        found += [self._at.get(place[:depth], -1) for depth in range(len(place))]
        index = max(found)
        return self._operations[index] if index >= 0 else None
