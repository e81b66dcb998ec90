"""RFC 6902 as a table of our own: what every operation does to a document, and what it touches."""

import json
from typing import Any

import pytest

from palace.json_patch import Conflict, InvalidPatch, apply_patch, compile_patch

HOUSE: dict[str, Any] = {"name": "Wren House", "rooms": [{"no": 1}, {"no": 2}], "desk": {"open": True, "tags": []}}


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def test(path: str, value: Any) -> dict[str, Any]:
    return {"op": "test", "path": path, "value": value}


def remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}


def copy(source: str, path: str) -> dict[str, Any]:
    return {"op": "copy", "from": source, "path": path}


def move(source: str, path: str) -> dict[str, Any]:
    return {"op": "move", "from": source, "path": path}


test.__test__ = False  # type: ignore[attr-defined]

# name, document, patch, result, touched pointers
WORKS: list[tuple[str, Any, list[dict[str, Any]], Any, tuple[str, ...]]] = [
    ("an empty patch changes nothing", {"a": 1}, [], {"a": 1}, ()),
    ("add puts a new member in", {"a": 1}, [add("/b", 2)], {"a": 1, "b": 2}, ("/b",)),
    ("add replaces a member", {"a": 1}, [add("/a", 2)], {"a": 2}, ("/a",)),
    ("add null is a member like any", {}, [add("/a", None)], {"a": None}, ("/a",)),
    ("add inserts before an element", [1, 3], [add("/1", 2)], [1, 2, 3], ("/1",)),
    ("add at the length appends", [1], [add("/1", 2)], [1, 2], ("/1",)),
    ("add at - appends", [1], [add("/-", 2), add("/-", 3)], [1, 2, 3], ("/1", "/2")),
    ("add at - of an array in an array", {"a": [[]]}, [add("/a/0/-", 1)], {"a": [[1]]}, ("/a/0/0",)),
    ("- is an ordinary member of an object", {}, [add("/-", 1)], {"-": 1}, ("/-",)),
    ("add an array as one element", [1], [add("/-", [2, 3])], [1, [2, 3]], ("/1",)),
    ("add the whole document", {"a": 1}, [add("", [1])], [1], ("",)),
    ("add the member with the empty name", {}, [add("/", 1)], {"": 1}, ("/",)),
    (
        "names with / and ~",
        {"a/b": 1, "m~n": 2},
        [replace("/a~1b", 3), remove("/m~0n")],
        {"a/b": 3},
        ("/a~1b", "/m~0n"),
    ),
    ("~01 is the name ~1", {"~1": 1}, [replace("/~01", 2)], {"~1": 2}, ("/~01",)),
    ("numbers are names in objects", {"0": 1, "01": 2}, [remove("/0"), replace("/01", 3)], {"01": 3}, ("/0", "/01")),
    (
        "python's own names are ordinary",
        {"items": 1},
        [add("/__class__", 2), remove("/items")],
        {"__class__": 2},
        ("/__class__", "/items"),
    ),
    ("remove a member", {"a": 1, "b": 2}, [remove("/a")], {"b": 2}, ("/a",)),
    ("remove an element", [1, 2, 3], [remove("/1")], [1, 3], ("/1",)),
    ("remove ignores a value", {"a": 1}, [{**remove("/a"), "value": 5}], {}, ("/a",)),
    ("replace a member", {"a": {"b": 1}}, [replace("/a/b", [2])], {"a": {"b": [2]}}, ("/a/b",)),
    ("replace an element", [1, 2], [replace("/0", 3)], [3, 2], ("/0",)),
    ("replace the whole document", [1], [replace("", None)], None, ("",)),
    ("a scalar document", 1, [test("", 1.0), replace("", 2)], 2, ("",)),
    ("copy a member", {"a": [1]}, [copy("/a", "/b")], {"a": [1], "b": [1]}, ("/b",)),
    ("copy an element before itself", [1, 2], [copy("/1", "/0")], [2, 1, 2], ("/0",)),
    ("copy to the end", [1, 2], [copy("/0", "/-")], [1, 2, 1], ("/2",)),
    ("copy the document into itself", {"a": 1}, [copy("", "/b")], {"a": 1, "b": {"a": 1}}, ("/b",)),
    ("copy a value over its parent", {"a": {"b": 1}}, [copy("/a/b", "/a")], {"a": 1}, ("/a",)),
    ("move a member", {"a": 1}, [move("/a", "/b")], {"b": 1}, ("/a", "/b")),
    ("move over a member", {"a": 1, "b": 2}, [move("/a", "/b")], {"b": 1}, ("/a", "/b")),
    ("move forward: the index counts without it", [1, 2, 3], [move("/0", "/2")], [2, 3, 1], ("/0", "/2")),
    ("move backward", [1, 2, 3], [move("/2", "/0")], [3, 1, 2], ("/2", "/0")),
    ("move to the end", [1, 2], [move("/0", "/-")], [2, 1], ("/0", "/1")),
    ("move over its parent", {"a": {"b": {"c": 1}}}, [move("/a/b", "/a")], {"a": {"c": 1}}, ("/a/b", "/a")),
    ("move to the root", {"a": [1]}, [move("/a", "")], [1], ("/a", "")),
    ("move onto itself does nothing", {"a": 1}, [move("/a", "/a")], {"a": 1}, ()),
    ("moving the document onto itself does nothing", {"a": 1}, [move("", "")], {"a": 1}, ()),
    ("a name that begins like another", {"a": 1}, [move("/a", "/ab")], {"ab": 1}, ("/a", "/ab")),
    ("test touches nothing", {"a": 1}, [test("/a", 1)], {"a": 1}, ()),
    ("test the whole document", {"a": [1]}, [test("", {"a": [1]})], {"a": [1]}, ()),
    (
        "test sees what was written before",
        {},
        [add("/a", []), add("/a/0", 1), test("/a", [1])],
        {"a": [1]},
        ("/a", "/a/0"),
    ),
    ("test: 1 is 1.0, also inside", {"a": [1, {"b": 2.0}]}, [test("/a", [1.0, {"b": 2}])], {"a": [1, {"b": 2.0}]}, ()),
    (
        "test: order of members does not count",
        {"a": {"b": 1, "c": 2}},
        [test("/a", {"c": 2, "b": 1})],
        {"a": {"b": 1, "c": 2}},
        (),
    ),
    ("test null", {"a": None}, [test("/a", None)], {"a": None}, ()),
    ("members nobody knows are ignored", {}, [{**add("/a", 1), "note": "x", "from": 7}], {"a": 1}, ("/a",)),
    (
        "a place touched twice is named once",
        {"a": 1},
        [replace("/a", 2), add("/b", 1), replace("/a", 3)],
        {"a": 3, "b": 1},
        ("/a", "/b"),
    ),
]

