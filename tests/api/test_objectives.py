"""Objectives: sets of steps that lead to one another (contract 8)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.wire import (
    add,
    document,
    etag,
    expect,
    patch,
    refused,
    remove,
    replace,
)

NewPal = Callable[..., str]
SETS = "/v2/objectives"
UNKNOWN = "Objective not found"
BAD_PATCH = "Invalid patch operation"
ONE_ROOT = "Objective chain must have exactly one root (an objective not referenced by any other)"
DONE = {"message": "Objective updated successfully"}


def step(name: str, **members: Any) -> dict[str, Any]:
    return {"objective_name": name, "objective_prompt": "Ask.", **members}


def then(name: str, *following: str, **members: Any) -> dict[str, Any]:
    """A step that leads to one other in any case, or to several."""
    if len(following) == 1:
        return step(name, next_required_objective=following[0], **members)
    return step(name, next_conditional_objectives=dict.fromkeys(following, "if they want"), **members)


def made(api: httpx.Client, *steps: dict[str, Any], **members: Any) -> str:
    answer = api.post(SETS, json={"name": "Check-in", "data": list(steps), **members})
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["objectives_id"]
    return id


@pytest.fixture
def objectives(api: httpx.Client) -> str:
    return made(api, then("ask_name", "ask_dates"), step("ask_dates"))


# --- Create, read, list -----------------------------------------------------------------------------------------------


def test_a_new_set_is_answered_with_a_receipt(api: httpx.Client) -> None:
    answer = api.post(SETS, json={"name": "Check-in", "data": [step("ask_name")]})
    receipt = answer.json()
    assert list(receipt) == ["objectives_id", "objective_name", "status", "created_at"]
    assert (receipt["objective_name"], receipt["status"]) == ("Check-in", "active")
    assert receipt["objectives_id"][0] == "o"
    assert len(receipt["objectives_id"]) == 13
    assert receipt["created_at"].endswith("Z")


def test_a_set_is_read_with_every_member_of_every_objective(api: httpx.Client) -> None:
    id = made(api, step("ask_name"))
    shown = document(api, id, "objectives")
    assert list(shown) == ["objectives_id", "name", "data", "allow_loops", "created_at", "updated_at"]
    assert shown["data"] == [
        {
            "objective_name": "ask_name",
            "objective_prompt": "Ask.",
            "confirmation_mode": "auto",
            "output_variables": [],
            "modality": "verbal",
            "next_required_objective": None,
            "next_conditional_objectives": None,
            "callback_url": "",
            "tool_call": None,
        }
    ]
    assert shown["allow_loops"] is False


def test_a_set_needs_no_name(api: httpx.Client) -> None:
    receipt = api.post(SETS, json={"data": [step("a")]}).json()
    assert receipt["objective_name"] is None
    assert document(api, receipt["objectives_id"], "objectives")["name"] is None


def test_both_forms_of_the_path_are_served(api: httpx.Client, objectives: str) -> None:
    assert api.post(f"{SETS}/", json={"data": [step("a")]}).status_code == 200
    assert api.get(f"{SETS}/{objectives}/").status_code == 200


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("", ["list one", "list two", "list three"], id="oldest first"),
        pytest.param("&sort=ascending", ["list one", "list two", "list three"], id="ascending"),
        pytest.param("&sort=descending", ["list three", "list two", "list one"], id="descending"),
        pytest.param("&sort=desc&limit=2", ["list three", "list two"], id="a page"),
        pytest.param("&limit=2&page=2", ["list three"], id="the second page"),
        pytest.param("&limit=2&page=0", ["list one", "list two"], id="page 0 is the first one"),
        pytest.param("&type=user", ["list one", "list two", "list three"], id="your own"),
        pytest.param("&type=system", [], id="stock objects, of which there are none"),
    ],
)
def test_sets_are_listed(api: httpx.Client, query: str, names: list[str]) -> None:
    for name in ("list one", "list two", "list three"):
        if not api.get(SETS, params={"name_or_uuid": name}).json()["data"]:
            made(api, step("a"), name=name)
    answer = api.get(f"{SETS}?name_or_uuid=LIST{query}").json()
    assert set(answer) == {"data", "total_count"}
    assert [one["name"] for one in answer["data"]] == names
    assert answer["total_count"] == (3 if names else 0)


def test_a_set_is_found_by_its_whole_id(api: httpx.Client, objectives: str) -> None:
    assert api.get(SETS, params={"name_or_uuid": objectives}).json()["data"] == [
        document(api, objectives, "objectives")
    ]
    assert api.get(SETS, params={"name_or_uuid": objectives[:8]}).json()["total_count"] == 0


@pytest.mark.parametrize("query", ["sort=upwards", "limit=x", "page=x", "type=mine"])
def test_a_list_says_what_its_parameters_take(api: httpx.Client, query: str) -> None:
    assert refused(api.get(f"{SETS}?{query}"), 400)[0]["code"] == "invalid_query"


# --- What is not valid ------------------------------------------------------------------------------------------------

BAD_SETS: list[Any] = [
    pytest.param([{"objective_prompt": "x"}], "objective_name is required",
                 [("missing", "/data/0/objective_name")], id="no name"),
    pytest.param([{"objective_name": "a"}], None, [("missing", "/data/0/objective_prompt")], id="no prompt"),
    pytest.param([step("a b")], None, [("pattern", "/data/0/objective_name")], id="a name of two words"),
    pytest.param([step("")], None, [("pattern", "/data/0/objective_name")], id="an empty name"),
    pytest.param([step("a" * 101)], None, [("too_long", "/data/0/objective_name")], id="a long name"),
    pytest.param([step("a", objective_prompt="x" * 10_001)], None, [("too_long", "/data/0/objective_prompt")],
                 id="a long prompt"),
    pytest.param([step("a", output_variables=["x"] * 51)], None, [("too_long", "/data/0/output_variables")],
                 id="51 variables"),
    pytest.param([step("a", modality="haptic")], None, [("not_allowed", "/data/0/modality")], id="a modality"),
    pytest.param([step("a", confirmation_mode="later")], None, [("not_allowed", "/data/0/confirmation_mode")],
                 id="a mode"),
    pytest.param([step("a", callback_url="ftp://x.example")], None, [("rule", "/data/0/callback_url")], id="no URL"),
    pytest.param([step("a", callback_url="https://x.example/" + "x" * 2048)], None,
                 [("too_long", "/data/0/callback_url")], id="a long URL"),
    pytest.param([step("a", tool_call="x")], None, [("wrong_type", "/data/0/tool_call")], id="a call that is a text"),
    pytest.param([step("a", colour="blue")], None, [("unknown_field", "/data/0/colour")],
                 id="an unknown member"),
    pytest.param([], None, [("too_short", "/data")], id="nothing"),
    pytest.param([step(f"a{n}") for n in range(51)], None, [("too_long", "/data")], id="51 objectives"),
    pytest.param("x", None, [("wrong_type", "/data")], id="a text"),
    pytest.param([step("a"), step("b")], ONE_ROOT, [("no_single_root", "/data")], id="two beginnings"),
    pytest.param([then("a", "b"), then("b", "a")], ONE_ROOT,
                 [("no_single_root", "/data"), ("loop", "/data/1/next_required_objective")], id="no beginning"),
    pytest.param([then("a", "b"), then("b", "c"), then("c", "b")], None,
                 [("loop", "/data/2/next_required_objective")], id="a loop behind a beginning"),
    pytest.param([then("a", "b", "c"), step("b"), then("c", "a", "b")], ONE_ROOT,
                 [("no_single_root", "/data"), ("loop", "/data/2/next_conditional_objectives/a")],
                 id="a loop under a condition"),
    pytest.param([then("a", "a")], None, [("self_reference", "/data/0/next_required_objective")], id="to itself"),
    pytest.param([then("a", "a", "b"), step("b")], None,
                 [("self_reference", "/data/0/next_conditional_objectives/a")], id="to itself under a condition"),
    pytest.param([then("a", "nowhere")], None, [("unknown_reference", "/data/0/next_required_objective")],
                 id="to nothing"),
    pytest.param([step("a", next_required_objective="b", next_conditional_objectives={"b": "x"}), step("b")], None,
                 [("exclusive", "/data/0/next_conditional_objectives")], id="in any case and under a condition"),
    pytest.param([then("a", "b"), step("b"), step("b")], None, [("duplicate", "/data/2/objective_name")],
                 id="one name twice"),
    pytest.param([then("a", "nowhere"), then("b", "b"), step("b", callback_url="http://x.example")], None,
                 [("duplicate", "/data/2/objective_name"), ("unknown_reference", "/data/0/next_required_objective"),
                  ("self_reference", "/data/1/next_required_objective")], id="everything at once"),
    pytest.param([{"objective_prompt": 1, "modality": "x"}, {"objective_prompt": "x"}], "objective_name is required",
                 [("missing", "/data/0/objective_name"), ("wrong_type", "/data/0/objective_prompt"),
                  ("not_allowed", "/data/0/modality"), ("missing", "/data/1/objective_name")],
                 id="every member at once"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "sentence", "problems"), BAD_SETS)
def test_what_is_no_valid_set_is_refused(
    api: httpx.Client, objectives: str, data: Any, sentence: str | None, problems: list[tuple[str, str]]
) -> None:
    before = document(api, objectives, "objectives")
    tries = [
        api.post(SETS, json={"data": data}),
        api.post(f"{SETS}/validate", json={"data": data}),
        patch(api, objectives, replace("/data", data), family="objectives"),
    ]
    for answer in tries:
        details = refused(answer, 400, sentence)
        assert [(detail["code"], detail["pointer"]) for detail in details] == problems
        if sentence is None:
            assert answer.json()["message"].startswith("Bad Request. {'data': ")
    assert document(api, objectives, "objectives") == before


def test_the_same_is_valid_or_not_to_the_check_and_to_create(api: httpx.Client) -> None:
    before = api.get(SETS).json()["total_count"]
    answer = api.post(f"{SETS}/validate", json={"name": "x", "data": [then("a", "b"), step("b")]})
    assert (answer.status_code, answer.json()) == (200, {"valid": True})
    assert api.get(SETS).json()["total_count"] == before
    refused(api.post(f"{SETS}/validate", json=[]), 400)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([then("a", "b"), then("b", "a")], id="a circle"),
        pytest.param([step("a"), step("b")], id="two beginnings"),
        pytest.param([then("a", "b", "c"), then("b", "a", "c"), step("c")], id="a circle under conditions"),
    ],
)
def test_loops_are_taken_where_they_are_allowed(api: httpx.Client, steps: list[dict[str, Any]]) -> None:
    id = made(api, *steps, allow_loops=True)
    answer = patch(api, id, replace("/allow_loops", False), family="objectives")
    assert {detail["code"] for detail in refused(answer, 400)} <= {"no_single_root", "loop"}
    broken = patch(api, id, replace("/data/0/next_required_objective", "x"), family="objectives")
    assert "unknown_reference" in [detail["code"] for detail in refused(broken, 400)]


def test_loops_and_roots_are_told_with_all_that_belongs_to_them(api: httpx.Client) -> None:
    answer = api.post(SETS, json={"data": [then("a", "b"), then("b", "c"), then("c", "b"), step("d")]})
    root, loop = refused(answer, 400, ONE_ROOT)
    assert root["roots"] == ["/data/0", "/data/3"]
    assert loop["loop"] == ["/data/1", "/data/2"]


def test_fifty_objectives_that_all_lead_on_are_a_set(api: httpx.Client) -> None:
    names = [f"step_{number}" for number in range(50)]
    steps = [then(name, *names[index + 1 :]) for index, name in enumerate(names)]
    made(api, *steps)
    back = step("step_49", next_conditional_objectives=dict.fromkeys(names[1:49], "back"))
    details = refused(api.post(SETS, json={"data": [*steps[:49], back]}), 400)
    assert [detail["code"] for detail in details] == ["loop"]


# --- Patch ------------------------------------------------------------------------------------------------------------


def test_a_patch_is_answered_with_a_sentence(api: httpx.Client, objectives: str) -> None:
    change = replace("/data/0/objective_prompt", "Ask kindly.")
    answer = patch(api, objectives, change, family="objectives")
    assert (answer.status_code, answer.json()) == (200, DONE)
    assert answer.headers["etag"] == etag(api, objectives, "objectives")
    assert answer.headers["x-revision"] == "2"
    assert document(api, objectives, "objectives")["data"][0]["objective_prompt"] == "Ask kindly."
    again = patch(api, objectives, change, family="objectives")
    assert (again.status_code, again.headers["x-message"]) == (304, "No changes were made to the objective set")


def test_who_prefers_it_is_answered_with_the_set(api: httpx.Client, objectives: str) -> None:
    wish = {"prefer": "return=representation"}
    for operations in ([replace("/name", "x")], [replace("/name", "x")], []):
        answer = patch(api, objectives, *operations, family="objectives", **wish)
        assert (answer.status_code, answer.json()) == (200, document(api, objectives, "objectives"))


def test_steps_are_added_moved_and_removed(api: httpx.Client, objectives: str) -> None:
    operations = [
        add("/data/-", step("say_goodbye")),
        replace("/data/1/next_required_objective", "say_goodbye"),
        {"op": "move", "from": "/data/2", "path": "/data/0"},
    ]
    assert patch(api, objectives, *operations, family="objectives").json() == DONE
    names = [one["objective_name"] for one in document(api, objectives, "objectives")["data"]]
    assert names == ["say_goodbye", "ask_name", "ask_dates"]
    refused(patch(api, objectives, remove("/data/0"), family="objectives"), 400)
    operations = [remove("/data/0"), replace("/data/1/next_required_objective", None)]
    assert patch(api, objectives, *operations, family="objectives").json() == DONE


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        pytest.param({"op": "replace"}, "not_an_array", id="no array"),
        pytest.param([{"op": "replace", "path": "/name"}], "missing_value", id="no value"),
        pytest.param([replace("/data/7/objective_prompt", "x")], "missing_parent", id="no such index"),
        pytest.param([replace("/objective_prompt", "x")], "not_found", id="no such member"),
        pytest.param([expect("/name", "x")], "test_failed", id="a test that fails"),
        pytest.param([remove("/data/0/colour")], "not_found", id="nothing to remove"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_in_the_words_of_the_api(
    api: httpx.Client, objectives: str, operations: Any, code: str
) -> None:
    answer = api.patch(f"{SETS}/{objectives}", json=operations)
    assert refused(answer, 400, BAD_PATCH)[0]["code"] == code


def test_a_slip_is_explained_and_corrected(api: httpx.Client, objectives: str) -> None:
    answer = patch(api, objectives, replace("/data/0/objectiv_prompt", "Ask."), family="objectives")
    corrected = answer.json()["corrected_patch"]
    assert corrected == [replace("/data/0/objective_prompt", "Ask.")]
    change = add("/data/0/next_conditional_objectives", {"ask_dates": "if they want"})
    answer = patch(api, objectives, change, family="objectives")
    assert answer.json()["corrected_patch"] == [remove("/data/0/next_required_objective"), change]
    refused(answer, 400)


@pytest.mark.parametrize("member", ["objectives_id", "created_at", "updated_at"])
def test_what_only_the_server_writes_stays(api: httpx.Client, objectives: str, member: str) -> None:
    answer = patch(api, objectives, replace(f"/{member}", "x"), family="objectives")
    assert refused(answer, 400)[0]["code"] == "read_only"


# --- Who may, and who uses it -----------------------------------------------------------------------------------------


def test_a_set_that_is_not_there_is_told_as_published(api: httpx.Client, new_pal: NewPal) -> None:
    refused(api.get(f"{SETS}/o00000000dead"), 404, UNKNOWN)
    refused(patch(api, new_pal(), replace("/objectives_id", "o00000000dead")), 400, "Invalid objectives_id")
