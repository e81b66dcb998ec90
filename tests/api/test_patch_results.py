"""Patch PAL: what the operations make of a PAL, and what is told when the result is none."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.wire import Operation, add, document, expect, patch, refused, remove, replace

NewPal = Callable[..., str]
CUSTOM_LLM = "Bad Request. Please ensure both base_url and api_key are included in order to use a custom llm."
STT = {"stt_engine": "tavus-auto", "hotwords": "Wren House"}


# --- The result must be a PAL -----------------------------------------------------------------------------------------


INVALID_RESULTS: list[Any] = [
    pytest.param(
        replace("/layers/llm", {"model": "m", "base_url": "https://x/v1"}), CUSTOM_LLM, "/layers/llm", id="half an llm"
    ),
    pytest.param(
        add("/layers/llm/foo", 1),
        "Bad Request. {'layers': {'llm': {'foo': ['Unknown field.']}}}",
        "/layers/llm/foo",
        id="an unknown member",
    ),
    pytest.param(
        remove("/system_prompt"),
        "Bad Request. {'system_prompt': ['Missing data for required field.']}",
        "/system_prompt",
        id="no prompt",
    ),
    pytest.param(add("/nope", 1), "Bad Request. {'nope': ['Unknown field.']}", "/nope", id="an unknown root member"),
    pytest.param(
        replace("/pal_name", 5), "Bad Request. {'pal_name': ['Not a valid string.']}", "/pal_name", id="a wrong type"
    ),
    pytest.param(replace("/default_face_id", "r0"), "Invalid replica_uuid", "/default_face_id", id="no such face"),
    pytest.param(replace("/layers", []), None, "/layers", id="layers are an object"),
    pytest.param(replace("/layers", None), None, "/layers", id="layers are not null"),
]


@pytest.mark.parametrize(("operation", "sentence", "pointer"), INVALID_RESULTS)
def test_a_result_that_is_no_pal_is_400_and_blames_its_operation(
    api: httpx.Client, new_pal: NewPal, operation: Operation, sentence: str | None, pointer: str
) -> None:
    pal = new_pal(layers={"llm": {"model": "tavus-gpt-oss"}})
    before = document(api, pal)
    answer = patch(api, pal, replace("/greeting", "Hello"), operation, expect("/greeting", "Hello"))
    details = refused(answer, 400, sentence)
    blamed = [(detail["pointer"], detail["operation"], detail["op"]) for detail in details]
    assert blamed == [(pointer, 1, operation["op"])]
    assert document(api, pal) == before


def test_every_problem_is_told_at_once(api: httpx.Client, new_pal: NewPal) -> None:
    answer = patch(
        api, new_pal(), add("/layers/stt", {"stt_engine": "ear"}), replace("/languages", "en"), add("/nope", 1)
    )
    details = refused(answer, 400)
    assert {(detail["pointer"], detail["operation"]) for detail in details} == {
        ("/layers/stt/stt_engine", 0),
        ("/languages", 1),
        ("/nope", 2),
    }


@pytest.mark.parametrize("member", ["pal_id", "created_at", "updated_at", "is_published"])
@pytest.mark.parametrize("how", ["replace", "remove", "move"])
def test_what_only_the_server_writes_cannot_be_patched(
    api: httpx.Client, new_pal: NewPal, member: str, how: str
) -> None:
    pal = new_pal()
    operation = {"op": how, "path": f"/{member}", "value": "x", "from": "/pal_name"}
    details = refused(patch(api, pal, operation), 400, f"Bad Request. {{'{member}': ['Read-only field.']}}")
    assert [(detail["code"], detail["operation"]) for detail in details] == [("read_only", 0)]


def test_a_new_root_document_must_keep_what_the_server_wrote(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="Hello")
    before = document(api, pal)
    refused(patch(api, pal, replace("", {"system_prompt": "x"})), 400)
    refused(patch(api, pal, replace("", [])), 400)
    assert patch(api, pal, replace("", before)).status_code == 304
    changed = patch(api, pal, replace("", before | {"greeting": "Good night"}))
    assert (changed.status_code, changed.json()["greeting"]) == (200, "Good night")


# --- Operations that work ---------------------------------------------------------------------------------------------


WORKING: list[Any] = [
    pytest.param(
        [{"op": "copy", "from": "/system_prompt", "path": "/greeting"}], "greeting", "Answer briefly.", id="copy"
    ),
    pytest.param(
        [add("/document_tags/-", "t2"), add("/document_tags/0", "t1")],
        "document_tags",
        ["t1", "t2"],
        id="add to a list",
    ),
    pytest.param([{"op": "move", "from": "/pal_name", "path": "/greeting"}], "pal_name", None, id="move leaves null"),
    pytest.param(
        [expect("/pal_name", "Night Desk"), replace("/pal_name", "Day Desk")], "pal_name", "Day Desk", id="test first"
    ),
    pytest.param(
        [replace("/pal_name", "a") | {"comment": "", "from": 5}], "pal_name", "a", id="unknown members are ignored"
    ),
    pytest.param(
        [add("/layers/llm", {"extra_body": {"a/b": {"m~n": 1}}}), replace("/layers/llm/extra_body/a~1b/m~0n", 2)],
        "layers",
        {"llm": {"extra_body": {"a/b": {"m~n": 2}}}},
        id="escaped tokens in what an earlier operation added",
    ),
    pytest.param(
        [replace("/layers/perception", {"perception_model": "raven-0"})],
        "layers",
        {"perception": {"perception_model": "raven-0"}},
        id="replace a layer that is not set",
    ),
    pytest.param([replace("/layers", {"stt": STT})], "layers", {"stt": STT}, id="replace all layers"),
]


@pytest.mark.parametrize(("operations", "member", "expected"), WORKING)
def test_operations_that_fit_are_carried_out(
    api: httpx.Client, new_pal: NewPal, operations: list[Operation], member: str, expected: Any
) -> None:
    pal = new_pal()
    answer = patch(api, pal, *operations)
    assert answer.status_code == 200, answer.text
    assert answer.json()[member] == expected
    assert document(api, pal)[member] == expected


KNOWN_LAYERS = "llm tts stt conversational_flow perception capabilities knowledge_base transport sts".split()


@pytest.mark.parametrize("layer", [*KNOWN_LAYERS, "conferencing"])
def test_replacing_a_known_layer_that_is_not_set_sets_it(api: httpx.Client, new_pal: NewPal, layer: str) -> None:
    answer = patch(api, new_pal(), replace(f"/layers/{layer}", {}))
    assert answer.status_code == 200, answer.text
    assert layer in answer.json()["layers"]


@pytest.mark.parametrize("op", ["add", "replace"])
def test_writing_a_whole_layer_lets_members_that_are_left_out_vanish(
    api: httpx.Client, new_pal: NewPal, op: str
) -> None:
    pal = new_pal(layers={"tts": {"tts_engine": "cartesia", "tts_model_name": "sonic-3"}})
    answer = patch(api, pal, {"op": op, "path": "/layers/tts", "value": {"tts_engine": "cartesia"}})
    assert answer.json()["layers"]["tts"] == {"tts_engine": "cartesia"}


def test_conferencing_is_patched_alone(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    before = document(api, pal)
    conferencing = add("/layers/conferencing", {"allowlist": ["a@example.org"]})
    details = refused(patch(api, pal, conferencing, replace("/pal_name", "x")), 400)
    assert [detail["operation"] for detail in details] == [1]
    assert document(api, pal) == before
    alone = patch(
        api, pal, expect("/pal_name", "Night Desk"), conferencing, add("/layers/conferencing/whitelabel", True)
    )
    assert alone.status_code == 200, alone.text


@pytest.mark.parametrize("query", ["force=true", "target=live", "nonsense", "include_settings=true&verbose=true"])
def test_query_parameters_of_other_versions_are_ignored(api: httpx.Client, new_pal: NewPal, query: str) -> None:
    answer = api.patch(f"/v2/pals/{new_pal()}?{query}", json=[replace("/pal_name", "x")])
    assert answer.status_code == 200


def test_a_stock_pal_cannot_be_patched(api: httpx.Client) -> None:
    details = refused(patch(api, "pb87e71797da", replace("/pal_name", "x")), 400, "Invalid pal_id")
    assert details[0]["code"] == "stock_object"


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(remove("/system_prompt"), id="remove"),
        pytest.param({"op": "move", "from": "/system_prompt", "path": "/greeting"}, id="move"),
        pytest.param({"op": "copy", "from": "/layers", "path": "/system_prompt"}, id="copy"),
    ],
)
def test_an_operation_without_a_value_is_not_blamed_at_its_value(
    api: httpx.Client, new_pal: NewPal, operation: Operation
) -> None:
    details = refused(patch(api, new_pal(), operation), 400)
    assert [(detail["operation"], detail["op"]) for detail in details] == [(0, operation["op"])]
    assert details[0]["at"] in ("path", "from")
