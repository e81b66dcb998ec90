"""What can go wrong, as data: three kinds of `PatchError`, and `InvalidJson` for text that never became a value."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Place = Literal["op", "path", "from", "value", "patch"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where. No field ever shows a value of the document."""

    code: str
    """what is wrong, for programs; the pages of reference list every code"""
    operation: int | None
    """index of the operation in the patch; None when the patch as a whole is at fault"""
    op: str | None
    """the operation's `op` as sent, when it is a string"""
    at: Place
    """the member of the operation at fault"""
    pointer: str
    """the document pointer at fault"""
    resolved: str
    """the longest part of `pointer` that exists in the document; "" when none was looked up"""
    problem: str
    """one sentence for people"""
    limit: str | None = None
    """the field of `Limits` that was exceeded"""
    maximum: int | None = None
    actual: int | None = None


class PatchError(Exception):
    """A patch was refused and nothing was changed; `str()` gives the sentence of the first problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0].problem)
        self.problems = tuple(problems)


class InvalidPatch(PatchError):
    """The patch is malformed, whatever document it meets (RFC 6902, sections 3 and 4)."""


class LimitExceeded(PatchError):
    """The patch is well formed, but asks for more than `Limits` allows."""


class Conflict(PatchError):
    """The patch does not fit the document, or one of its tests failed (RFC 6902, section 5)."""


class InvalidJson(ValueError):
    """A request body is not the strict JSON this server reads; `str()` gives the sentence."""

    def __init__(self, code: str, problem: str, offset: int | None) -> None:
        super().__init__(problem)
        self.code = code
        self.problem = problem
        self.offset = offset
        """position in the body, in bytes from its start; None when the body as a whole is at fault"""


def quote(name: str) -> str:
    """The name in quotes, on one line, in at most 70 characters, safe to encode as UTF-8."""
    return repr(name if len(name) <= 60 else name[:60] + "…")


def readable(text: str, characters: int = 1024) -> str:
    """The text cut to a length and with `?` for whatever UTF-8 cannot carry."""
    return text[:characters].encode("utf-8", "replace").decode("utf-8")
