"""`GET /c/{id}` and what the page asks about: who may see it, and what it may load."""

import re

import pytest

from tests.api.wire import refused
from tests.lines import begun


@pytest.fixture
def private(api, new_pal):
    return begun(api, new_pal(pal_name="Night Desk"), require_auth=True)


def page(api, conversation, more: str = "", **headers: str):
    return api.get(conversation["conversation_url"] + more, headers={"x-api-key": "", **headers})


def test_the_page_loads_nothing_from_elsewhere_and_may_be_shown_anywhere(api, new_pal):
    answer = page(api, begun(api, new_pal()))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "*"
    assert answer.headers["referrer-policy"] == "no-referrer", "the address may have a token in it"
    assert answer.headers["cache-control"] == "no-store"
    assert set(re.findall(r'(?:src|href)="([^"]+)"', answer.text)) == {
        "data:,",
        "/static/chat/chat.css",
        "/static/chat/chat.js",
    }
    assert "<script>" not in answer.text


def test_a_host_that_is_none_gets_no_policy_of_its_own(api, new_pal):
    answer = page(api, begun(api, new_pal()), host="x; script-src *")
    assert "script-src *" not in answer.headers.get("content-security-policy", "")


def test_its_files_are_served(api):
    for name, kind in (("chat.css", "text/css"), ("chat.js", "text/javascript")):
        answer = api.get(f"/static/chat/{name}")
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, kind)


@pytest.mark.parametrize("more", ["", "/", "?t=anything"])
def test_an_unknown_conversation_is_a_page_that_says_so(api, palace, more):
    answer = api.get(f"{palace.url}/c/c%3Cscript%3E{more}")
    assert answer.status_code == 404
    assert "There is no such conversation" in answer.text
    assert "<script>" not in answer.text


def test_without_a_token_a_private_conversation_shows_nothing_of_itself(api, private):
    answer = page(api, private)
    assert (answer.status_code, "You are not allowed to join this meeting." in answer.text) == (403, True)
    assert page(api, private, f"?t={private['meeting_token']}").status_code == 200
    assert "Night Desk" not in page(api, private, "?t=nonsense").text
    refused(page(api, private, "/about"), 403, "You are not allowed to join this meeting.")
    refused(page(api, private, "/about?t=nonsense"), 403, "You are not allowed to join this meeting.")
    for said in (
        page(api, private, f"/about?t={private['meeting_token']}"),
        api.get(private["conversation_url"] + "/about"),
    ):
        assert said.json()["pal_name"] == "Night Desk"


def test_what_the_page_shows_besides_what_is_said(api, new_pal):
    call = begun(api, new_pal(pal_name="Night Desk"))
    told = page(api, call, "/about").json()
    assert told == {
        "conversation_id": call["conversation_id"],
        "status": "active",
        "shutdown_reason": None,
        "pal_name": "Night Desk",
        "thumbnail_url": None,
    }
    api.post(f"/v2/conversations/{call['conversation_id']}/end")
    told = page(api, call, "/about").json()
    assert (told["status"], told["shutdown_reason"]) == ("ended", "end_conversation_endpoint_hit")


@pytest.mark.parametrize("path", ["", "/about"])
def test_other_methods_are_refused_and_head_is_not(api, new_pal, path):
    url = begun(api, new_pal())["conversation_url"] + path
    assert api.head(url).status_code == 200
    assert api.post(url).status_code == 405


def test_a_wrong_key_is_told(api, new_pal):
    refused(page(api, begun(api, new_pal()), "/about", **{"x-api-key": "wrong"}), 401)
