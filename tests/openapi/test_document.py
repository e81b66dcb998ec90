"""The OpenAPI document: valid, the same in both forms, like the published one, and true of every operation it names."""

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from palace.api.openapi import build_openapi
from palace.resources import RESOURCES
from palace.settings import Settings
from tests.rows import change
from tests.serving import Palace

DOCUMENT = build_openapi(RESOURCES, Settings())
NO_SUCH_OPERATION = {405, 501}
MAY_BE_MISSING = re.compile(
    r".* .*/(revisions/.*|diff|rollback|drafts/.*)|(GET|DELETE) .*/draft|.* .*/skills(-history)?/.*|PUT .*/skills"
    r"|.* /v2/(faces|replicas)/{\w+}(/name)?|POST .*/rehearsals|(GET|DELETE) .*/rehearsal-gate"
)
"""Where 404 is an answer of the operation, not of a path that nobody serves."""
ANY_WORD = "night-desk"
NEWER = {resource.collection for resource in RESOURCES if resource.unknown().status == 404}
"""Kinds of objects of which an unknown id is 404, not 400."""
CLAIMED = {claim.pointer[0] for resource in RESOURCES for claim in resource.claims if len(claim.pointer) == 1}
NUMBERS = count(1)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


OPERATIONS = [pytest.param(*operation, id=operation[2]["operationId"]) for operation in operations()]
PATCH_PAL = DOCUMENT["paths"]["/v2/pals/{pal_id}"]["patch"]


@pytest.fixture(scope="module")
def served(api: httpx.Client) -> dict[str, Any]:
    document: dict[str, Any] = api.get("/openapi.json").json()
    return document


def may_be_missing(method: str, path: str) -> bool:
    is_of_newer_kind = "{" in path and path.split("/")[2] in NEWER
    return is_of_newer_kind or MAY_BE_MISSING.fullmatch(f"{method} {path}") is not None


# --- The document -----------------------------------------------------------------------------------------------------


def test_the_document_is_valid_openapi(served: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(served).iter_errors()] == []


