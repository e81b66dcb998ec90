"""From the JSON of a patch to checked operations; everything that can be judged without a document is judged here."""

from functools import partial
from typing import NamedTuple

from palace.json_patch.errors import InvalidPatch, LimitExceeded, PatchError, Place, Problem, quote, readable
from palace.json_patch.limits import DEFAULT_LIMITS, Limits
from palace.json_patch.pointer import format_pointer, is_inside, pointer_problem, split
from palace.json_patch.values import FAULTY, Json, fault, kind, survey

_VALUE, _FROM, _NEITHER = "value", "from", ""
_NEEDS = {"add": _VALUE, "remove": _NEITHER, "replace": _VALUE, "copy": _FROM, "move": _FROM, "test": _VALUE}
_ABSENT = object()


class Operation(NamedTuple):
    """One operation of a patch, well formed and within the limits (RFC 6902, section 4)."""

    position: int
    """in the patch, from 0"""
    op: str
    path: str
    tokens: tuple[str, ...]
    """the tokens of `path`"""
    source: str | None
    """the `from` pointer of copy and move"""
    source_tokens: tuple[str, ...] | None
    value: Json
    """the value of add, replace and test; None for the others"""


_operation = partial(tuple.__new__, Operation)
"""Operation(...) at half the cost: a patch has many."""


def compile_patch(operations: Json, limits: Limits = DEFAULT_LIMITS) -> tuple[Operation, ...]:
    """The operations of a patch, each checked for shape, pointer syntax and limits (RFC 6902, sections 3 and 4).

    Raises InvalidPatch with up to `limits.problems` problems, of which some may be exceeded limits; LimitExceeded when
    nothing but limits is wrong.
    """
    if type(operations) is not list:
        sentence = f"A JSON Patch is an array of operations, not {kind(operations)}."
        raise InvalidPatch((Problem("not_an_array", None, None, "patch", "", "", sentence),))
    if len(operations) > limits.operations:
        maximum, actual = limits.operations, len(operations)
        sentence = f"A patch may have {maximum} operations; this one has {actual}."
        raise LimitExceeded(
            (Problem("too_many_operations", None, None, "patch", "", "", sentence, "operations", maximum, actual),)
        )
    compiled: list[Operation] = []
    problems: list[Problem] = []
    for index, operation in enumerate(operations):
        checked = _checked(index, operation, limits)
        if checked is not None:
            compiled.append(checked)
        else:
            problems.extend(_problems(index, operation, limits))
            if len(problems) >= limits.problems:
                break
    if problems:
        raise _refusal(problems[: limits.problems])
    return tuple(compiled)


def _checked(position: int, operation: Json, limits: Limits) -> Operation | None:
    """The operation, or None for anything `_problems` has something to say about."""
    if type(operation) is not dict:
        return None
    op = operation.get("op")
    path = operation.get("path")
    if type(op) is not str or type(path) is not str:
        return None
    tokens = split(path, limits)
    if tokens is None:
        return None
    needs = _NEEDS.get(op)
    if needs is _VALUE:
        value = operation.get("value", _ABSENT)
        # The commonest value is a short text; for the others a function call does not matter.
        if type(value) is not str or not value.isascii() or "\0" in value:
            height = survey(value, limits)
            if height == FAULTY or (height and height + len(tokens) > limits.depth):
                return None
        return _operation((position, op, path, tokens, None, None, value))
    if needs is _FROM:
        source = operation.get("from")
        source_tokens = split(source, limits) if type(source) is str else None
        if source_tokens is None or (op == "move" and is_inside(tokens, source_tokens)):
            return None
        return _operation((position, op, path, tokens, source, source_tokens, None))
    if needs is None or not tokens:
        return None
    return _operation((position, op, path, tokens, None, None, None))


def _problems(index: int, operation: Json, limits: Limits) -> list[Problem]:
    """Everything that is wrong with an operation `_checked` refused."""
    if type(operation) is not dict:
        sentence = f"An operation is an object, not {kind(operation)}."
        return [Problem("not_an_object", index, None, "patch", "", "", sentence)]
    op = operation.get("op")
    shown = readable(op, 64) if type(op) is str else None
    path = operation.get("path")
    pointer = readable(path, limits.pointer_characters) if type(path) is str else ""
    problems: list[Problem] = []

    def add(code: str, at: Place, sentence: str) -> None:
        problems.append(Problem(code, index, shown, at, pointer, "", sentence))

    needs = _NEEDS.get(op) if type(op) is str else None
    if "op" not in operation:
        add("missing_op", "op", "The operation has no 'op'.")
    elif needs is None:
        what = f"{quote(op)} is not one" if type(op) is str else f"'op' is {kind(op)}"
        add("unknown_op", "op", f"The operations are add, remove, replace, copy, move and test; {what}.")
    tokens = split(path, limits) if type(path) is str else None
    if "path" not in operation:
        add("missing_path", "path", "The operation has no 'path'.")
    elif tokens is None:
        problems.append(pointer_problem(path, limits, index, shown, "path"))
    if needs is _VALUE:
        if "value" not in operation:
            add("missing_value", "value", f"{op} needs a 'value'; it may be null.")
        else:
            problems.extend(_value_problems(index, operation, tokens, limits))
    if needs is _FROM:
        source = operation.get("from")
        source_tokens = split(source, limits) if type(source) is str else None
        if "from" not in operation:
            add("missing_from", "from", f"{op} needs a 'from'.")
        elif source_tokens is None:
            problems.append(pointer_problem(source, limits, index, shown, "from"))
        elif op == "move" and tokens is not None and is_inside(tokens, source_tokens):
            add("move_into_itself", "path", "A value cannot be moved into itself: 'path' lies inside 'from'.")
    if op == "remove" and tokens == ():
        add("remove_root", "path", "The whole document cannot be removed; replace it instead.")
    return problems


def _value_problems(
    index: int, operation: dict[str, Json], tokens: tuple[str, ...] | None, limits: Limits
) -> list[Problem]:
    """What is wrong with a value that is present: nothing, or one thing."""
    op, value, way = operation["op"], operation["value"], tokens or ()
    height = survey(value, limits)
    if height == FAULTY:
        code, wording, inside = fault(value, limits)
        pointer = format_pointer((*way, *inside))
        return [Problem(code, index, op, "value", readable(pointer), "", f"The value is or contains {wording}.")]
    depth = height + len(way)
    if height and depth > limits.depth:
        sentence = (
            f"Arrays and objects may lie {limits.depth} deep inside one another; with this value there are {depth}."
        )
        pointer = format_pointer(way)
        return [Problem("too_deep", index, op, "value", pointer, "", sentence, "depth", limits.depth, depth)]
    return []


def _refusal(problems: list[Problem]) -> PatchError:
    only_limits = all(problem.limit is not None for problem in problems)
    return (LimitExceeded if only_limits else InvalidPatch)(problems)
