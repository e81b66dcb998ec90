"""What a suite says: visitors, each with what they say and what must hold then, and what tools answer meanwhile."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from palace.rehearsal.patterns import LONGEST, MOST_WEIGHT, InvalidPattern, Pattern, weight_of
from palace.resource import Problem
from palace.validation import Model, problems_of

MOST_VISITORS = 100
MOST_STEPS = 100
MOST_FIXTURES = 500
MOST_RUNS = 20
MOST_PLAYS = 500
"""visitors times runs"""
MOST_TURNS = 200
MOST_SECONDS = 3600
SHORTHANDS = ("matches", "any_matches", "not_matches", "calls", "calls_not", "reaches", "keeps", "touches", "judge")
"""Members of an expectation; in YAML a single one need not be a list."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LONGEST_SAID = 10_000
Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_SAID)]
Regex = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST)]
Seconds = Annotated[float, Field(ge=0, le=MOST_SECONDS)]
Names = Annotated[list[Name], Field(max_length=100)]
Regexes = Annotated[list[Regex], Field(max_length=100)]


# --- Models -----------------------------------------------------------------------------------------------------------


class ExpectedCall(Model):
    """A call of a tool that must be made."""

    tool: Name
    arguments: dict[str, Any] = Field(default_factory=dict)
    """What the arguments must say; they may say more."""
    arguments_match: Annotated[dict[str, Regex], Field(max_length=100)] = Field(default_factory=dict)
    """A pattern for each of these arguments; one that is no text is read as JSON."""


class Expectation(Model):
    """What must hold; all of it."""

    matches: Regexes = Field(default_factory=list)
    """Patterns that are found in what the PAL said, every one of them."""
    any_matches: Regexes = Field(default_factory=list)
    """Patterns of which one is found there."""
    not_matches: Regexes = Field(default_factory=list)
    """Patterns that are not found there."""
    calls: Annotated[list[ExpectedCall], Field(max_length=100)] = Field(default_factory=list)
    """Calls of tools that were made."""
    calls_not: Names = Field(default_factory=list)
    """Tools that were not called."""
    reaches: Names = Field(default_factory=list)
    """Objectives that are reached by now."""
    keeps: Names = Field(default_factory=list)
    """Guardrails that the PAL has not told to be touched by now."""
    touches: Names = Field(default_factory=list)
    """Guardrails that the PAL told to be touched."""
    judge: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)
    """Sentences that a language model must affirm when it reads the talk up to here."""


class Step(Model):
    """One thing that the visitor does, and what must hold once the PAL has answered."""

    say: Text | None = None
    """What the visitor says."""
    wait_seconds: Seconds | None = None
    """So long the visitor says nothing."""
    confirm: str | None = None
    """The objective that a person confirms; empty for the one that waits for it."""
    expect: Expectation = Field(default_factory=Expectation)


class Visitor(Model):
    """Somebody who comes, and what they do. A first step that does nothing is about the greeting."""

    name: Name
    context: Annotated[str, StringConstraints(max_length=100_000)] = ""
    """What the conversation is told besides, as `conversational_context`."""
    steps: Annotated[list[Step], Field(min_length=1, max_length=MOST_STEPS)]
    expect: Expectation = Field(default_factory=Expectation)
    """What must hold of the whole talk."""


class Fixture(Model):
    """What a tool answers when it is called like this. The first one that fits counts."""

    tool: Name
    arguments: dict[str, Any] = Field(default_factory=dict)
    """What the arguments must say; they may say more."""
    output: Any = None
    """What it answers: a text, or JSON."""
    error: Text | None = None
    """What went wrong, in place of an answer."""
    after_seconds: Seconds = 0
    """How long it takes. Nobody waits for it: the time of a rehearsal is its own."""


class Suite(Model):
    """What a client may write of a suite."""

    name: Name
    visitors: Annotated[list[Visitor], Field(min_length=1, max_length=MOST_VISITORS)]
    tools: Annotated[list[Fixture], Field(max_length=MOST_FIXTURES)] = Field(default_factory=list)
    """What tools answer; none is carried out."""
    runs: Annotated[int, Field(ge=1, le=MOST_RUNS)] = 1
    """How often each visitor comes."""
    most_turns: Annotated[int, Field(ge=1, le=MOST_TURNS)] = 30
    """So often the model may be asked for one visitor; a PAL that needs more has failed."""


# --- Rules ------------------------------------------------------------------------------------------------------------


