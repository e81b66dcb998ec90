"""JSON Pointers: text to tokens and back, and array indexes (RFC 6901)."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from palace.json_patch.errors import InvalidPatch, LimitExceeded, Place, Problem, readable
from palace.json_patch.limits import DEFAULT_LIMITS, Limits
from palace.json_patch.values import Json, is_clean, kind, string_fault

END_OF_ARRAY = "-"
"""the token for the element after the last (RFC 6901, section 4)"""

_BAD_ESCAPE = re.compile(r"~(?![01])")
_COMMON_INDEXES = {str(index): index for index in range(1000)}


def parse_pointer(text: str, limits: Limits = DEFAULT_LIMITS) -> tuple[str, ...]:
    """The tokens of a pointer, unescaped: `/a~1b/0` gives `("a/b", "0")`, `""` gives `()` (RFC 6901, section 3).

    Raises InvalidPatch when the text is no pointer, LimitExceeded when it is longer than allowed.
    """
    tokens = split(text, limits) if type(text) is str else None
    if tokens is None:
        problem = pointer_problem(text, limits, None, None, "path")
        raise (InvalidPatch if problem.limit is None else LimitExceeded)((problem,))
    return tokens


def format_pointer(tokens: Iterable[str | int]) -> str:
    """The pointer that `parse_pointer` takes apart into these tokens: `("a/b", 0)` gives `/a~1b/0`."""
    return "".join(["/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens])


@lru_cache(maxsize=1024)
def split(text: str, limits: Limits) -> tuple[str, ...] | None:
    """The tokens, or None for anything `pointer_problem` has something to say about.

    Clients send the same few pointers over and over; at their longest, the remembered ones take a few megabytes.
    """
    if len(text) > limits.pointer_characters:
        return None
    if not text:
        return ()
    if text[0] != "/" or not (text.isprintable() or is_clean(text, limits)):
        return None
    tokens = tuple(text[1:].split("/"))
    if len(tokens) > limits.pointer_tokens:
        return None
    if "~" in text:
        if _BAD_ESCAPE.search(text):
            return None
        # The order matters: "~01" means "~1" (RFC 6901, section 4).
        return tuple([token.replace("~1", "/").replace("~0", "~") for token in tokens])
    return tokens


def pointer_problem(text: Json, limits: Limits, operation: int | None, op: str | None, at: Place) -> Problem:
    """Why `split` refused the text."""
    if type(text) is not str:
        return Problem(
            "invalid_pointer",
            operation,
            op,
            at,
            "",
            "",
            f"'{at}' must be a JSON Pointer in a string, not {kind(text)}.",
        )
    shown = readable(text, limits.pointer_characters)
    if len(text) > limits.pointer_characters:
        sentence = f"A pointer may have {limits.pointer_characters} characters; this one has {len(text)}."
        maximum, actual = limits.pointer_characters, len(text)
        return Problem(
            "pointer_too_long", operation, op, at, shown, "", sentence, "pointer_characters", maximum, actual
        )
    if text[0] != "/":
        sentence = f"A pointer is empty or starts with '/'; '{at}' does neither."
    elif _BAD_ESCAPE.search(text):
        sentence = "In a pointer '~' is written '~0' and '/' inside a name '~1'; no other '~' may occur."
    elif not is_clean(text, limits):
        code, wording = string_fault(text)
        return Problem(code, operation, op, at, shown, "", f"'{at}' is {wording}.")
    else:
        maximum, actual = limits.pointer_tokens, text.count("/")
        sentence = f"A pointer may have {maximum} tokens; this one has {actual}."
        return Problem(
            "pointer_too_many_tokens", operation, op, at, shown, "", sentence, "pointer_tokens", maximum, actual
        )
    return Problem("invalid_pointer", operation, op, at, shown, "", sentence)


def array_index(token: str, limits: Limits) -> int | None:
    """The index a token names, or None when it is no index: only `0` and `[1-9][0-9]*` are (RFC 6901, section 4)."""
    index = _COMMON_INDEXES.get(token)
    if index is not None:
        return index
    if token.isascii() and token.isdigit() and token[0] != "0" and len(token) <= limits.index_digits:
        return int(token)
    return None


def is_inside(tokens: Sequence[str], outer: Sequence[str]) -> bool:
    """True when the first pointer leads through the second and further."""
    return len(tokens) > len(outer) and tokens[: len(outer)] == outer
