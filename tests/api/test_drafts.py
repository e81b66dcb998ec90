"""Drafts: changes that wait to be published, are discarded and brought back."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.api.drafting import (
    CONFERENCING,
    GREETED,
    NAMED,
    PROMPTED,
    draft_of,
    drafted,
    in_the_way,
    newest,
    published,
    said,
    send,
    state,
)
from tests.api.test_accounts import run
from tests.api.wire import MERGE_PATCH, Operation, add, document, expect, refused, remove, replace
from tests.serving import Palace

NewPal = Callable[..., str]


@pytest.fixture
def pal(new_pal: NewPal) -> str:
    return new_pal(layers={"stt": {"hotwords": "Wren House"}})


@pytest.fixture(scope="module")
def other(palace: Palace) -> Iterator[httpx.Client]:
    """A client of another account."""
    with palace.client(run("create", "--account", "drafts-other", data=palace.data)) as client:
        yield client


# --- The published scenario -------------------------------------------------------------------------------------------


def test_a_draft_stands_in_the_way_until_it_is_forced_aside_and_can_be_brought_back(
    api: httpx.Client, pal: str
) -> None:
    before = document(api, pal)
    drafted(api, pal, NAMED, GREETED)
    for query in ("", "?source=draft"):
        assert api.get(f"/v2/pals/{pal}{query}").json() == before, "a read is always of what is live"

    met = in_the_way(send(api, "PATCH", pal, PROMPTED))
    assert met["pointers"] == ["/pal_name", "/greeting"]
    assert met["overlapping"] == []
    assert met["changed_by"] == newest(api, pal)["key_id"]
    assert [detail["pointer"] for detail in met["details"]] == met["pointers"]
    assert document(api, pal) == before

    forced = send(api, "PATCH", f"{pal}?force=true", PROMPTED)
    assert forced.status_code == 200
    assert forced.json()["discarded_maker_changes"] is True
    assert document(api, pal) == {k: v for k, v in forced.json().items() if k != "discarded_maker_changes"}
    assert newest(api, pal)["about"] == {"discarded_draft": 1}
    assert draft_of(api, pal) is None

    back = send(api, "POST", f"{pal}/drafts/1/restore")
    assert (back.status_code, back.json()["state"], back.json()["draft"]) == (200, "open", 1)
    live = published(api, pal)
    assert live["status"] == "success"
    assert said(live) == {"pal_name": "The Day Desk", "greeting": "Good morning.", "system_prompt": "Speak slowly."}
    assert said(newest(api, pal), "action", "about") == {"action": "publish", "about": {"published_draft": 1}}
    assert send(api, "PATCH", pal, GREETED).status_code == 304


def test_without_a_draft_publish_reads_what_is_live_and_force_forces_nothing(api: httpx.Client, pal: str) -> None:
    before = document(api, pal)
    for body in (None, {}, [1]):
        answer = (
            api.post(f"/v2/pals/{pal}/publish", json=body) if body is not None else send(api, "POST", f"{pal}/publish")
        )
        assert answer.json() == {"status": "success", **before}
        assert answer.headers["x-revision"] == "1"
    assert newest(api, pal)["revision"] == 1
    forced = send(api, "PATCH", f"{pal}?force=true&target=live", PROMPTED)
    assert forced.status_code == 200
    assert "discarded_maker_changes" not in forced.json()
    assert newest(api, pal)["about"] == {}


def test_a_draft_tells_what_it_changes(api: httpx.Client, pal: str) -> None:
    made = drafted(api, pal, GREETED, remove("/layers/stt/hotwords"))
    assert made == draft_of(api, pal)
    assert said(made, "pal_id", "draft", "state", "base_revision") == {
        "pal_id": pal,
        "draft": 1,
        "state": "open",
        "base_revision": 1,
    }
    assert made["touched"] == ["/greeting", "/layers/stt/hotwords"]
    assert made["patch"] == [replace("/greeting", "Good morning."), remove("/layers/stt/hotwords")]
    assert state(made["document"])["greeting"] == "Good morning."
    again = drafted(api, pal, replace("/greeting", "Hello."))
    assert (again["draft"], again["created_at"], again["document"]["greeting"]) == (1, made["created_at"], "Hello.")
    assert again["updated_at"] > made["updated_at"]


def test_a_merge_patch_changes_a_draft_too(api: httpx.Client, pal: str) -> None:
    answer = api.patch(
        f"/v2/pals/{pal}/draft",
        json={"greeting": "Hello.", "layers": {"stt": None}},
        headers={"content-type": MERGE_PATCH},
    )
    assert answer.json()["touched"] == ["/greeting", "/layers/stt"]


UNCHANGED: list[Any] = [
    pytest.param([], id="no operation"),
    pytest.param([expect("/pal_name", "Night Desk")], id="a test that succeeds"),
    pytest.param([replace("/pal_name", "Night Desk")], id="what is there already"),
    pytest.param([add("/layers/llm", {"model": "tavus-gemma-4"}), remove("/layers/llm")], id="there and back"),
    pytest.param([add("/layers/stt/stt_engine", "tavus-auto")], id="a default"),
]


@pytest.mark.parametrize("operations", UNCHANGED)
def test_what_changes_nothing_neither_begins_nor_meets_a_draft(
    api: httpx.Client, pal: str, operations: list[Operation]
) -> None:
    answer = send(api, "PATCH", f"{pal}/draft", *operations)
    assert (answer.status_code, answer.content) == (304, b"")
    assert draft_of(api, pal) is None
    before = drafted(api, pal, GREETED)
    assert send(api, "PATCH", pal, *operations).status_code == 304
    assert send(api, "PATCH", f"{pal}/draft", *operations).status_code == 304
    assert send(api, "PATCH", f"{pal}/draft", *operations, prefer="return=representation").json() == before
    assert draft_of(api, pal) == before


def test_a_draft_that_says_what_is_live_again_is_discarded_as_it_was(api: httpx.Client, pal: str) -> None:
    greeting = document(api, pal)["greeting"]
    drafted(api, pal, GREETED)
    ended = drafted(api, pal, replace("/greeting", greeting))
    assert said(ended, "state", "touched", "patch") == {"state": "discarded", "touched": [], "patch": []}
    assert ended["document"] == document(api, pal)
    assert draft_of(api, pal) is None
    assert send(api, "PATCH", pal, PROMPTED).status_code == 200
    assert send(api, "POST", f"{pal}/drafts/1/restore").json()["touched"] == ["/greeting"]


REFUSED: list[Any] = [
    pytest.param([replace("/pipeline_mode", "fast")], 400, "not_allowed", id="a value that is not allowed"),
    pytest.param([replace("/default_face_id", "r000")], 400, "unknown_reference", id="a face that does not exist"),
    pytest.param([replace("/pal_id", "p1")], 400, "read_only", id="a member of the server's"),
    pytest.param([replace("/nothing", 1)], 422, "not_found", id="a member that is not there"),
    pytest.param([{"op": "merge", "path": ""}], 422, "unknown_op", id="no JSON Patch"),
    pytest.param([add("/layers/llm", {"base_url": "https://x.example"})], 400, "custom_llm", id="half a custom llm"),
    pytest.param([CONFERENCING], 400, "live_only", id="conferencing"),
    pytest.param([GREETED, CONFERENCING], 400, "live_only", id="conferencing with other members"),
]


@pytest.mark.parametrize(("operations", "status", "code"), REFUSED)
def test_a_draft_is_judged_like_what_is_live(
    api: httpx.Client, pal: str, operations: list[Operation], status: int, code: str
) -> None:
    details = refused(send(api, "PATCH", f"{pal}/draft", *operations), status)
    assert code in [detail["code"] for detail in details]
    assert draft_of(api, pal) is None


def test_replacing_an_absent_layer_sets_it_in_a_draft_as_well(api: httpx.Client, pal: str) -> None:
    made = drafted(api, pal, replace("/layers/perception", {"perception_model": "raven-0"}))
    assert made["touched"] == ["/layers/perception"]


# --- Discard and bring back -------------------------------------------------------------------------------------------


def test_drafts_are_numbered_and_listed_with_what_became_of_them(api: httpx.Client, pal: str) -> None:
    drafted(api, pal, GREETED)
    assert send(api, "DELETE", f"{pal}/draft").status_code == 204
    drafted(api, pal, NAMED)
    published(api, pal)
    drafted(api, pal, PROMPTED)
    listed = api.get(f"/v2/pals/{pal}/drafts").json()
    assert [(draft["draft"], draft["state"], draft["touched"]) for draft in listed["data"]] == [
        (3, "open", ["/system_prompt"]),
        (2, "published", ["/pal_name"]),
        (1, "discarded", ["/greeting"]),
    ]
    assert listed["next_cursor"] is None
    page = api.get(f"/v2/pals/{pal}/drafts?limit=2").json()
    rest = api.get(f"/v2/pals/{pal}/drafts?limit=2&cursor={page['next_cursor']}").json()
    assert [draft["draft"] for draft in page["data"] + rest["data"]] == [3, 2, 1]


def test_only_a_discarded_draft_is_brought_back_and_only_when_no_other_is_open(api: httpx.Client, pal: str) -> None:
    drafted(api, pal, GREETED)
    assert send(api, "POST", f"{pal}/drafts/1/restore").status_code == 304
    send(api, "DELETE", f"{pal}/draft")
    drafted(api, pal, NAMED)
    (detail,) = refused(send(api, "POST", f"{pal}/drafts/1/restore"), 409)
    assert detail["code"] == "draft_open"
    published(api, pal)
    (detail,) = refused(send(api, "POST", f"{pal}/drafts/2/restore"), 400)
    assert detail["code"] == "draft_published"
    assert send(api, "POST", f"{pal}/drafts/1/restore").status_code == 200
    (detail,) = refused(send(api, "POST", f"{pal}/drafts/9/restore"), 404, "Draft not found")
    assert detail["code"] == "no_draft"


def test_what_is_brought_back_is_what_the_draft_changed_and_nothing_else(api: httpx.Client, pal: str) -> None:
    drafted(api, pal, GREETED, NAMED)
    send(api, "PATCH", f"{pal}?force=true", PROMPTED, replace("/greeting", "Good evening."))
    back = send(api, "POST", f"{pal}/drafts/1/restore").json()
    assert (back["touched"], back["base_revision"]) == (["/pal_name", "/greeting"], 2)
    assert back["document"]["system_prompt"] == "Speak slowly."
    assert back["document"]["greeting"] == "Good morning."


def test_a_draft_whose_changes_are_live_or_have_no_place_any_more_stays_discarded(api: httpx.Client, pal: str) -> None:
    drafted(api, pal, GREETED)
    send(api, "PATCH", f"{pal}?force=true", PROMPTED)
    send(api, "PATCH", pal, GREETED)
    assert send(api, "POST", f"{pal}/drafts/1/restore").status_code == 304
    drafted(api, pal, replace("/layers/stt/hotwords", "Heron"))
    send(api, "PATCH", f"{pal}?force=true", remove("/layers/stt"))
    details = refused(send(api, "POST", f"{pal}/drafts/2/restore"), 409)
    assert [(detail["code"], detail["pointer"]) for detail in details] == [("moved_since", "/layers/stt/hotwords")]
    assert draft_of(api, pal) is None


def test_without_a_draft_there_is_none_to_read_or_discard(api: httpx.Client, pal: str) -> None:
    for method in ("GET", "DELETE"):
        (detail,) = refused(send(api, method, f"{pal}/draft"), 404, "Draft not found")
        assert detail["code"] == "no_draft"


def test_a_deleted_pal_keeps_its_draft_for_the_day_that_it_is_restored(api: httpx.Client, pal: str) -> None:
    made = drafted(api, pal, GREETED)
    assert send(api, "DELETE", pal).status_code == 204
    refused(send(api, "GET", f"{pal}/draft"), 400, "Invalid pal_id")
    refused(send(api, "POST", f"{pal}/publish"), 400, "Invalid pal_id")
    assert send(api, "POST", f"{pal}/restore").status_code == 200
    kept = draft_of(api, pal)
    assert kept is not None
    assert (kept["touched"], kept["base_revision"]) == (made["touched"], 3)
    assert published(api, pal)["greeting"] == "Good morning."


# --- Words, strangers -------------------------------------------------------------------------------------------------


def test_the_older_routes_speak_the_older_words(api: httpx.Client, pal: str) -> None:
    flow = add("/layers/conversational_flow", {"replica_interruptibility": "low"})
    named = replace("/persona_name", "The Day Desk")
    made = send(api, "PATCH", f"{pal}/draft", named, flow, family="personas").json()
    assert (made["persona_id"], "pal_id" in made) == (pal, False)
    assert made["touched"] == ["/persona_name", "/layers/conversational_flow"]
    assert made["document"]["layers"]["conversational_flow"]["replica_interruptibility"] == "low"
    assert made["patch"][0] == named
    assert made == send(api, "GET", f"{pal}/draft", family="personas").json()
    newer = draft_of(api, pal)
    assert newer is not None
    assert newer["touched"] == ["/pal_name", "/layers/conversational_flow"]
    met = in_the_way(send(api, "PATCH", pal, named, PROMPTED, family="personas"))
    assert (met["pointers"], met["overlapping"]) == (made["touched"], ["/persona_name"])
    assert [detail["pointer"] for detail in met["details"]] == made["touched"]
    listed = send(api, "GET", f"{pal}/drafts", family="personas").json()["data"]
    assert [draft["touched"] for draft in listed] == [made["touched"]]
    live = send(api, "POST", f"{pal}/publish", family="personas").json()
    assert (live["status"], live["persona_id"], live["persona_name"]) == ("success", pal, "The Day Desk")


ROUTES = [
    ("GET", "draft"),
    ("PATCH", "draft"),
    ("DELETE", "draft"),
    ("GET", "drafts"),
    ("POST", "drafts/1/restore"),
    ("POST", "publish"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_unknown_ids_stock_pals_and_pals_of_others_look_the_same(
    api: httpx.Client, other: httpx.Client, pal: str, method: str, path: str
) -> None:
    drafted(api, pal, GREETED)
    before = draft_of(api, pal)
    for client, id in ((api, "p000000000"), (api, "pb87e71797da"), (other, pal)):
        refused(send(client, method, f"{id}/{path}", NAMED), 400, "Invalid pal_id")
        refused(send(client, method, f"{id}/{path}", NAMED, family="personas"), 400, "Invalid persona_id")
    assert draft_of(api, pal) == before
