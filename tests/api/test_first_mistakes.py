"""The mistakes of somebody who is new here, and what `details` say beyond the published words: how to put it right."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.wire import add, patch, refused
from tests.serving import STOCK_FACE, Palace

NewPal = Callable[..., str]
NewTool = Callable[..., str]
PAL = {"pal_name": "Porter", "system_prompt": "Carry.", "default_face_id": STOCK_FACE}
INSTEAD = 'The body must be an object, as in {{"{}": …}}; it is {}.'


@pytest.mark.parametrize(
    ("method", "path", "body", "problem"),
    [
        pytest.param("POST", "pals", [PAL], INSTEAD.format("pal_name", "an array"), id="a PAL in an array"),
        pytest.param("POST", "personas", "Porter", INSTEAD.format("persona_name", "a text"), id="the older family"),
        pytest.param("POST", "tools", 7, INSTEAD.format("name", "a number"), id="a number for a tool"),
        pytest.param("POST", "guardrails", [], INSTEAD.format("guardrail_name", "an array"), id="guardrails"),
        pytest.param("POST", "pals/{pal}/tools", ["t1"], INSTEAD.format("tool_ids", "an array"), id="ids of tools"),
        pytest.param("PUT", "pals/{pal}/skills", ["memory"], INSTEAD.format("skills", "an array"), id="skills"),
        pytest.param("POST", "pals/{pal}/rollback", 1, INSTEAD.format("to", "a number"), id="a revision"),
    ],
)
def test_a_body_that_is_no_object_is_told_what_it_must_be(
    api: httpx.Client, new_pal: NewPal, method: str, path: str, body: Any, problem: str
) -> None:
    answer = api.request(method, "/v2/" + path.format(pal=new_pal()), json=body)
    [detail] = refused(answer, 400, "Bad Request. {'_schema': ['Invalid input type.']}")
    assert (detail["code"], detail["pointer"], detail["problem"]) == ("wrong_type", "", problem)


@pytest.mark.parametrize(
    ("path", "body", "nearest"),
    [
        pytest.param("pals", PAL | {"system_promt": "x"}, ["/system_prompt"], id="a slip"),
        pytest.param("pals", PAL | {"layers": {"lllm": {}}}, ["/layers/llm"], id="a layer"),
        pytest.param("personas", PAL | {"personna_name": "x"}, ["/persona_name"], id="the older family"),
        pytest.param("tools", {"name": "n", "description": "d", "parameter": {}}, ["/parameters"], id="a tool"),
        pytest.param(
            "objectives",
            {"data": [{"objective_name": "a", "objective_prompt": "p", "next_required": "b"}]},
            ["/data/0/next_required_objective"],
            id="an objective of a set",
        ),
        pytest.param("objectives", {"data": [], "objective_name": "a"}, ["/data/0/objective_name"], id="no list"),
        pytest.param("faces", {"face_name": "x", "train_image": "x"}, ["/train_image_url"], id="a face"),
    ],
)
def test_an_unknown_member_of_a_new_object_is_told_with_those_it_resembles(
    api: httpx.Client, path: str, body: Any, nearest: list[str]
) -> None:
    details = refused(api.post(f"/v2/{path}", json=body), 400)
    [detail] = [detail for detail in details if detail["code"] == "unknown_field"]
    assert detail["nearest"][: len(nearest)] == nearest


def test_an_unknown_member_of_an_edit_or_a_list_of_ids_is_told_so_too(
    api: httpx.Client, new_pal: NewPal, new_tool: NewTool
) -> None:
    tool = new_tool()
    [detail] = refused(api.patch(f"/v2/tools/{tool}", json={"descripton": "x"}), 400)
    assert detail["nearest"] == ["/description"]
    details = refused(api.post(f"/v2/pals/{new_pal()}/tools", json={"tool_id": [tool]}), 400)
    assert [detail.get("nearest") for detail in details if detail["code"] == "unknown_field"] == [["/tool_ids"]]


def test_a_name_where_an_id_is_needed_is_told_that_an_id_is(api: httpx.Client, new_pal: NewPal) -> None:
    problem = "No tool has this id, or it is not yours. An id is needed, not a name."
    answers = [
        api.post(f"/v2/pals/{new_pal()}/tools", json={"tool_ids": ["room_rate"]}),
        patch(api, new_pal(), add("/tool_ids", ["room_rate"])),
    ]
    for answer in answers:
        [detail] = refused(answer, 400, "Bad Request. Tool not found")
        assert (detail["code"], detail["problem"], detail["id"]) == ("unknown_reference", problem, "room_rate")


def test_tools_that_are_too_many_together_are_counted(api: httpx.Client, new_pal: NewPal, new_tool: NewTool) -> None:
    pal = new_pal(tool_ids=[new_tool() for _ in range(50)])
    [detail] = refused(api.post(f"/v2/pals/{pal}/tools", json={"tool_ids": [new_tool()]}), 400)
    assert detail["problem"] == "A PAL has at most 50 tools; with these it would have 51."
    assert (detail["code"], detail["maximum"]) == ("too_long", 50)


def test_an_unknown_member_of_the_configuration_of_a_skill_is_told_with_those_there_are(
    api: httpx.Client, new_pal: NewPal
) -> None:
    config = {"document_ids": ["d1234567890"], "slide_trigger": "on_demand"}
    answer = api.put(f"/v2/pals/{new_pal()}/skills/presentation", json={"config": config})
    [detail] = refused(answer, 400, "Bad Request: {'slide_trigger': ['Unknown field.']}")
    assert re.fullmatch(r"Unknown field\. There are: .*slides_trigger.*", detail["problem"])


def test_a_guardrail_and_a_set_of_them_that_were_confused_are_told_apart(api: httpx.Client, new_pal: NewPal) -> None:
    one = {"guardrail_name": "no_prices", "guardrail_prompt": "Never quote a price."}
    single = api.post("/v2/guardrails", json=one).json()["uuid"]
    several = api.post("/v2/guardrails", json={"name": "Desk", "data": [one]}).json()["guardrails_id"]
    [detail] = refused(patch(api, new_pal(), add("/guardrails_id", single)), 400)
    assert detail["problem"] == "This is the id of a guardrail, which belongs into /guardrail_ids."
    [detail] = refused(patch(api, new_pal(), add("/guardrail_ids", [several])), 400)
    assert detail["problem"] == "This is the id of a set of guardrails, which belongs into /guardrails_id."


def test_a_query_that_is_no_number_is_named(api: httpx.Client) -> None:
    [detail] = refused(api.get("/v2/pals?limit=many"), 400, "Bad Request. {'limit': ['Not a valid integer.']}")
    assert (detail["code"], detail["parameter"]) == ("invalid_query", "limit")


@pytest.mark.parametrize(
    ("path", "switch"),
    [("reset", "--ephemeral or --allow-reset"), ("clock", "--fixed-time"), ("faults", "--fault-lab")],
)
def test_what_is_for_tests_and_switched_off_tells_how_to_switch_it_on(palace: Palace, path: str, switch: str) -> None:
    with palace.client() as api:
        answer = api.post(f"/_palace/{path}", json={})
        assert answer.status_code == 404
        assert re.fullmatch(rf"/_palace/{path} is switched off .*{switch}.*", answer.json()["message"])
