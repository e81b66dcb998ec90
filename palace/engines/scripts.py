"""Scripts for the scripted model: what they may say, and which of their rules meets a question. Pure.

The reference is docs/reference/scripted_model.md.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from palace.engines.base import Message, Reason, Wish, text_of

Occasion = Literal["greeting", "user", "tool_result"]
"""What a question is about: nobody has said anything yet, somebody did, or tools answered."""

MEMBERS = ("tokens_per_second", "rules")
RULE_MEMBERS = ("when", "say", "call", "fail", "times")
CALL_MEMBERS = ("tool", "arguments")
REASONS = get_args(Reason)
SLOWEST_TOKENS_PER_SECOND = 1
MOST_RULES = 1000

HOLE = re.compile(r"\{\{|\}\}|\{(\w+)\}")
"""`{name}` in a text; doubled braces stand for themselves"""

Place = tuple[str | int, ...]


class InvalidScript(Exception):
    """This is no script. `problems` are places in it, each with a sentence; `str()` tells them all."""

    def __init__(self, problems: Sequence[tuple[Place, str]]) -> None:
        told = ("".join(f"/{part}" for part in place) + f": {text}" if place else text for place, text in problems)
        super().__init__(" ".join(told))
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Rule:
    """What the model does on an occasion: says, calls tools, fails; None for `occasion` is any.

    `calls` are tools with their arguments. A rule is used at most `times` times in a conversation, 0 for always.
    """

    occasion: Occasion | None
    pattern: re.Pattern[str] | None = None
    say: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    fail: Reason | None = None
    times: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """What a model says. Words come at `tokens_per_second`, 0 for all at once."""

    rules: tuple[Rule, ...] = ()
    tokens_per_second: float = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """What a question is about, as its messages tell it."""

    occasion: Occasion
    text: str = ""
    """what somebody said, or what tools answered"""


@dataclass(frozen=True, slots=True)
class Met:
    """The rule that meets a question, and what fills the holes in its texts."""

    rule: Rule
    names: Mapping[str, str]

    @property
    def text(self) -> str:
        """What is said."""
        return _filled(self.rule.say, self.names)

    def wishes(self, messages: Sequence[Message]) -> tuple[Wish, ...]:
        """The calls. Their ids follow from the conversation, so that each is another one and all can be foretold."""
        return tuple(
            Wish(call_id(messages, number), tool, json.dumps(_with_texts(arguments, self.names), ensure_ascii=False))
            for number, (tool, arguments) in enumerate(self.rule.calls)
        )


def call_id(messages: Sequence[Message], number: int) -> str:
    """The id of a call that answers these messages, the `number`th of them."""
    said = json.dumps(list(messages), sort_keys=True, default=str)
    return f"call_{hashlib.sha256(said.encode()).hexdigest()[:16]}{number}"


# --- Which rule -------------------------------------------------------------------------------------------------------


def turns_of(messages: Sequence[Message]) -> list[Turn]:
    """The turns of the model in a conversation, the one that is asked for last.

    Each message of the user is one; so are the results of tools that stand together, and a greeting at the beginning.
    """
    turns: list[Turn] = []
    before = ""
    for message in messages:
        role = str(message.get("role", ""))
        if role == "user":
            turns.append(Turn("user", text_of(message)))
        elif role == "tool" and before == "tool":
            turns[-1] = Turn("tool_result", f"{turns[-1].text}\n{text_of(message)}")
        elif role == "tool":
            turns.append(Turn("tool_result", text_of(message)))
        elif role == "assistant" and not turns:
            turns.append(Turn("greeting"))
        before = role if role not in ("system", "developer") else before
    return turns or [Turn("greeting")]


def meet(script: Script, messages: Sequence[Message]) -> Met | None:
    """The first rule that fits the last turn and is not used up by the turns before; None when there is none.

    How often a rule was used follows from the messages alone, so that every server says the same.
    """
    left = {number: rule.times for number, rule in enumerate(script.rules) if rule.times}
    turns = turns_of(messages)
    said = next((turn.text for turn in reversed(turns) if turn.occasion == "user"), "")
    met: Met | None = None
    for turn in turns if left else turns[-1:]:
        met = None
        for number, rule in enumerate(script.rules):
            if left.get(number) == 0 or (names := _fits(rule, turn)) is None:
                continue
            result = turn.text if turn.occasion == "tool_result" else ""
            met = Met(rule, {"text": said, "result": result, **names})
            if number in left:
                left[number] -= 1
            break
    return met


def _fits(rule: Rule, turn: Turn) -> Mapping[str, str] | None:
    """The groups of the rule's pattern, where it fits."""
    if rule.occasion not in (None, turn.occasion):
        return None
    if rule.pattern is None:
        return {}
    if (found := rule.pattern.search(turn.text)) is None:
        return None
    numbered = {str(number): group or "" for number, group in enumerate((found[0], *found.groups()))}
    return numbered | {name: group or "" for name, group in found.groupdict().items()}


def _filled(text: str, names: Mapping[str, str]) -> str:
    return HOLE.sub(lambda hole: names[hole[1]] if hole[1] else hole[0][0], text)


