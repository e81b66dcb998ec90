"""Guardrails, one by one (contract 9); sets of them are in test_guardrail_sets."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.wire import (
    add,
    document,
    etag,
    expect,
    patch,
    preview,
    refused,
    remove,
    replace,
    revisions,
)
from tests.serving import Palace

NewPal = Callable[..., str]
GUARDRAILS = "/v2/guardrails"
UNKNOWN = "Guardrails not found"
BAD_PATCH = "Invalid patch operation"
NO_PRICES = {"guardrail_name": "no_prices", "guardrail_prompt": "Never quote a price."}
CALL = {"name": "warn", "arguments": {"level": 1}}


def made(api: httpx.Client, **members: Any) -> str:
    answer = api.post(GUARDRAILS, json=NO_PRICES | members)
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["uuid"]
    return id


@pytest.fixture
def guardrail(api: httpx.Client) -> str:
    return made(api)


@pytest.fixture
def fresh(palace: Palace) -> Any:
    """A client with the key of an account that has nothing yet."""
    with palace.client(palace.new_key(f"fresh {uuid4()}")) as client:
        yield client


# --- Create and read --------------------------------------------------------------------------------------------------


def test_a_new_guardrail_is_answered_with_all_of_it(api: httpx.Client) -> None:
    answer = api.post(GUARDRAILS, json=NO_PRICES)
    shown = answer.json()
    assert answer.status_code == 200
    assert {name: value for name, value in shown.items() if name not in ("uuid", "created_at", "updated_at")} == {
        **NO_PRICES,
        "modality": "verbal",
        "callback_url": "",
        "tags": [],
        "app_message": True,
    }
    assert (shown["uuid"][0], len(shown["uuid"])) == ("g", 13)
    assert document(api, shown["uuid"], "guardrails") == shown
    assert answer.headers["etag"] == etag(api, shown["uuid"], "guardrails")


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_call_of_nothing_is_left_out(api: httpx.Client, nothing: Any) -> None:
    guardrail = made(api, tool_call=nothing)
    assert "tool_call" not in document(api, guardrail, "guardrails")
    assert patch(api, guardrail, add("/tool_call", nothing), family="guardrails").status_code == 304
    refused(patch(api, guardrail, replace("/tool_call", CALL), family="guardrails"), 400, BAD_PATCH)
    assert patch(api, guardrail, add("/tool_call", CALL), family="guardrails").json()["tool_call"] == CALL
    assert "tool_call" not in patch(api, guardrail, replace("/tool_call", nothing), family="guardrails").json()


BAD_GUARDRAILS: list[Any] = [
    pytest.param({}, "guardrail_name is required", [("missing", "/guardrail_name"), ("missing", "/guardrail_prompt")],
                 id="nothing"),
    pytest.param({"guardrail_prompt": "x"}, "guardrail_name is required", [("missing", "/guardrail_name")],
                 id="no name"),
    pytest.param({"guardrail_name": "a"}, None, [("missing", "/guardrail_prompt")], id="no prompt"),
    pytest.param(NO_PRICES | {"guardrail_name": "a b"}, None, [("pattern", "/guardrail_name")], id="two words"),
    pytest.param(NO_PRICES | {"guardrail_name": "a" * 101}, None, [("too_long", "/guardrail_name")], id="long name"),
    pytest.param(NO_PRICES | {"guardrail_prompt": "x" * 1001}, None, [("too_long", "/guardrail_prompt")],
                 id="long prompt"),
    pytest.param(NO_PRICES | {"modality": "haptic"}, None, [("not_allowed", "/modality")], id="modality"),
    pytest.param(NO_PRICES | {"callback_url": "x"}, None, [("rule", "/callback_url")], id="no URL"),
    pytest.param(NO_PRICES | {"callback_url": "http://"}, None, [("rule", "/callback_url")], id="a URL of nothing"),
    pytest.param(NO_PRICES | {"tags": ["a"] * 33}, None, [("too_long", "/tags")], id="33 tags"),
    pytest.param(NO_PRICES | {"tags": ["a" * 65]}, None, [("too_long", "/tags/0")], id="a long tag"),
    pytest.param(NO_PRICES | {"tags": ["a,b", ""]}, None, [("pattern", "/tags/0"), ("too_short", "/tags/1")],
                 id="a tag with a comma, an empty one"),
    pytest.param(NO_PRICES | {"app_message": "yes"}, None, [("wrong_type", "/app_message")], id="no boolean"),
    pytest.param(NO_PRICES | {"tool_call": []}, None, [("wrong_type", "/tool_call")], id="a call that is a list"),
    pytest.param(NO_PRICES | {"data": []}, None, [("unknown_field", "/data")], id="one and a set at once"),
    pytest.param(NO_PRICES | {"uuid": "g1"}, None, [("unknown_field", "/uuid")], id="an id of its own"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "sentence", "problems"), BAD_GUARDRAILS)
def test_what_is_no_valid_guardrail_is_refused(
    api: httpx.Client, body: Any, sentence: str | None, problems: list[tuple[str, str]]
) -> None:
    details = refused(api.post(GUARDRAILS, json=body), 400, sentence)
    assert sorted((detail["code"], detail["pointer"]) for detail in details) == sorted(problems)


# --- Lists ------------------------------------------------------------------------------------------------------------


def listed(api: httpx.Client, query: str = "") -> list[str]:
    answer = api.get(f"{GUARDRAILS}?legacy=false{query}")
    assert answer.status_code == 200, answer.text
    return [one["guardrail_name"] for one in answer.json()["data"]]


def test_guardrails_are_listed_in_pages_counted_from_zero(fresh: httpx.Client) -> None:
    for number in range(12):
        made(fresh, guardrail_name=f"rule_{number}")
    page = fresh.get(f"{GUARDRAILS}?legacy=false").json()
    assert (page["page"], page["limit"], page["total_count"], len(page["data"])) == (0, 10, 12, 10)
    assert set(page) == {"data", "total_count", "page", "limit"}
    assert listed(fresh, "&page=1") == ["rule_10", "rule_11"]
    assert listed(fresh, "&sort=descending&limit=1") == ["rule_11"]
    assert listed(fresh, "&name_or_uuid=RULE_11") == ["rule_11"]
    assert listed(fresh, "&type=system") == []
    assert fresh.get(GUARDRAILS).json() == {"data": [], "total_count": 0}


def test_guardrails_are_found_by_any_of_several_tags(fresh: httpx.Client) -> None:
    for name, tags in (("a", ["desk"]), ("b", ["desk", "late night"]), ("c", []), ("d", ["Night"])):
        made(fresh, guardrail_name=name, tags=tags)
    assert listed(fresh, "&tags=desk") == ["a", "b"]
    assert listed(fresh, "&tags=late night, night") == ["b", "d"]
    assert listed(fresh, "&tags=nobody") == []


def test_tags_are_listed(fresh: httpx.Client, api: httpx.Client) -> None:
    made(fresh, tags=["desk", "night"])
    gone = made(fresh, tags=["desk", "gone"])
    fresh.delete(f"{GUARDRAILS}/{gone}")
    made(fresh, tags=["Bar"])
    tags = f"{GUARDRAILS}/tags"
    assert fresh.get(tags).json() == {"tags": ["Bar", "desk", "night"], "total_count": 3}
    assert fresh.get(f"{tags}?limit=2&page=2").json() == {"tags": ["night"], "total_count": 3}
    assert fresh.get(f"{tags}?limit=2&page=0").json()["tags"] == ["Bar", "desk"]
    assert fresh.get(f"{tags}?search=NI").json() == {"tags": ["night"], "total_count": 1}
    refused(fresh.get(f"{tags}?page=x"), 400)
    assert "Bar" not in api.get(tags).json()["tags"]


@pytest.mark.parametrize(
    "query", ["legacy=perhaps", "verbose=x", "legacy=false&verbose=x", "legacy=false&sort=x", "page=x"]
)
def test_a_list_says_what_its_parameters_take(api: httpx.Client, query: str) -> None:
    assert refused(api.get(f"{GUARDRAILS}?{query}"), 400)[0]["code"] == "invalid_query"


@pytest.mark.parametrize("written", ["False", "FALSE"])
def test_a_flag_may_be_written_as_other_languages_write_it(api: httpx.Client, written: str) -> None:
    said = api.get(f"{GUARDRAILS}?legacy={written}&verbose=True&limit=1")
    assert said.json() == api.get(f"{GUARDRAILS}?legacy=false&verbose=true&limit=1").json()
    assert set(said.json()) == {"data", "total_count", "page", "limit"}


def test_verbose_tells_which_pals_use_it(fresh: httpx.Client, api: httpx.Client, new_pal: NewPal) -> None:
    guardrail = made(api, guardrail_name="seen")
    pal = new_pal(guardrail_ids=[guardrail, guardrail], pal_name="Night Desk")
    refs = [{"persona_id": pal, "persona_name": "Night Desk"}]
    shown = api.get(f"{GUARDRAILS}/{guardrail}?verbose=true")
    assert shown.json() == {
        **document(api, guardrail, "guardrails"),
        "guardrail_type": "user",
        "persona_refs": refs,
    }
    tag = {"if-none-match": shown.headers["etag"]}
    assert api.get(f"{GUARDRAILS}/{guardrail}?verbose=true", headers=tag).status_code == 200
    assert api.get(f"{GUARDRAILS}/{guardrail}", headers=tag).status_code == 304
    [one] = api.get(f"{GUARDRAILS}?legacy=false&verbose=true&name_or_uuid={guardrail}").json()["data"]
    assert one == shown.json()
    assert fresh.get(f"{GUARDRAILS}?legacy=false&verbose=true").json()["data"] == []


# --- Patch ------------------------------------------------------------------------------------------------------------


def test_a_patch_is_answered_with_the_guardrail_but_not_when_it_was_made(api: httpx.Client, guardrail: str) -> None:
    answer = patch(api, guardrail, add("/tags", ["desk"]), family="guardrails")
    now = document(api, guardrail, "guardrails")
    assert answer.json() == {name: value for name, value in now.items() if name != "created_at"}
    assert answer.headers["x-revision"] == "2"
    again = patch(api, guardrail, add("/tags", ["desk"]), family="guardrails")
    assert (again.status_code, again.headers["x-message"]) == (304, "No changes were made to the guardrail")
    wish = {"prefer": "return=representation"}
    assert patch(api, guardrail, add("/tags", ["desk"]), family="guardrails", **wish).json() == now


def test_every_member_can_be_added_as_clients_do(api: httpx.Client, guardrail: str) -> None:
    wanted = {
        "guardrail_name": "no_names",
        "guardrail_prompt": "Tell no names.",
        "modality": "visual",
        "callback_url": "https://hooks.example.org/x?y=z",
        "tags": ["a-b", "c d_2"],
        "app_message": False,
        "tool_call": CALL,
    }
    operations = [add(f"/{name}", value) for name, value in wanted.items()]
    said = patch(api, guardrail, *operations, family="guardrails").json()
    assert {name: said[name] for name in wanted} == wanted


def test_what_only_the_server_writes_is_left_out(api: httpx.Client, guardrail: str) -> None:
    before = document(api, guardrail, "guardrails")
    operations = [add(f"/{name}", "x") for name in ("uuid", "created_at", "updated_at")]
    assert patch(api, guardrail, *operations, family="guardrails").status_code == 304
    assert patch(api, guardrail, *operations, add("/tags", ["x"]), family="guardrails").status_code == 200
    now = document(api, guardrail, "guardrails")
    assert now == before | {"tags": ["x"], "updated_at": now["updated_at"]}


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        pytest.param({"op": "replace"}, "not_an_array", id="no array"),
        pytest.param([{"op": "replace", "path": "/tags"}], "missing_value", id="no value"),
        pytest.param([replace("/colour", "x")], "not_found", id="no such member"),
        pytest.param([expect("/guardrail_name", "x")], "test_failed", id="a test that fails"),
        pytest.param([remove("/tags/0")], "index_out_of_range", id="no such tag"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_in_the_words_of_the_api(
    api: httpx.Client, guardrail: str, operations: Any, code: str
) -> None:
    answer = api.patch(f"{GUARDRAILS}/{guardrail}", json=operations)
    assert refused(answer, 400, BAD_PATCH)[0]["code"] == code


def test_a_slip_is_explained_and_corrected(api: httpx.Client, guardrail: str) -> None:
    answer = patch(api, guardrail, replace("/prompt", "Never."), family="guardrails")
    assert answer.json()["corrected_patch"] == [replace("/guardrail_prompt", "Never.")]


# --- Safe edits -------------------------------------------------------------------------------------------------------


def test_a_guardrail_goes_back_and_comes_back(api: httpx.Client, guardrail: str) -> None:
    patch(api, guardrail, replace("/guardrail_prompt", "Never."), add("/tool_call", CALL), family="guardrails")
    path = f"{GUARDRAILS}/{guardrail}"
    back = api.post(f"{path}/rollback", json={"to": 1}).json()
    assert (back["guardrail_prompt"], "tool_call" in back) == ("Never quote a price.", False)
    assert api.post(f"{path}/revisions/3/revert").json()["tool_call"] == CALL
    assert api.get(f"{path}/diff?from=1&to=2").json()["changes"][0]["pointer"] == "/guardrail_prompt"
    assert api.delete(path).status_code == 204
    refused(api.get(path), 404, UNKNOWN)
    assert api.post(f"{path}/restore").json()["tool_call"] == CALL
    actions = [one["action"] for one in revisions(api, guardrail, "guardrails")]
    assert actions == ["restore", "delete", "revert", "rollback", "patch", "create"]


# --- Who may, and who uses it -----------------------------------------------------------------------------------------


def test_a_pal_names_guardrails_that_exist_and_no_sets(api: httpx.Client, new_pal: NewPal, guardrail: str) -> None:
    pal = new_pal(guardrail_ids=[guardrail])
    a_set = api.post(GUARDRAILS, json={"data": [NO_PRICES]}).json()["guardrails_id"]
    for id in ("g00000000dead", a_set):
        [detail] = refused(patch(api, pal, add("/guardrail_ids/-", id)), 400, UNKNOWN)
        assert (detail["code"], detail["pointer"]) == ("unknown_reference", "/guardrail_ids/1")


def test_a_pal_has_fifty_guardrails_and_no_more(api: httpx.Client, new_pal: NewPal, guardrail: str) -> None:
    pal = new_pal(guardrail_ids=[guardrail] * 50)
    details = refused(patch(api, pal, add("/guardrail_ids/-", guardrail)), 400)
    assert [(detail["code"], detail["pointer"]) for detail in details] == [("too_long", "/guardrail_ids")]
    details = refused(patch(api, pal, replace("/guardrail_ids", ["", 5])), 400)
    assert [detail["pointer"] for detail in details] == ["/guardrail_ids/0", "/guardrail_ids/1"]


def test_a_guardrail_that_is_deleted_leaves_every_pal(api: httpx.Client, new_pal: NewPal, guardrail: str) -> None:
    kept = made(api)
    pal = new_pal(guardrail_ids=[guardrail, kept, guardrail])
    said = preview(api, "DELETE", f"{GUARDRAILS}/{guardrail}")
    assert {effect["id"] for effect in said["effects"]} == {pal}
    assert api.delete(f"{GUARDRAILS}/{guardrail}").status_code == 204
    assert document(api, pal)["guardrail_ids"] == [kept]
    newest, *_ = revisions(api, pal)
    assert newest["action"] == "side_effect"
    assert newest["about"] == {"because": {"kind": "guardrail", "id": guardrail, "action": "delete"}}
    assert api.post(f"/v2/pals/{pal}/rollback", json={"to": 1}).status_code == 400
    assert api.post(f"{GUARDRAILS}/{guardrail}/restore").status_code == 200
    assert api.post(f"/v2/pals/{pal}/rollback", json={"to": 1}).json()["guardrail_ids"] == [guardrail, kept, guardrail]
