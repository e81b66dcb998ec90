"""PATCH of a tool: members that are sent replace, others stay, and no secret goes to another server (contract 5)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.tooling import (
    API,
    BASIC,
    BEARER,
    HMAC,
    MASK,
    NIGHTS,
    OAUTH,
    URL,
    WITH_SECRET,
    created,
    with_api,
)
from tests.api.wire import preview, refused, revision, revisions

NewTool = Callable[..., str]
MESSAGE = {"app_message": True, "api": None}
STATIC = {"on_call": "static_filler", "static_filler": "One moment."}
POST_CALL = {"trigger_type": "post_call", **with_api()}


def edit(api: httpx.Client, tool: str, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
    return api.patch(f"/v2/tools/{tool}", json=members, headers=headers)


def read(api: httpx.Client, tool: str) -> dict[str, Any]:
    return created(api.get(f"/v2/tools/{tool}"))


# --- The merge --------------------------------------------------------------------------------------------------------

EDITS: list[Any] = [
    pytest.param({}, {"description": "Other."}, {"description": "Other."}, id="one member"),
    pytest.param(
        {}, {"name": "renamed_tool", "tags": ["desk"]}, {"name": "renamed_tool", "tags": ["desk"]}, id="two members"
    ),
    pytest.param(
        {"parameters": NIGHTS},
        {"parameters": {"properties": {"a": {}}}},
        {"parameters": {"properties": {"a": {}}}},
        id="parameters as a whole",
    ),
    pytest.param(
        with_api(method="GET", timeout=5),
        with_api(timeout=9),
        {"delivery": {"app_message": False, "api": API | {"timeout": 9}}},
        id="delivery as a whole",
    ),
    pytest.param(with_api(), {"delivery": None}, {"delivery": MESSAGE}, id="no delivery"),
    pytest.param(
        with_api(auth=BEARER), with_api(), {"delivery": {"app_message": False, "api": API}}, id="auth left out"
    ),
    pytest.param(
        {"parameters": NIGHTS, "tags": ["a"]},
        {"parameters": None, "tags": None},
        {"parameters": {}, "tags": []},
        id="null sets a default",
    ),
    pytest.param(
        {"on_call": "silent", "on_resolve": "add_to_context"},
        {"on_call": None, "on_resolve": None},
        {"on_call": "generate_filler", "on_resolve": "fire_and_forget"},
        id="null for callers",
    ),
    pytest.param(STATIC, {"on_call": "silent"}, {"on_call": "silent", "static_filler": None}, id="filler goes"),
    pytest.param(
        STATIC, {"on_call": None}, {"on_call": "generate_filler", "static_filler": None}, id="filler goes, by null"
    ),
    pytest.param(STATIC, {"static_filler": "Wait."}, {"static_filler": "Wait."}, id="another filler"),
    pytest.param({}, {"origin": "vision"}, {"origin": "vision", "on_call": None}, id="on_call follows"),
    pytest.param(
        {"origin": "audio"}, {"origin": "llm"}, {"origin": "llm", "on_call": "generate_filler"}, id="and back"
    ),
    pytest.param({"origin": "audio"}, {"origin": None}, {"origin": "llm", "on_call": "generate_filler"}, id="by null"),
    pytest.param(
        with_api(),
        {"trigger_type": "post_call"},
        {"trigger_type": "post_call", "origin": None, "on_call": None},
        id="origin follows",
    ),
    pytest.param(
        POST_CALL,
        {"trigger_type": None},
        {"trigger_type": "in_call", "origin": "llm", "on_call": "generate_filler"},
        id="from post_call",
    ),
    pytest.param(
        POST_CALL,
        {"trigger_type": "in_call", "origin": "vision"},
        {"trigger_type": "in_call", "origin": "vision"},
        id="from post_call to vision",
    ),
]


@pytest.mark.parametrize(("members", "sent", "changed"), EDITS)
def test_what_is_sent_replaces_and_the_rest_stays(
    api: httpx.Client, new_tool: NewTool, members: Any, sent: Any, changed: Any
) -> None:
    tool = new_tool(**members)
    before = read(api, tool)
    expected = preview(api, "PATCH", f"/v2/tools/{tool}", json=sent)["document"]
    assert read(api, tool) == before
    after = created(edit(api, tool, **sent))
    assert read(api, tool) == after
    assert after == before | changed | {"updated_at": after["updated_at"]}
    assert expected == after | {"updated_at": expected["updated_at"]}
    newest = revisions(api, tool, "tools")[0]
    assert (newest["revision"], newest["action"]) == (2, "edit")
    assert {pointer.split("/")[1] for pointer in newest["touched"]} == set(changed)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"on_call": "generate_filler", "origin": None, "tags": []},
        {"delivery": {"api": {"url": URL, "auth": BEARER, "timeout": 10}}},
        {"delivery": {"app_message": False, "api": API | {"auth": {"type": "bearer"}}}},
    ],
)
def test_what_changes_nothing_is_200_and_no_revision(api: httpx.Client, new_tool: NewTool, sent: Any) -> None:
    tool = new_tool(**with_api(auth=BEARER))
    before = read(api, tool)
    assert created(edit(api, tool, **sent)) == before
    assert len(revisions(api, tool, "tools")) == 1


def test_what_was_read_can_be_sent_back_without_the_secret(api: httpx.Client, new_tool: NewTool) -> None:
    tool = new_tool(**with_api(auth=OAUTH | {"scope": "rates"}), tags=["a"])
    document = read(api, tool)
    del document["delivery"]["api"]["auth"]["client_secret"]
    assert created(edit(api, tool, **document)) == read(api, tool)
    created(edit(api, tool, **document | {"description": "Other."}))
    assert is_stored(api, tool, OAUTH | {"scope": "rates"})


REFUSED_EDITS: list[Any] = [
    pytest.param({"name": None}, "/name", "Field may not be null.", id="name null"),
    pytest.param({"description": None}, "/description", "Field may not be null.", id="description null"),
    pytest.param({"tool_id": "t000000000000"}, "/tool_id", "Read-only field.", id="another id"),
    pytest.param({"is_system_tool": True}, "/is_system_tool", "Read-only field.", id="a system tool"),
    pytest.param({"owner_id": None}, "/owner_id", "Read-only field.", id="no owner"),
    pytest.param({"colour": "red"}, "/colour", "Unknown field.", id="an unknown member"),
    pytest.param(
        {"parameters": {}},
        "/delivery/api/url",
        "Placeholder {nights} must be declared in parameters.properties.",
        id="a placeholder that is stored",
    ),
    pytest.param(
        {"trigger_type": "post_call", "delivery": None},
        "/delivery/api",
        "Required for post_call tools.",
        id="post_call without api",
    ),
    pytest.param(
        {"origin": "vision", "on_call": "silent"}, "/on_call", "Must be null for vision tools.", id="vision speaks"
    ),
    pytest.param(
        {"on_call": "silent", "static_filler": "Hm."},
        "/static_filler",
        "Must be null unless on_call is static_filler.",
        id="filler of nothing",
    ),
]


@pytest.mark.parametrize(("sent", "pointer", "problem"), REFUSED_EDITS)
def test_a_change_that_makes_no_tool_is_refused(
    api: httpx.Client, new_tool: NewTool, sent: Any, pointer: str, problem: str
) -> None:
    tool = new_tool(parameters=NIGHTS, **with_api(url=URL + "/{nights}"))
    before = read(api, tool)
    details = refused(edit(api, tool, **sent), 400)
    assert [(detail["pointer"], detail["problem"]) for detail in details] == [(pointer, problem)]
    assert read(api, tool) == before


def test_a_json_patch_is_told_what_to_send(api: httpx.Client, new_tool: NewTool) -> None:
    patch = [{"op": "replace", "path": "/delivery/api/url", "value": URL}]
    sentence = (
        'Bad Request. A tool is changed by an object of members, as in {"description": "…"}, not by a JSON Patch.'
    )
    refused(api.patch(f"/v2/tools/{new_tool()}", json=patch), 400, sentence)
    refused(api.patch(f"/v2/tools/{new_tool()}", json="x"), 400, "Bad Request. {'_schema': ['Invalid input type.']}")


# --- Secrets ----------------------------------------------------------------------------------------------------------


def is_stored(api: httpx.Client, tool: str, auth: dict[str, str]) -> bool:
    """Whether sending this auth again would change nothing."""
    delivery = read(api, tool)["delivery"]
    sent = {"delivery": {**delivery, "api": {**delivery["api"], "auth": auth}}}
    return preview(api, "PATCH", f"/v2/tools/{tool}", json=sent)["changed"] is False


def without(auth: dict[str, str], name: str) -> dict[str, str]:
    return {member: value for member, value in auth.items() if member != name}


@pytest.mark.parametrize(("auth", "name"), WITH_SECRET)
def test_a_secret_that_is_left_out_is_kept(
    api: httpx.Client, new_tool: NewTool, auth: dict[str, str], name: str
) -> None:
    tool = new_tool(**with_api(auth=auth))
    assert is_stored(api, tool, auth)
    assert not is_stored(api, tool, auth | {name: "another"})
    for left_out in (without(auth, name), auth | {name: None}):
        kept = created(edit(api, tool, **with_api(auth=left_out, timeout=7, url=URL + "/other")))
        shown = kept["delivery"]["api"]
        assert (shown["timeout"], shown["url"], shown["auth"][name]) == (7, URL + "/other", MASK)
        assert without(shown["auth"], name).items() >= without(auth, name).items()
        assert is_stored(api, tool, auth)
    created(edit(api, tool, **with_api(auth=auth | {name: "another"})))
    assert is_stored(api, tool, auth | {name: "another"})


@pytest.mark.parametrize(("auth", "name"), WITH_SECRET)
def test_a_mask_is_not_taken_for_a_secret(
    api: httpx.Client, new_tool: NewTool, auth: dict[str, str], name: str
) -> None:
    tool, place = new_tool(**with_api(auth=auth)), f"/delivery/api/auth/{name}"
    text = f"Asterisks are no secret: leave {name} out to keep the stored one, or send another."
    details = refused(edit(api, tool, **with_api(auth=auth | {name: MASK})), 400)
    assert [(one["code"], one["pointer"], one["problem"]) for one in details] == [("mask", place, text)]
    document = read(api, tool)
    assert [one["pointer"] for one in refused(edit(api, tool, **document), 400)] == [place]
    for asterisks in ("*", "*" * 20):
        assert [one["code"] for one in refused(edit(api, tool, **with_api(auth=auth | {name: asterisks})), 400)] == [
            "mask"
        ]
    other = new_tool(**with_api(auth=BASIC if auth is BEARER else BEARER))
    assert [one["code"] for one in refused(edit(api, other, **with_api(auth=auth | {name: MASK})), 400)] == ["mask"]
    assert is_stored(api, tool, auth)


OTHER_SERVERS = [
    "https://api.example.com/rate",
    "https://api.example.org.evil.example/rate",
    "https://api.example.org:8443/rate",
]


@pytest.mark.parametrize("url", OTHER_SERVERS)
@pytest.mark.parametrize(("auth", "name"), WITH_SECRET)
def test_a_stored_secret_goes_to_no_other_server(
    api: httpx.Client, new_tool: NewTool, auth: dict[str, str], name: str, url: str
) -> None:
    tool = new_tool(**with_api(auth=auth))
    details = refused(edit(api, tool, **with_api(auth=without(auth, name), url=url)), 400)
    text = "Must be sent again because url changes: a stored secret goes to no other address."
    assert [(detail["pointer"], detail["problem"]) for detail in details] == [(f"/delivery/api/auth/{name}", text)]
    assert created(edit(api, tool, **with_api(auth=auth, url=url)))["delivery"]["api"]["url"] == url
    assert is_stored(api, tool, auth)


@pytest.mark.parametrize("url", ["https://[::1", "https://api\u2100.example.org/"])
def test_a_stored_secret_goes_nowhere_where_the_url_is_none(api: httpx.Client, new_tool: NewTool, url: str) -> None:
    tool = new_tool(**with_api(auth=BEARER))
    details = refused(edit(api, tool, **with_api(auth=without(BEARER, "token"), url=url)), 400)
    assert [detail["pointer"] for detail in details] == ["/delivery/api/auth/token", "/delivery/api/url"]


def test_a_client_secret_goes_to_no_other_place_for_tokens(api: httpx.Client, new_tool: NewTool) -> None:
    tool = new_tool(**with_api(auth=OAUTH))
    moved = OAUTH | {"token_url": "https://login.example.com/token"}
    details = refused(edit(api, tool, **with_api(auth=without(moved, "client_secret"))), 400)
    text = "Must be sent again because token_url changes: a stored secret goes to no other address."
    assert [detail["problem"] for detail in details] == [text]
    created(edit(api, tool, **with_api(auth=moved)))
    assert is_stored(api, tool, moved)


def test_a_secret_of_one_kind_is_not_taken_for_one_of_another(api: httpx.Client, new_tool: NewTool) -> None:
    tool = new_tool(**with_api(auth=HMAC))
    details = refused(edit(api, tool, **with_api(auth={"type": "bearer"})), 400)
    assert [(detail["pointer"], detail["code"]) for detail in details] == [("/delivery/api/auth/token", "missing")]


def test_going_back_brings_the_old_secret_back(api: httpx.Client, new_tool: NewTool) -> None:
    tool = new_tool(**with_api(auth=BEARER))
    created(edit(api, tool, **with_api(auth=BEARER | {"token": "second"})))
    created(edit(api, tool, delivery=None))
    assert read(api, tool)["delivery"] == MESSAGE
    created(edit(api, tool, **with_api(auth=BASIC, url=OTHER_SERVERS[0])))
    for number, token in ((1, "s3cr3t"), (2, "second")):
        assert created(api.post(f"/v2/tools/{tool}/rollback", json={"to": number}))["delivery"]["api"]["url"] == URL
        assert is_stored(api, tool, BEARER | {"token": token})
    assert api.post(f"/v2/tools/{tool}/revisions/2/revert").status_code == 200
    assert is_stored(api, tool, BEARER)
    assert api.delete(f"/v2/tools/{tool}").status_code == 204
    created(api.post(f"/v2/tools/{tool}/restore"))
    assert is_stored(api, tool, BEARER)


def test_the_history_tells_that_a_secret_changed_and_not_what_it_is(api: httpx.Client, new_tool: NewTool) -> None:
    tool = new_tool(**with_api(auth=BEARER))
    created(edit(api, tool, **with_api(auth=BEARER | {"token": "second"})))
    place = "/delivery/api/auth/token"
    assert revisions(api, tool, "tools")[0]["touched"] == [place]
    difference = api.get(f"/v2/tools/{tool}/diff").json()
    assert difference["changes"] == [{"pointer": place, "kind": "secret_changed"}]
    assert difference["patch"] == [{"op": "replace", "path": place, "value": MASK}]
    for number in (1, 2):
        assert revision(api, tool, number, "tools")["document"]["delivery"]["api"]["auth"]["token"] == MASK