# name, document, patch, code, place, pointer, longest part of it that exists
CONFLICTS: list[tuple[str, Any, list[dict[str, Any]], str, str, str, str]] = [
    ("remove what is not there", HOUSE, [remove("/nmae")], "not_found", "path", "/nmae", ""),
    ("replace what is not there", HOUSE, [replace("/desk/shut", 1)], "not_found", "path", "/desk/shut", "/desk"),
    ("test what is not there", HOUSE, [test("/desk/shut", None)], "not_found", "path", "/desk/shut", "/desk"),
    ("copy what is not there", HOUSE, [copy("/x", "/y")], "not_found", "from", "/x", ""),
    ("move what is not there", HOUSE, [move("/desk/x", "/y")], "not_found", "from", "/desk/x", "/desk"),
    ("move onto itself what is not there", HOUSE, [move("/x", "/x")], "not_found", "from", "/x", ""),
    ("add below what is not there", HOUSE, [add("/x/y", 1)], "missing_parent", "path", "/x/y", ""),
    ("add far below what is there", HOUSE, [add("/desk/a/b/c", 1)], "missing_parent", "path", "/desk/a/b/c", "/desk"),
    ("add below a text", HOUSE, [add("/name/0", "x")], "missing_parent", "path", "/name/0", "/name"),
    ("add below a scalar document", 5, [add("/a", 1)], "missing_parent", "path", "/a", ""),
    ("look below no element", HOUSE, [remove("/rooms/7/no")], "missing_parent", "path", "/rooms/7/no", "/rooms"),
    ("look below the end", HOUSE, [add("/rooms/-/no", 1)], "missing_parent", "path", "/rooms/-/no", "/rooms"),
    ("copy to below what is not there", HOUSE, [copy("/name", "/x/y")], "missing_parent", "path", "/x/y", ""),
    ("move to below nothing", {"a": {}, "b": 1}, [move("/b", "/a/x/y")], "missing_parent", "path", "/a/x/y", "/a"),
    ("add past the end", HOUSE, [add("/rooms/3", 1)], "index_out_of_range", "path", "/rooms/3", "/rooms"),
    ("replace at the end", HOUSE, [replace("/rooms/2", 1)], "index_out_of_range", "path", "/rooms/2", "/rooms"),
    ("remove from nothing", {"a": []}, [remove("/a/0")], "index_out_of_range", "path", "/a/0", "/a"),
    ("remove -", HOUSE, [remove("/rooms/-")], "index_out_of_range", "path", "/rooms/-", "/rooms"),
    ("replace -", HOUSE, [replace("/rooms/-", 1)], "index_out_of_range", "path", "/rooms/-", "/rooms"),
    ("test -", HOUSE, [test("/rooms/-", 1)], "index_out_of_range", "path", "/rooms/-", "/rooms"),
    ("copy from -", HOUSE, [copy("/rooms/-", "/x")], "index_out_of_range", "from", "/rooms/-", "/rooms"),
    ("move - onto itself", [1], [move("/-", "/-")], "index_out_of_range", "from", "/-", ""),
    ("a name in an array", HOUSE, [add("/rooms/first", 1)], "invalid_index", "path", "/rooms/first", "/rooms"),
    ("a name in an array on the way", HOUSE, [add("/rooms/x/y", 1)], "invalid_index", "path", "/rooms/x/y", "/rooms"),
    ("another value", HOUSE, [test("/name", "Wren")], "test_failed", "value", "/name", "/name"),
    ("true is not 1", HOUSE, [test("/desk/open", 1)], "test_failed", "value", "/desk/open", "/desk/open"),
    ("nor is 1 true inside", HOUSE, [test("/rooms/0", {"no": True})], "test_failed", "value", "/rooms/0", "/rooms/0"),
    ("a longer array", HOUSE, [test("/desk/tags", [1])], "test_failed", "value", "/desk/tags", "/desk/tags"),
]  # fmt: skip

