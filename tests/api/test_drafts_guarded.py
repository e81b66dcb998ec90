"""Drafts and guards, drafts and secrets."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.drafting import GREETED, NAMED, PROMPTED, drafted, in_the_way, published, send
from tests.api.wire import add, expect, refused, replace
from tests.rows import everything
from tests.serving import STOCK_FACE, start_palace

NewPal = Callable[..., str]


@pytest.fixture
def pal(new_pal: NewPal) -> str:
    return new_pal(layers={"stt": {"hotwords": "Wren House"}})


# --- Guards -----------------------------------------------------------------------------------------------------------


def test_of_two_consoles_with_one_draft_the_second_is_told(api: httpx.Client, pal: str) -> None:
    live = api.get(f"/v2/pals/{pal}").headers["etag"]
    begun = send(api, "PATCH", f"{pal}/draft", GREETED, if_match=live)
    assert begun.status_code == 200
    late = send(api, "PATCH", f"{pal}/draft", NAMED, if_match=live)
    (detail,) = refused(late, 412)
    assert (detail["code"], late.headers["etag"]) == ("draft_changed", begun.headers["etag"])
    repeated = send(api, "PATCH", f"{pal}/draft", GREETED, if_match=live)
    assert repeated.status_code == 304, "what was carried out already is no conflict"
    read = api.get(f"/v2/pals/{pal}/draft")
    assert read.headers["etag"] == begun.headers["etag"] != live
    assert api.get(f"/v2/pals/{pal}/draft", headers={"if-none-match": read.headers["etag"]}).status_code == 304
    changed = send(api, "PATCH", f"{pal}/draft", NAMED, if_match=read.headers["etag"])
    for method, path in (("DELETE", "draft"), ("POST", "publish")):
        refused(send(api, method, f"{pal}/{path}", if_match=read.headers["etag"]), 412)
    reviewed = send(api, "POST", f"{pal}/publish", if_match=changed.headers["etag"])
    assert reviewed.status_code == 200
    assert reviewed.headers["etag"] == changed.headers["etag"], "the tag of a draft is that of what it will be"
    again = send(api, "POST", f"{pal}/publish", if_match=changed.headers["etag"])
    assert (again.status_code, again.headers["x-revision"]) == (200, reviewed.headers["x-revision"])


def test_a_draft_that_was_discarded_meanwhile_is_not_published(api: httpx.Client, pal: str) -> None:
    tag = send(api, "PATCH", f"{pal}/draft", GREETED).headers["etag"]
    send(api, "DELETE", f"{pal}/draft", if_match=tag)
    refused(send(api, "POST", f"{pal}/publish", if_match=tag), 412)


def test_a_stale_write_is_told_so_before_it_is_told_of_the_draft(api: httpx.Client, pal: str) -> None:
    tag = api.get(f"/v2/pals/{pal}").headers["etag"]
    send(api, "PATCH", pal, NAMED)
    drafted(api, pal, GREETED)
    refused(send(api, "PATCH", pal, PROMPTED, if_match=tag), 412)


def test_a_write_under_one_idempotency_key_is_carried_out_once(api: httpx.Client, pal: str) -> None:
    drafted(api, pal, GREETED)
    first = send(api, "POST", f"{pal}/publish", idempotency_key=f"publish-{pal}", x_comment="As reviewed.")
    send(api, "PATCH", pal, NAMED)
    second = send(api, "POST", f"{pal}/publish", idempotency_key=f"publish-{pal}", x_comment="As reviewed.")
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert [one["comment"] for one in api.get(f"/v2/pals/{pal}/revisions").json()["data"]] == [
        None,
        "As reviewed.",
        None,
    ]


# --- Secrets ----------------------------------------------------------------------------------------------------------

MASK = "********"
LLM = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": "sk-live-5b0c4f"}


def test_secrets_of_a_draft_are_masked_kept_and_published(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM})
    draft = drafted(api, pal, replace("/layers/llm/api_key", "sk-draft-91ab3d"))
    assert draft["touched"] == ["/layers/llm/api_key"]
    assert draft["patch"] == [replace("/layers/llm/api_key", MASK)]
    assert draft["document"]["layers"]["llm"]["api_key"] == MASK
    assert send(api, "PATCH", f"{pal}/draft", replace("/layers/llm/api_key", MASK)).status_code == 304
    assert send(api, "PATCH", f"{pal}/draft", replace("/layers/llm/api_key", "sk-draft-91ab3d")).status_code == 304
    assert send(api, "PATCH", pal, replace("/layers/llm/api_key", LLM["api_key"])).status_code == 304
    details = refused(send(api, "PATCH", f"{pal}/draft", replace("/layers/llm/base_url", "https://thief.example")), 400)
    assert details[0]["code"] == "mask"
    published(api, pal)
    assert send(api, "PATCH", pal, replace("/layers/llm/api_key", "sk-draft-91ab3d")).status_code == 304


def test_the_live_secret_sent_to_a_draft_takes_its_change_back(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM})
    drafted(api, pal, replace("/layers/llm/api_key", "sk-draft-91ab3d"))
    assert drafted(api, pal, replace("/layers/llm/api_key", LLM["api_key"]))["state"] == "discarded"


def test_a_rebased_draft_has_the_new_live_secret_and_its_own_changes(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM})
    drafted(api, pal, replace("/layers/llm/model", "n"))
    edit = replace("/layers/llm/api_key", "sk-new-77c2")
    assert send(api, "PATCH", f"{pal}?on_draft=rebase", edit).status_code == 200
    published(api, pal)
    assert send(api, "PATCH", pal, edit, expect("/layers/llm/model", "n")).status_code == 304


def test_two_new_secrets_in_one_place_overlap_although_they_look_the_same(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"tts": {"tts_engine": "cartesia"}})
    drafted(api, pal, add("/layers/tts/api_key", "el-draft"))
    met = in_the_way(send(api, "PATCH", f"{pal}?on_draft=rebase", add("/layers/tts/api_key", "el-live")))
    assert met["overlapping"] == ["/layers/tts/api_key"]


def test_no_rebase_sends_a_live_secret_to_an_address_of_the_draft(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": {}})
    drafted(api, pal, add("/layers/llm/endpoint", "https://thief.example.org"))
    edit = [add("/layers/llm/base_url", LLM["base_url"]), add("/layers/llm/api_key", LLM["api_key"])]
    met = in_the_way(send(api, "PATCH", f"{pal}?on_draft=rebase", *edit))
    assert [(detail["code"], detail["pointer"]) for detail in met["details"]] == [("mask", "/layers/llm/api_key")]


def test_no_secret_of_a_draft_is_in_an_answer_a_log_or_a_database_file(tmp_path: Any) -> None:
    secret, answers = "sk-hidden-3e7d19", []
    with start_palace(tmp_path / "data", PALACE_LOG_LEVEL="debug") as own, own.client() as api:
        made = api.post("/v2/pals", json={"system_prompt": "x", "default_face_id": STOCK_FACE, "layers": {"llm": LLM}})
        pal = made.json()["pal_id"]
        change = replace("/layers/llm/api_key", secret), PROMPTED
        answers += [
            send(api, "PATCH", f"{pal}/draft?dry_run=true", *change),
            send(api, "PATCH", f"{pal}/draft", *change),
        ]
        answers.append(send(api, "PATCH", f"{pal}/draft", expect("/layers/llm/api_key", secret)))
        answers += [
            send(api, "GET", f"{pal}/draft"),
            send(api, "GET", f"{pal}/drafts"),
            send(api, "PATCH", pal, GREETED),
        ]
        answers += [send(api, "DELETE", f"{pal}/draft"), send(api, "POST", f"{pal}/drafts/1/restore")]
        answers += [send(api, "PATCH", f"{pal}?on_draft=rebase", GREETED), send(api, "POST", f"{pal}/publish")]
        assert own.stop() == 0
    stored = b"".join(everything(own.data).values())
    assert b"Speak slowly." in stored
    for hidden in (secret, LLM["api_key"]):
        assert hidden not in "".join(answer.text for answer in answers)
        assert hidden not in own.log.read_text()
        assert hidden.encode() not in stored
