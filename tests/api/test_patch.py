"""Patch PAL, the published operation: its statuses, its bodies, its headers, its examples."""

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.wire import (
    JSON_PATCH,
    MERGE_PATCH,
    UNCHANGED,
    Operation,
    add,
    document,
    expect,
    patch,
    refused,
    remove,
    replace,
)
from tests.serving import KEY, STOCK_FACE, Palace, start_palace

NewPal = Callable[..., str]
MALFORMED = "Invalid JSON patch format"
STT = {"stt_engine": "tavus-auto", "hotwords": "Wren House"}


# --- The page's examples ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server that nobody has used yet."""
    with start_palace(tmp_path_factory.mktemp("fresh") / "data") as palace, palace.client() as client:
        yield client


PUBLISHED: list[Any] = [
    pytest.param(
        [{"op": "replace", "path": "/system_prompt", "value": "You are a helpful assistant."}],
        ("system_prompt",),
        "You are a helpful assistant.",
        id="replace the system prompt",
    ),
    pytest.param(
        [{"op": "remove", "path": "/layers/stt/hotwords"}],
        ("layers", "stt", "hotwords"),
        None,
        id="remove the hotwords, without a value",
    ),
    pytest.param(
        [{"op": "replace", "path": "/layers/llm/model", "value": "tavus-llama-4"}],
        ("layers", "llm", "model"),
        "tavus-llama-4",
        id="the example values",
    ),
]


@pytest.mark.parametrize(("operations", "place", "expected"), PUBLISHED)
def test_the_published_examples_work_as_printed(
    fresh: httpx.Client, operations: list[Operation], place: tuple[str, ...], expected: Any
) -> None:
    answer = fresh.patch("/v2/pals/pcb7a34da5fe", json=operations)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    shown = answer.json()
    assert shown["pal_id"] == "pcb7a34da5fe"
    assert shown == document(fresh, "pcb7a34da5fe")
    *parents, last = place
    for token in parents:
        shown = shown[token]
    assert shown.get(last) == expected


# --- 200 and 304 ------------------------------------------------------------------------------------------------------


