"""The words of a person in a conversation that was held, said again to another PAL; and what it does otherwise."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palace.conversation.events import Said
from palace.conversation.foreign import object_of
from palace.conversation.prompt import COMPLETE_OBJECTIVE, REPORT_GUARDRAIL
from palace.engines.base import Usage
from palace.rehearsal.expecting import Called, Seen, storable
from palace.rehearsal.player import Talk, TooLong
from palace.rehearsal.playing import Cast, tokens_of
from palace.rehearsal.suite import LONGEST_SAID, MOST_SECONDS, MOST_TURNS, Fixture

MOST_REPLAYED = 200
LONGEST_TEXT = 4000
LONGEST_ARGUMENTS = 1000
MOST_CALLS = 10
"""of one turn, in a report"""
OWN = (COMPLETE_OBJECTIVE, REPORT_GUARDRAIL)
"""Calls by which the model tells of the conversation itself: they are no tools."""


@dataclass(slots=True)
class Turn:
    """What a person said (nothing before the first word), and what the PAL did about it."""

    visitor: str | None
    said: list[str] = field(default_factory=list)
    calls: list[Called] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """What the PAL did. `arguments` are JSON in a text, as in `conversation.tool_call`."""
        calls = [{"tool": one.tool, "arguments": json.dumps(one.arguments, sort_keys=True)} for one in self.calls]
        return {"said": " ".join(self.said), "calls": calls}


def turns_of(lines: Sequence[Mapping[str, Any]]) -> list[Turn]:
    """The turns of a conversation, as its transcript tells them, the greeting first."""
    turns = [Turn(None)]
    for line in lines:
        if line["role"] == "user":
            turns.append(Turn(line["content"]))
        elif line["role"] == "assistant":
            if line["content"]:
                turns[-1].said.append(line["content"])
            calls = (call for call in line.get("tool_calls") or () if call["name"] not in OWN)
            turns[-1].calls += [Called(call["name"], object_of(call["arguments"]) or {}) for call in calls]
    return turns


def fixtures_of(calls: Sequence[Mapping[str, Any]]) -> list[Fixture]:
    """What the tools answered in a conversation, as its notes of calls tell."""
    return [
        Fixture(
            tool=call["name"],
            arguments=object_of(call["arguments"]) or {},
            output=None if call["status"] == "error" else call["output"],
            error=(call["output"] or "error")[:LONGEST_SAID] if call["status"] == "error" else None,
            after_seconds=min(max(call["ms"] / 1000, 0), MOST_SECONDS),
        )
        for call in calls
    ]


async def replayed(cast: Cast, before: Sequence[Turn], fixtures: Sequence[Fixture]) -> dict[str, Any]:
    """The report of a replay: each turn as it was and as it is now."""
    talk = Talk(cast.script, cast.model, fixtures, MOST_TURNS, cast.script.started_at)
    after: list[Turn] = []
    try:
        await talk.begin()
        after.append(_turn(None, talk.seen))
        for turn in before[1 : MOST_REPLAYED + 1]:
            if talk.is_over:
                talk.problems.append(f"The conversation had ended before “{turn.visitor}”: the PAL ended it.")
                break
            await talk.happen(Said(turn.visitor or ""))
            after.append(_turn(turn.visitor, talk.seen))
    except TooLong as error:
        talk.problems.append(str(error))
    compared = [_compared(old, new) for old, new in zip(before, after, strict=False)]
    report: dict[str, Any] = {
        "kind": "replay",
        "turns": compared,
        "differs": sum(one["differs"] for one in compared),
        "problems": [problem[:LONGEST_TEXT] for problem in talk.problems[:MOST_REPLAYED]],
        "reached": talk.whole.reached,
        "touched": talk.whole.touched,
        "tokens": {"model": tokens_of(Usage(talk.prompt_tokens, talk.completion_tokens)), "judge": tokens_of(Usage())},
    }
    cleaned: dict[str, Any] = storable(report)
    return cleaned


def _turn(visitor: str | None, seen: Seen) -> Turn:
    return Turn(visitor, list(seen.said), list(seen.calls))


def _compared(old: Turn, new: Turn) -> dict[str, Any]:
    differs = old.as_json() != new.as_json()
    visitor = None if old.visitor is None else old.visitor[:LONGEST_TEXT]
    return {"visitor": visitor, "before": _shown(old), "after": _shown(new), "differs": differs}


def _shown(turn: Turn) -> dict[str, Any]:
    """What the PAL did, as far as a report has room for it."""
    whole = turn.as_json()
    calls = [{**call, "arguments": call["arguments"][:LONGEST_ARGUMENTS]} for call in whole["calls"][:MOST_CALLS]]
    return {"said": whole["said"][:LONGEST_TEXT], "calls": calls}
