"""What stopped or fooled other libraries, a test for each: aliases, bombs, inverses of moves, depth, chatty errors."""

import json
import time
import tracemalloc
from typing import Any

import pytest

from palace.json_patch import (
    DEFAULT_LIMITS,
    Applied,
    Conflict,
    LimitExceeded,
    Limits,
    PatchError,
    apply_patch,
    compile_patch,
    diff,
    equal,
    merge_patch,
)

SECRET = "sk-3f9c-do-not-tell"


def nested(levels: int, inside: Any = 0) -> Any:
    value = inside
    for _ in range(levels):
        value = [value]
    return value


def undone(document: Any, patch: list[dict[str, Any]]) -> Applied:
    """Apply the patch, and prove that neither document nor inverse were harmed by it or by the way back."""
    before = json.dumps(document)
    applied = apply_patch(document, patch)
    after, inverse = json.dumps(applied.document), json.dumps(applied.inverse)
    for _ in range(2):
        restored = apply_patch(applied.document, applied.inverse).document
        assert json.dumps(restored, sort_keys=True) == json.dumps(document, sort_keys=True)
    assert (json.dumps(document), json.dumps(applied.document), json.dumps(applied.inverse)) == (before, after, inverse)
    return applied


# --- Two places, one container ----------------------------------------------------------------------------------------

# name, document, patch, result
ALIASES: list[tuple[str, Any, list[dict[str, Any]], Any]] = [
    (
        "a copy of something just written",
        {"a": {"b": [1]}},
        [
            {"op": "add", "path": "/a/b/-", "value": 2},
            {"op": "copy", "from": "/a", "path": "/c"},
            {"op": "add", "path": "/a/b/-", "value": 3},
            {"op": "add", "path": "/c/b/-", "value": 4},
        ],
        {"a": {"b": [1, 2, 3]}, "c": {"b": [1, 2, 4]}},
    ),
    (
        "a copy of a parent of something just written",
        {"a": {"b": {"c": {"d": 1}}}},
        [
            {"op": "replace", "path": "/a/b/c/d", "value": 2},
            {"op": "copy", "from": "/a/b", "path": "/x"},
            {"op": "replace", "path": "/x/c/d", "value": 3},
        ],
        {"a": {"b": {"c": {"d": 2}}}, "x": {"c": {"d": 3}}},
    ),
    (
        "a copy of the document into itself",
        {"a": {"n": 1}},
        [
            {"op": "replace", "path": "/a/n", "value": 2},
            {"op": "copy", "from": "", "path": "/a/all"},
            {"op": "replace", "path": "/a/n", "value": 3},
        ],
        {"a": {"n": 3, "all": {"a": {"n": 2}}}},
    ),
    (
        "a copy that is moved and written to",
        {"a": [[0]]},
        [
            {"op": "copy", "from": "/a/0", "path": "/a/-"},
            {"op": "move", "from": "/a/1", "path": "/b"},
            {"op": "add", "path": "/b/-", "value": 1},
        ],
        {"a": [[0]], "b": [0, 1]},
    ),
    (
        "a value that was moved over its parent, then written to",
        {"a": {"b": {"c": 1}, "d": 2}},
        [
            {"op": "replace", "path": "/a/b/c", "value": 3},
            {"op": "move", "from": "/a/b", "path": "/a"},
            {"op": "add", "path": "/a/e", "value": 4},
        ],
        {"a": {"c": 3, "e": 4}},
    ),
    (
        "a container that was written to, then removed, then put back by value",
        {"a": {"b": 1}},
        [
            {"op": "replace", "path": "/a/b", "value": 2},
            {"op": "remove", "path": "/a"},
            {"op": "add", "path": "/a", "value": {"b": 5}},
            {"op": "replace", "path": "/a/b", "value": 6},
        ],
        {"a": {"b": 6}},
    ),
]


@pytest.mark.parametrize(("name", "document", "patch", "result"), ALIASES, ids=[row[0] for row in ALIASES])
def test_a_write_shows_in_one_place_only(name: str, document: Any, patch: list[Any], result: Any) -> None:
    assert undone(document, patch).document == result


