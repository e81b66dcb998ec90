"""Whether what was expected holds, given what was seen. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palace.json_patch import equal
from palace.rehearsal.patterns import Pattern
from palace.rehearsal.suite import Expectation, ExpectedCall, Fixture

LONGEST_QUOTE = 200


@dataclass(slots=True)
class Called:
    """A call that was made, and what came of it."""

    tool: str
    arguments: Mapping[str, Any]
    output: str | None = None
    """None while there is no answer, and where nobody waits for one"""
    is_error: bool = False


@dataclass(slots=True)
class Seen:
    """What happened in a part of a talk. `reached` and `touched` tell of all of it up to the end of the part."""

    said: list[str] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    touched_here: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that the PAL said."""
        return "\n".join(self.said)


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that does not hold. `step` counts from 1; None for what is expected of the whole talk."""

    step: int | None
    code: str
    problem: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in a report."""
        return {"step": self.step, "code": self.code, "problem": self.problem}


class Compiled:
    """The patterns of a suite, each compiled once."""

    def __init__(self) -> None:
        self._patterns: dict[str, Pattern] = {}

    def is_in(self, pattern: str, text: str) -> bool:
        """Whether a pattern is found in a text."""
        if pattern not in self._patterns:
            self._patterns[pattern] = Pattern(pattern)
        return self._patterns[pattern].is_in(text)


def misses(expect: Expectation, seen: Seen, step: int | None, compiled: Compiled) -> Iterator[Failure]:
    """What does not hold, but for what a judge has to say."""
    said = _quoted(seen.text)
    for pattern in expect.matches:
        if not compiled.is_in(pattern, seen.text):
            yield Failure(step, "matches", f"{_quoted(pattern)} is not found in {said}.")
    if expect.any_matches and not any(compiled.is_in(pattern, seen.text) for pattern in expect.any_matches):
        wanted = ", ".join(map(_quoted, expect.any_matches))
        yield Failure(step, "any_matches", f"None of {wanted} is found in {said}.")
    for pattern in expect.not_matches:
        if compiled.is_in(pattern, seen.text):
            yield Failure(step, "not_matches", f"{_quoted(pattern)} is found in {said}.")
    for call in expect.calls:
        if not any(_is_like(made, call, compiled) for made in seen.calls):
            yield Failure(step, "calls", f"There was no call like {_worded(call)}; {_made(seen.calls)}.")
    for tool in expect.calls_not:
        if any(made.tool == tool for made in seen.calls):
            yield Failure(step, "calls_not", f"{tool} was called; {_made(seen.calls)}.")
    for name in expect.reaches:
        if name not in seen.reached:
            reached = ", ".join(seen.reached) or "none"
            yield Failure(step, "reaches", f"The objective {name} is not reached; reached: {reached}.")
    for name in expect.keeps:
        if name in seen.touched:
            yield Failure(step, "keeps", f"The guardrail {name} was touched.")
    for name in expect.touches:
        if name not in seen.touched_here:
            yield Failure(step, "touches", f"The PAL did not tell that the guardrail {name} was touched.")


def fixture_for(tool: str, arguments: Mapping[str, Any], fixtures: Sequence[Fixture]) -> Fixture | None:
    """The first fixture that fits a call."""
    return next((one for one in fixtures if one.tool == tool and includes(arguments, one.arguments)), None)


def includes(found: Any, wanted: Any) -> bool:
    """Whether a value says all that another one does. Objects may have more members; all else must be the same."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(name in found and includes(found[name], value) for name, value in wanted.items())
    return equal(found, wanted)


def _is_like(made: Called, wanted: ExpectedCall, compiled: Compiled) -> bool:
    return (
        made.tool == wanted.tool
        and includes(made.arguments, wanted.arguments)
        and all(
            name in made.arguments and compiled.is_in(pattern, _as_text(made.arguments[name]))
            for name, pattern in wanted.arguments_match.items()
        )
    )


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def storable(value: Any) -> Any:
    """The value without halves of characters, which models may write and no JSON text can hold."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(name): storable(member) for name, member in value.items()}
    return [storable(item) for item in value] if isinstance(value, list) else value


def _worded(call: ExpectedCall) -> str:
    arguments = {**call.arguments, **{name: f"/{pattern}/" for name, pattern in call.arguments_match.items()}}
    return f"{call.tool}({_short(json.dumps(arguments, ensure_ascii=False))})"


def _made(calls: Sequence[Called]) -> str:
    if not calls:
        return "no tool was called"
    return "called: " + ", ".join(
        f"{one.tool}({_short(json.dumps(one.arguments, ensure_ascii=False))})" for one in calls[:10]
    )


def _quoted(text: str) -> str:
    return f"“{_short(' '.join(text.split()))}”" if text.strip() else "nothing"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_QUOTE else f"{text[: LONGEST_QUOTE - 1]}…"
