"""Two spellings of one thing: pal and persona, face and replica, on both families of paths."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.wire import MERGE_PATCH, add, document, expect, patch, refused, remove, replace
from tests.serving import STOCK_FACE

NewPal = Callable[..., str]
FLOW = "/layers/conversational_flow"
FAMILIES = ["pals", "personas"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("/v2/pals", "data"),
        ("/v2/personas", "data"),
        ("/v2/faces", "data"),
        ("/v2/replicas", "data"),
        ("/v2/pals/pb87e71797da", "pal_id"),
        ("/v2/personas/pb87e71797da", "persona_id"),
        (f"/v2/faces/{STOCK_FACE}", "face_id"),
        (f"/v2/replicas/{STOCK_FACE}", "replica_id"),
    ],
)
def test_every_path_is_served_with_and_without_a_slash_and_no_redirect(
    api: httpx.Client, path: str, member: str, slash: str
) -> None:
    answer = api.get(path + slash)
    assert answer.status_code == 200
    assert member in answer.json()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_path_without_its_version_is_the_same_path(api: httpx.Client, new_pal: NewPal, family: str) -> None:
    """Whether a client puts `/v2` into its URL or into its paths, nobody should have to know."""
    one = f"/{family}/{new_pal()}"
    assert api.get(one).json() == api.get(f"/v2{one}").json()
    assert api.patch(one, json=[replace("/greeting", "Hello")]).status_code == 200
    refused(api.get(f"/{family}/pdeadbeef000"), 400, f"Invalid {family[:-1]}_id")
    assert api.post(one).headers["allow"] == api.post(f"/v2{one}").headers["allow"]
    assert api.get(f"{one}/revisions/1").status_code == 200


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("family", FAMILIES)
def test_writing_works_with_and_without_a_slash(api: httpx.Client, family: str, slash: str) -> None:
    body = {"system_prompt": "x", "default_face_id": STOCK_FACE}
    made = api.post(f"/v2/{family}{slash}", json=body)
    assert made.status_code == 200
    one = f"/v2/{family}/{made.json()[f'{family[:-1]}_id']}{slash}"
    assert api.patch(one, json=[replace("/greeting", "Hello")]).status_code == 200
    assert api.delete(one).status_code == 204


RENAMED = ["pal_id", "pal_name", "pal_description"]


def test_the_reply_speaks_the_words_of_its_route(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(pal_description="a face of a pal", layers={"conversational_flow": {}})
    new, old = document(api, pal), document(api, pal, "personas")
    for name in RENAMED:
        assert old.pop(name.replace("pal", "persona")) == new.pop(name)
    assert old.pop("default_replica_id") == new.pop("default_face_id") == STOCK_FACE
    old_flow, new_flow = old["layers"]["conversational_flow"], new["layers"]["conversational_flow"]
    assert old_flow.pop("replica_interruptibility") == new_flow.pop("pal_interruptibility")
    assert old == new


def test_receipts_and_lists_speak_the_words_of_their_route(api: httpx.Client) -> None:
    receipt = api.post("/v2/personas", json={"persona_name": "n", "system_prompt": "x"}).json()
    assert list(receipt) == ["persona_id", "persona_name", "persona_description", "tool_ids", "created_at"]
    listed = api.get("/v2/personas?sort=desc&limit=1").json()["data"][0]
    assert (listed["persona_id"], listed["default_replica_id"]) == (receipt["persona_id"], None)
    face = api.get(f"/v2/replicas/{STOCK_FACE}?verbose=true").json()
    assert {"replica_id", "replica_name", "replica_type"} <= set(face)
    assert not {"face_id", "face_name", "face_type"} & set(face)


POINTERS: list[Any] = [
    pytest.param(replace("/persona_name", "x"), "pal_name", "x", id="persona_name"),
    pytest.param(replace("/pal_name", "x"), "pal_name", "x", id="pal_name"),
    pytest.param(replace("/persona_description", "x"), "pal_description", "x", id="persona_description"),
    pytest.param(replace("/default_replica_id", "rc9cff32ceba"), "default_face_id", "rc9cff32ceba", id="default face"),
    pytest.param({"op": "copy", "from": "/persona_name", "path": "/greeting"}, "greeting", "Night Desk", id="from"),
    pytest.param({"op": "move", "from": "/persona_name", "path": "/persona_description"},
                 "pal_description", "Night Desk", id="path and from"),
]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("operation", "member", "expected"), POINTERS)
def test_a_pointer_may_use_either_spelling_on_either_family(
    api: httpx.Client, new_pal: NewPal, family: str, operation: dict[str, Any], member: str, expected: str
) -> None:
    pal = new_pal()
    answer = patch(api, pal, operation, family=family)
    assert answer.status_code == 200, answer.text
    assert document(api, pal)[member] == expected


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["pal_interruptibility", "replica_interruptibility", "face_interruptibility"])
def test_interruptibility_has_three_names_everywhere(
    api: httpx.Client, new_pal: NewPal, family: str, name: str
) -> None:
    pal = new_pal(layers={"conversational_flow": {name: "low"}})
    assert document(api, pal)["layers"]["conversational_flow"]["pal_interruptibility"] == "low"
    for operation in (
        replace(f"{FLOW}/{name}", "high"),
        add(FLOW, {name: "low"}),
        replace("/layers", {"conversational_flow": {name: "high"}}),
    ):
        answer = patch(api, pal, operation, family=family)
        assert answer.status_code == 200, answer.text
    assert document(api, pal)["layers"]["conversational_flow"]["pal_interruptibility"] == "high"
    assert patch(api, pal, expect(f"{FLOW}/{name}", "high"), family=family).status_code == 304


FREE_FORM = {
    "llm": {
        "extra_body": {"replica_id": 1, "persona_id": 2, "pal_id": 3, "replica_interruptibility": "x"},
        "headers": {"persona_name": "a", "default_replica_id": "b"},
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "find",
                    "parameters": {"type": "object", "properties": {"replica_id": {"type": "string"}, "pal_id": {}}},
                },
            }
        ],
    },
    "transport": {"persona_id": "p", "face_id": "f"},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_free_form_objects_keep_their_words(api: httpx.Client, new_pal: NewPal, family: str) -> None:
    prompt = "Say persona_id, replica_id, pal_name and default_face_id."
    pal = new_pal(system_prompt=prompt, layers=FREE_FORM)
    shown = document(api, pal, family)
    assert (shown["system_prompt"], shown["layers"]) == (prompt, FREE_FORM)
    answer = patch(api, pal, replace("/layers/llm/extra_body/replica_id", 7), family=family)
    assert answer.status_code == 200, answer.text
    assert answer.json()["layers"]["llm"]["extra_body"] == FREE_FORM["llm"]["extra_body"] | {"replica_id": 7}


def test_both_spellings_are_one_member_when_they_agree_and_an_error_when_not(
    api: httpx.Client, new_pal: NewPal
) -> None:
    flow = {"pal_interruptibility": "low", "replica_interruptibility": "low"}
    pal = new_pal(layers={"conversational_flow": flow})
    unequal = flow | {"face_interruptibility": "high"}
    refused(patch(api, pal, replace(FLOW, unequal)), 400)
    merge = {"persona_name": "a", "pal_name": "b"}
    refused(api.patch(f"/v2/pals/{pal}", json=merge, headers={"content-type": MERGE_PATCH}), 400)
    body = {"system_prompt": "x", "default_face_id": STOCK_FACE, "pal_name": "a"}
    assert api.post("/v2/pals", json=body | {"persona_name": "a"}).status_code == 200
    refused(api.post("/v2/pals", json=body | {"persona_name": "b"}), 400)


def test_an_object_in_place_of_a_patch_is_422_whatever_its_members(api: httpx.Client, new_pal: NewPal) -> None:
    answer = api.patch(f"/v2/pals/{new_pal()}", json={"persona_name": "a", "pal_name": "b"})
    refused(answer, 422, "Invalid JSON patch format")


def test_the_pal_route_wants_the_new_name_of_the_face_and_the_persona_route_none(api: httpx.Client) -> None:
    body = {"system_prompt": "x"}
    sentence = "Bad Request. {'default_face_id': ['default_face_id is required when creating a pal.']}"
    refused(api.post("/v2/pals", json=body), 400, sentence)
    refused(api.post("/v2/pals", json=body | {"default_replica_id": STOCK_FACE}), 400, sentence)
    assert api.post("/v2/personas", json=body).status_code == 200
    for name in ("default_replica_id", "default_face_id"):
        made = api.post("/v2/personas", json=body | {name: STOCK_FACE}).json()
        assert document(api, made["persona_id"])["default_face_id"] == STOCK_FACE


@pytest.mark.parametrize("path", ["/v2/pals?persona_type=", "/v2/personas?pal_type=", "/v2/personas?persona_type="])
def test_a_query_parameter_may_use_either_spelling(api: httpx.Client, path: str) -> None:
    user, system = api.get(path + "user").json(), api.get(path + "system").json()
    assert user["total_count"] + system["total_count"] == api.get("/v2/pals").json()["total_count"]


@pytest.mark.parametrize("path", ["/v2/faces?replica_type=", "/v2/faces?face_type=", "/v2/replicas?replica_type="])
def test_the_type_of_a_face_may_use_either_spelling(api: httpx.Client, path: str) -> None:
    user, system = api.get(path + "user").json(), api.get(path + "system").json()
    assert user["total_count"] + system["total_count"] == api.get("/v2/faces").json()["total_count"]
    assert system["total_count"] == 4


# --- Errors and messages speak the words of the route, too ------------------------------------------------------------


def test_an_unknown_face_is_told_in_the_words_of_the_route(api: httpx.Client) -> None:
    refused(api.get("/v2/faces/r0"), 400, "Invalid face_id")
    refused(api.get("/v2/replicas/r0"), 400, "Invalid replica_id")


def test_the_message_of_304_on_the_older_route_says_persona(api: httpx.Client, new_pal: NewPal) -> None:
    answer = api.patch(f"/v2/personas/{new_pal()}", json=[])
    assert (answer.status_code, answer.headers["x-message"]) == (304, "No changes were made to the persona")


ERRORS: list[Any] = [
    pytest.param(replace("/persona_name", 5), 400, "/persona_name", id="a wrong type"),
    pytest.param(expect("/persona_name", "other"), 422, "/persona_name", id="a failed test"),
    pytest.param(remove("/default_replica_id/x"), 400, "/default_replica_id/x", id="a missing parent"),
    pytest.param(replace(f"{FLOW}/replica_interruptibility", "x"), 400, f"{FLOW}/replica_interruptibility", id="enum"),
    pytest.param(replace("/persona_id", "x"), 400, "/persona_id", id="a read-only member"),
    pytest.param(remove("/system_prompt"), 400, "/system_prompt", id="no prompt"),
    pytest.param(replace("/default_replica_id", "r0"), 400, "/default_replica_id", id="an unknown replica"),
]


@pytest.mark.parametrize(("operation", "status", "pointer"), ERRORS)
def test_an_error_on_the_older_route_never_says_pal_or_face(
    api: httpx.Client, new_pal: NewPal, operation: dict[str, Any], status: int, pointer: str
) -> None:
    pal = new_pal(layers={"conversational_flow": {}})
    answer = patch(api, pal, operation, family="personas")
    details = refused(answer, status)
    assert [detail["pointer"] for detail in details] == [pointer]
    told = answer.text.replace("can't", "")
    assert not [word for word in ("pal_", "face_id") if word in told]


def test_what_conferencing_lacks_is_told_in_the_words_of_the_route(api: httpx.Client) -> None:
    answer = api.post("/v2/personas", json={"system_prompt": "x", "layers": {"conferencing": {}}})
    assert [detail["pointer"] for detail in refused(answer, 400)] == ["/default_replica_id"]
    assert "default_face_id" not in answer.text
