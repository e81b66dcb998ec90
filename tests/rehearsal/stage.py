"""What rehearsals of these tests are played with: a PAL's script, scripted models, suites in short."""

import asyncio
from dataclasses import replace
from typing import Any

from palace.conversation.script import Guardrail, Objective, Script, Tool
from palace.engines.base import Means
from palace.engines.scripted import ScriptedModel
from palace.engines.scripts import read_script
from palace.rehearsal import Cast, Played, Suite, read_suite, rehearse, report_of, written_out

RATE = Tool("rate", "Tells the price of a room.", {}, "t1")
NAME = Objective("get_name", "Find out the name.", variables=("name",))
PRICES = Guardrail("no_discounts", "g1", "Never give a discount.", is_told=False)
DESK = Script("c1", "p1", prompt="You are the night desk.", greeting="Good evening, night desk.", tools=(RATE,))


def scripted(*rules: dict[str, Any]) -> ScriptedModel:
    """A model that says this, and `Hm.` otherwise."""
    return ScriptedModel(read_script({"rules": [*rules, {"when": "any", "say": "Hm."}]}), Means())


def says(pattern: str, text: str, **more: Any) -> dict[str, Any]:
    return {"when": pattern, "say": text, **more}


def calls(pattern: str, tool: str, **arguments: Any) -> dict[str, Any]:
    return {"when": pattern, "call": {"tool": tool, "arguments": arguments}}


def suite(*steps: dict[str, Any], **more: Any) -> Suite:
    """A suite with one visitor, as a person would write it."""
    visitor = {"name": "guest", "steps": list(steps), **more.pop("visitor", {})}
    return read_suite(written_out({"name": "desk", "visitors": [visitor], **more}))


def played(wanted: Suite, model: Any, judge: Any = None, runs: int = 1, **script: Any) -> list[Played]:
    """Every talk of a suite."""
    cast = Cast(replace(DESK, **script), model, judge or model)
    return asyncio.run(rehearse(cast, wanted, runs, lambda _over, _total: None))


def report(wanted: Suite, model: Any, judge: Any = None, runs: int = 1, **script: Any) -> dict[str, Any]:
    """The report of a suite."""
    by = replace(DESK, **script)
    return report_of(wanted, by, played(wanted, model, judge, runs, **script))


def complaints(wanted: Suite, model: Any, judge: Any = None, **script: Any) -> list[str]:
    """Everything that is wrong with the one talk of a suite: codes of failures, and sentences of problems."""
    [talk] = played(wanted, model, judge, **script)
    return [*(f"{one.step} {one.code}" for one in talk.failures), *talk.problems]
