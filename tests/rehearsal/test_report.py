"""Reports: rates, flakiness, coverage, cost; for people and for continuous integration."""

from collections.abc import AsyncIterator
from typing import Any
from xml.etree import ElementTree

import orjson

from palace.engines import Answer, Usage
from palace.rehearsal import junit_of
from tests.rehearsal.stage import NAME, PRICES, RATE, calls, report, says, scripted, suite

COVERED = {"objectives": (NAME,), "guardrails": (PRICES,), "tools": (RATE,)}


class Moody:
    """A model that is right every second time, as far as talks begin one after the other."""

    def __init__(self) -> None:
        self.asked = 0

    async def stream(self, ask: Any) -> AsyncIterator[Any]:
        del ask
        self.asked += 1
        yield Answer("right" if self.asked % 2 else "wrong", usage=Usage(10, 1))

    async def close(self) -> None:
        """Nothing is held."""


def test_a_visitor_that_passes_sometimes_is_flaky() -> None:
    found = report(suite({"say": "Hello", "expect": {"matches": "right"}}), Moody(), runs=4)
    [visitor] = found["visitors"]
    assert visitor == {"name": "guest", "runs": 4, "passed": 2, "pass_rate": 0.5, "is_flaky": True}
    assert (found["pass_rate"], found["flaky"]) == (0.5, ["guest"])
    assert found["tokens"] == {"model": {"prompt": 40, "completion": 4}, "judge": {"prompt": 0, "completion": 0}}


def test_a_rate_below_one_is_never_rounded_up_to_it() -> None:
    class Wrong(Moody):
        async def stream(self, ask: Any) -> AsyncIterator[Any]:
            self.asked += 1
            yield Answer("wrong" if self.asked == 1 else "right")

    found = report(suite({"say": "Hello", "expect": {"matches": "right"}}), Wrong(), runs=20)
    assert found["pass_rate"] == 0.95


def test_what_was_not_exercised_is_named() -> None:
    found = report(suite({"say": "Hello"}), scripted(), **COVERED)
    assert found["coverage"]["not_exercised"] == {
        "objectives": ["get_name"],
        "guardrails": ["no_discounts"],
        "tools": ["rate"],
    }


def test_what_was_exercised_is_counted() -> None:
    model = scripted(
        calls("price", "rate"),
        calls("Ada", "complete_objective", output_variables={"name": "Ada"}),
        calls("discount", "report_guardrail", guardrail_name="no_discounts"),
    )
    steps = [{"say": "What price?"}, {"say": "I am Ada."}, {"say": "A discount?"}]
    found = report(suite(*steps, tools=[{"tool": "rate", "output": "180"}]), model, runs=2, **COVERED)
    assert found["coverage"]["objectives"] == [{"name": "get_name", "reached": 2}]
    assert found["coverage"]["guardrails"] == [{"name": "no_discounts", "touched": 2, "is_watched": False}]
    assert found["coverage"]["tools"] == [{"name": "rate", "called": 2}]
    assert not any(found["coverage"]["not_exercised"].values())


def test_a_guardrail_that_is_expected_to_be_kept_is_exercised() -> None:
    found = report(suite({"say": "Hello", "expect": {"keeps": "no_discounts"}}), scripted(), **COVERED)
    assert found["coverage"]["not_exercised"]["guardrails"] == []


def test_only_talks_that_failed_are_shown_word_by_word() -> None:
    found = report(suite({"say": "Hello", "expect": {"matches": "right"}}), Moody(), runs=2)
    assert ["transcript" in talk for talk in found["talks"]] == [False, True]
    assert [line["content"] for line in found["talks"][1]["transcript"]] == [
        "Good evening, night desk.",
        "Hello",
        "wrong",
    ]


def test_ci_reads_one_case_for_each_talk() -> None:
    tree = ElementTree.fromstring(
        junit_of(report(suite({"say": "Hi", "expect": {"matches": "right"}}), Moody(), runs=2))
    )
    assert tree.attrib == {"tests": "2", "failures": "1", "errors": "0"}
    passed, failed = tree.iter("testcase")
    assert [case.get("name") for case in (passed, failed)] == ["guest (run 1)", "guest (run 2)"]
    assert len(passed) == 0
    [failure] = failed
    assert failure.get("message") == "step 1: “right” is not found in “wrong”."
    assert "assistant: wrong" in (failure.text or "")


def test_ci_gets_xml_whatever_was_said() -> None:
    hostile = "\x00\x1b[31m ]]> <failure/> & \ufffe \U0001f600"
    wanted = suite({"say": hostile, "expect": {"matches": "right"}}, visitor={"name": hostile})
    found = report(wanted, scripted(says("any", hostile + "\ud800")))
    assert "\U0001f600" in orjson.dumps(found).decode()
    [case] = ElementTree.fromstring(junit_of(found)).iter("testcase")
    assert "<failure/> &" in str(case.get("name"))
    assert "\U0001f600" in str(case.get("name"))


def test_a_report_is_never_too_large_to_be_kept() -> None:
    class Endless(Moody):
        async def stream(self, ask: Any) -> AsyncIterator[Any]:
            yield Answer("word " * 20_000)

    steps = [{"say": "Hello", "expect": {"matches": [f"never {n}" for n in range(8)]}} for _ in range(20)]
    found = report(suite(*steps), Endless(), runs=20)
    assert [len(talk["failures"]) for talk in found["talks"][:2]] == [50, 50]
    assert [talk["failures_count"] for talk in found["talks"][:2]] == [160, 160]
    assert len(found["talks"]) == 20
    assert len(orjson.dumps(found)) < 4_000_000
    assert "110 more" in junit_of(found).decode()
