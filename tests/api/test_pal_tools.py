"""The tools of a PAL: attached, listed, detached, and gone with the tool (contract 6)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.tooling import BEARER, MASK, create, created, with_api
from tests.api.wire import (
    add,
    document,
    etag,
    is_replay,
    keyed,
    patch,
    preview,
    refused,
    replace,
    revisions,
)
from tests.serving import STOCK_FACE

NewPal = Callable[..., str]
NewTool = Callable[..., str]
UNKNOWN = "Bad Request. Tool not found"
NOT_ATTACHED = "Bad Request. Tool not attached to this PAL"
STOCK_PAL = "pb87e71797da"


def attach(api: httpx.Client, pal: str, *tools: Any, family: str = "pals", **options: Any) -> httpx.Response:
    return api.post(f"/v2/{family}/{pal}/tools", json={"tool_ids": list(tools)}, **options)


def detach(api: httpx.Client, pal: str, tool: str, family: str = "pals", **options: Any) -> httpx.Response:
    return api.delete(f"/v2/{family}/{pal}/tools/{tool}", **options)


def attached(api: httpx.Client, pal: str, family: str = "pals") -> list[str]:
    """The ids of the list, which is that in the PAL."""
    page = created(api.get(f"/v2/{family}/{pal}/tools"))
    assert list(page) == ["data"]
    ids = [tool["tool_id"] for tool in page["data"]]
    assert document(api, pal, family)["tool_ids"] == ids
    return ids


# --- Attach and detach ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["pals", "personas"])
def test_tools_are_attached_in_order_and_detached(
    api: httpx.Client, new_pal: NewPal, new_tool: NewTool, family: str
) -> None:
    pal, one, two, three = new_pal(), new_tool(), new_tool(**with_api(auth=BEARER)), new_tool()
    assert attached(api, pal, family) == []
    tool = api.get(f"/v2/tools/{two}").json()
    assert attach(api, pal, two, family=family).json() == {"data": [tool]}
    assert tool["delivery"]["api"]["auth"]["token"] == MASK
    answer = attach(api, pal, three, one, family=family)
    assert [tool["tool_id"] for tool in created(answer)["data"]] == [two, three, one] == attached(api, pal, family)
    assert answer.headers["etag"] == etag(api, pal)
    gone = detach(api, pal, three, family)
    assert (gone.status_code, gone.content, gone.headers["etag"]) == (204, b"", etag(api, pal))
    assert attached(api, pal, family) == [two, one]
    listed = [(one["action"], one["touched"]) for one in revisions(api, pal)]
    assert listed[:-1] == [("detach_tool", ["/tool_ids"]), *[("attach_tools", ["/tool_ids"])] * 2]


def test_both_forms_of_the_path_are_served(api: httpx.Client, new_pal: NewPal, new_tool: NewTool) -> None:
    pal, tool = new_pal(), new_tool()
    assert api.post(f"/v2/pals/{pal}/tools/", json={"tool_ids": [tool]}).status_code == 200
    assert [one["tool_id"] for one in api.get(f"/v2/pals/{pal}/tools/").json()["data"]] == [tool]


def test_attaching_again_changes_nothing_and_tells_all(api: httpx.Client, new_pal: NewPal, new_tool: NewTool) -> None:
    pal, one, two = new_pal(), new_tool(), new_tool()
    for tools in ((one, one, two), (two,), (two, one)):
        assert [tool["tool_id"] for tool in created(attach(api, pal, *tools))["data"]] == [one, two]
    assert len(revisions(api, pal)) == 2


def test_a_system_tool_is_part_of_every_pal_and_never_in_its_list(
    api: httpx.Client, new_pal: NewPal, new_tool: NewTool
) -> None:
    tool = new_tool()
    pal = new_pal(tool_ids=["end_call", tool])
    assert attached(api, pal) == [tool]
    assert [one["tool_id"] for one in created(attach(api, pal, "end_call"))["data"]] == [tool]
    assert patch(api, pal, add("/tool_ids/-", "end_call")).status_code == 304
    refused(detach(api, pal, "end_call"), 400, NOT_ATTACHED)
    assert api.get(f"/v2/pals/{STOCK_PAL}/tools").json() == {"data": []}


BODIES: list[Any] = [
    pytest.param({}, "/tool_ids", "Missing data for required field.", id="nothing"),
    pytest.param({"tool_ids": []}, "/tool_ids", "Shorter than minimum length 1.", id="none"),
    pytest.param({"tool_ids": "t1"}, "/tool_ids", "Not a valid list.", id="a string"),
    pytest.param({"tool_ids": None}, "/tool_ids", "Field may not be null.", id="null"),
    pytest.param({"tool_ids": [5]}, "/tool_ids/0", "Not a valid string.", id="a number"),
    pytest.param({"tool_ids": [""]}, "/tool_ids/0", "Shorter than minimum length 1.", id="an empty id"),
    pytest.param({"tool_ids": ["x"] * 51}, "/tool_ids", "Longer than maximum length 50.", id="fifty-one"),
    pytest.param({"tool_ids": ["x"], "all": True}, "/all", "Unknown field.", id="an unknown member"),
]


@pytest.mark.parametrize(("body", "pointer", "problem"), BODIES)
def test_a_request_to_attach_is_judged(
    api: httpx.Client, new_pal: NewPal, body: Any, pointer: str, problem: str
) -> None:
    details = refused(api.post(f"/v2/pals/{new_pal()}/tools", json=body), 400)
    assert [(detail["pointer"], detail["problem"]) for detail in details] == [(pointer, problem)]


def test_every_tool_that_there_is_not_is_named_and_none_is_attached(
    api: httpx.Client, neighbour: httpx.Client, new_pal: NewPal, new_tool: NewTool
) -> None:
    pal, tool, gone, foreign = new_pal(), new_tool(), new_tool(), created(create(neighbour))["tool_id"]
    assert api.delete(f"/v2/tools/{gone}").status_code == 204
    details = refused(attach(api, pal, tool, "t000000000000", foreign, gone), 400, UNKNOWN)
    assert [detail["pointer"] for detail in details] == ["/tool_ids/1", "/tool_ids/2", "/tool_ids/3"]
    assert {(detail["code"], detail["kind"]) for detail in details} == {("unknown_reference", "tool")}
    assert attached(api, pal) == []
    details = refused(patch(api, pal, replace("/tool_ids", [tool, foreign])), 400, UNKNOWN)
    assert [(detail["pointer"], detail["operation"]) for detail in details] == [("/tool_ids/1", 0)]
    body = {"system_prompt": "x", "default_face_id": STOCK_FACE, "tool_ids": [gone]}
    refused(api.post("/v2/pals", json=body), 400, UNKNOWN)


def test_fifty_may_be_attached_and_no_more(api: httpx.Client, new_pal: NewPal, new_tool: NewTool) -> None:
    tools = [new_tool() for _ in range(51)]
    pal = new_pal(tool_ids=tools[:2])
    assert len(created(attach(api, pal, *tools[:50]))["data"]) == 50
    for answer in (attach(api, pal, tools[50]), patch(api, pal, add("/tool_ids/-", tools[50]))):
        details = refused(answer, 400, "Bad Request. {'tool_ids': ['Longer than maximum length 50.']}")
        assert [(one["pointer"], one["code"]) for one in details] == [("/tool_ids", "too_long")]
    assert attached(api, pal) == tools[:50]


# --- Unknown PALs -----------------------------------------------------------------------------------------------------


def test_a_pal_that_is_unknown_or_not_yours_is_told_as_published(
    api: httpx.Client, neighbour: httpx.Client, new_pal: NewPal, new_tool: NewTool
) -> None:
    tool = new_tool()
    pal = new_pal(tool_ids=[tool])
    for client, id in ((neighbour, pal), (api, "p00000000000")):
        for family, text in (("pals", "Invalid pal_id"), ("personas", "Invalid persona_id")):
            refused(attach(client, id, tool, family=family), 400, text)
            refused(client.get(f"/v2/{family}/{id}/tools"), 400, text)
            assert refused(detach(client, id, tool, family), 400, NOT_ATTACHED)[0]["code"] == "not_attached"
    refused(attach(api, STOCK_PAL, tool), 400, "Invalid pal_id")
    refused(detach(api, STOCK_PAL, tool), 400, NOT_ATTACHED)
    for unknown in (new_tool(), "t000000000000"):
        refused(detach(api, pal, unknown), 400, NOT_ATTACHED)
    assert detach(api, pal, tool).status_code == 204
    refused(detach(api, pal, tool), 400, NOT_ATTACHED)


# --- Like any other change of the PAL ---------------------------------------------------------------------------------


def test_the_list_in_the_pal_is_the_list(api: httpx.Client, new_pal: NewPal, new_tool: NewTool) -> None:
    one, two = new_tool(), new_tool()
    pal = new_pal(tool_ids=[one])
    assert attached(api, pal) == [one]
    assert patch(api, pal, add("/tool_ids/0", two)).status_code == 200
    assert attached(api, pal) == [two, one]
    assert patch(api, pal, add("/tool_ids/-", two)).status_code == 304
    answer = patch(api, pal, replace("/tool_ids", [one, two, one]))
    assert (answer.status_code, answer.json()["tool_ids"]) == (200, [one, two])
    assert '"/tool_ids' in answer.headers["x-stored-differently"]
    assert created(api.post(f"/v2/pals/{pal}/rollback", json={"to": 1}))["tool_ids"] == [one]


def test_attaching_and_detaching_can_be_looked_at_first(api: httpx.Client, new_pal: NewPal, new_tool: NewTool) -> None:
    pal, tool = new_pal(), new_tool()
    path = f"/v2/pals/{pal}/tools"
    said = preview(api, "POST", path, json={"tool_ids": [tool]})
    assert (said["changed"], said["document"]["tool_ids"], said["touched"]) == (True, [tool], ["/tool_ids"])
    assert attached(api, pal) == []
    created(attach(api, pal, tool))
    assert preview(api, "DELETE", f"{path}/{tool}")["document"]["tool_ids"] == []
    assert attached(api, pal) == [tool]


def test_attaching_and_detaching_are_guarded_and_repeated(
    api: httpx.Client, new_pal: NewPal, new_tool: NewTool
) -> None:
    pal, tool = new_pal(), new_tool()
    tag = {"if-match": etag(api, pal)}
    first, second = (attach(api, pal, tool, headers=keyed(f"attach-{tool}")) for _ in range(2))
    assert is_replay(first, second)
    assert attach(api, pal, tool, headers=tag).status_code == 200, "it has been carried out already"
    refused(attach(api, pal, new_tool(), headers=tag), 412)
    refused(detach(api, pal, tool, headers=tag), 412)
    first, second = (detach(api, pal, tool, headers=keyed(f"detach-{tool}")) for _ in range(2))
    assert (first.status_code, second.status_code, second.headers["idempotency-replayed"]) == (204, 204, "true")


def test_an_open_draft_stands_in_the_way_as_of_a_patch(api: httpx.Client, new_pal: NewPal, new_tool: NewTool) -> None:
    pal, one, two = new_pal(), new_tool(), new_tool()
    draft = [replace("/greeting", "Good evening.")]
    assert api.patch(f"/v2/pals/{pal}/draft", json=draft).status_code == 200
    answer = attach(api, pal, one)
    assert (answer.status_code, answer.json()["conflict"]) == (409, "maker_changes")
    rebased = created(attach(api, pal, one, params={"on_draft": "rebase"}))
    assert [tool["tool_id"] for tool in rebased["data"]] == [one]
    assert created(attach(api, pal, one)) == rebased, "what changes nothing meets no draft"
    assert detach(api, pal, one).status_code == 409
    forced = created(attach(api, pal, two, params={"force": "true"}))
    assert (len(forced["data"]), forced["discarded_maker_changes"]) == (2, True)


# --- Deleted tools ----------------------------------------------------------------------------------------------------


def test_a_deleted_tool_is_detached_everywhere_and_that_is_remembered(
    api: httpx.Client, new_pal: NewPal, new_tool: NewTool
) -> None:
    tool, other = new_tool(), new_tool()
    pals = [new_pal(tool_ids=[tool, other]), new_pal(pal_name="Day Desk", tool_ids=[other, tool])]
    used = created(api.get(f"/v2/tools/{tool}/references"))
    assert used["data"] == [
        {"kind": "pal", "id": pals[0], "name": "Night Desk", "pointers": ["/tool_ids/0"]},
        {"kind": "pal", "id": pals[1], "name": "Day Desk", "pointers": ["/tool_ids/1"]},
    ]
    effects = preview(api, "DELETE", f"/v2/tools/{tool}")["effects"]
    assert {(one["kind"], one["id"]) for one in effects} == {("pal", pal) for pal in pals}
    assert api.delete(f"/v2/tools/{tool}").status_code == 204
    for pal in pals:
        assert attached(api, pal) == [other]
        newest = revisions(api, pal)[0]
        because = {"because": {"kind": "tool", "id": tool, "action": "delete"}}
        assert (newest["action"], newest["about"]) == ("side_effect", because)
    refused(api.post(f"/v2/pals/{pals[0]}/revisions/2/revert"), 400, UNKNOWN)
    created(api.post(f"/v2/tools/{tool}/restore"))
    assert created(api.post(f"/v2/pals/{pals[0]}/revisions/2/revert"))["tool_ids"] == [tool, other]
    assert attached(api, pals[1]) == [other]
