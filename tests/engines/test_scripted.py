"""The scripted model: which rule meets what, what it says, and what is told about a script that is none."""

import asyncio
import json
from typing import Any

import pytest

from palace.clock import Clock
from palace.engines.base import Ask, Means, ModelDown, Piece
from palace.engines.scripted import ScriptedModel
from palace.engines.scripts import InvalidScript, Script, read_script
from palace.yaml_text import load_yaml
from tests.engines.asking import ask, down, heard

SCRIPT = r"""
rules:
  - when: greeting
    say: "Good evening, this is the night desk."
  - when: "my name is (?P<name>\\w+)"
    say: "Hello {name}."
  - when: "room for (\\d+)"
    say: "One moment."
    call:
      - {tool: find_room, arguments: {beds: "{1}", note: "{{as said: {0}}}", deep: [{a: "{text}"}]}}
      - {tool: ring}
  - when: {tool_result: "number (\\d+)"}
    say: "You have room {1}."
  - when: tool_result
    say: "It says {result}, after {text}."
  - when: "surprise"
    say: "Boo!"
    times: 2
  - when: "down"
    say: "Let me see"
    fail: timeout
    times: 1
  - when: any
    say: "I only know rooms."
"""


def scripted(script: str = SCRIPT, means: Means | None = None) -> ScriptedModel:
    return ScriptedModel(read_script(load_yaml(script)), means or Means())


def said(*texts: str) -> list[dict[str, Any]]:
    """A conversation: what the user says (`> `), what tools answer (`= `), what the model said."""
    roles = {"> ": "user", "= ": "tool"}
    prompt = {"role": "system", "content": "You are the night porter. Be brief."}
    return [prompt, *({"role": roles.get(text[:2], "assistant"), "content": text.removeprefix("> ").removeprefix("= ")}
                      for text in texts)]  # fmt: skip


MEETINGS: dict[str, tuple[list[str], str]] = {
    "nobody has said anything": ([], "Good evening, this is the night desk."),
    "a pattern fits in any case": (["Hello.", "> MY NAME is Ada, good evening"], "Hello Ada."),
    "the first rule that fits": (["> my name is Ada, a room for 2"], "Hello Ada."),
    "a number in what a tool answers": (["> room for 2", "One moment.", "= number 12"], "You have room 12."),
    "anything else that tools answer": (["> Well?", "Wait.", "= full", "= busy"], "It says full\nbusy, after Well?."),
    "no pattern fits": (["> Good evening."], "I only know rooms."),
    "a rule that may be used again": (["> surprise", "Boo!", "> another surprise"], "Boo!"),
    "a rule that is used up": (["> surprise", "Boo!", "> surprise", "Boo!", "> surprise"], "I only know rooms."),
    "a failure that is used up": (["> go down", "> go down"], "I only know rooms."),
    "a prompt in the middle changes nothing": (["> room for 2", "= number 3"], "You have room 3."),
}


@pytest.mark.parametrize("kind", MEETINGS)
def test_the_first_rule_that_fits_and_is_not_used_up_speaks(kind: str) -> None:
    texts, expected = MEETINGS[kind]
    assert heard(scripted(), Ask(said(*texts))).text == expected


def test_rules_call_tools_with_arguments_from_what_was_said() -> None:
    asked = Ask(said("> A room for 2"))
    answer = heard(scripted(), asked)
    assert answer.text == "One moment."
    assert [(wish.name, json.loads(wish.arguments)) for wish in answer.wishes] == [
        ("find_room", {"beds": "2", "note": "{as said: room for 2}", "deep": [{"a": "A room for 2"}]}),
        ("ring", {}),
    ]
    assert answer == heard(scripted(), asked), "the same every time"
    later = heard(scripted(), Ask(said("> A room for 2", "One moment.", "> A room for 2")))
    assert len({wish.id for wish in (*answer.wishes, *later.wishes)}) == 4


def test_a_rule_may_say_something_and_then_fail() -> None:
    model, pieces = scripted(), []

    async def hear() -> None:
        async for item in model.stream(Ask(said("> go down"))):
            assert isinstance(item, Piece)
            pieces.append(item.text)

    with pytest.raises(ModelDown, match="fails, as its script says: timeout") as caught:
        asyncio.run(hear())
    assert caught.value.reason == "timeout"
    assert pieces == ["Let ", "me ", "see"]


class Watch(Clock):
    """A clock that goes on while somebody sleeps."""

    elapsed = 0.0

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.elapsed += seconds + SLEPT_IN


SLEPT_IN = 0.005


def test_words_come_at_the_speed_of_the_script_however_long_each_sleep_is() -> None:
    watch, times = Watch(), []
    script = read_script({"tokens_per_second": 50, "rules": [{"say": " One  two\n three. "}]})
    model = ScriptedModel(script, Means(sleep=watch.sleep, clock=watch))

    async def hear() -> list[str]:
        pieces = []
        async for item in model.stream(ask()):
            if isinstance(item, Piece):
                pieces.append(item.text)
                times.append(round(watch.elapsed, 6))
        return pieces

    assert asyncio.run(hear()) == [" One  ", "two\n ", "three. "]
    assert times == [0.02 + SLEPT_IN, 0.04 + SLEPT_IN, 0.06 + SLEPT_IN]