def _with_texts(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _filled(value, names)
    if isinstance(value, dict):
        return {name: _with_texts(member, names) for name, member in value.items()}
    return [_with_texts(item, names) for item in value] if isinstance(value, list) else value


# --- Reading a script -------------------------------------------------------------------------------------------------


def read_script(said: Any) -> Script:
    """The script that a JSON value is. Raises InvalidScript with everything that is wrong."""
    problems: list[tuple[Place, str]] = []
    if not isinstance(said, dict):
        raise InvalidScript([((), "It must be an object with rules.")])
    problems += _unknown(said, MEMBERS, ())
    speed = said.get("tokens_per_second", 0)
    if not _is_number(speed) or (speed != 0 and speed < SLOWEST_TOKENS_PER_SECOND):
        text = f"Must be 0, or a number from {SLOWEST_TOKENS_PER_SECOND} on."
        problems.append((("tokens_per_second",), text))
    rules = said.get("rules", [])
    if not isinstance(rules, list) or len(rules) > MOST_RULES:
        raise InvalidScript([*problems, (("rules",), f"Must be a list of at most {MOST_RULES} rules.")])
    read = [_read_rule(rule, ("rules", number), problems) for number, rule in enumerate(rules)]
    if problems:
        raise InvalidScript(problems)
    return Script(tuple(rule for rule in read if rule is not None), speed)


def _read_rule(said: Any, place: Place, problems: list[tuple[Place, str]]) -> Rule | None:
    if not isinstance(said, dict):
        problems.append((place, "Must be an object with when, and say, call or fail."))
        return None
    problems += _unknown(said, RULE_MEMBERS, place)
    if not {"say", "call", "fail"} & said.keys():
        problems.append((place, "Must have say, call or fail."))
    occasion, pattern = _read_when(said.get("when", "any"), (*place, "when"), problems)
    names = {"text", "result"}
    if pattern is not None:
        names |= {str(number) for number in range(pattern.groups + 1)} | set(pattern.groupindex)
    say, fail, times = said.get("say", ""), said.get("fail"), said.get("times", 0)
    problems += _holes(say, names, (*place, "say")) if isinstance(say, str) else [((*place, "say"), "Must be a text.")]
    calls = list(_read_calls(said.get("call", []), names, (*place, "call"), problems))
    if fail is not None and fail not in REASONS:
        problems.append(((*place, "fail"), f"Must be one of: {', '.join(REASONS)}."))
    if not isinstance(times, int) or isinstance(times, bool) or times < 0:
        problems.append(((*place, "times"), "Must be a whole number; 0 is always."))
    return None if problems else Rule(occasion, pattern, say, tuple(calls), fail, times)


def _read_when(
    when: Any, place: Place, problems: list[tuple[Place, str]]
) -> tuple[Occasion | None, re.Pattern[str] | None]:
    """A word for an occasion, a regular expression on what the user says, or an object with one for an occasion."""
    words: dict[str, Occasion | None] = {"any": None, "greeting": "greeting", "tool_result": "tool_result"}
    if isinstance(when, str) and when in words:
        return words[when], None
    occasion: Occasion = "user"
    expression = when
    if isinstance(when, dict) and len(when) == 1 and set(when) <= {"user", "tool_result"}:
        [(name, expression)] = when.items()
        place, occasion = (*place, name), "tool_result" if name == "tool_result" else "user"
    if not isinstance(expression, str):
        problems.append((place, "Must be any, greeting, tool_result or a regular expression."))
        return None, None
    try:
        return occasion, re.compile(expression, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        problems.append((place, f"Not a regular expression: {error}."))
        return None, None


def _read_calls(
    said: Any, names: set[str], place: Place, problems: list[tuple[Place, str]]
) -> Iterator[tuple[str, Any]]:
    for number, call in enumerate(said if isinstance(said, list) else [said]):
        where = (*place, number) if isinstance(said, list) else place
        if not isinstance(call, dict) or not isinstance(call.get("tool"), str) or not call["tool"]:
            problems.append((where, "Must be an object with tool, and arguments where it takes some."))
            continue
        problems += _unknown(call, CALL_MEMBERS, where)
        arguments = call.get("arguments", {})
        problems += _holes(arguments, names, (*where, "arguments"))
        yield call["tool"], arguments


def _unknown(said: Mapping[str, Any], known: Sequence[str], place: Place) -> Iterator[tuple[Place, str]]:
    for name in said:
        if name not in known:
            yield (*place, name), f"Unknown member; there are {', '.join(known)}."


def _holes(value: Any, names: set[str], place: Place) -> Iterator[tuple[Place, str]]:
    """Every hole that nothing would fill."""
    if isinstance(value, str):
        for name in sorted({hole[1] for hole in HOLE.finditer(value) if hole[1]} - names):
            yield place, f"Nothing is known as {{{name}}}; there are {', '.join(sorted(names))}. A brace is {{{{."
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _holes(member, names, (*place, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _holes(item, names, (*place, number))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