def rules(suite: Suite) -> Iterator[Problem]:
    """What must hold between members."""
    seen: set[str] = set()
    for index, visitor in enumerate(suite.visitors):
        if visitor.name in seen:
            yield Problem(("visitors", index, "name"), "duplicate", "Another visitor has this name.")
        seen.add(visitor.name)
        for number, step in enumerate(visitor.steps):
            yield from _step_rules(step, ("visitors", index, "steps", number), is_first=number == 0)
    for index, fixture in enumerate(suite.tools):
        if fixture.error is not None and "output" in fixture.model_fields_set:
            text = "Cannot be used together with output."
            yield Problem(("tools", index, "error"), "exclusive", text, facts={"excludes": f"/tools/{index}/output"})
    if len(suite.visitors) * suite.runs > MOST_PLAYS:
        text = f"Visitors times runs must be at most {MOST_PLAYS}."
        yield Problem(("runs",), "out_of_range", text, facts={"maximum": MOST_PLAYS})
    yield from _pattern_rules(suite)


def _step_rules(step: Step, place: tuple[str | int, ...], *, is_first: bool) -> Iterator[Problem]:
    deeds = [name for name in ("say", "wait_seconds", "confirm") if getattr(step, name) is not None]
    if len(deeds) > 1:
        yield Problem((*place, deeds[1]), "exclusive", f"Cannot be used together with {deeds[0]}: make two steps.")
    elif not deeds and not is_first:
        text = "Missing data for required field: a step but the first one has say, wait_seconds or confirm."
        yield Problem((*place, "say"), "missing", text)


def _pattern_rules(suite: Suite) -> Iterator[Problem]:
    """Every pattern is one, and all of them are not too large together."""
    weight = 0
    for place, pattern in patterns_of(suite):
        weight += weight_of(pattern)
        if weight > MOST_WEIGHT:
            text = f"The patterns of a suite are too large together, counted by length and repetitions: {MOST_WEIGHT}."
            yield Problem(place, "too_long", text, facts={"maximum": MOST_WEIGHT})
            return
        try:
            Pattern(pattern)
        except InvalidPattern as error:
            yield Problem(place, "pattern", str(error))


def patterns_of(suite: Suite) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every pattern, with its place."""
    for index, visitor in enumerate(suite.visitors):
        for number, step in enumerate(visitor.steps):
            yield from _patterns_in(step.expect, ("visitors", index, "steps", number, "expect"))
        yield from _patterns_in(visitor.expect, ("visitors", index, "expect"))


def _patterns_in(expect: Expectation, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name in ("matches", "any_matches", "not_matches"):
        for index, pattern in enumerate(getattr(expect, name)):
            yield (*place, name, index), pattern
    for index, call in enumerate(expect.calls):
        for name, pattern in call.arguments_match.items():
            yield (*place, "calls", index, "arguments_match", name), pattern


# --- Reading ----------------------------------------------------------------------------------------------------------


class InvalidSuite(Exception):
    """This is no suite. `problems` tell everything that is wrong, each with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"/{'/'.join(map(str, one.pointer))}: {one.text}" for one in problems))
        self.problems = problems


def read_suite(said: Any) -> Suite:
    """The suite that a JSON value is. Raises InvalidSuite."""
    try:
        suite = Suite.model_validate(said)
    except ValidationError as error:
        raise InvalidSuite(problems_of(error)) from error
    problems = list(rules(suite))
    if problems:
        raise InvalidSuite(problems)
    return suite


def written_out(said: Any) -> Any:
    """The suite that a person wrote, as it goes over the wire: single values where lists are wanted become lists.

    A call may be written as the name of its tool. What is no suite stays as it is, for others to judge.
    """
    if not isinstance(said, dict):
        return said
    visitors = said.get("visitors")
    if not isinstance(visitors, list):
        return said
    return {**said, "visitors": [_visitor(one) for one in visitors]}


def _visitor(said: Any) -> Any:
    if not isinstance(said, dict):
        return said
    steps = said.get("steps")
    more = {"steps": [_with_lists(step) for step in steps]} if isinstance(steps, list) else {}
    whole: Any = _with_lists({**said, **more})
    return whole


def _with_lists(said: Any) -> Any:
    expect = said.get("expect") if isinstance(said, Mapping) else None
    if not isinstance(expect, dict):
        return said
    lists = {
        name: value if isinstance(value, list) or value is None or name not in SHORTHANDS else [value]
        for name, value in expect.items()
    }
    if isinstance(lists.get("calls"), list):
        lists["calls"] = [{"tool": call} if isinstance(call, str) else call for call in lists["calls"]]
    return {**said, "expect": lists}