def test_one_value_in_two_operations_stays_two_values() -> None:
    shared: dict[str, Any] = {"tags": []}
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": "/a", "value": shared},
        {"op": "add", "path": "/b", "value": shared},
        {"op": "add", "path": "/a/tags/-", "value": 1},
    ]
    assert undone({}, patch).document == {"a": {"tags": [1]}, "b": {"tags": []}}
    assert shared == {"tags": []}


# --- The inverse of a move --------------------------------------------------------------------------------------------

# name, document, from, path
MOVES: list[tuple[str, Any, str, str]] = [
    ("over an existing member", {"a": 1, "b": 2}, "/a", "/b"),
    ("over its parent", {"a": {"b": {"c": 1}, "d": 2}}, "/a/b", "/a"),
    ("over its grandparent", {"a": {"b": {"c": [1]}}}, "/a/b/c", "/a"),
    ("over the document", {"a": {"b": 1}, "c": 2}, "/a/b", ""),
    ("forward in one array", [0, 1, 2, 3], "/0", "/2"),
    ("backward in one array", [0, 1, 2, 3], "/3", "/1"),
    ("to the end of one array", [0, 1, 2, 3], "/1", "/-"),
    ("out of an element, before it", [{"b": 1}], "/0/b", "/0"),
    ("out of a later element, before it", [0, {"b": 1}], "/1/b", "/0"),
    ("into a later element of its own array", [0, 1, {"k": 2}], "/0", "/1/k"),
    ("into an earlier element of its own array", [{"k": 2}, 1, 0], "/2", "/0/k"),
    ("over a member far inside its own array", [0, 1, {"a": [0, {"k": 1}]}], "/0", "/1/a/1/k"),
    ("over a member whose name is a number", {"0": 1, "1": {"k": 2}}, "/0", "/1/k"),
    ("from array to array", {"a": [1, 2], "b": [3]}, "/a/0", "/b/0"),
]


@pytest.mark.parametrize(("name", "document", "source", "target"), MOVES, ids=[row[0] for row in MOVES])
def test_every_move_can_be_undone(name: str, document: Any, source: str, target: str) -> None:
    applied = undone(document, [{"op": "move", "from": source, "path": target}])
    assert applied.touched[0] == source
    assert applied.changed


def test_the_inverse_of_moving_a_large_value_around_does_not_repeat_it() -> None:
    around: list[dict[str, Any]] = [
        {"op": "add", "path": "/box", "value": {}},
        {"op": "move", "from": "/big", "path": "/box/big"},
        {"op": "move", "from": "/box/big", "path": "/box"},
        {"op": "move", "from": "/box", "path": "/big"},
    ]
    document = {"big": ["x" * 10_000]}
    applied = undone(document, around * 150)
    assert len(json.dumps(applied.inverse)) < 2 * len(json.dumps(document))


def test_the_inverse_of_a_thousand_operations_is_within_the_limits() -> None:
    document: dict[str, Any] = {f"m{index}": index for index in range(1001)}
    applied = undone(
        document, [{"op": "move", "from": f"/m{index}", "path": f"/m{index + 1}"} for index in range(1000)]
    )
    assert len(compile_patch(applied.inverse)) == 1


def test_the_inverse_of_an_append_is_within_the_limits() -> None:
    document = {"n" * 1021: list(range(100_000))}
    applied = undone(document, [{"op": "add", "path": "/" + "n" * 1021 + "/-", "value": 1}])
    assert len(applied.touched[0]) > DEFAULT_LIMITS.pointer_characters


# --- Bombs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bomb",
    [
        [{"op": "copy", "from": "", "path": f"/{index}"} for index in range(30)],
        [{"op": "copy", "from": "", "path": "/a"} for _ in range(60)],
        [{"op": "copy", "from": "/seed", "path": "/seed/-"} for _ in range(30)],
        [{"op": "copy", "from": "/seed", "path": "/seed/0"} for _ in range(30)],
    ],
    ids=["wide", "over itself", "in an array", "deep"],
)
def test_a_copy_bomb_is_refused_in_milliseconds(bomb: list[dict[str, Any]]) -> None:
    document = {"seed": ["x" * 1000]}
    tracemalloc.start()
    start = time.process_time()
    with pytest.raises(LimitExceeded) as caught:
        apply_patch(document, bomb)
    elapsed = time.process_time() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (problem,) = caught.value.problems
    assert (problem.limit, problem.at) in {("copy_bytes", "from"), ("depth", "path")}
    assert problem.actual is not None
    assert problem.maximum is not None
    assert problem.actual > problem.maximum
    assert elapsed < 0.25
    assert peak < 5 << 20