def test_200_is_the_whole_pal_and_moves_updated_at_only(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    before = document(api, pal)
    answer = patch(api, pal, replace("/system_prompt", "Speak as a calm night porter."), add("/layers/stt", STT))
    assert answer.status_code == 200
    after = answer.json()
    assert after["updated_at"] > before["updated_at"]
    expected = before | {"system_prompt": "Speak as a calm night porter.", "layers": {"stt": STT}}
    assert after == expected | {"updated_at": after["updated_at"]}
    assert document(api, pal) == after


def test_the_same_patch_again_is_304_and_moves_nothing(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    operations = [replace("/system_prompt", "Speak calmly."), add("/layers/stt", STT)]
    first = patch(api, pal, *operations)
    again = patch(api, pal, *operations)
    assert (first.status_code, again.status_code) == (200, 304)
    assert document(api, pal) == first.json()


def test_304_has_neither_body_nor_length_and_leaves_the_connection_in_order(palace: Palace, new_pal: NewPal) -> None:
    pal = new_pal()
    connection = http.client.HTTPConnection(palace.url.removeprefix("http://"))
    headers = {"x-api-key": KEY, "content-type": "application/json"}
    body = json.dumps([replace("/pal_name", "Night Desk")])
    connection.connect()
    socket = connection.sock
    for _ in range(3):
        connection.request("PATCH", f"/v2/pals/{pal}", body, headers)
        answer = connection.getresponse()
        assert answer.status == 304
        assert answer.getheader("x-message") == UNCHANGED
        assert answer.getheader("content-length") is None
        assert answer.getheader("transfer-encoding") is None
        assert answer.read() == b""
        connection.request("GET", f"/v2/pals/{pal}", headers=headers)
        shown = connection.getresponse()
        assert json.loads(shown.read())["pal_id"] == pal
    assert connection.sock is socket
    connection.close()


def test_prefer_return_representation_turns_304_into_200_with_the_document(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    answer = api.patch(f"/v2/pals/{pal}", json=[], headers={"prefer": "return=representation"})
    assert answer.status_code == 200
    assert answer.json() == document(api, pal)


UNCHANGING: list[Any] = [
    pytest.param([], id="no operations"),
    pytest.param([replace("/system_prompt", "Answer briefly.")], id="the same value"),
    pytest.param([expect("/pipeline_mode", "full")], id="a test that holds"),
    pytest.param([add("/layers/llm/model", "tavus-gemma-4")], id="the default model over its absence"),
    pytest.param([add("/layers/llm/speculative_inference", True)], id="a default switch over its absence"),
    pytest.param([add("/layers/llm/headers", {})], id="a default object over its absence"),
    pytest.param([add("/layers/tts", None)], id="null over a layer that is not set"),
    pytest.param([remove("/pal_description")], id="a root member removed whose absence is its value"),
    pytest.param([remove("/memories")], id="an empty list removed"),
    pytest.param([add("/greeting", "x"), replace("/greeting", None)], id="there and back again"),
    pytest.param([{"op": "copy", "from": "/greeting", "path": "/pal_description"}], id="null copied over null"),
    pytest.param([{"op": "move", "from": "/pal_name", "path": "/pal_name"}], id="a member moved onto itself"),
    pytest.param([add("/layers/llm/extra_body/temperature", 1)], id="1 over 1.0"),
]


@pytest.mark.parametrize("operations", UNCHANGING)
def test_what_changes_nothing_is_304(api: httpx.Client, new_pal: NewPal, operations: list[Operation]) -> None:
    pal = new_pal(layers={"llm": {"extra_body": {"temperature": 1.0}}})
    before = document(api, pal)
    answer = patch(api, pal, *operations)
    assert (answer.status_code, answer.content) == (304, b""), answer.text
    assert answer.headers["x-message"] == UNCHANGED
    assert document(api, pal) == before


# --- 400, 401 and 422 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["pals", "personas"])
def test_an_unknown_id_is_400_in_the_words_of_the_route(api: httpx.Client, family: str) -> None:
    answer = patch(api, "pdeadbeef000", replace("/pal_name", "x"), family=family)
    refused(answer, 400, f"Invalid {family[:-1]}_id")


@pytest.mark.parametrize("key", [None, "", "wrong", "palace_wrong"])
def test_no_or_a_wrong_key_is_401_even_for_a_bad_body(palace: Palace, key: str | None) -> None:
    with palace.client(key=None) as client:
        headers = {} if key is None else {"x-api-key": key}
        answer = client.patch("/v2/pals/pcb7a34da5fe", content=b"{", headers=headers)
    refused(answer, 401, "Invalid access token")


MALFORMED_PATCHES: list[Any] = [
    pytest.param(replace("/pal_name", "x"), "not_an_array", id="an object is not an array"),
    pytest.param("x", "not_an_array", id="a string is not an array"),
    pytest.param(5, "not_an_array", id="a number is not an array"),
    pytest.param([[]], "not_an_object", id="an operation is an object"),
    pytest.param([{"op": "merge", "path": "/pal_name", "value": "x"}], "unknown_op", id="there is no merge"),
    pytest.param([{"op": "Replace", "path": "/pal_name", "value": "x"}], "unknown_op", id="op is in lower case"),
    pytest.param([{"path": "/pal_name", "value": "x"}], "missing_op", id="op is missing"),
    pytest.param([{"op": "replace", "value": "x"}], "missing_path", id="path is missing"),
    pytest.param([replace("pal_name", "x")], "invalid_pointer", id="a pointer starts with a slash"),
    pytest.param([replace("/pal~name", "x")], "invalid_pointer", id="a tilde is escaped"),
    pytest.param([{"op": "replace", "path": 5, "value": "x"}], "invalid_pointer", id="a path is a string"),
    pytest.param([{"op": "replace", "path": "/pal_name"}], "missing_value", id="replace needs a value"),
    pytest.param([{"op": "add", "path": "/pal_name"}], "missing_value", id="add needs a value"),
    pytest.param([{"op": "test", "path": "/pal_name"}], "missing_value", id="test needs a value"),
    pytest.param([{"op": "copy", "path": "/pal_name"}], "missing_from", id="copy needs a from"),
    pytest.param([{"op": "move", "path": "/pal_name"}], "missing_from", id="move needs a from"),
    pytest.param([{"op": "move", "from": "/layers", "path": "/layers/stt"}], "move_into_itself", id="not into itself"),
    pytest.param([remove("")], "remove_root", id="the whole document cannot be removed"),
]


@pytest.mark.parametrize(("body", "code"), MALFORMED_PATCHES)
def test_a_malformed_patch_is_422(api: httpx.Client, new_pal: NewPal, body: Any, code: str) -> None:
    pal = new_pal()
    before = document(api, pal)
    details = refused(api.patch(f"/v2/pals/{pal}", json=body), 422, MALFORMED)
    assert [detail["code"] for detail in details] == [code]
    assert document(api, pal) == before


def test_every_malformed_operation_is_named_at_once(api: httpx.Client, new_pal: NewPal) -> None:
    answer = patch(api, new_pal(), {"op": "merge", "path": "/a"}, replace("/pal_name", "x"), {"op": "add", "path": "b"})
    details = refused(answer, 422, MALFORMED)
    assert {(detail["operation"], detail["code"]) for detail in details} == {
        (0, "unknown_op"),
        (2, "invalid_pointer"),
        (2, "missing_value"),
    }


MISFITS: list[Any] = [
    pytest.param([remove("/layers/stt/hotwords")], 422, "can't remove a non-existent object 'hotwords'", id="remove"),
    pytest.param([replace("/layers/stt/hotwords", "x")], 422, "can't replace a non-existent object", id="replace"),
    pytest.param([replace("/layers/sttt", {})], 422, "can't replace a non-existent object 'sttt'", id="no such layer"),
    pytest.param([replace("/layers/tts/tts_engine", "cartesia")], 400, "", id="a replace without its parent"),
    pytest.param([add("/layers/tts/tts_engine", "cartesia")], 400, "", id="an add without its parent"),
    pytest.param([remove("/layers/tts/tts_engine")], 400, "", id="a remove without its parent"),
    pytest.param([add("/pal_name/x", 1)], 400, "", id="a parent that is a string"),
    pytest.param([replace("/document_tags/x", "t1")], 400, "", id="a bad index"),
    pytest.param([replace("/document_tags/01", "t1")], 400, "", id="an index with a leading zero"),
    pytest.param([add("/document_tags/7", "t1")], 422, "", id="an index behind the end"),
    pytest.param([{"op": "copy", "from": "/nothing", "path": "/pal_name"}], 422, "", id="a copy from nowhere"),
    pytest.param([expect("/pipeline_mode", "echo")], 422, "", id="a test of another value"),
    pytest.param([expect("/dynamic_greeting", 0)], 422, "", id="false is not 0"),
    pytest.param([expect("/nothing", None)], 422, "", id="a test of an absent member"),
    pytest.param([expect("/layers/tts/api_key", None)], 422, "", id="a test below an absent parent"),
]


@pytest.mark.parametrize(("operations", "status", "start"), MISFITS)
def test_an_operation_that_does_not_fit_is_refused_and_named(
    api: httpx.Client, new_pal: NewPal, operations: list[Operation], status: int, start: str
) -> None:
    pal = new_pal(layers={"stt": {"stt_engine": "tavus-auto"}})
    before = document(api, pal)
    answer = patch(api, pal, replace("/greeting", "changed by the first operation"), *operations)
    details = refused(answer, status)
    assert answer.json()["message"].startswith(start)
    assert [detail["operation"] for detail in details] == [1]
    assert details[0]["op"] == operations[0]["op"]
    assert document(api, pal) == before


# --- Media types ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media", ["application/json", JSON_PATCH, "application/json; charset=utf-8", "Application/JSON"]
)
def test_a_json_patch_arrives_as_either_media_type(api: httpx.Client, new_pal: NewPal, media: str) -> None:
    body = json.dumps([replace("/pal_name", "x")])
    answer = api.patch(f"/v2/pals/{new_pal()}", content=body, headers={"content-type": media})
    assert answer.status_code == 200


MERGES: list[Any] = [
    pytest.param({"pal_name": "x", "greeting": None}, 200, {"pal_name": "x", "greeting": None}, id="set and unset"),
    pytest.param(
        {"layers": {"stt": {"hotwords": None}}}, 200, {"layers": {"stt": {"stt_engine": "tavus-auto"}}}, id="deep"
    ),
    pytest.param({"layers": {"tts": {"tts_engine": "azure"}}}, 200, {}, id="a layer that is not set"),
    pytest.param({"memories": [str(number) for number in range(1500)]}, 200, {}, id="a long list"),
    pytest.param({"layers": {"llm": {"extra_body": {str(n): n for n in range(1500)}}}}, 200, {}, id="many new members"),
    pytest.param({"layers": {"llm": {"extra_body": {"k" * 1100: 1}}}}, 200, {}, id="a member with a long name"),
    pytest.param({}, 304, {}, id="nothing"),
    pytest.param({"pal_name": "Night Desk"}, 304, {}, id="the same"),
    pytest.param({"nothing": None}, 304, {}, id="the absence of an absent member"),
    pytest.param({"system_prompt": None}, 400, {}, id="no prompt"),
    pytest.param({"nope": 1}, 400, {}, id="an unknown member"),
    pytest.param([], 400, {}, id="not an object"),
    pytest.param({"pal_name": "x", "layers": {"conferencing": {"whitelabel": True}}}, 400, {}, id="conferencing mixed"),
]


@pytest.mark.parametrize(("body", "status", "expected"), MERGES)
def test_a_merge_patch_is_accepted_too(
    api: httpx.Client, new_pal: NewPal, body: Any, status: int, expected: dict[str, Any]
) -> None:
    pal = new_pal(greeting="Hello", layers={"stt": STT, "llm": {"extra_body": {"seed": 1}}})
    before = document(api, pal)
    answer = api.patch(f"/v2/pals/{pal}", content=json.dumps(body), headers={"content-type": MERGE_PATCH})
    assert answer.status_code == status, answer.text
    after = document(api, pal)
    if status != 200:
        assert after == before
    layers = expected.pop("layers", {})
    assert {name: after[name] for name in expected} == expected
    assert {name: after["layers"][name] for name in layers} == layers


def test_the_legacy_twin_patches_the_same_pal(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    answer = patch(api, pal, replace("/default_replica_id", "rc9cff32ceba"), family="personas")
    assert (answer.status_code, answer.json()["default_replica_id"]) == (200, "rc9cff32ceba")
    assert document(api, pal)["default_face_id"] == "rc9cff32ceba"
    assert STOCK_FACE != "rc9cff32ceba"


def test_the_sample_pal_is_there_on_a_fresh_server_only_once(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data") as palace, palace.client() as api:
        assert api.delete("/v2/pals/pcb7a34da5fe").status_code == 204
    with start_palace(tmp_path / "data") as palace, palace.client() as api:
        refused(api.get("/v2/pals/pcb7a34da5fe"), 400, "Invalid pal_id")
