"""Older sets of guardrails: an item of a set is a guardrail of its own too, whatever happens to either (contract 9)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.guardrailing import GUARDRAILS, assert_twins, change, is_there, items, made, rule, uuids
from tests.api.wire import (
    MERGE_PATCH,
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
from tests.serving import Palace, start_palace

NewPal = Callable[..., str]
UNKNOWN = "Guardrails not found"
DONE = {"message": "Guardrails updated successfully"}


@pytest.fixture
def a_set(api: httpx.Client) -> str:
    return made(api, rule("a"), rule("b", tags=["desk"]), rule("c"))


# --- Create, read, list -----------------------------------------------------------------------------------------------


def test_a_new_set_is_answered_with_a_receipt(api: httpx.Client) -> None:
    receipt = api.post(f"{GUARDRAILS}/", json={"name": "Desk rules", "data": [rule("a")]}).json()
    assert list(receipt) == ["guardrails_id", "guardrails_name", "status", "created_at"]
    assert (receipt["guardrails_name"], receipt["status"]) == ("Desk rules", "active")
    assert (receipt["guardrails_id"][0], len(receipt["guardrails_id"])) == ("g", 13)


def test_a_set_is_read_with_the_uuid_of_every_item(api: httpx.Client, a_set: str) -> None:
    shown = document(api, a_set, "guardrails")
    assert list(shown) == ["guardrails_id", "name", "data", "created_at", "updated_at"]
    assert [item["guardrail_name"] for item in shown["data"]] == ["a", "b", "c"]
    assert set(shown["data"][0]) == {
        "guardrail_name", "guardrail_prompt", "modality", "callback_url", "tags", "app_message", "uuid"}  # fmt: skip
    assert_twins(api, a_set)
    assert api.get(f"{GUARDRAILS}/{a_set}?verbose=true").json() == shown
    refused(api.get(f"{GUARDRAILS}/{a_set}?verbose=5"), 400)


def test_sets_are_listed_unless_guardrails_are_asked_for(palace: Palace) -> None:
    with palace.client(palace.new_key("lists of sets")) as api:
        first, second = made(api, rule("a"), name="one"), made(api, rule("b"), name="two")
        page = api.get(GUARDRAILS).json()
        assert page == {"data": [document(api, id, "guardrails") for id in (first, second)], "total_count": 2}
        for query, found in (("legacy=true&page=1&limit=1", ["one"]), ("page=2&limit=1", ["two"]),
                             ("sort=descending", ["two", "one"]), ("name_or_uuid=TW", ["two"])):  # fmt: skip
            assert [one["name"] for one in api.get(f"{GUARDRAILS}?{query}").json()["data"]] == found
        alone = api.get(f"{GUARDRAILS}?legacy=false").json()
        assert [one["guardrail_name"] for one in alone["data"]] == ["a", "b"]


BAD_SETS: list[Any] = [
    pytest.param({"data": [{"guardrail_prompt": "x"}]}, "guardrail_name is required",
                 [("missing", "/data/0/guardrail_name")], id="an item without a name"),
    pytest.param({"name": "x"}, "guardrail_name is required", None, id="no data"),
    pytest.param({"data": [rule("a"), rule("a b", modality="x")]}, None,
                 [("pattern", "/data/1/guardrail_name"), ("not_allowed", "/data/1/modality")], id="two problems"),
    pytest.param({"data": [rule("a")] * 51}, None, [("too_long", "/data")], id="51 items"),
    pytest.param({"data": 1}, None, [("wrong_type", "/data")], id="a number"),
    pytest.param({"data": [1]}, None, [("wrong_type", "/data/0")], id="an item that is a number"),
    pytest.param({"data": [rule("a", uuid="g1234567890ab")]}, None, [("read_only", "/data/0/uuid")], id="a uuid"),
    pytest.param({"data": [rule("a")], "name": "x" * 101}, None, [("too_long", "/name")], id="a long name"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "sentence", "problems"), BAD_SETS)
def test_what_is_no_valid_set_is_refused(
    api: httpx.Client, body: Any, sentence: str | None, problems: list[tuple[str, str]] | None
) -> None:
    before = api.get(f"{GUARDRAILS}?legacy=false").json()["total_count"]
    details = refused(api.post(GUARDRAILS, json=body), 400, sentence)
    if problems is not None:
        assert [(detail["code"], detail["pointer"]) for detail in details] == problems
    assert api.get(f"{GUARDRAILS}?legacy=false").json()["total_count"] == before


# --- Items and their uuids --------------------------------------------------------------------------------------------

COPY = {"op": "copy", "from": "/data/0", "path": "/data/-"}
EDITS: list[Any] = [
    pytest.param([replace("/data/0/guardrail_prompt", "x")], [0, 1, 2], id="a member is edited"),
    pytest.param([add("/data/1/tool_call", {"name": "x"})], [0, 1, 2], id="a member is added"),
    pytest.param([remove("/data/0")], [1, 2], id="an item is removed"),
    pytest.param([{"op": "move", "from": "/data/2", "path": "/data/0"}], [2, 0, 1], id="an item is moved"),
    pytest.param([add("/data/0", rule("new"))], [None, 0, 1, 2], id="an item comes first"),
    pytest.param([add("/data/-", rule("new"))], [0, 1, 2, None], id="an item comes last"),
    pytest.param([replace("/data/1", rule("b"))], [0, None, 2], id="an item is replaced as a whole"),
    pytest.param([remove("/data/1/uuid")], [0, None, 2], id="a uuid is removed"),
    pytest.param([replace("/data/1/uuid", None)], [0, None, 2], id="a uuid is emptied"),
    pytest.param([COPY], [0, 1, 2, None], id="an item is copied"),
    pytest.param([replace("/data", [])], [], id="no item is left"),
    pytest.param([replace("/data", [rule("new")])], [None], id="all items are replaced"),
    pytest.param([replace("/name", "x")], [0, 1, 2], id="the name is changed"),
]


@pytest.mark.parametrize(("operations", "kept"), EDITS)
def test_uuids_survive_what_leaves_the_item_there(
    api: httpx.Client, a_set: str, operations: list[Any], kept: list[int | None]
) -> None:
    before = uuids(api, a_set)
    assert change(api, a_set, *operations).json() == DONE
    after = uuids(api, a_set)
    assert [before.index(uuid) if uuid in before else None for uuid in after] == kept
    assert_twins(api, a_set)
    assert [is_there(api, uuid) for uuid in before] == [uuid in after for uuid in before]


def test_an_item_that_is_replaced_with_its_uuid_keeps_it(api: httpx.Client, a_set: str) -> None:
    before = uuids(api, a_set)
    new = [rule("new", uuid=before[2]), rule("other"), rule("old", uuid=before[0])]
    assert change(api, a_set, replace("/data", new)).json() == DONE
    first, fresh, last = uuids(api, a_set)
    assert (first, last, fresh in before) == (before[2], before[0], False)
    assert_twins(api, a_set)
    headers = {"content-type": MERGE_PATCH}
    same = {"data": items(api, a_set)}
    assert api.patch(f"{GUARDRAILS}/{a_set}", json=same, headers=headers).status_code == 304


@pytest.mark.parametrize("value", ["g1234567890ab", "", 5, [], {}])
def test_a_uuid_that_is_none_of_the_set_is_refused(api: httpx.Client, a_set: str, value: Any) -> None:
    other = made(api, rule("z"))
    before = items(api, a_set)
    for foreign in (value, uuids(api, other)[0]):
        answer = patch(api, a_set, replace("/data/1/uuid", foreign), family="guardrails")
        assert refused(answer, 400)[0]["pointer"] == "/data/1/uuid"
    assert items(api, a_set) == before
    assert_twins(api, other)


def test_what_only_the_server_writes_is_left_out(api: httpx.Client, a_set: str) -> None:
    operations = [add(f"/{name}", "x") for name in ("guardrails_id", "created_at", "updated_at")]
    answer = patch(api, a_set, *operations, family="guardrails")
    assert (answer.status_code, answer.headers["x-message"]) == (304, "No changes were made to the guardrail set")


def test_a_patch_that_does_not_fit_changes_no_twin(api: httpx.Client, a_set: str) -> None:
    change_one = replace("/data/0/guardrail_prompt", "x")
    for last in (expect("/name", "x"), replace("/data/0/modality", "x"), replace("/data/9", rule("x"))):
        refused(patch(api, a_set, change_one, last, family="guardrails"), 400)
    assert document(api, uuids(api, a_set)[0], "guardrails")["guardrail_prompt"] == "Never."


def test_who_prefers_it_is_answered_with_the_set(api: httpx.Client, a_set: str) -> None:
    answer = change(api, a_set, add("/data/-", rule("d")), prefer="return=representation")
    assert answer.json() == document(api, a_set, "guardrails")


# --- The twin is edited -----------------------------------------------------------------------------------------------


def test_a_guardrail_that_is_edited_changes_the_item_of_its_set(api: httpx.Client, a_set: str) -> None:
    _, twin, _ = uuids(api, a_set)
    change(api, twin, add("/tool_call", {"name": "warn"}), replace("/guardrail_name", "bb"))
    assert [item["guardrail_name"] for item in items(api, a_set)] == ["a", "bb", "c"]
    assert_twins(api, a_set)
    newest, *_ = revisions(api, a_set, "guardrails")
    assert (newest["action"], newest["about"]["because"]["id"]) == ("side_effect", twin)
    assert newest["touched"] == ["/data"]
    assert api.post(f"{GUARDRAILS}/{twin}/rollback", json={"to": 1}).status_code == 200
    assert_twins(api, a_set)
    assert [item["guardrail_name"] for item in items(api, a_set)] == ["a", "b", "c"]


def test_an_item_that_is_edited_leaves_a_revision_of_its_twin(api: httpx.Client, a_set: str) -> None:
    first, twin, _ = uuids(api, a_set)
    change(api, a_set, replace("/data/1/guardrail_prompt", "x"))
    newest, *_ = revisions(api, twin, "guardrails")
    assert (newest["action"], newest["touched"]) == ("side_effect", ["/guardrail_prompt"])
    assert newest["about"] == {"because": {"kind": "guardrails", "id": a_set, "action": "patch"}}
    assert len(revisions(api, first, "guardrails")) == 1


def test_a_guardrail_that_is_deleted_leaves_its_set(api: httpx.Client, a_set: str) -> None:
    _, twin, _ = uuids(api, a_set)
    said = preview(api, "DELETE", f"{GUARDRAILS}/{twin}")
    assert [(effect["kind"], effect["id"]) for effect in said["effects"]] == [("guardrails", a_set)]
    assert api.delete(f"{GUARDRAILS}/{twin}").status_code == 204
    assert [item["guardrail_name"] for item in items(api, a_set)] == ["a", "c"]
    newest, *_ = revisions(api, a_set, "guardrails")
    assert newest["about"] == {"because": {"kind": "guardrail", "id": twin, "action": "delete"}}
    assert api.post(f"{GUARDRAILS}/{twin}/restore").status_code == 200
    assert [item["guardrail_name"] for item in items(api, a_set)] == ["a", "c"]
    assert api.post(f"{GUARDRAILS}/{a_set}/rollback", json={"to": 1}).status_code == 200
    assert uuids(api, a_set)[1] == twin
    assert_twins(api, a_set)


# --- Deleted, restored, rolled back -----------------------------------------------------------------------------------


def test_a_set_that_is_deleted_takes_its_guardrails_along(api: httpx.Client, new_pal: NewPal, a_set: str) -> None:
    first, second, _ = twins = uuids(api, a_set)
    alone = made(api, rule("z"))
    kept = uuids(api, alone)[0]
    pal = new_pal(guardrails_id=a_set, guardrail_ids=[first, kept, second])
    said = preview(api, "DELETE", f"{GUARDRAILS}/{a_set}")
    told = [(effect["kind"], effect["id"]) for effect in said["effects"]]
    assert set(told) == {("pal", pal), *(("guardrail", twin) for twin in twins)}
    assert all(is_there(api, twin) for twin in twins)
    assert api.delete(f"{GUARDRAILS}/{a_set}").status_code == 204
    assert not any(is_there(api, twin) for twin in twins)
    now = document(api, pal)
    assert (now["guardrails_id"], now["guardrail_ids"]) == (None, [kept])
    assert {one["action"] for one in revisions(api, pal)} == {"side_effect", "create"}


def test_a_set_that_is_restored_brings_its_guardrails_back(api: httpx.Client, a_set: str) -> None:
    before = items(api, a_set)
    api.delete(f"{GUARDRAILS}/{a_set}")
    refused(api.get(f"{GUARDRAILS}/{a_set}"), 404, UNKNOWN)
    api.post(f"{GUARDRAILS}/{before[0]['uuid']}/restore")
    change(api, before[0]["uuid"], replace("/guardrail_prompt", "x"))
    assert api.post(f"{GUARDRAILS}/{a_set}/restore").json()["data"] == before
    assert_twins(api, a_set)
    actions = [[one["action"] for one in revisions(api, item["uuid"], "guardrails")] for item in before]
    assert actions == [["side_effect", "patch", "restore", "delete", "create"], *[["restore", "delete", "create"]] * 2]


def test_a_set_that_goes_back_takes_its_guardrails_along(api: httpx.Client, a_set: str) -> None:
    before = items(api, a_set)
    change(api, a_set, remove("/data/0"), replace("/data/0/guardrail_prompt", "x"), add("/data/-", rule("d")))
    added = uuids(api, a_set)[2]
    path = f"{GUARDRAILS}/{a_set}"
    assert api.post(f"{path}/rollback", json={"to": 1}).json()["data"] == before
    assert_twins(api, a_set)
    assert not is_there(api, added)
    assert api.post(f"{path}/rollback", json={"to": 1}).status_code == 304
    assert api.post(f"{path}/revisions/3/revert").status_code == 200
    assert uuids(api, a_set)[2] == added
    assert_twins(api, a_set)


def test_a_pal_names_a_set_and_no_guardrail_of_one(api: httpx.Client, new_pal: NewPal, a_set: str) -> None:
    pal = new_pal(guardrails_id=a_set)
    for id in ("g00000000dead", uuids(api, a_set)[0]):
        refused(patch(api, pal, replace("/guardrails_id", id)), 400, "Invalid guardrails_id")


# --- Safe edits -------------------------------------------------------------------------------------------------------


def test_a_preview_tells_what_happens_to_twins_and_stores_nothing(api: httpx.Client, a_set: str) -> None:
    before, total = items(api, a_set), api.get(f"{GUARDRAILS}?legacy=false").json()["total_count"]
    operations = [remove("/data/0"), replace("/data/0/guardrail_prompt", "x"), add("/data/-", rule("d"))]
    said = preview(api, "PATCH", f"{GUARDRAILS}/{a_set}", json=operations)
    assert [effect["what"] for effect in said["effects"]] == ["deleted", "changed", "created"]
    preview(api, "POST", GUARDRAILS, json={"data": [rule("x")]})
    preview(api, "DELETE", f"{GUARDRAILS}/{a_set}")
    preview(api, "PATCH", f"{GUARDRAILS}/{before[0]['uuid']}", json=[replace("/guardrail_prompt", "x")])
    assert items(api, a_set) == before
    assert_twins(api, a_set)
    assert api.get(f"{GUARDRAILS}?legacy=false").json()["total_count"] == total


def test_a_set_is_guarded_against_who_edits_a_twin(api: httpx.Client, a_set: str) -> None:
    tag = etag(api, a_set, "guardrails")
    change(api, uuids(api, a_set)[0], replace("/guardrail_prompt", "x"))
    stale = patch(api, a_set, replace("/name", "x"), family="guardrails", **{"if-match": tag})
    assert [detail["pointer"] for detail in refused(stale, 412)] == ["/data"]


def test_twins_are_kept_without_history_too(tmp_path: Any) -> None:
    with start_palace(tmp_path / "data", PALACE_HISTORY="false") as palace, palace.client() as api:
        a_set = made(api, rule("a"), rule("b"))
        change(api, a_set, remove("/data/0"), replace("/data/0/guardrail_prompt", "x"))
        change(api, uuids(api, a_set)[0], replace("/guardrail_name", "bb"))
        assert_twins(api, a_set)
        [twin] = uuids(api, a_set)
        assert api.delete(f"{GUARDRAILS}/{a_set}").status_code == 204
        assert not is_there(api, twin)
