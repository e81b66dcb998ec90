"""The rules of a set of objectives, against a judge that tries everything; and the graph alone, where it is large."""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.json_patch import format_pointer
from palace.resource import Problem
from palace.resources.objectives import Objectives, rules
from palace.resources.objectives.graph import loops, roots

NAMES = ["a", "b", "c", "d", "e"]


@st.composite
def sets(draw: st.DrawFn) -> dict[str, Any]:
    """Up to five objectives, mostly of different names, that mostly lead to one another."""
    size = draw(st.integers(1, len(NAMES)))
    own = NAMES[:size]
    named = draw(st.one_of(st.just(own), st.lists(st.sampled_from(NAMES), min_size=size, max_size=size)))
    targets = st.sampled_from([*own, *own, "nowhere"])
    several = st.dictionaries(targets, st.just("if so"), max_size=3)
    ways = st.one_of(
        st.just({}),
        st.fixed_dictionaries({"next_required_objective": targets}),
        st.fixed_dictionaries({"next_conditional_objectives": several}),
        st.fixed_dictionaries({"next_required_objective": targets, "next_conditional_objectives": several}),
    )
    data = [{"objective_name": name, "objective_prompt": "x", **draw(ways)} for name in named]
    return {"data": data, "allow_loops": draw(st.booleans())}


def targets_of(objective: dict[str, Any]) -> list[str]:
    required = objective.get("next_required_objective")
    return [*([required] if required else []), *objective.get("next_conditional_objectives", {})]


def expected(document: dict[str, Any]) -> Iterator[str]:
    """The codes of what is wrong, found the long way."""
    data = document["data"]
    names = [objective["objective_name"] for objective in data]
    edges = {(one["objective_name"], target) for one in data for target in targets_of(one)}
    if len(set(names)) < len(names):
        yield "duplicate"
    if any(one.get("next_required_objective") and one.get("next_conditional_objectives") for one in data):
        yield "exclusive"
    dangling = any(target not in names for _, target in edges)
    selfish = any(start == end for start, end in edges)
    if dangling:
        yield "unknown_reference"
    if selfish:
        yield "self_reference"
    if document["allow_loops"]:
        return
    edges = {(start, end) for start, end in edges if end in names and start != end}
    if not (dangling or selfish) and len(set(names) - {end for _, end in edges}) != 1:
        yield "no_single_root"
    reached = set(edges)
    for middle, start, end in product(names, repeat=3):  # Warshall's closure.
        if (start, middle) in reached and (middle, end) in reached:
            reached.add((start, end))
    if any((name, name) in reached for name in names):
        yield "loop"


def found(document: dict[str, Any]) -> list[Problem]:
    return list(rules(Objectives.model_validate(document)))


@given(sets())
def test_the_rules_find_what_a_judge_finds_that_tries_everything(document: dict[str, Any]) -> None:
    assert {problem.code for problem in found(document)} == set(expected(document))


@given(sets())
def test_every_problem_is_told_once_and_at_its_place(document: dict[str, Any]) -> None:
    problems = found(document)
    places = [(problem.code, format_pointer(problem.pointer)) for problem in problems]
    assert len(places) == len(set(places))
    for problem in problems:
        value: Any = document
        for token in problem.pointer:
            value = value[token]


@given(sets())
def test_a_loop_that_is_told_is_one(document: dict[str, Any]) -> None:
    data = document["data"]
    for problem in found(document):
        if problem.code == "loop":
            along = [data[int(place.split("/")[2])]["objective_name"] for place in problem.facts["loop"]]
            for one, other in pairwise([*along, along[0]]):
                assert any(other in targets_of(each) for each in data if each["objective_name"] == one)


@given(sets())
def test_where_loops_are_allowed_only_names_and_references_count(document: dict[str, Any]) -> None:
    codes = {problem.code for problem in found({**document, "allow_loops": True})}
    assert codes == {problem.code for problem in found(document)} - {"loop", "no_single_root"}


def test_a_long_way_needs_no_deep_stack() -> None:
    length = 20_000
    way = [[node + 1] for node in range(length - 1)]
    assert (roots([*way, []]), loops([*way, []])) == ([0], [])
    assert loops([*way, [0]]) == [list(range(length))]


@pytest.mark.parametrize(
    ("leads_to", "closed"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([[0]], [[0]], id="to itself"),
        pytest.param([[1, 2], [2], []], [], id="two ways to one place"),
        pytest.param([[1], [2], [1]], [[1, 2]], id="a loop behind a way in"),
        pytest.param([[1], [0], [3], [2]], [[0, 1], [2, 3]], id="two loops"),
    ],
)
def test_loops_are_found_where_they_close(leads_to: list[list[int]], closed: list[list[int]]) -> None:
    assert loops(leads_to) == closed