def test_json_and_yaml_say_the_same(api: httpx.Client, served: dict[str, Any]) -> None:
    assert yaml.safe_load(api.get("/openapi.yaml").text) == served == DOCUMENT


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi.yaml"])
def test_the_document_needs_no_key(api: httpx.Client, path: str) -> None:
    assert httpx.get(f"{api.base_url}{path}").status_code == 200


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_every_schema_is_referred_to() -> None:
    text = str(DOCUMENT)
    assert [name for name in DOCUMENT["components"]["schemas"] if f"/schemas/{name}'" not in text] == []


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_is_described(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["tags"] in [[tag["name"]] for tag in DOCUMENT["tags"]]
    assert operation["summary"]
    assert operation["description"].endswith(".")
    assert "401" in operation["responses"]
    assert all(response["description"] for response in operation["responses"].values())
    assert not NO_SUCH_OPERATION & set(map(int, operation["responses"]))
    assert ("404" in operation["responses"]) == may_be_missing(method, path)
    assert operation.get("deprecated", False) == path.startswith(("/v2/personas", "/v2/replicas"))


# --- As published -----------------------------------------------------------------------------------------------------


def test_patch_pal_is_named_as_it_is_published() -> None:
    assert (PATCH_PAL["operationId"], PATCH_PAL["tags"]) == ("patchPal", ["PALs"])
    assert DOCUMENT["paths"]["/v2/personas/{persona_id}"]["patch"]["operationId"] == "patchPersona"


def test_the_only_credential_is_the_header_x_api_key() -> None:
    assert DOCUMENT["components"]["securitySchemes"] == {
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"}
    }
    assert DOCUMENT["security"] == [{"apiKey": []}]
    assert all("security" not in operation for _, _, operation in operations())


def test_patch_pal_shows_the_published_examples() -> None:
    examples = [
        example["value"] for example in PATCH_PAL["requestBody"]["content"]["application/json"]["examples"].values()
    ]
    assert [(operation["op"], operation["path"]) for [operation] in examples[:2]] == [
        ("replace", "/system_prompt"),
        ("remove", "/layers/stt/hotwords"),
    ]
    assert "value" not in examples[1][0]
    assert PATCH_PAL["parameters"][0]["schema"]["example"] == "pcb7a34da5fe"
    members = DOCUMENT["components"]["schemas"]["JsonPatch"]["items"]["properties"]
    assert (members["path"]["example"], members["value"]["example"]) == ("/layers/llm/model", "tavus-llama-4")
    assert members["op"]["enum"] == ["add", "remove", "replace", "copy", "move", "test"]


def test_patch_pal_documents_the_published_answers() -> None:
    published, ours = {"200", "304", "400", "401", "422"}, {"409", "412", "413", "415", "428"}
    assert set(PATCH_PAL["responses"]) == published | ours
    assert "content" not in PATCH_PAL["responses"]["304"]
    assert "Invalid pal_id" in PATCH_PAL["responses"]["400"]["description"]
    assert "Invalid JSON patch format" in PATCH_PAL["responses"]["422"]["description"]


# --- Every operation works --------------------------------------------------------------------------------------------


def example_requests(operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each example of the body with its media type; one request without a body where there is none."""
    for media, content in operation.get("requestBody", {"content": {"": {"example": None}}})["content"].items():
        shown = content.get("examples") or {"": {"value": content["example"]}}
        for example in shown.values():
            yield media, example["value"]


def new_tool(api: httpx.Client) -> str:
    _, body = next(example_requests(DOCUMENT["paths"]["/v2/tools"]["post"]))
    id: str = api.post("/v2/tools", json=renewed(api, body)).json()["tool_id"]
    return id


def new_suite(api: httpx.Client) -> str:
    _, body = next(example_requests(DOCUMENT["paths"]["/v2/rehearsal-suites"]["post"]))
    id: str = api.post("/v2/rehearsal-suites", json=body).json()["suite_id"]
    return id


def renewed(api: httpx.Client, body: Any) -> Any:
    """The example with another name, where only one object may have it, and with tools and a suite that exist."""
    if not isinstance(body, dict):
        return body
    if "suite_id" in body:
        body = {**body, "suite_id": new_suite(api)}
    names = {name: f"{body[name]}_{next(NUMBERS)}" for name in CLAIMED & body.keys()}
    return body | names | ({"tool_ids": [new_tool(api)]} if body.get("tool_ids") else {})


def new_delivery(palace: Palace) -> str:
    """A callback, as if something had told it: no operation makes one."""
    id = f"wd{next(NUMBERS):024x}"
    columns = "id, account, lane, url, event_type, state, attempts, tries, created_at, asked_at, due_at, body"
    row = (id, 1, id, "https://hooks.example/", "face.trained", "parked", 1, 1, "2026", "2026", "2026", b"{}")
    change(palace.data, f"INSERT INTO deliveries ({columns}) VALUES ({', '.join('?' * len(row))})", *row)
    return id


def address(
    api: httpx.Client, path: str, parameters: list[dict[str, Any]], palace: Palace
) -> tuple[str, dict[str, str]]:
    """The path and the query of a request: to a new object where clients make them, else to that of the example."""
    query = {}
    for parameter in parameters:
        name, schema = parameter["name"], parameter["schema"]
        if name == "number":
            path = path.replace("{number}", "1")
        elif name == "tool_id" and not path.startswith("/v2/tools"):
            id = new_tool(api)
            assert api.post(path.removesuffix("/{tool_id}"), json={"tool_ids": [id]}).status_code == 200
            path = path.replace("{tool_id}", id)
        elif name == "rehearsal_id":
            _, body = next(example_requests(DOCUMENT["paths"]["/v2/pals/{pal_id}/rehearsals"]["post"]))
            begun = api.post(path.removesuffix("/{rehearsal_id}"), json=body)
            path = path.replace("{rehearsal_id}", begun.json()["rehearsal_id"])
        elif name == "delivery_id":
            path = path.replace("{delivery_id}", new_delivery(palace))
        elif parameter["in"] == "path":
            collection = path.split("/{")[0]
            made = DOCUMENT["paths"].get(collection, {}).get("post")
            id = schema["example"]
            if made is not None:
                _, body = next(example_requests(made))
                id = api.post(collection, json=renewed(api, body)).json()[name]
            path = path.replace(f"{{{name}}}", id)
        elif parameter.get("required"):
            query[name] = schema.get("example", ANY_WORD)
    return path, query


def changed(api: httpx.Client, made: str) -> None:
    """Carry out the first example of a change of one of these: of the whole, or of its name."""
    collection = made.split("/")[2]
    for path, methods in DOCUMENT["paths"].items():
        if re.fullmatch(rf"/v2/{collection}/{{\w+}}(/name)?", path) and "patch" in methods:
            _, body = next(example_requests(methods["patch"]))
            assert api.patch(made + "/name" * path.endswith("/name"), json=body).status_code == 200


def changing(collection: str) -> Any:
    """The first example of a change of one of these."""
    [path] = [path for path in DOCUMENT["paths"] if re.fullmatch(rf"/v2/{collection}/{{\w+}}", path)]
    _, body = next(example_requests(DOCUMENT["paths"][path]["patch"]))
    return body


def number_of_change(api: httpx.Client, made: str) -> int:
    """The newest revision that a client made after the first one: a job may have written others since."""
    done = api.get(f"{made}/revisions").json()["data"]
    return next(int(one["revision"]) for one in done if one["action"] not in {"create", "job"})


def prepared(api: httpx.Client, place: str) -> str:
    """The place, once there is something to go back from: a second revision, a deleted object, a draft."""
    collection, id, *rest = [*place.removeprefix("/v2/").split("/"), ""]
    made = f"/v2/{collection}/{id}"
    if rest == ["restore", ""]:
        assert api.delete(made).status_code in {200, 204}
    if rest[-2:-1] in (["revert"], ["rollback"]):
        changed(api, made)
    if rest[:1] in (["draft"], ["drafts"], ["publish"]):
        assert api.patch(f"{made}/draft", json=changing(collection)).status_code == 200
    if rest[-2:-1] == ["restore"] and rest[0] == "drafts":
        assert api.delete(f"{made}/draft").status_code == 204
    if rest[:1] in (["skills"], ["skills-history"]):
        for config in ({}, {"usage_guidance": ANY_WORD}):
            assert api.put(f"{made}/skills/magic_canvas", json={"config": config}).status_code == 200
    if rest[:1] == ["rehearsal-gate"]:
        assert api.put(f"{made}/rehearsal-gate", json={"suite_id": new_suite(api)}).status_code == 200
    if place == f"{made}/revisions/1/revert":
        return f"{made}/revisions/{number_of_change(api, made)}/revert"
    return place.replace("/revisions/1/revert", "/revisions/2/revert")


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_works_as_its_examples_show(
    api: httpx.Client, palace: Palace, method: str, path: str, operation: dict[str, Any]
) -> None:
    for media, example in example_requests(operation):
        body = renewed(api, example)
        place, query = address(api, path, operation["parameters"], palace)
        place = prepared(api, place)
        headers = {"content-type": media} if media else {}
        with api.stream(method, place, params=query, json=body if media else None, headers=headers) as answer:
            if not answer.headers.get("content-type", "").startswith(
                "text/event-stream"
            ):  # Which ends with the conversation.
                answer.read()
            assert answer.status_code in {200, 201, 204}, answer.text
            assert str(answer.status_code) in operation["responses"]


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_an_operation_wants_a_key(api: httpx.Client, method: str, path: str, operation: dict[str, Any]) -> None:
    assert httpx.request(method, f"{api.base_url}{path}").status_code == 401


def test_the_example_ids_are_those_of_objects_on_a_fresh_server(api: httpx.Client) -> None:
    assert api.get("/v2/faces/r4067604db72").status_code == 200
    assert api.get("/v2/pals/pcb7a34da5fe").status_code == 200
