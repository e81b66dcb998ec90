"""Diffs and merge patches as tables (the second: RFC 7396)."""

from typing import Any

import pytest

from palace.json_patch import DEFAULT_LIMITS, Limits, apply_patch, compile_patch, diff, equal, merge_patch

LONG = {f"member{index}": "a text of some length" for index in range(20)}

# name, before, after, operations as "op path"
DIFFS: list[tuple[str, Any, Any, list[str]]] = [
    ("equal", {"a": [1, {"b": 2}]}, {"a": [1.0, {"b": 2}]}, []),
    ("a member more", {**LONG}, {**LONG, "b": 1}, ["add /b"]),
    ("a member less", {**LONG, "b": 1}, {**LONG}, ["remove /b"]),
    ("another value", {**LONG, "b": 1}, {**LONG, "b": 2}, ["replace /b"]),
    ("true for 1", {**LONG, "b": 1}, {**LONG, "b": True}, ["replace /b"]),
    ("null for nothing", {**LONG}, {**LONG, "b": None}, ["add /b"]),
    ("deep inside", {**LONG, "b": [{"c": [1, 2]}]}, {**LONG, "b": [{"c": [1, 3]}]}, ["replace /b/0/c/1"]),
    ("a name to escape", {**LONG, "a/b~": 1}, {**LONG, "a/b~": 2}, ["replace /a~1b~0"]),
    ("an element in the middle more", [LONG, 1, 3, LONG], [LONG, 1, 2, 3, LONG], ["add /2"]),
    ("an element in the middle less", [LONG, 1, 2, 3, LONG], [LONG, 1, 3, LONG], ["remove /2"]),
    ("elements at both ends", [LONG, 1, 2], [0, LONG, 1, 2, 3], ["add /3", "add /0"]),
    ("appended", [LONG], [LONG, 1, 2], ["add /1", "add /1"]),
    ("another kind", {**LONG, "b": {"c": 1}}, {**LONG, "b": [1]}, ["replace /b"]),
    ("nothing in common", {**LONG, "b": {"c": 1, "d": 2}}, {**LONG, "b": {"e": 1}}, ["replace /b"]),
    ("a shorter whole", {"a": 1, "b": 2, "c": 3, "d": {}}, {"d": {}}, ["replace "]),
    ("scalars", 1, 2, ["replace "]),
    ("to null", {"a": 1}, None, ["replace "]),
]

# document, patch, result
MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ({"a": 1}, {"a": None, "b": None}, {}),
    ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
    ({"a": [1, 2]}, {"a": [None]}, {"a": [None]}),
    ({"a": 1}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ([1], {"a": 1}, {"a": 1}),
    ({"a": 1}, [1], [1]),
    ({"a": 1}, None, None),
    (None, {}, {}),
]


@pytest.mark.parametrize(("name", "before", "after", "steps"), DIFFS, ids=[row[0] for row in DIFFS])
def test_diffs_are_what_a_person_would_write(name: str, before: Any, after: Any, steps: list[str]) -> None:
    patch = diff(before, after)
    assert [f"{step['op']} {step['path']}" for step in patch] == steps
    assert equal(apply_patch(before, patch).document, after)


def test_a_diff_stays_within_the_limits() -> None:
    before = {"a" * 1023: [{"name": 1, "text": "x" * 5000}] * 2, "many": list(range(3000))}
    long_pointer = {**before, "a" * 1023: [{"name": 2, "text": "x" * 5000}, {"name": 1, "text": "x" * 5000}]}
    many_steps = {**before, "many": list(range(1, 3001, 2))}
    for after in (long_pointer, many_steps):
        patch = diff(before, after)
        assert len(compile_patch(patch)) <= DEFAULT_LIMITS.operations
        assert equal(apply_patch(before, patch).document, after)
    assert len(diff({**LONG, "a": 1, "b": 1}, {**LONG, "a": 2, "b": 2}, Limits(operations=1))) == 1


@pytest.mark.parametrize(("document", "patch", "result"), MERGES)
def test_merging_sets_and_removes_members(document: Any, patch: Any, result: Any) -> None:
    assert merge_patch(document, patch) == result


def test_merging_never_writes_into_its_arguments() -> None:
    document: dict[str, Any] = {"a": {"b": {"c": 1}}, "d": [1]}
    patch: dict[str, Any] = {"a": {"b": {"c": 2}, "e": {"f": 1}}}
    merged = merge_patch(document, patch)
    merged["a"]["b"]["c"] = merged["a"]["e"]["f"] = 9
    assert document == {"a": {"b": {"c": 1}}, "d": [1]}
    assert patch == {"a": {"b": {"c": 2}, "e": {"f": 1}}}
    assert merged["d"] is document["d"]