def test_copied_bytes_are_counted_as_text_and_up_to_the_limit() -> None:
    document = {"a": ["é", 1, True]}
    size = len('["é",1,true]'.encode())
    patch = [{"op": "copy", "from": "/a", "path": f"/b{index}"} for index in range(3)]
    assert apply_patch(document, patch, Limits(copy_bytes=3 * size)).changed
    with pytest.raises(LimitExceeded) as caught:
        apply_patch(document, patch, Limits(copy_bytes=3 * size - 1))
    (problem,) = caught.value.problems
    assert (problem.operation, problem.code, problem.actual) == (2, "copy_too_large", 3 * size)


def test_copying_what_no_encoder_takes_is_still_counted() -> None:
    document = {"deep": nested(2000), "big": 2**4000, "odd": "\ud800"}
    for name in ("deep", "big", "odd"):
        with pytest.raises(LimitExceeded):
            apply_patch(document, [{"op": "copy", "from": f"/{name}", "path": "/x"}], Limits(copy_bytes=2))


# --- Depth ------------------------------------------------------------------------------------------------------------


def test_a_move_cannot_make_a_document_deeper_than_the_limit() -> None:
    document = {"deep": nested(60), "way": {"a": {"b": {}}}}
    assert undone(document, [{"op": "move", "from": "/deep", "path": "/way/a/b/c"}]).changed
    with pytest.raises(LimitExceeded) as caught:
        apply_patch(
            {"deep": nested(61), "way": {"a": {"b": {}}}}, [{"op": "move", "from": "/deep", "path": "/way/a/b/c"}]
        )
    (problem,) = caught.value.problems
    assert (problem.code, problem.limit, problem.maximum, problem.actual) == ("too_deep", "depth", 64, 65)


def test_a_move_of_something_large_cannot_make_a_document_deeper_either() -> None:
    large = [nested(60), *[[] for _ in range(5000)]]
    with pytest.raises(LimitExceeded) as caught:
        apply_patch({"a": large, "b": {"c": {"d": {}}}}, [{"op": "move", "from": "/a", "path": "/b/c/d/e"}])
    assert caught.value.problems[0].code == "too_deep"
    assert undone({"a": large, "b": {}}, [{"op": "move", "from": "/a", "path": "/b/c"}]).changed


def test_copies_cannot_make_a_document_deeper_than_the_limit() -> None:
    with pytest.raises(LimitExceeded) as caught:
        apply_patch({"a": {}}, [{"op": "copy", "from": "/a", "path": "/a/a"}] * 70)
    assert caught.value.problems[0].code == "too_deep"


def test_a_document_that_is_too_deep_already_can_still_be_edited() -> None:
    document = {"deep": nested(500), "a": 1, "large": [[]] * 5000, "way": {}}
    for operation in (
        {"op": "replace", "path": "/a", "value": 2},
        {"op": "move", "from": "/deep", "path": "/b"},
        {"op": "move", "from": "/large", "path": "/way/large"},
    ):
        assert apply_patch(document, [operation]).changed


def test_nothing_recurses() -> None:
    """A hundred thousand levels, which no limit has seen, end no stack: in equality, in merging, in comparing."""
    deep, same, other = nested(100_000), nested(100_000), nested(100_000, 1)
    assert equal(deep, same)
    assert not equal(deep, other)
    assert apply_patch({"a": deep, "b": same}, [{"op": "copy", "from": "/a/0", "path": "/c"}], HUGE).changed
    applied = apply_patch({"a": deep, "b": same}, [{"op": "move", "from": "/b", "path": "/a"}])
    assert applied.document == {"a": same}
    patch: dict[str, Any] = {"a": 1}
    for _ in range(100_000):
        patch = {"a": patch}
    merged = merge_patch({}, patch)
    assert equal(merged, patch)


