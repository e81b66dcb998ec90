"""What a rehearsal came to: how often it passed, what it exercised, what it cost, and the talks that failed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from palace.conversation import Script
from palace.rehearsal.expecting import storable
from palace.rehearsal.playing import Played, together, tokens_of
from palace.rehearsal.suite import Suite

MOST_CHARACTERS = 2_000_000
"""of what is told of single talks; a report is a document, and has a largest size"""
MOST_TOLD = 50
"""failures and problems of one talk"""
LONGEST_PROBLEM = 500
LONGEST_LINE = 4000
Report = dict[str, Any]


def report_of(suite: Suite, script: Script, played: Sequence[Played]) -> Report:
    """The report as JSON."""
    visitors = [_visitor(name, [one for one in played if one.visitor == name]) for name in _names(played)]
    report: Report = {
        "kind": "suite",
        "suite": suite.name,
        "pass_rate": _rate(played),
        "flaky": [one["name"] for one in visitors if one["is_flaky"]],
        "visitors": visitors,
        "coverage": _coverage(suite, script, played),
        "tokens": {
            "model": tokens_of(together(*(one.usage for one in played))),
            "judge": tokens_of(together(*(one.judge_usage for one in played))),
        },
        "talks": list(_talks(played)),
    }
    cleaned: Report = storable(report)
    return cleaned


def _names(played: Iterable[Played]) -> list[str]:
    return list(dict.fromkeys(one.visitor for one in played))


def _rate(played: Sequence[Played]) -> float:
    """The part of the talks in which everything held, cut (not rounded) to four digits: 1.0 is all of them."""
    return int(10_000 * sum(one.has_passed for one in played) / len(played)) / 10_000 if played else 0.0


def _visitor(name: str, played: Sequence[Played]) -> Report:
    passed = sum(one.has_passed for one in played)
    return {
        "name": name,
        "runs": len(played),
        "passed": passed,
        "pass_rate": _rate(played),
        "is_flaky": 0 < passed < len(played),
    }


def _coverage(suite: Suite, script: Script, played: Sequence[Played]) -> Report:
    """How often each objective was reached, each guardrail touched or watched, and each tool called."""
    expected = [step.expect for visitor in suite.visitors for step in visitor.steps]
    expected += [visitor.expect for visitor in suite.visitors]
    watched = {name for one in expected for name in (*one.keeps, *one.touches)}
    seen = [one.seen for one in played]
    return {
        "objectives": [
            {"name": one.name, "reached": sum(one.name in talk.reached for talk in seen)} for one in script.objectives
        ],
        "guardrails": [
            {
                "name": one.name,
                "touched": sum(one.name in talk.touched for talk in seen),
                "is_watched": one.name in watched,
            }
            for one in script.guardrails
        ],
        "tools": [
            {"name": one.name, "called": sum(call.tool == one.name for talk in seen for call in talk.calls)}
            for one in script.tools
        ],
        "not_exercised": {
            "objectives": [one.name for one in script.objectives if not any(one.name in talk.reached for talk in seen)],
            "guardrails": [
                one.name
                for one in script.guardrails
                if one.name not in watched and not any(one.name in talk.touched for talk in seen)
            ],
            "tools": [
                one.name
                for one in script.tools
                if not any(call.tool == one.name for talk in seen for call in talk.calls)
            ],
        },
    }


def _talks(played: Sequence[Played]) -> Iterable[Report]:
    """Each talk; of the first ones that failed, also what was said, as far as there is room for it."""
    room = MOST_CHARACTERS
    for one in played:
        told = MOST_TOLD if room > 0 else 1
        said: Report = {
            "visitor": one.visitor,
            "run": one.run,
            "has_passed": one.has_passed,
            "failures": [_cut(failure.as_json(), "problem", LONGEST_PROBLEM) for failure in one.failures[:told]],
            "failures_count": len(one.failures),
            "problems": [problem[:LONGEST_PROBLEM] for problem in one.problems[:told]],
            "seconds": one.seconds,
        }
        room -= len(str(said))
        transcript = [] if one.has_passed else [_cut(line, "content", LONGEST_LINE) for line in one.transcript]
        if transcript and len(str(transcript)) <= room:
            room -= len(str(transcript))
            said["transcript"] = transcript
        yield said


def _cut(said: Mapping[str, Any], name: str, longest: int) -> Report:
    """The object with a text that is not longer than that."""
    text = str(said.get(name) or "")
    return {**said, name: text if len(text) <= longest else f"{text[: longest - 1]}…"}


# --- For machines that wait ------------------------------------------------------------------------------------------


def junit_of(report: Mapping[str, Any]) -> bytes:
    """The report as JUnit XML, one case for each talk, as continuous integration reads it."""
    talks = report["talks"]
    failed = [talk for talk in talks if not talk["has_passed"]]
    counts = {"tests": str(len(talks)), "failures": str(len(failed)), "errors": "0"}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _clean(report["suite"]), **counts})
    for talk in talks:
        name = _clean(f"{talk['visitor']} (run {talk['run']})")
        case = {"classname": _clean(report["suite"]), "name": name, "time": f"{talk['seconds']:.3f}"}
        element = ElementTree.SubElement(suite, "testcase", case)
        if not talk["has_passed"]:
            lines = problems_of(talk)
            failure = ElementTree.SubElement(element, "failure", {"message": _clean(lines[0])})
            failure.text = _clean("\n".join([*lines, "", *spoken_lines(talk.get("transcript", ()))]))
    ElementTree.indent(suites)
    text: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text


def problems_of(talk: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with a talk, in sentences."""
    failures = [f"{_place(one['step'])}: {one['problem']}" for one in talk["failures"]]
    more = talk["failures_count"] - len(failures)
    return [*talk["problems"], *failures, *([f"{more} more"] if more > 0 else [])]


def _place(step: int | None) -> str:
    return "the whole talk" if step is None else f"step {step}"


def spoken_lines(transcript: Iterable[Mapping[str, Any]]) -> list[str]:
    """The talk as lines to read."""
    found = []
    for line in transcript:
        if line.get("content"):
            found.append(f"{line['role']}: {line['content']}")
        found += [f"  calls {call['name']}({call['arguments']})" for call in line.get("tool_calls") or ()]
    return found


def _clean(text: str) -> str:
    """The text without characters that XML 1.0 cannot hold."""
    return "".join(
        sign
        if sign in "\t\n" or (sign >= " " and not "\ud800" <= sign <= "\udfff" and sign not in "\ufffe\uffff")
        else "\ufffd"
        for sign in text
    )
