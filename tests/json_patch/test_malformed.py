"""What `compile_patch` refuses without having seen a document, as tables."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palace.json_patch import (
    DEFAULT_LIMITS,
    InvalidPatch,
    LimitExceeded,
    Limits,
    PatchError,
    apply_patch,
    compile_patch,
)

NAN, INFINITE = float("nan"), float("inf")


def nested(levels: int) -> Any:
    value: Any = 0
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


# name, operation, codes and places of its problems
MALFORMED: list[tuple[str, Any, list[tuple[str, str]]]] = [
    ("a text", "add", [("not_an_object", "patch")]),
    ("null", None, [("not_an_object", "patch")]),
    ("an array", [], [("not_an_object", "patch")]),
    ("nothing", {}, [("missing_op", "op"), ("missing_path", "path")]),
    ("an unknown op", {"op": "merge", "path": "/a"}, [("unknown_op", "op")]),
    ("an op in capitals", {"op": "Add", "path": "/a", "value": 1}, [("unknown_op", "op")]),
    ("an op that is no text", {"op": ["add"], "path": "/a"}, [("unknown_op", "op")]),
    ("no path", {"op": "add", "value": 1}, [("missing_path", "path")]),
    ("a path that is null", {"op": "add", "path": None, "value": 1}, [("invalid_pointer", "path")]),
    ("a path that is a number", {"op": "remove", "path": 1}, [("invalid_pointer", "path")]),
    ("a path that is an array", {"op": "remove", "path": ["a"]}, [("invalid_pointer", "path")]),
    ("a path without its slash", {"op": "remove", "path": "a"}, [("invalid_pointer", "path")]),
    ("a path as a fragment", {"op": "remove", "path": "#/a"}, [("invalid_pointer", "path")]),
    ("a path with ~2", {"op": "remove", "path": "/a~2b"}, [("invalid_pointer", "path")]),
    ("a path with ~ at the end", {"op": "remove", "path": "/a~"}, [("invalid_pointer", "path")]),
    ("a path with ~ before /", {"op": "remove", "path": "/a~/b"}, [("invalid_pointer", "path")]),
    ("a path with U+0000", {"op": "remove", "path": "/a\0"}, [("null_character", "path")]),
    ("a path with half a surrogate pair", {"op": "remove", "path": "/\ud800"}, [("lone_surrogate", "path")]),
    ("no value for add", {"op": "add", "path": "/a"}, [("missing_value", "value")]),
    ("no value for replace", {"op": "replace", "path": "/a"}, [("missing_value", "value")]),
    ("no value for test", {"op": "test", "path": "/a"}, [("missing_value", "value")]),
    ("no from for copy", {"op": "copy", "path": "/a"}, [("missing_from", "from")]),
    ("no from for move", {"op": "move", "path": "/a"}, [("missing_from", "from")]),
    ("a from that is null", {"op": "copy", "from": None, "path": "/a"}, [("invalid_pointer", "from")]),
    ("a from that is an object", {"op": "copy", "from": {}, "path": "/a"}, [("invalid_pointer", "from")]),
    ("both pointers", {"op": "copy", "from": 1, "path": 2}, [("invalid_pointer", "path"), ("invalid_pointer", "from")]),
    ("a move into itself", {"op": "move", "from": "/a", "path": "/a/b"}, [("move_into_itself", "path")]),
    ("a move of everything", {"op": "move", "from": "", "path": "/a"}, [("move_into_itself", "path")]),
    ("the removal of everything", {"op": "remove", "path": ""}, [("remove_root", "path")]),
    ("a number beyond 64 bits", {"op": "add", "path": "/a", "value": 2**64}, [("number_out_of_range", "value")]),
    ("a number below", {"op": "add", "path": "/a", "value": [-(2**63) - 1]}, [("number_out_of_range", "value")]),
    ("not a number", {"op": "add", "path": "/a", "value": {"b": NAN}}, [("not_finite", "value")]),
    ("infinity", {"op": "test", "path": "/a", "value": -INFINITE}, [("not_finite", "value")]),
    ("U+0000 in a text", {"op": "add", "path": "/a", "value": "x\0"}, [("null_character", "value")]),
    ("U+0000 in a text that is not ASCII", {"op": "add", "path": "/a", "value": "é\0"}, [("null_character", "value")]),
    ("U+0000 in a name", {"op": "add", "path": "/a", "value": {"x\0": 1}}, [("null_character", "value")]),
    ("half a surrogate pair", {"op": "add", "path": "/a", "value": ["\udfff"]}, [("lone_surrogate", "value")]),
    ("half a pair in a name", {"op": "add", "path": "/a", "value": {"\ud800": 1}}, [("lone_surrogate", "value")]),
    ("something that is not JSON", {"op": "add", "path": "/a", "value": {1, 2}}, [("not_json", "value")]),
    ("a name that is not a text", {"op": "add", "path": "/a", "value": {1: 2}}, [("not_json", "value")]),
]  # fmt: skip

NOT_PATCHES = [{}, {"op": "remove", "path": "/a"}, None, "[]", 5, True]

# name, limits, patch, limit, maximum, actual
LIMITS: list[tuple[str, Limits, Any, str, int, int]] = [
    ("operations", DEFAULT_LIMITS, [{"op": "remove", "path": "/a"}] * 1001, "operations", 1000, 1001),
    ("characters", DEFAULT_LIMITS, [{"op": "remove", "path": "/" + "a" * 1024}], "pointer_characters", 1024, 1025),
    ("tokens", DEFAULT_LIMITS, [{"op": "remove", "path": "/a" * 65}], "pointer_tokens", 64, 65),
    ("tokens in from", DEFAULT_LIMITS, [{"op": "copy", "from": "/a" * 65, "path": ""}], "pointer_tokens", 64, 65),
    ("depth of a value", DEFAULT_LIMITS, [{"op": "add", "path": "", "value": nested(65)}], "depth", 64, 65),
    ("depth in its place", DEFAULT_LIMITS, [{"op": "add", "path": "/a/b", "value": nested(63)}], "depth", 64, 65),
    ("fewer operations", Limits(operations=1), [{"op": "remove", "path": "/a"}] * 2, "operations", 1, 2),
    ("shorter pointers", Limits(pointer_characters=3), [{"op": "remove", "path": "/abc"}], "pointer_characters", 3, 4),
    ("flatter pointers", Limits(pointer_tokens=1), [{"op": "remove", "path": "/a/b"}], "pointer_tokens", 1, 2),
    ("flatter values", Limits(depth=1), [{"op": "test", "path": "", "value": [[]]}], "depth", 1, 2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "operation", "found"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_malformed_operations_are_refused_with_a_place(name: str, operation: Any, found: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidPatch) as caught:
        compile_patch([{"op": "remove", "path": "/fine"}, operation])
    assert [(problem.code, problem.at) for problem in caught.value.problems] == found
    for problem in caught.value.problems:
        assert problem.operation == 1
        assert problem.resolved == ""
        assert problem.problem.endswith(".")
        problem.problem.encode()
        problem.pointer.encode()
    assert str(caught.value) == caught.value.problems[0].problem


@pytest.mark.parametrize("patch", NOT_PATCHES, ids=repr)
def test_only_an_array_is_a_patch(patch: Any) -> None:
    with pytest.raises(InvalidPatch) as caught:
        apply_patch({"a": 1}, patch)
    assert caught.value.problems[0].code == "not_an_array"


@pytest.mark.parametrize(
    ("name", "limits", "patch", "limit", "maximum", "actual"), LIMITS, ids=[row[0] for row in LIMITS]
)
def test_a_refusal_names_the_limit_its_value_and_the_actual_number(
    name: str, limits: Limits, patch: Any, limit: str, maximum: int, actual: int
) -> None:
    with pytest.raises(LimitExceeded) as caught:
        compile_patch(patch, limits)
    (problem,) = caught.value.problems
    assert (problem.limit, problem.maximum, problem.actual) == (limit, maximum, actual)
    assert str(maximum) in problem.problem
    assert str(actual) in problem.problem


def test_what_is_exactly_at_a_limit_is_allowed() -> None:
    compile_patch([{"op": "remove", "path": "/a"}] * 1000)
    compile_patch([{"op": "remove", "path": "/" + "a" * 1023}, {"op": "remove", "path": "/a" * 64}])
    compile_patch([{"op": "add", "path": "", "value": nested(64)}, {"op": "add", "path": "/a", "value": nested(63)}])
    compile_patch([{"op": "add", "path": "", "value": [2**64 - 1, -(2**63), 1.7e308, "\U0010ffff"]}])


def test_a_patch_with_twenty_five_mistakes_names_the_first_twenty() -> None:
    with pytest.raises(InvalidPatch) as caught:
        compile_patch([{"op": "add"}, *[{"op": "spam", "path": "/a"}] * 23])
    assert [problem.operation for problem in caught.value.problems] == [0, 0, *range(1, 19)]


def test_mistakes_and_exceeded_limits_are_reported_together() -> None:
    with pytest.raises(InvalidPatch) as caught:
        compile_patch([{"op": "remove", "path": "/a" * 65}, {"op": "spam", "path": "/a"}])
    assert [problem.code for problem in caught.value.problems] == ["pointer_too_many_tokens", "unknown_op"]


def test_nothing_but_exceeded_limits_is_an_exceeded_limit() -> None:
    with pytest.raises(LimitExceeded) as caught:
        compile_patch([{"op": "remove", "path": "/a" * 65}, {"op": "add", "path": "", "value": nested(100)}])
    assert [problem.limit for problem in caught.value.problems] == ["pointer_tokens", "depth"]


def test_the_pointer_of_a_bad_value_leads_inside_it() -> None:
    with pytest.raises(InvalidPatch) as caught:
        compile_patch([{"op": "add", "path": "/a", "value": {"b/c": [0, {"d": 2**70}]}}])
    assert caught.value.problems[0].pointer == "/a/b~1c/1/d"


def test_u_0000_can_be_allowed() -> None:
    allowed = Limits(null_characters=True)
    patch = [{"op": "add", "path": "/a\0", "value": {"b\0é": "\0"}}]
    assert apply_patch({}, patch, allowed).document == {"a\0": {"b\0é": "\0"}}
    with pytest.raises(PatchError):
        apply_patch({}, [{"op": "add", "path": "/a", "value": "\0\ud800"}], allowed)


def test_a_value_nested_a_hundred_thousand_deep_is_refused_at_once() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(LimitExceeded):
        compile_patch([{"op": "add", "path": "/a", "value": value}])


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(LimitExceeded):
        compile_patch([{"op": "add", "path": "/a", "value": value}])


def test_long_names_are_cut_in_sentences() -> None:
    with pytest.raises(InvalidPatch) as caught:
        compile_patch([{"op": "x" * 5000, "path": "/a"}])
    assert len(str(caught.value)) < 200
    assert caught.value.problems[0].op == "x" * 64


junk = st.one_of(
    st.sampled_from(
        ["add", "remove", "replace", "copy", "move", "test", "", "/a", "/a/b", "/~2", "a", "/\0", "/\ud800"]
    ),
    st.sampled_from([NAN, 2**64, {1: 2}, {1}, (), object()]),
    st.recursive(st.one_of(st.none(), st.integers(), st.text(max_size=3)), st.lists, max_leaves=4),
)


@settings(max_examples=300)
@given(st.lists(st.dictionaries(st.sampled_from(["op", "path", "from", "value"]), junk), max_size=4))
def test_every_operation_is_either_compiled_or_refused(patch: list[Any]) -> None:
    try:
        compiled = compile_patch(patch)
    except PatchError as error:
        assert 1 <= len(error.problems) <= 20
        assert all(problem.operation is not None for problem in error.problems)
    else:
        assert len(compiled) == len(patch)