HUGE = Limits(depth=10**6, copy_bytes=10**9)


def test_a_diff_of_deep_documents_replaces_the_whole() -> None:
    patch = diff(nested(1000), nested(1000, 1))
    assert [step["path"] for step in patch] == [""]


# --- Changed or not ---------------------------------------------------------------------------------------------------

# name, document, patch, whether that changes anything
CHANGES: list[tuple[str, Any, list[dict[str, Any]], bool]] = [
    ("nothing", {}, [], False),
    ("the same again", {"a": [1]}, [{"op": "replace", "path": "/a", "value": [1]}], False),
    ("1.0 for 1", {"a": 1}, [{"op": "replace", "path": "/a", "value": 1.0}], False),
    ("true for 1", {"a": 1}, [{"op": "replace", "path": "/a", "value": True}], True),
    ("false for 0, inside", {"a": {"b": [0]}}, [{"op": "replace", "path": "/a", "value": {"b": [False]}}], True),
    (
        "there and back",
        {"a": 1},
        [{"op": "move", "from": "/a", "path": "/b"}, {"op": "move", "from": "/b", "path": "/a"}],
        False,
    ),
    ("an element like its neighbour", [1, 1, 2], [{"op": "add", "path": "/0", "value": 1}], True),
    ("the last of equal elements", [1, 1], [{"op": "remove", "path": "/1"}], True),
    ("in and out", [1], [{"op": "add", "path": "/0", "value": 1}, {"op": "remove", "path": "/1"}], False),
    ("null for nothing", {}, [{"op": "add", "path": "/a", "value": None}], True),
    (
        "the fifth of five places",
        {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1},
        [{"op": "replace", "path": f"/{name}", "value": 1 + (name == "e")} for name in "abcde"],
        True,
    ),
]


@pytest.mark.parametrize(("name", "document", "patch", "changed"), CHANGES, ids=[row[0] for row in CHANGES])
def test_changed_is_json_equality(name: str, document: Any, patch: list[Any], changed: bool) -> None:
    assert undone(document, patch).changed == changed


# --- Errors keep secrets ----------------------------------------------------------------------------------------------

VAULT = {"key": SECRET, "keys": [SECRET], "n": {"key": SECRET}}

TALKATIVE = [
    {"op": "test", "path": "/key", "value": "guess"},
    {"op": "test", "path": "/keys", "value": []},
    {"op": "test", "path": "/n", "value": {"key": 1}},
    {"op": "test", "path": "", "value": 1},
    {"op": "add", "path": "/key/x", "value": 1},
    {"op": "remove", "path": "/keys/0/x"},
    {"op": "remove", "path": "/keys/7"},
    {"op": "replace", "path": "/keys/x", "value": 1},
    {"op": "move", "from": "/n/x", "path": "/y"},
    {"op": "copy", "from": "/n/key/x", "path": "/y"},
]


@pytest.mark.parametrize("operation", TALKATIVE, ids=lambda operation: f"{operation['op']} {operation['path']}")
def test_a_stored_value_never_appears_in_an_error(operation: dict[str, Any]) -> None:
    with pytest.raises(Conflict) as caught:
        apply_patch(VAULT, [operation])
    assert SECRET not in repr(caught.value.problems) + str(caught.value)


@pytest.mark.parametrize("document", [None, True, 5, "abc", [], {}, (1, 2), {1}, object], ids=repr)
@pytest.mark.parametrize("path", ["/a", "/0", "/-", "/a/b", ""])
@pytest.mark.parametrize("op", ["add", "remove", "replace", "copy", "move", "test"])
def test_nothing_but_patch_errors_leaves_the_engine(document: Any, path: str, op: str) -> None:
    for source in ("", "/a", "/0/0"):
        try:
            apply_patch(document, [{"op": op, "path": path, "from": source, "value": []}])
        except PatchError:
            continue
