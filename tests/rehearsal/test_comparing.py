"""Replays: what a visitor said once is said again, and what the PAL does otherwise is shown turn by turn."""

import asyncio
from dataclasses import replace
from typing import Any

from palace.rehearsal import Cast, fixtures_of, replayed, turns_of
from tests.rehearsal.stage import DESK, RATE, calls, says, scripted

LINES = [
    {"role": "system", "content": "You are the night desk."},
    {"role": "assistant", "content": "Good evening, night desk."},
    {"role": "user", "content": "What price?"},
    {"role": "assistant", "content": "", "tool_calls": [{"id": "1", "name": "rate", "arguments": '{"nights": 2}'}]},
    {"role": "tool", "content": "180", "tool_call_id": "1"},
    {"role": "assistant", "content": "It is 180."},
    {"role": "user", "content": "Bye"},
    {"role": "assistant", "content": "", "tool_calls": [{"id": "2", "name": "report_guardrail", "arguments": "{}"}]},
    {"role": "assistant", "content": "Good night."},
]
CALLS = [{"name": "rate", "arguments": '{"nights": 2}', "status": "success", "output": "180", "ms": 30.0}]
ASKS, TELLS = calls("price", "rate", nights=2), says("tool_result", "It is {result}.")


def replay(*rules: dict[str, Any], **script: Any) -> dict[str, Any]:
    by = replace(DESK, tools=(replace(RATE, on_call="silent"),), **script)
    cast = Cast(by, scripted(*rules), scripted())
    return asyncio.run(replayed(cast, turns_of(LINES), fixtures_of(CALLS)))


def test_turns_are_what_a_visitor_said_and_what_came_of_it() -> None:
    found = [(turn.visitor, turn.as_json()) for turn in turns_of(LINES)]
    assert found == [
        (None, {"said": "Good evening, night desk.", "calls": []}),
        ("What price?", {"said": "It is 180.", "calls": [{"tool": "rate", "arguments": '{"nights": 2}'}]}),
        ("Bye", {"said": "Good night.", "calls": []}),
    ]


def test_nothing_differs_where_the_pal_does_the_same() -> None:
    found = replay(ASKS, TELLS, says("Bye", "Good night."))
    assert (found["differs"], found["problems"]) == (0, [])
    assert [turn["differs"] for turn in found["turns"]] == [False, False, False]


def test_what_differs_is_shown_before_and_after() -> None:
    found = replay(ASKS, TELLS, says("Bye", "See you."), greeting="Hello.")
    assert found["differs"] == 2
    assert found["turns"][0]["after"]["said"] == "Hello."
    assert found["turns"][2] == {
        "visitor": "Bye",
        "before": {"said": "Good night.", "calls": []},
        "after": {"said": "See you.", "calls": []},
        "differs": True,
    }


def test_a_call_that_was_never_made_has_no_answer() -> None:
    found = replay(calls("price", "rate", nights=3), TELLS)
    assert found["turns"][1]["after"]["calls"] == [{"tool": "rate", "arguments": '{"nights": 3}'}]
    assert found["problems"] == ['There is no fixture for rate({"nights": 3}): add one to the tools of the suite.']


def test_a_pal_that_hangs_up_earlier_is_told() -> None:
    found = replay(calls("price", "end_call"))
    assert len(found["turns"]) == 2
    assert found["problems"] == ["The conversation had ended before “Bye”: the PAL ended it."]


def test_an_error_is_taken_as_far_as_a_suite_could_say_it() -> None:
    call = {"name": "rate", "arguments": "", "status": "error", "output": "x" * 10_001, "ms": 0}
    assert [fixture.error for fixture in fixtures_of([call])] == ["x" * 10_000]


def test_errors_and_arguments_that_are_no_json_are_taken_as_they_were() -> None:
    [fixture] = fixtures_of([{"name": "rate", "arguments": "{", "status": "error", "output": "closed", "ms": -1}])
    assert (fixture.arguments, fixture.error, fixture.after_seconds) == ({}, "closed", 0)
