"""Why an operation does not fit the document: the slow, exact walk behind a failed fast one."""

from palace.json_patch.errors import Conflict, LimitExceeded, Place, Problem, quote, readable
from palace.json_patch.limits import Limits
from palace.json_patch.operations import Operation
from palace.json_patch.pointer import END_OF_ARRAY, array_index, format_pointer
from palace.json_patch.values import CONTAINERS, Json, kind

_WRITES_AT_END = frozenset(("add", "copy", "move"))


def unresolved(document: Json, operation: Operation, at: Place, limits: Limits) -> Conflict:
    """The conflict of an operation whose `path` or `from` leads nowhere in the document.

    Codes: missing_parent, not_found, invalid_index, index_out_of_range.
    """
    if at == "from":
        pointer, tokens = operation.source or "", operation.source_tokens or ()
    else:
        pointer, tokens = operation.path, operation.tokens
    may_append = at == "path" and operation.op in _WRITES_AT_END
    node = document
    code, sentence, steps = "missing_parent", "", 0
    for steps, token in enumerate(tokens):
        here = _name(tokens[:steps])
        last = steps == len(tokens) - 1
        if type(node) is dict:
            if token in node:
                node = node[token]
                continue
            code = "not_found" if last else "missing_parent"
            sentence = f"{here} has no member {quote(token)}."
        elif type(node) is list:
            index = array_index(token, limits)
            if index is not None and index < len(node):
                node = node[index]
                continue
            code, sentence = _bad_index(here, token, index, len(node), last, may_append)
        else:
            sentence = f"{here} is {kind(node)}, so nothing lies inside it."
        break
    resolved = format_pointer(tokens[:steps])
    return Conflict((Problem(code, operation.position, operation.op, at, pointer, resolved, sentence),))


def failed_test(found: Json, operation: Operation) -> Conflict:
    """The conflict of a `test` that found another value; the sentence tells kinds apart, never values."""
    expected, actual = kind(operation.value), kind(found)
    sentence = f"{_name(operation.tokens)} is not what the test expects"
    if expected != actual:
        sentence += f": it is {actual}, not {expected}"
    elif type(found) in CONTAINERS:
        sentence += f": it is another {actual.split()[1]}"
    path = operation.path
    return Conflict((Problem("test_failed", operation.position, "test", "value", path, path, sentence + "."),))


def too_deep(operation: Operation, limits: Limits, depth: int) -> LimitExceeded:
    sentence = f"Arrays and objects may lie {limits.depth} deep inside one another; here there would be {depth}."
    return _exceeded("too_deep", operation, "path", operation.path, sentence, "depth", limits.depth, depth)


def too_much_copied(operation: Operation, limits: Limits, copied: int) -> LimitExceeded:
    sentence = f"The copy operations of one patch may add {limits.copy_bytes} bytes; with this one they add {copied}."
    pointer = operation.source or ""
    return _exceeded("copy_too_large", operation, "from", pointer, sentence, "copy_bytes", limits.copy_bytes, copied)


def _exceeded(
    code: str, operation: Operation, at: Place, pointer: str, sentence: str, limit: str, maximum: int, actual: int
) -> LimitExceeded:
    problem = Problem(code, operation.position, operation.op, at, pointer, "", sentence, limit, maximum, actual)
    return LimitExceeded((problem,))


def _bad_index(here: str, token: str, index: int | None, length: int, last: bool, may_append: bool) -> tuple[str, str]:
    if token == END_OF_ARRAY:
        code = "index_out_of_range" if last else "missing_parent"
        return code, f"{here} has no element '-': that names its end, where only add, copy and move can put a value."
    if index is None:
        return "invalid_index", f"{here} is an array, and {quote(token)} is not an index: 0, 1, 2 and so on."
    code = "index_out_of_range" if last else "missing_parent"
    most = length if last and may_append else length - 1
    if most < 0:
        return code, f"{here} is empty, so it has no element {index}."
    return code, f"{here} has {length} element{'s' * (length != 1)}: the index may be at most {most}, not {index}."


def _name(tokens: tuple[str, ...]) -> str:
    """How a sentence starts: with the pointer, or in words for the whole document."""
    return readable(format_pointer(tokens)) or "The document"