NOT_INDEXES = (
    "01",
    "00",
    "+1",
    "-0",
    "-1",
    " 1",
    "1 ",
    "1_0",
    "1e0",
    "1.0",
    "0x1",
    "\u0661",
    "\u00b2",
    "1\n",
    "",
    "1" * 17,
)


@pytest.mark.parametrize(("name", "document", "patch", "result", "touched"), WORKS, ids=[row[0] for row in WORKS])
def test_operations_do_what_the_table_says(
    name: str, document: Any, patch: list[Any], result: Any, touched: tuple[str, ...]
) -> None:
    before = json.dumps([document, patch])
    applied = apply_patch(document, patch)
    assert json.dumps(applied.document, sort_keys=True) == json.dumps(result, sort_keys=True)
    assert applied.touched == touched
    assert applied.changed == (result != document)
    assert apply_patch(applied.document, applied.inverse).document == document
    assert json.dumps([document, patch]) == before


@pytest.mark.parametrize(
    ("name", "document", "patch", "code", "at", "pointer", "resolved"), CONFLICTS, ids=[row[0] for row in CONFLICTS]
)
def test_conflicts_say_what_and_where(
    name: str, document: Any, patch: list[Any], code: str, at: str, pointer: str, resolved: str
) -> None:
    before = json.dumps(document)
    with pytest.raises(Conflict) as caught:
        apply_patch(document, [*[{"op": "add", "path": "", "value": document}], *patch])
    (problem,) = caught.value.problems
    assert (problem.code, problem.at, problem.pointer, problem.resolved) == (code, at, pointer, resolved)
    assert (problem.operation, problem.op) == (1, patch[0]["op"])
    assert str(caught.value) == problem.problem
    assert problem.problem.endswith(".")
    assert json.dumps(document) == before


@pytest.mark.parametrize("token", NOT_INDEXES)
@pytest.mark.parametrize("operation", ["add", "remove", "replace", "test", "copy", "move"])
def test_only_plain_decimal_numbers_are_indexes(operation: str, token: str) -> None:
    patch = {"op": operation, "path": f"/{token}", "value": 1}
    if operation in ("copy", "move"):
        patch |= {"from": f"/{token}", "path": "/0"}
    with pytest.raises(Conflict) as caught:
        apply_patch([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [patch])
    assert caught.value.problems[0].code == "invalid_index"


@pytest.mark.parametrize("token", NOT_INDEXES)
def test_what_is_no_index_may_still_be_a_name(token: str) -> None:
    assert apply_patch({}, [add(f"/{token}", 1)]).document == {token: 1}


def test_all_operations_or_none_and_the_input_is_never_changed() -> None:
    document = {"a": {"b": [1]}, "c": 1}
    patch = [replace("/a/b/0", 2), remove("/c"), add("/a/x", {"y": []}), add("/a/x/y/-", 1), test("/a", None)]
    before = json.dumps([document, patch])
    with pytest.raises(Conflict):
        apply_patch(document, patch)
    apply_patch(document, patch[:-1])
    assert json.dumps([document, patch]) == before


def test_a_compiled_patch_can_be_applied_many_times() -> None:
    compiled = compile_patch([add("/a/-", {"n": []}), add("/a/0/n/-", 1)])
    documents: list[dict[str, Any]] = [{"a": []}, {"a": [{"n": [0]}]}]
    for document in documents:
        result = apply_patch(document, compiled).document
        assert result["a"][0]["n"][-1] == 1
    assert compiled[0].value == {"n": []}
    assert [operation.position for operation in compiled] == [0, 1]


def test_the_whole_document_cannot_be_removed() -> None:
    with pytest.raises(InvalidPatch) as caught:
        apply_patch({}, [remove("")])
    assert caught.value.problems[0].code == "remove_root"


def test_containers_off_the_written_path_are_shared_not_copied() -> None:
    document: dict[str, Any] = {"a": {"b": {}, "c": [1]}, "d": [{}]}
    result = apply_patch(document, [add("/a/b/x", 1)]).document
    assert result["d"] is document["d"]
    assert result["a"]["c"] is document["a"]["c"]
    assert result["a"]["b"] is not document["a"]["b"]
