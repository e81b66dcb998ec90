"""Tools: every form that is accepted, and what is stored of it (contract 5)."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.tooling import API, BASIC, BEARER, HMAC, KEY, MASK, NIGHTS, OAUTH, URL, create, created, with_api
from tests.api.wire import preview, refused

NewTool = Callable[..., str]
MEMBERS = [
    "tool_id", "name", "description", "parameters", "delivery", "trigger_type", "origin", "on_call", "on_resolve",
    "static_filler", "tags", "owner_id", "is_system_tool", "created_at", "updated_at",
]  # fmt: skip


# --- What is stored ---------------------------------------------------------------------------------------------------


def test_a_tool_of_a_name_and_a_description_has_the_published_defaults(api: httpx.Client) -> None:
    tool = created(create(api, name="room_rate_plain"))
    assert list(tool) == MEMBERS
    assert re.fullmatch("t[0-9a-f]{12}", tool["tool_id"])
    assert isinstance(tool["owner_id"], int)
    assert (tool["parameters"], tool["delivery"], tool["tags"]) == ({}, {"app_message": True, "api": None}, [])
    assert (tool["trigger_type"], tool["origin"], tool["is_system_tool"]) == ("in_call", "llm", False)
    assert (tool["on_call"], tool["on_resolve"], tool["static_filler"]) == ("generate_filler", "fire_and_forget", None)
    assert api.get(f"/v2/tools/{tool['tool_id']}").json() == tool


def test_the_worked_example_is_answered_as_it_is_published(api: httpx.Client) -> None:
    auth = {"type": "bearer", "token": "s3cr3t"}
    api_of_it = {"url": "https://api.example.org/rate/{nights}", "method": "GET", "auth": auth}
    tool = created(create(api, parameters=NIGHTS, delivery={"app_message": False, "api": api_of_it}))
    shown = API | api_of_it | {"auth": {"type": "bearer", "token": MASK}}
    assert tool["delivery"] == {"app_message": False, "api": shown}


AUTHS = [
    pytest.param(None, None, id="null"),
    pytest.param({"type": "none"}, {"type": "none"}, id="none"),
    pytest.param(BEARER, BEARER | {"token": MASK}, id="bearer"),
    pytest.param(BASIC, BASIC | {"password": MASK}, id="basic"),
    pytest.param(KEY, KEY | {"value": MASK, "location": "header"}, id="api_key"),
    pytest.param(KEY | {"location": "query"}, KEY | {"value": MASK, "location": "query"}, id="api_key in the query"),
    pytest.param(HMAC, HMAC | {"secret": MASK}, id="hmac"),
    pytest.param(OAUTH, OAUTH | {"client_secret": MASK}, id="oauth2"),
    pytest.param(OAUTH | {"scope": "rates"}, OAUTH | {"client_secret": MASK, "scope": "rates"}, id="oauth2 with scope"),
]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
@pytest.mark.parametrize(("auth", "shown"), AUTHS)
def test_every_auth_goes_with_every_method(api: httpx.Client, auth: Any, shown: Any, method: str) -> None:
    tool = created(create(api, **with_api(method=method, auth=auth)))
    assert tool["delivery"]["api"] == API | {"method": method, "auth": shown}


ACCEPTED: list[Any] = [
    pytest.param({"delivery": {"app_message": True}}, {"app_message": True, "api": None}, id="a message"),
    pytest.param({"delivery": {"app_message": True, "api": None}}, {"app_message": True, "api": None}, id="no api"),
    pytest.param({"delivery": {"app_message": None, "api": {"url": URL}}}, {"api": API}, id="app_message null"),
    pytest.param(with_api(timeout=0.5), {"api": API | {"timeout": 0.5}}, id="half a second"),
    pytest.param(with_api(timeout=60), {"api": API | {"timeout": 60}}, id="a minute"),
    pytest.param(with_api(headers={"X-Desk": "night, day"}), {"api": API | {"headers": {"X-Desk": "night, day"}}},
                 id="headers"),
    pytest.param(with_api(content_type="text/csv"), {"api": API | {"content_type": "text/csv"}}, id="content_type"),
    pytest.param(with_api(query_params={"n": "{nights}"}) | {"parameters": NIGHTS},
                 {"api": API | {"query_params": {"n": "{nights}"}}}, id="query_params"),
    pytest.param(with_api(body_template={"stay": [{"n": "{nights} nights"}], "x": 5}) | {"parameters": NIGHTS},
                 {"api": API | {"body_template": {"stay": [{"n": "{nights} nights"}], "x": 5}}}, id="body_template"),
    pytest.param(with_api(url=URL + "?of={tavus_id}"), {"api": API | {"url": URL + "?of={tavus_id}"}},
                 id="a placeholder of the server's"),
    pytest.param(with_api(auth=HMAC, body_template={}, query_params={}),
                 {"api": API | {"auth": HMAC | {"secret": MASK}, "body_template": {}, "query_params": {}}},
                 id="hmac with nothing to send"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "delivery"), ACCEPTED)
def test_a_delivery_is_shown_in_full(api: httpx.Client, members: Any, delivery: Any) -> None:
    assert created(create(api, **members))["delivery"] == {"app_message": False, **delivery}


def test_a_number_is_given_back_as_it_came(api: httpx.Client) -> None:
    for timeout in (10, 10.0, 7):
        text = create(api, **with_api(timeout=timeout)).text
        assert f'"timeout":{json.dumps(timeout)},' in text


@pytest.mark.parametrize(
    "url",
    [
        "HTTPS://API.example.org",
        "https://api.example.org:8443/a/b?c=d&e=%20#part",
        "https://api.example.org/{nights}/{nights}?n={nights}",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:443/",
        "https://a_b.example.org/ü/{not-a-name}/{}",
    ],
)
def test_a_url_is_kept_as_it_is(api: httpx.Client, url: str) -> None:
    assert created(create(api, parameters=NIGHTS, **with_api(url=url)))["delivery"]["api"]["url"] == url


CALLERS: list[Any] = [
    pytest.param({}, ("llm", "generate_filler", "fire_and_forget", None), id="nothing said"),
    pytest.param({"origin": None, "on_call": None}, ("llm", "generate_filler", "fire_and_forget", None), id="nulls"),
    pytest.param({"on_call": "silent", "on_resolve": "add_to_context"}, ("llm", "silent", "add_to_context", None),
                 id="silent"),
    pytest.param({"on_call": "passthrough", "on_resolve": "response_in_result"},
                 ("llm", "passthrough", "response_in_result", None), id="passthrough"),
    pytest.param({"on_call": "static_filler", "static_filler": "One moment.", "on_resolve": "generate_response"},
                 ("llm", "static_filler", "generate_response", "One moment."), id="static_filler"),
    pytest.param({"origin": "vision"}, ("vision", None, "fire_and_forget", None), id="vision"),
    pytest.param({"origin": "audio", "on_call": None}, ("audio", None, "fire_and_forget", None), id="audio"),
    pytest.param({"trigger_type": "post_call", **with_api()}, (None, None, "fire_and_forget", None), id="post_call"),
    pytest.param({"trigger_type": "post_call", "origin": None, **with_api(),
                  "parameters": {"type": "object", "properties": {"kind": {"const": "summary"}}}},
                 (None, None, "fire_and_forget", None), id="post_call with a fixed value"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "said"), CALLERS)
def test_what_is_left_out_follows_from_what_is_there(api: httpx.Client, members: Any, said: Any) -> None:
    tool = created(create(api, **members))
    assert tuple(tool[name] for name in ("origin", "on_call", "on_resolve", "static_filler")) == said


# --- Names ------------------------------------------------------------------------------------------------------------


def test_a_name_is_taken_once_in_an_account_and_freed_with_the_tool(
    api: httpx.Client, neighbour: httpx.Client, new_tool: NewTool
) -> None:
    tool = new_tool(name="taken_name")
    for answer in (create(api, name="taken_name"), api.patch(f"/v2/tools/{new_tool()}", json={"name": "taken_name"})):
        details = refused(answer, 409, "A tool with this name already exists")
        assert [(detail["code"], detail["pointer"]) for detail in details] == [("taken", "/name")]
    assert created(create(neighbour, name="taken_name"))["owner_id"] != api.get(f"/v2/tools/{tool}").json()["owner_id"]
    assert api.patch(f"/v2/tools/{tool}", json={"name": "another_name"}).status_code == 200
    second = created(create(api, name="taken_name"))["tool_id"]
    assert api.delete(f"/v2/tools/{second}").status_code == 204
    assert preview(api, "POST", "/v2/tools", json={"name": "taken_name", "description": "x"})["changed"] is True
    third = created(create(api, name="taken_name"))["tool_id"]
    refused(api.post(f"/v2/tools/{second}/restore"), 409, "A tool with this name already exists")
    assert api.delete(f"/v2/tools/{third}").status_code == 204
    assert api.post(f"/v2/tools/{second}/restore").status_code == 200


# --- Unknown, somebody else's, the server's ---------------------------------------------------------------------------


def test_an_unknown_tool_is_told_as_published(api: httpx.Client) -> None:
    [detail] = refused(api.get("/v2/tools/t000000000000"), 400, "Bad Request. Tool not found")
    assert detail["code"] == "invalid_id"


def test_the_system_tool_is_read_by_all_and_changed_by_none(api: httpx.Client, neighbour: httpx.Client) -> None:
    for client in (api, neighbour):
        tool = client.get("/v2/tools/end_call").json()
        assert (tool["tool_id"], tool["name"], tool["owner_id"], tool["is_system_tool"]) == (
            "end_call",
            "end_call",
            None,
            True,
        )
        refused(client.delete("/v2/tools/end_call"), 400, "Bad Request. Cannot delete system tools")
        change = client.patch("/v2/tools/end_call", json={"description": "x"})
        assert refused(change, 400, "Bad Request. Cannot update system tools")[0]["code"] == "stock_object"
        refused(create(client, name="end_call"), 400, "Bad Request. Cannot create system tools")


def test_a_tool_does_not_take_the_name_of_a_system_tool_later(api: httpx.Client, new_tool: NewTool) -> None:
    answer = api.patch(f"/v2/tools/{new_tool()}", json={"name": "end_call"})
    refused(answer, 400, "Bad Request. Cannot create system tools")
