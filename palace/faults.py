"""Faults on purpose: what they are called, and which request meets which. Pure: who carries them out is in the API.

A fault is written as `429;retry-after=7`: what happens, and how. The bodies are those of the published API, which are
shorter than those of this server's own errors (contract 1.4).
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

STATUSES = frozenset(map(str, range(400, 600)))
MOST_SECONDS = 300
MOST_SECONDS_TO_WAIT = 86_400
MOST_TIMES = 1_000_000
MOST_FAULTS = 1_000
LONGEST_PATH = 1_000
AFTER = "after"

CONCURRENCY = "User has reached maximum concurrent conversations"
MAKER_CHANGES = "This PAL has changes in PAL Maker. Retry with force=true"
MESSAGES = {401: "Invalid access token", 402: "The account is out of credits", 429: "Too many requests"}
"""What the API says; other statuses say their name."""

ONE = '{"answer": "429"}'
SEVERAL = f'{{"faults": [{ONE}]}}'
GRAMMAR = "a status from 400 to 599, concurrency, slow, drop or pass"
_LEGIBLE = re.compile(r"[a-z0-9=._; -]{1,100}")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class InvalidFault(Exception):
    """A fault, or a list of them, that cannot be read; `pointer` is its place in the list, or empty."""

    def __init__(self, problem: str, pointer: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of a request. `text` is how it is written. `pass` is none: the request goes on.

    With `is_after` the request is carried out, and then its answer is lost or late.
    """

    text: str
    what: Literal["answer", "slow", "drop", "pass"]
    is_after: bool = False
    status: int = 0
    body: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


# --- Reading one ------------------------------------------------------------------------------------------------------


def read_fault(text: str) -> Fault:
    """The fault that is written so. Raises InvalidFault."""
    if not _LEGIBLE.fullmatch(text.lower()):  # It is told in a header of the answer.
        raise InvalidFault(f"{text[:100]!r}: a fault begins with {GRAMMAR}.")
    what, *rest = parts = [part.strip() for part in text.lower().split(";")]
    text = ";".join(parts)
    options: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        if name in options:
            raise InvalidFault(f"{text!r}: {name!r} is there twice.")
        options[name] = value
    if what in ("slow", "drop", "pass"):
        fault = _read_event(text, what, options)  # type: ignore[arg-type]
    else:
        fault = _read_answer(text, what, options)
    if options:
        raise InvalidFault(f"{text!r}: {next(iter(options))!r} means nothing here.")
    return fault


def _read_event(text: str, what: Literal["slow", "drop", "pass"], options: dict[str, str]) -> Fault:
    seconds = 0.0
    if what == "slow":
        seconds = _number(text, "seconds", options.pop("seconds", "1"), MOST_SECONDS)
    return Fault(text, what, what != "pass" and _is_after(text, options), seconds=seconds)


def _read_answer(text: str, what: str, options: dict[str, str]) -> Fault:
    headers: dict[str, str] = {}
    if what == "concurrency":
        told = options.pop("status", "400")
        if told not in ("400", "429"):
            raise InvalidFault(f"{text!r}: the concurrency error has the status 400 or 429.")
        status, body = int(told), _said(CONCURRENCY)
    elif what in STATUSES:
        status = int(what)
        body = {"message": MESSAGES.get(status) or _phrase(status)}
        headers = {"retry-after": "1"} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    else:
        raise InvalidFault(f"{text!r}: a fault begins with {GRAMMAR}.")
    conflict = options.pop("conflict", None)
    if conflict is not None:
        if (what, conflict) != ("409", "maker_changes"):
            raise InvalidFault(f"{text!r}: the only conflict is 409;conflict=maker_changes.")
        body = _said(MAKER_CHANGES) | {"conflict": conflict}
    if "retry-after" in options:
        headers["retry-after"] = f"{_number(text, 'retry-after', options.pop('retry-after'), MOST_SECONDS_TO_WAIT):.0f}"
    return Fault(text, "answer", _is_after(text, options), status, body, headers)


def _said(text: str) -> dict[str, str]:
    return {"message": text, "error": text}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _is_after(text: str, options: dict[str, str]) -> bool:
    if AFTER not in options:
        return False
    if options.pop(AFTER):
        raise InvalidFault(f"{text!r}: {AFTER!r} takes no value.")
    return True


def _number(text: str, name: str, value: str, most: int) -> float:
    if not _NUMBER.fullmatch(value) or float(value) > most:
        raise InvalidFault(f"{text!r}: {name} is a number from 0 to {most}.")
    return float(value)


# --- A list of them ---------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Planned:
    """A fault that waits for the next requests that match: `left` of them."""

    fault: Fault
    left: int
    method: str | None = None
    path: str | None = None

    def meets(self, method: str, path: str) -> bool:
        """Whether a request is one of those it waits for."""
        return (self.method is None or self.method == method) and (
            self.path is None or matches(self.path.removesuffix("/") or "/", path)
        )

    def as_json(self) -> dict[str, Any]:
        """The entry as it is written."""
        match = {"method": self.method, "path": self.path}
        told = {name: value for name, value in match.items() if value is not None}
        return {"match": told, "times": self.left, "answer": self.fault.text}