def test_what_was_said_may_be_a_list_of_parts() -> None:
    parts = [
        {"type": "text", "text": "my name"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "is Ada"},
    ]
    assert heard(scripted(), Ask([{"role": "user", "content": parts}])).text == "Hello Ada."


# --- Without a script -------------------------------------------------------------------------------------------------

TOOL = {"type": "function", "function": {"name": "find_room", "parameters": {"type": "object"}}}
OWN = ScriptedModel(Script(), Means())


def test_without_a_script_it_says_plainly_that_it_is_scripted() -> None:
    assert "I am a scripted model" in heard(OWN, Ask(said())).text
    answer = heard(OWN, Ask(said("> What is on?")))
    assert answer.text == (
        "You said: “What is on?”. I am a scripted model and do not think. "
        "A real one would answer as I was told to: “You are the night porter.”."
    )
    assert answer.usage.completion_tokens == len(answer.text.split())


@pytest.mark.parametrize(
    ("text", "arguments"),
    [("use find_room", {}), ('Please call find_room {"beds": 2}', {"beds": 2}), ("use find_rooms", None),
     ("use find_room {beds}", None), ("use find_room [1]", {})],
)  # fmt: skip
def test_without_a_script_it_calls_the_tool_that_it_is_told_to(text: str, arguments: dict[str, Any] | None) -> None:
    answer = heard(OWN, Ask(said(f"> {text}"), [TOOL]))
    assert [json.loads(wish.arguments) for wish in answer.wishes] == ([] if arguments is None else [arguments])
    assert bool(answer.text) == (arguments is None)
    assert heard(OWN, Ask(said(f"> {text}", "= Room 12"), [TOOL])).text == "The tool answered: “Room 12”."


def test_where_no_rule_fits_it_speaks_for_itself() -> None:
    assert heard(scripted("rules: [{when: nothing, say: x}]")).text.startswith("You said: “Hello.”.")


# --- What is no script ------------------------------------------------------------------------------------------------

WRONG: list[tuple[Any, str]] = [
    ([], "It must be an object with rules."),
    ({"rules": {}}, "/rules: Must be a list of at most 1000 rules."),
    ({"rules": [5]}, "/rules/0: Must be an object with when, and say, call or fail."),
    ({"rules": [{"when": "x"}]}, "/rules/0: Must have say, call or fail."),
    ({"rules": [{"say": 5}]}, "/rules/0/say: Must be a text."),
    ({"rules": [{"say": "x", "wen": "x"}]}, "/rules/0/wen: Unknown member; there are when, say, call, fail, times."),
    ({"rules": [{"say": "x", "when": "("}]}, "/rules/0/when: Not a regular expression"),
    ({"rules": [{"say": "x", "when": {"tool": "x"}}]}, "/rules/0/when: Must be any, greeting, tool_result or"),
    ({"rules": [{"say": "x", "when": {"user": 5}}]}, "/rules/0/when/user: Must be any"),
    ({"rules": [{"say": "Hello {name}"}]}, "/rules/0/say: Nothing is known as {name}; there are result, text."),
    ({"rules": [{"call": {}}]}, "/rules/0/call: Must be an object with tool"),
    ({"rules": [{"call": [{"tool": "x", "arguments": {"a": ["{b}"]}}]}]}, "/rules/0/call/0/arguments/a/0: Nothing is"),
    ({"rules": [{"call": {"tool": "x", "args": {}}}]}, "/rules/0/call/args: Unknown member"),
    ({"rules": [{"fail": "oops"}]}, "/rules/0/fail: Must be one of: unreachable, refused, rate_limited, timeout,"),
    ({"rules": [{"say": "x", "times": -1}]}, "/rules/0/times: Must be a whole number; 0 is always."),
    ({"tokens_per_second": 0.5}, "/tokens_per_second: Must be 0, or a number from 1 on."),
    ({"speed": 5}, "/speed: Unknown member; there are tokens_per_second, rules."),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "sentence"), WRONG)
def test_what_is_no_script_is_told_with_its_place(wrong: Any, sentence: str) -> None:
    with pytest.raises(InvalidScript) as caught:
        read_script(wrong)
    assert str(caught.value).startswith(sentence)
    assert len(caught.value.problems) == 1


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidScript) as caught:
        read_script({"tokens_per_second": "fast", "rules": [{"say": "{x}", "times": "often"}, {"fail": 5}]})
    assert [place for place, _ in caught.value.problems] == [
        ("tokens_per_second",), ("rules", 0, "say"), ("rules", 0, "times"), ("rules", 1, "fail"),
    ]  # fmt: skip


def test_every_reason_may_be_failed_with() -> None:
    for reason in ("unreachable", "refused", "rate_limited", "timeout", "broken_stream", "bad_answer"):
        assert down(scripted(f"rules: [{{fail: {reason}}}]")).reason == reason
