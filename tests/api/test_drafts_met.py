"""What happens when a live write meets a draft: refused, discarded, rebased."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from tests.api.wire import MERGE_PATCH, Operation, add, document, refused, remove, replace
from tests.serving import STOCK_FACE

NewPal = Callable[..., str]


@pytest.fixture
def pal(new_pal: NewPal) -> str:
    return new_pal(layers={"stt": {"hotwords": "Wren House"}})


# --- Live writes that meet a draft ------------------------------------------------------------------------------------


def test_every_way_of_writing_live_meets_the_draft(api: httpx.Client, pal: str) -> None:
    send(api, "PATCH", pal, PROMPTED)
    send(api, "PATCH", pal, NAMED)
    drafted(api, pal, GREETED)
    before = document(api, pal)
    writes: list[tuple[str, str, Any, dict[str, str]]] = [
        ("PATCH", "", [replace("/context", "x")], {}),
        ("PATCH", "", {"context": "x"}, {"content-type": MERGE_PATCH}),
        ("POST", "/rollback", {"to": 2}, {}),
        ("POST", "/revisions/3/revert", {}, {}),
    ]
    for method, path, body, headers in writes:
        answer = api.request(method, f"/v2/pals/{pal}{path}", json=body, headers=headers)
        assert in_the_way(answer)["pointers"] == ["/greeting"]
        looked = api.request(method, f"/v2/pals/{pal}{path}?dry_run=true&force=true", json=body, headers=headers)
        assert looked.json()["effects"] == [{"kind": "draft", "id": "1", "what": "discarded"}]
        assert document(api, pal) == before
    kept = api.post(f"/v2/pals/{pal}/revisions/3/revert?on_draft=rebase", json={})
    assert (kept.status_code, kept.json()["pal_name"]) == (200, "Night Desk")
    gone = api.post(f"/v2/pals/{pal}/rollback?force=true", json={"to": 1})
    assert gone.json()["discarded_maker_changes"] is True
    assert newest(api, pal)["about"] == {"to": 1, "discarded_draft": 1}


def test_a_draft_elsewhere_is_rebased_when_it_is_asked_for(api: httpx.Client, pal: str) -> None:
    drafted(api, pal, GREETED, replace("/layers/stt/hotwords", "Heron"))
    written = send(api, "PATCH", f"{pal}?on_draft=rebase", PROMPTED, NAMED)
    assert written.status_code == 200
    assert "discarded_maker_changes" not in written.json()
    draft = draft_of(api, pal)
    assert draft is not None
    assert (draft["touched"], draft["base_revision"]) == (["/greeting", "/layers/stt/hotwords"], 2)
    assert said(published(api, pal)) == {
        "pal_name": "The Day Desk",
        "greeting": "Good morning.",
        "system_prompt": "Speak slowly.",
    }


OVERLAPPING: list[Any] = [
    pytest.param([GREETED], [replace("/greeting", "Hello.")], ["/greeting"], id="the same member"),
    pytest.param([GREETED, NAMED], [GREETED, PROMPTED], ["/greeting"], id="the same member, made the same"),
    pytest.param(
        [replace("/layers/stt/hotwords", "Heron")], [remove("/layers/stt")], ["/layers/stt/hotwords"], id="from above"
    ),
    pytest.param(
        [remove("/layers/stt")], [replace("/layers/stt/hotwords", "Heron")], ["/layers/stt"], id="from below"
    ),
    pytest.param([add("/document_tags/-", "t1")], [add("/document_tags/-", "t2")], ["/document_tags"], id="one array"),
]  # fmt: skip


@pytest.mark.parametrize(("draft", "edit", "pointers"), OVERLAPPING)
def test_a_draft_that_overlaps_is_not_rebased_but_named(
    api: httpx.Client, pal: str, draft: list[Operation], edit: list[Operation], pointers: list[str]
) -> None:
    before = drafted(api, pal, *draft)
    met = in_the_way(send(api, "PATCH", f"{pal}?on_draft=rebase", *edit))
    assert met["overlapping"] == pointers
    assert [(detail["code"], detail["pointer"]) for detail in met["details"]] == [("overlap", at) for at in pointers]
    assert in_the_way(send(api, "PATCH", pal, *edit))["overlapping"] == pointers
    assert draft_of(api, pal) == before
    forced = send(api, "PATCH", f"{pal}?on_draft=rebase&force=true", *edit)
    assert forced.json()["discarded_maker_changes"] is True


def test_a_draft_that_would_not_be_valid_over_the_edit_is_not_rebased(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"tts": {"tts_engine": "cartesia"}})
    drafted(api, pal, add("/layers/tts/voice_id", "v1f73c4a86a76"))
    edit = add("/layers/tts/external_voice_id", "x1")
    met = in_the_way(send(api, "PATCH", f"{pal}?on_draft=rebase", edit))
    assert met["overlapping"] == []
    assert [(detail["code"], detail["pointer"]) for detail in met["details"]] == [("exclusive", "/layers/tts/voice_id")]
    assert send(api, "PATCH", f"{pal}?on_draft=rebase&force=true", edit).json()["discarded_maker_changes"] is True


@pytest.mark.parametrize("query", ["force=yes", "on_draft=keep", "on_draft=rebas"])
def test_what_is_to_become_of_a_draft_is_said_plainly_or_refused_before_there_is_one(
    api: httpx.Client, pal: str, query: str
) -> None:
    refused(send(api, "PATCH", f"{pal}?{query}", PROMPTED), 400)


def test_a_preview_tells_what_would_become_of_the_draft_and_stores_nothing(api: httpx.Client, pal: str) -> None:
    begun = send(api, "PATCH", f"{pal}/draft?dry_run=true", GREETED).json()
    assert (begun["changed"], begun["touched"], begun["effects"]) == (True, ["/greeting"], [])
    assert draft_of(api, pal) is None
    draft, live = drafted(api, pal, GREETED), document(api, pal)
    assert in_the_way(send(api, "PATCH", f"{pal}?dry_run=true", PROMPTED))["pointers"] == ["/greeting"]
    looks = {
        ("PATCH", f"{pal}?on_draft=rebase"): "rebased",
        ("PATCH", f"{pal}?force=true"): "discarded",
        ("POST", f"{pal}/publish?"): "published",
        ("DELETE", f"{pal}/draft?"): "discarded",
    }
    for (method, path), what in looks.items():
        answer = send(api, method, f"{path}&dry_run=true", PROMPTED)
        assert answer.json()["effects"] == [{"kind": "draft", "id": "1", "what": what}], path
        assert (draft_of(api, pal), document(api, pal)) == (draft, live)
    looked = send(api, "POST", f"{pal}/publish?dry_run=true").json()
    assert looked["patch"] == draft["patch"]


def test_a_patch_that_is_wrong_is_explained_before_the_draft_is_met(api: httpx.Client, pal: str) -> None:
    drafted(api, pal, GREETED)
    wrong = replace("/greetng", "Hello.")
    answer = send(api, "PATCH", pal, wrong)
    assert (answer.status_code, answer.json()["corrected_patch"]) == (422, [replace("/greeting", "Hello.")])
    right = in_the_way(send(api, "PATCH", pal, *answer.json()["corrected_patch"]))
    assert right["details"] == [{"code": "maker_changes", "problem": "Changed in the draft.", "pointer": "/greeting"}]
    assert refused(send(api, "PATCH", f"{pal}/draft", wrong), 422)[0]["nearest"][0] == "/greeting"


# --- Conferencing -----------------------------------------------------------------------------------------------------


def test_a_patch_of_conferencing_alone_goes_live_at_once_and_leaves_the_draft_open(api: httpx.Client, pal: str) -> None:
    drafted(api, pal, GREETED)
    name = f"desk-{pal}"
    written = send(api, "PATCH", pal, add("/layers/conferencing", {"username": name}))
    assert written.status_code == 200
    assert "discarded_maker_changes" not in written.json()
    draft = draft_of(api, pal)
    assert draft is not None
    assert (draft["touched"], draft["base_revision"]) == (["/greeting"], 2)
    refused(send(api, "PATCH", f"{pal}/draft", replace("/layers/conferencing/username", f"{name}2")), 400)
    refused(send(api, "PATCH", f"{pal}/draft", remove("/layers/conferencing")), 400)
    refused(send(api, "PATCH", f"{pal}/draft", replace("/layers", {})), 400)
    live = published(api, pal)
    assert (live["greeting"], live["layers"]["conferencing"]["username"]) == ("Good morning.", name)
    assert api.get(f"/v2/pals/check-username?username={name}").json()["available"] is False


def test_a_draft_that_conferencing_makes_invalid_waits_and_is_refused_when_it_is_published(
    api: httpx.Client, pal: str
) -> None:
    drafted(api, pal, replace("/default_face_id", None), GREETED)
    assert send(api, "PATCH", pal, CONFERENCING).status_code == 200
    details = refused(send(api, "POST", f"{pal}/publish"), 400)
    assert [detail["pointer"] for detail in details] == ["/default_face_id"]
    drafted(api, pal, replace("/default_face_id", STOCK_FACE))
    assert published(api, pal)["greeting"] == "Good morning."


# --- A law ------------------------------------------------------------------------------------------------------------

EDITS = {
    "name": st.sampled_from([NAMED, replace("/pal_name", None)]),
    "greeting": st.sampled_from([GREETED, replace("/greeting", "")]),
    "prompt": st.sampled_from([PROMPTED, replace("/system_prompt", "Be brief.")]),
    "hotwords": st.sampled_from([replace("/layers/stt/hotwords", "Heron"), remove("/layers/stt/hotwords")]),
    "engine": st.just(add("/layers/stt/stt_engine", "tavus-whisper")),
    "tools": st.sampled_from([add("/document_tags/-", "t1"), add("/document_tags/0", "t2")]),
    "flow": st.sampled_from([add("/layers/conversational_flow", {}), add("/layers/llm", {"model": "tavus-gpt-oss"})]),
    "secret": st.just(add("/layers/tts", {"api_key": "el-1"})),
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_publishing_a_rebased_draft_is_the_same_as_editing_the_published_one(
    api: httpx.Client, new_pal: NewPal, data: st.DataObject
) -> None:
    places = data.draw(st.permutations(list(EDITS)))
    middle, end = data.draw(st.integers(1, 4)), data.draw(st.integers(5, 8))
    draft = [data.draw(EDITS[place]) for place in places[:middle]]
    edit = [data.draw(EDITS[place]) for place in places[middle:end]]
    one, two = (new_pal(layers={"stt": {"hotwords": "Wren House"}}) for _ in range(2))
    for pal in (one, two):
        drafted(api, pal, *draft)
    assert send(api, "PATCH", f"{one}?on_draft=rebase", *edit).status_code in (200, 304)
    published(api, one)
    published(api, two)
    assert send(api, "PATCH", two, *edit).status_code in (200, 304)
    assert state(document(api, one)) == state(document(api, two))