class Plan:
    """The faults that are to come, in order: a request meets the first one that matches it."""

    def __init__(self, at_start: Sequence[Planned] = ()) -> None:
        self._at_start = [(planned, planned.left) for planned in at_start]
        self._coming = list(at_start)

    def next_for(self, method: str, path: str) -> Fault | None:
        """What becomes of this request; it is counted."""
        for planned in self._coming:
            if planned.meets(method, path):
                planned.left -= 1
                if not planned.left:
                    self._coming.remove(planned)
                return planned.fault
        return None

    def add(self, planned: Sequence[Planned]) -> None:
        """Let these come after those that are to come. Raises InvalidFault when they become too many."""
        if len(self._coming) + len(planned) > MOST_FAULTS:
            raise InvalidFault(f"At most {MOST_FAULTS} faults can wait.", "/faults")
        self._coming += planned

    def clear(self) -> None:
        """Let nothing come."""
        self._coming.clear()

    def rewind(self) -> None:
        """Let those come that were to come at the start."""
        for planned, left in self._at_start:
            planned.left = left
        self._coming = [planned for planned, _ in self._at_start]

    def as_json(self) -> dict[str, Any]:
        """What is left, as it is written."""
        return {"faults": [planned.as_json() for planned in self._coming]}


def read_plan(document: Any) -> list[Planned]:
    """The faults of `{"faults": [{"match": {"method", "path"}, "times", "answer"}]}`. Raises InvalidFault."""
    entries = _members(document, "", {"faults"})["faults"] if document else None
    if not isinstance(entries, list):
        raise InvalidFault(f"The list of faults is missing: {SEVERAL}.", "/faults")
    if len(entries) > MOST_FAULTS:
        raise InvalidFault(f"At most {MOST_FAULTS} faults can wait.", "/faults")
    return [_planned(entry, f"/faults/{index}") for index, entry in enumerate(entries)]


def _planned(entry: Any, place: str) -> Planned:
    members = _members(entry, place, {"answer"}, {"match", "times"})
    match = _members(members.get("match", {}), f"{place}/match", set(), {"method", "path"})
    times = members.get("times", 1)
    if isinstance(times, bool) or not isinstance(times, int) or not 1 <= times <= MOST_TIMES:
        raise InvalidFault(f"It must be a whole number from 1 to {MOST_TIMES}.", f"{place}/times")
    for name, value in (("answer", members["answer"]), *((f"match/{name}", value) for name, value in match.items())):
        if not isinstance(value, str) or not value:
            raise InvalidFault('It must be a text, in quotes: "429" is one, 429 is a number.', f"{place}/{name}")
    path, method = match.get("path"), match.get("method")
    if path is not None and not path.startswith("/"):
        raise InvalidFault("It must begin with a slash, as in /v2/pals/*.", f"{place}/match/path")
    if path is not None and len(path) > LONGEST_PATH:
        raise InvalidFault(f"It must have at most {LONGEST_PATH} characters.", f"{place}/match/path")
    try:
        fault = read_fault(members["answer"])
    except InvalidFault as error:
        raise InvalidFault(error.problem, f"{place}/answer") from error
    return Planned(fault, times, method and method.upper(), path)


def _members(
    value: Any, place: str, needed: AbstractSet[str], others: AbstractSet[str] = frozenset()
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidFault(f"It must be an object, as in {ONE if place else SEVERAL}.", place)
    for name in value.keys() - needed - others:
        known = ", ".join(sorted(needed | others))
        raise InvalidFault(f"There is no such member; there are {known}.", f"{place}/{name}")
    for name in needed - value.keys():
        raise InvalidFault(f"The member {name!r} is missing.", place)
    return value


def matches(pattern: str, path: str) -> bool:
    """Whether a path is as the pattern says: `*` is one part of it, or what is left of one; `**` is all that follows.

    Takes no longer than the two are long, multiplied: as a regular expression some patterns would take for ever.
    """
    ends = {0}
    """of everything that the pattern so far may stand for"""
    for part in re.split(r"(\*\*|\*)", pattern):
        if part == "**":
            ends = set(range(min(ends), len(path) + 1))
        elif part == "*":
            ends = _to_the_slash(path, ends)
        else:
            ends = {end + len(part) for end in ends if path.startswith(part, end)}
        if not ends:
            return False
    return len(path) in ends


def _to_the_slash(path: str, starts: set[int]) -> set[int]:
    """Every place between one of these and the end of its part of the path."""
    found: set[int] = set()
    for start in sorted(starts):
        if start not in found:
            slash = path.find("/", start)
            found.update(range(start, (slash if slash >= 0 else len(path)) + 1))
    return found
