"""The form of a suite: everything that is wrong with it at once, each thing with its place."""

import time
from typing import Any

import pytest

from palace.rehearsal import InvalidSuite, read_suite, written_out
from palace.rehearsal.patterns import InvalidPattern, Pattern, weight_of
from palace.resources.rehearsal_suites import EXAMPLE


def suite(*steps: Any, **more: Any) -> dict[str, Any]:
    return {"name": "desk", "visitors": [{"name": "guest", "steps": list(steps) or [{"say": "Hello"}]}], **more}


def expecting(**expect: Any) -> dict[str, Any]:
    return suite({"say": "Hello", "expect": expect})


WRONG = [
    ("nothing at all", {}, ["/name missing", "/visitors missing"]),
    ("no visitor", {"name": "desk", "visitors": []}, ["/visitors too_short"]),
    ("a misspelt member", suite({"says": "Hello"}), ["/visitors/0/steps/0/says unknown_field"]),
    ("a second step that does nothing", suite({}, {"expect": {}}), ["/visitors/0/steps/1/say missing"]),
    (
        "two deeds in one step",
        suite({"say": "Hello", "wait_seconds": 3}),
        ["/visitors/0/steps/0/wait_seconds exclusive"],
    ),
    ("a negative time", suite({"wait_seconds": -1}), ["/visitors/0/steps/0/wait_seconds out_of_range"]),
    ("a text in place of a list", expecting(matches="a"), ["/visitors/0/steps/0/expect/matches wrong_type"]),
    ("no pattern", expecting(matches=["a", "("]), ["/visitors/0/steps/0/expect/matches/1 pattern"]),
    ("looking around", expecting(not_matches=["(?=a)"]), ["/visitors/0/steps/0/expect/not_matches/0 pattern"]),
    (
        "no pattern for an argument",
        expecting(calls=[{"tool": "rate", "arguments_match": {"day": "["}}]),
        ["/visitors/0/steps/0/expect/calls/0/arguments_match/day pattern"],
    ),
    (
        "patterns that are too large",
        expecting(matches=[r"\w{3000}"]),
        ["/visitors/0/steps/0/expect/matches/0 too_long"],
    ),
    (
        "two visitors of one name",
        {"name": "desk", "visitors": [{"name": "a", "steps": [{}]}, {"name": "a", "steps": [{}]}]},
        ["/visitors/1/name duplicate"],
    ),
    (
        "a fixture that answers and fails",
        suite(tools=[{"tool": "rate", "output": None, "error": "no"}]),
        ["/tools/0/error exclusive"],
    ),
    (
        "too many talks",
        {"name": "desk", "runs": 20, "visitors": [{"name": str(n), "steps": [{}]} for n in range(26)]},
        ["/runs out_of_range"],
    ),
    ("several things", suite({"say": ""}, runs=0, most_turns=0), None),
]


@pytest.mark.parametrize(("said", "problems"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_told_with_its_place(said: Any, problems: list[str] | None) -> None:
    with pytest.raises(InvalidSuite) as caught:
        read_suite(said)
    found = [f"/{'/'.join(map(str, one.pointer))} {one.code}" for one in caught.value.problems]
    assert found == problems if problems is not None else len(found) == 3
    assert all(f"/{'/'.join(map(str, one.pointer))}: " in str(caught.value) for one in caught.value.problems)


def test_the_example_is_a_suite() -> None:
    assert read_suite(EXAMPLE).visitors[0].steps[1].expect.calls[0].arguments == {"nights": 2}


def test_people_may_write_one_thing_where_a_list_is_wanted() -> None:
    short = {"matches": "a", "calls": "rate", "reaches": "get_name", "judge": "It is polite."}
    long = {"matches": ["a"], "calls": [{"tool": "rate"}], "reaches": ["get_name"], "judge": ["It is polite."]}
    said = suite({"say": "Hello", "expect": short})
    said["visitors"][0]["expect"] = {"calls": ["rate", {"tool": "book"}]}
    written = written_out(said)
    assert written["visitors"][0]["steps"][0]["expect"] == long
    assert written["visitors"][0]["expect"] == {"calls": [{"tool": "rate"}, {"tool": "book"}]}
    assert read_suite(written)


@pytest.mark.parametrize("said", [None, [], 1, {"visitors": 1}, {"visitors": [1]}, {"visitors": [{"steps": [1]}]}])
def test_what_is_no_suite_is_left_to_be_judged(said: Any) -> None:
    assert written_out(said) == said


PATTERNS = [
    ("night", "the night desk", True),
    ("^night", "the night desk", False),
    ("(?i)NIGHT", "the night desk", True),
    (r"\b180\b", "It is 1800.", False),
    (r"\p{L}+ß", "Straße", True),
    ("a.b", "a\nb", False),
    ("(?s)a.b", "a\nb", True),
]


@pytest.mark.parametrize(("pattern", "text", "is_found"), PATTERNS)
def test_a_pattern_is_found_anywhere(pattern: str, text: str, is_found: bool) -> None:
    assert Pattern(pattern).is_in(text) is is_found


def test_no_pattern_takes_for_ever() -> None:
    began = time.process_time()
    assert not Pattern("(a+)+$").is_in("a" * 100_000 + "b")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("pattern", [r"(\w)\1", "(?<=a)b", "a{2", "(a{100}){100}{100}"])
def test_what_is_no_pattern_is_told_in_a_sentence(pattern: str) -> None:
    if pattern == "a{2":
        assert weight_of(pattern) == 3
    with pytest.raises(InvalidPattern, match=r"^Not a regular expression: .+\.$"):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("abc", 1),
        ("a{10}", 10),
        ("(a{2,5}){3}", 15),
        ("a{7,}", 7),
        ("a{0}", 1),
        ("a{0000050}", 50),
        (r"(?x)\w{ 100 }", 100),
        (r"(?x)\w{ 1 , 00000090 }", 90),
        ("a{99999999}", 999_999),
    ],
)
def test_repetitions_weigh_however_they_are_written(pattern: str, count: int) -> None:
    assert weight_of(pattern) == len(pattern) * count
