"""What was expected, against what was seen: one row each."""

from typing import Any

import pytest

from palace.rehearsal.expecting import Called, Compiled, Seen, fixture_for, includes, misses
from palace.rehearsal.suite import Expectation, Fixture, read_suite, written_out

SEEN = Seen(
    said=["It is 180 euros.", "Anything else?"],
    calls=[Called("rate", {"nights": 2, "room": {"floor": 1, "beds": 2}, "day": "2026-12-24"})],
    reached=["get_name"],
    touched=["no_discounts", "no_names"],
    touched_here=["no_names"],
)


def expectation(**said: Any) -> Expectation:
    visitor = {"name": "guest", "steps": [{"expect": said}]}
    return read_suite(written_out({"name": "desk", "visitors": [visitor]})).visitors[0].steps[0].expect


HOLDS = [
    {},
    {"matches": ["180", "else"]},
    {"any_matches": ["190", "180"]},
    {"not_matches": "190"},
    {"calls": "rate"},
    {"calls": {"tool": "rate", "arguments": {"nights": 2}}},
    {"calls": {"tool": "rate", "arguments": {"nights": 2.0, "room": {"beds": 2}}}},
    {"calls": {"tool": "rate", "arguments_match": {"day": "^2026-", "nights": "^2$", "room": '"floor": ?1'}}},
    {"calls_not": "book"},
    {"reaches": "get_name"},
    {"keeps": "no_insults"},
    {"touches": "no_names"},
]
FAILS = [
    ({"matches": ["180", "190", "200"]}, ["matches", "matches"]),
    ({"any_matches": ["190", "200"]}, ["any_matches"]),
    ({"not_matches": "180"}, ["not_matches"]),
    ({"calls": "book"}, ["calls"]),
    ({"calls": {"tool": "rate", "arguments": {"nights": True}}}, ["calls"]),
    ({"calls": {"tool": "rate", "arguments": {"guests": 2}}}, ["calls"]),
    ({"calls": {"tool": "rate", "arguments": {"room": {"beds": 3}}}}, ["calls"]),
    ({"calls": {"tool": "rate", "arguments_match": {"day": "^2027"}}}, ["calls"]),
    ({"calls": {"tool": "rate", "arguments_match": {"hour": "."}}}, ["calls"]),
    ({"calls_not": "rate"}, ["calls_not"]),
    ({"reaches": "get_day"}, ["reaches"]),
    ({"keeps": ["no_discounts", "no_names"]}, ["keeps", "keeps"]),
    ({"touches": "no_discounts"}, ["touches"]),
    ({"matches": "190", "calls": "book", "reaches": "get_day"}, ["matches", "calls", "reaches"]),
]


@pytest.mark.parametrize("said", HOLDS, ids=str)
def test_what_holds_is_not_told(said: dict[str, Any]) -> None:
    assert list(misses(expectation(**said), SEEN, 1, Compiled())) == []


@pytest.mark.parametrize(("said", "codes"), FAILS, ids=str)
def test_everything_that_fails_is_told_in_a_sentence(said: dict[str, Any], codes: list[str]) -> None:
    found = list(misses(expectation(**said), SEEN, 3, Compiled()))
    assert [one.code for one in found] == codes
    assert {one.step for one in found} == {3}
    assert all(one.problem.endswith(".") for one in found)


def test_a_call_that_fails_is_told_with_those_that_were_made() -> None:
    [found] = misses(expectation(calls={"tool": "rate", "arguments": {"nights": 3}}), SEEN, 1, Compiled())
    assert 'rate({"nights": 3})' in found.problem
    assert '"nights": 2' in found.problem


def test_nothing_said_matches_nothing() -> None:
    [found] = misses(expectation(matches="."), Seen(), None, Compiled())
    assert found.problem == "“.” is not found in nothing."


INCLUDED = [
    ({"a": 1, "b": 2}, {"a": 1}, True),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
    ({"a": [1, 2]}, {"a": [1]}, False),
    ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": True}, False),
    ({"a": None}, {"a": None}, True),
    ({}, {"a": None}, False),
    ({"a": "x"}, {"a": {}}, False),
]


@pytest.mark.parametrize(("found", "wanted", "is_so"), INCLUDED)
def test_objects_may_say_more_and_all_else_is_the_same(found: Any, wanted: Any, is_so: bool) -> None:
    assert includes(found, wanted) is is_so


def test_the_first_fixture_that_fits_counts() -> None:
    fixtures = [Fixture(tool="rate", arguments={"nights": 2}, output="180"), Fixture(tool="rate", output="90")]
    assert [getattr(fixture_for("rate", {"nights": n}, fixtures), "output", None) for n in (1, 2)] == ["90", "180"]
    assert fixture_for("book", {}, fixtures) is None
