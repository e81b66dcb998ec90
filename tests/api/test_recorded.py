"""What gets into the history of a PAL: who, when, why, and nothing that changed nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.api.wire import (
    MERGE_PATCH,
    Operation,
    add,
    etag,
    expect,
    greeted,
    patch,
    refused,
    replace,
    revision,
    revisions,
)
from tests.serving import STOCK_FACE, start_palace

NewPal = Callable[..., str]
LLM = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": "sk-history-1"}
NEW_PAL = {"system_prompt": "x", "default_face_id": STOCK_FACE}


# --- What is recorded -------------------------------------------------------------------------------------------------


def test_a_revision_names_the_key_and_the_request(api: httpx.Client, neighbour: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    answer = patch(api, pal, replace("/greeting", "x"), **{"x-request-id": "deploy-7.of_may"})
    assert answer.headers["x-request-id"] == "deploy-7.of_may"
    second, first = revisions(api, pal)
    assert (second["request_id"], second["key_id"]) == ("deploy-7.of_may", first["key_id"])
    other = revisions(neighbour, neighbour.post("/v2/pals", json=NEW_PAL).json()["pal_id"])[0]
    assert first["key_id"] != other["key_id"]
    assert all(one["key_id"].startswith("k") and len(one["key_id"]) == 11 for one in (first, other))


def test_a_merge_patch_is_a_revision_too(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"stt": {"hotwords": "Wren"}})
    merge = {"greeting": "x", "layers": {"stt": None, "perception": {}}}
    assert api.patch(f"/v2/pals/{pal}", json=merge, headers={"content-type": MERGE_PATCH}).status_code == 200
    shown = revision(api, pal, 2)
    assert (shown["action"], sorted(shown["touched"])) == (
        "merge_patch",
        ["/greeting", "/layers/perception", "/layers/stt"],
    )


WRITE_NOTHING: list[Any] = [
    pytest.param([], 304, id="no operations"),
    pytest.param([replace("/greeting", "hello")], 304, id="the same value"),
    pytest.param([replace("/greeting", "x"), replace("/greeting", "hello")], 304, id="there and back"),
    pytest.param([add("/layers/stt/stt_engine", "tavus-auto")], 304, id="a default over its absence"),
    pytest.param([replace("/layers/llm/api_key", LLM["api_key"])], 304, id="the same secret"),
    pytest.param([replace("/greeting", 5)], 400, id="a wrong type"),
    pytest.param([replace("/greeting", "x"), expect("/greeting", "y")], 422, id="a failed test"),
    pytest.param([replace("/greeting", "x"), replace("/default_face_id", "r0")], 400, id="no such face"),
    pytest.param([{"op": "merge", "path": "/greeting"}], 422, id="a malformed patch"),
]


@pytest.mark.parametrize(("operations", "status"), WRITE_NOTHING)
def test_what_changes_nothing_is_not_in_the_history(
    api: httpx.Client, new_pal: NewPal, operations: list[Operation], status: int
) -> None:
    pal = new_pal(greeting="hello", layers={"llm": LLM, "stt": {}})
    assert patch(api, pal, *operations).status_code == status
    assert [one["revision"] for one in revisions(api, pal)] == [1]
    greeted(api, pal, "next")
    assert [one["revision"] for one in revisions(api, pal)] == [2, 1]


# --- Comments ---------------------------------------------------------------------------------------------------------

COMMENTS = [
    "friendlier",
    "grüße \u5168\u89d2\u3000\u7a7a\u767d",
    "\U0001f469\u200d\U0001f4bb \U0001f319",
    "50 % off; a+b, c=d & e?",
    "x" * 500,
    "深" * 500,
    "a\u00a0b",
    '"quoted"',
]


@pytest.mark.parametrize("comment", COMMENTS)
def test_a_comment_travels_in_a_header_in_the_query_or_in_a_body(
    api: httpx.Client, new_pal: NewPal, comment: str
) -> None:
    made = api.post("/v2/pals", json=NEW_PAL, params={"comment": comment})
    pal = made.json()["pal_id"]
    assert patch(api, pal, replace("/greeting", "x"), **{"x-comment": quote(comment)}).status_code == 200
    assert api.post(f"/v2/pals/{pal}/rollback", json={"to": 1, "comment": comment}).status_code == 200
    assert api.post(f"/v2/pals/{pal}/revisions/3/revert", json={"comment": comment}).status_code == 200
    assert api.request("DELETE", f"/v2/pals/{pal}", headers={"x-comment": quote(comment)}).status_code == 204
    assert api.post(f"/v2/pals/{pal}/restore", json={"comment": comment}).status_code == 200
    listed = revisions(api, pal)
    assert [one["action"] for one in listed] == ["restore", "delete", "revert", "rollback", "patch", "create"]
    assert {one["comment"] for one in listed} == {comment}


@pytest.mark.parametrize("comment", ["", "%20", "%20%09"])
def test_an_empty_comment_is_none(api: httpx.Client, new_pal: NewPal, comment: str) -> None:
    pal = new_pal()
    patch(api, pal, replace("/greeting", "x"), **{"x-comment": comment})
    assert revisions(api, pal)[0]["comment"] is None


@pytest.mark.parametrize(
    "comment", ["x" * 501, "深" * 501, "a\nb", "a\r\nb", "a\tb", "a\x07", "a\x1b[31m", "a\u2028b", "a\x85b"]
)
@pytest.mark.parametrize("place", ["header", "query", "body"])
def test_a_comment_is_one_line_of_at_most_500_characters(
    api: httpx.Client, new_pal: NewPal, comment: str, place: str
) -> None:
    pal = new_pal()
    greeted(api, pal, "x")
    answer = {
        "header": lambda: api.delete(f"/v2/pals/{pal}", headers={"x-comment": quote(comment)}),
        "query": lambda: api.delete(f"/v2/pals/{pal}", params={"comment": comment}),
        "body": lambda: api.post(f"/v2/pals/{pal}/rollback", json={"to": 1, "comment": comment}),
    }[place]()
    assert [detail["code"] for detail in refused(answer, 400)] == ["invalid_comment"]
    assert len(revisions(api, pal)) == 2


# --- Without history --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with start_palace(tmp_path_factory.mktemp("forgetful") / "data", "--no-history") as palace, palace.client() as api:
        yield api


def test_without_history_nothing_is_remembered_and_writes_work(forgetful: httpx.Client) -> None:
    pal = forgetful.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
    tag = etag(forgetful, pal)
    greeted(forgetful, pal, "a", "b")
    listed = forgetful.get(f"/v2/pals/{pal}/revisions")
    assert (listed.status_code, listed.json()) == (200, {"data": [], "next_cursor": None})
    for path in ("revisions/1", "revisions/3", "diff", "diff?from=1&to=2"):
        refused(forgetful.get(f"/v2/pals/{pal}/{path}"), 404)
    refused(forgetful.post(f"/v2/pals/{pal}/rollback", json={"to": 1}), 404)
    refused(forgetful.post(f"/v2/pals/{pal}/revisions/2/revert"), 404)
    stale = refused(patch(forgetful, pal, replace("/greeting", "c"), **{"if-match": tag}), 412)
    assert [detail["code"] for detail in stale] == ["unknown_etag"]
    assert forgetful.delete(f"/v2/pals/{pal}").status_code == 204
    refused(forgetful.post(f"/v2/pals/{pal}/restore"), 400, "Invalid pal_id")


def test_history_that_was_off_for_a_while_has_a_gap_and_goes_on(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data") as palace, palace.client() as api:
        pal = api.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
        first = etag(api, pal)
        greeted(api, pal, "two")
    with start_palace(tmp_path / "data", "--no-history") as palace, palace.client() as api:
        greeted(api, pal, "three", "four")
        stale = refused(patch(api, pal, replace("/greeting", "x"), **{"if-match": first}), 412)
        assert [(one["code"], one["pointer"]) for one in stale] == [("changed_since", "/greeting")]
    with start_palace(tmp_path / "data") as palace, palace.client() as api:
        refused(patch(api, pal, replace("/greeting", "x"), **{"if-match": first}), 412)
        greeted(api, pal, "five", "six")
        listed = revisions(api, pal)
        assert [(one["revision"], one["etag_before"] is None) for one in listed] == [
            (6, False), (5, False), (4, True), (2, False), (1, True)
        ]  # fmt: skip
        shown = [revision(api, pal, number)["document"]["greeting"] for number in (1, 2, 4, 5, 6)]
        assert shown == [None, "two", "four", "five", "six"]
        assert api.post(f"/v2/pals/{pal}/rollback", json={"to": 2}).json()["greeting"] == "two"
