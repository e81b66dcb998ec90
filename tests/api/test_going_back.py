"""Roll back and revert: going back is a new revision, and the history is never rewritten."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.wire import (
    MERGE_PATCH,
    Operation,
    add,
    document,
    greeted,
    is_stored,
    patch,
    refused,
    remove,
    replace,
    revert,
    revision,
    revisions,
    rollback,
)
from tests.serving import STOCK_FACE, start_palace

NewPal = Callable[..., str]
LLM = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": "sk-first"}
TAKEN = "Username is already taken."
MAIL = "/layers/conferencing/username"


def is_available(api: httpx.Client, username: str) -> bool:
    answer: bool = api.get("/v2/pals/check-username", params={"username": username}).json()["available"]
    return answer


# --- Roll back --------------------------------------------------------------------------------------------------------


def test_rolling_back_writes_a_new_revision_and_leaves_the_others(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="one", layers={"stt": {"hotwords": "Wren"}})
    first = document(api, pal)
    patch(api, pal, replace("/greeting", "two"), remove("/layers/stt"), replace("/document_tags", ["t"]))
    greeted(api, pal, "three")
    before = revisions(api, pal)
    answer = rollback(api, pal, 1)
    assert answer.status_code == 200
    assert answer.json() == document(api, pal) == first | {"updated_at": answer.json()["updated_at"]}
    assert answer.json()["updated_at"] > before[0]["created_at"]
    newest, *older = revisions(api, pal)
    assert older == before
    assert (newest["revision"], newest["action"], newest["about"]) == (4, "rollback", {"to": 1})
    assert (newest["etag"], answer.headers["etag"]) == (before[-1]["etag"], before[-1]["etag"])
    assert answer.headers["x-revision"] == "4"


def test_rolling_back_to_what_it_says_already_is_304(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="one")
    greeted(api, pal, "two", "one")
    for to in (1, 3):
        answer = rollback(api, pal, to)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["x-message"] == "No changes were made to the PAL"
    assert rollback(api, pal, 3, prefer="return=representation").json() == document(api, pal)
    assert len(revisions(api, pal)) == 3


def test_a_rollback_can_be_rolled_back(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="one")
    greeted(api, pal, "two", "three")
    for to, expected in ((1, "one"), (3, "three"), (4, "one"), (2, "two")):
        assert rollback(api, pal, to).json()["greeting"] == expected
    assert [one["about"] for one in revisions(api, pal)[:4]] == [{"to": 2}, {"to": 4}, {"to": 3}, {"to": 1}]


@pytest.mark.parametrize("to", [0, 2, -1, 2**31, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
def test_rolling_back_to_a_revision_that_does_not_exist_is_404(api: httpx.Client, new_pal: NewPal, to: int) -> None:
    details = refused(rollback(api, new_pal(), to), 404, "Revision not found")
    assert [detail["code"] for detail in details] == ["no_such_revision"]


BAD_BODIES: list[Any] = [
    pytest.param({}, ["/to"], id="nothing said"),
    pytest.param({"to": "1"}, ["/to"], id="a string"),
    pytest.param({"to": 1.0}, ["/to"], id="a fraction"),
    pytest.param({"to": None}, ["/to"], id="null"),
    pytest.param({"to": True}, ["/to"], id="a boolean"),
    pytest.param({"to": 1, "comment": 5}, ["/comment"], id="a comment that is no text"),
    pytest.param({"to": 1, "too": 2}, ["/too"], id="a member too much"),
    pytest.param({"revision": 1, "comment": []}, ["/revision", "/to", "/comment"], id="all of it wrong"),
    pytest.param([1], [""], id="an array"),
    pytest.param("1", [""], id="a text"),
]


@pytest.mark.parametrize(("body", "pointers"), BAD_BODIES)
def test_a_wrong_body_of_a_rollback_is_refused_with_every_problem(
    api: httpx.Client, new_pal: NewPal, body: Any, pointers: list[str]
) -> None:
    pal = new_pal()
    greeted(api, pal, "x")
    answer = api.post(f"/v2/pals/{pal}/rollback", json=body)
    assert [detail["pointer"] for detail in refused(answer, 400)] == pointers
    assert len(revisions(api, pal)) == 2


def test_a_rollback_needs_a_body_of_json(api: httpx.Client, new_pal: NewPal) -> None:
    path = f"/v2/pals/{new_pal()}/rollback"
    refused(api.post(path), 400)
    refused(api.post(path, content=b"{", headers={"content-type": "application/json"}), 400)
    refused(api.post(path, content=b"{}", headers={"content-type": MERGE_PATCH}), 415)


# --- Secrets come back ------------------------------------------------------------------------------------------------


def test_the_secret_of_then_comes_back_with_a_rollback(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM, "tts": {"api_key": "el-first"}})
    patch(api, pal, replace("/layers/llm/api_key", "sk-second"))
    patch(api, pal, replace("/layers/llm", LLM | {"base_url": "https://b.example.org", "api_key": "sk-third"}))
    patch(api, pal, remove("/layers/tts"))
    for to, url, secret in ((1, LLM["base_url"], "sk-first"), (3, "https://b.example.org", "sk-third"),
                            (2, LLM["base_url"], "sk-second"), (4, "https://b.example.org", "sk-third")):  # fmt: skip
        answer = rollback(api, pal, to)
        assert (answer.status_code, answer.json()["layers"]["llm"]["base_url"]) == (200, url)
        assert answer.json()["layers"]["llm"]["api_key"] == "********"
        known = [is_stored(api, pal, "/layers/llm/api_key", f"sk-{one}") for one in ("first", "second", "third")]
        assert known == [f"sk-{one}" == secret for one in ("first", "second", "third")]
        assert ("tts" in answer.json()["layers"]) is (to != 4)
        if to != 4:
            assert is_stored(api, pal, "/layers/tts/api_key", "el-first")


def test_rolling_back_only_a_secret_is_a_change(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM})
    patch(api, pal, replace("/layers/llm/api_key", "sk-second"))
    answer = rollback(api, pal, 1)
    assert answer.status_code == 200
    assert revisions(api, pal)[0]["touched"] == ["/layers/llm/api_key"]
    assert rollback(api, pal, 1).status_code == 304
    assert is_stored(api, pal, "/layers/llm/api_key", "sk-first")


def test_the_secret_of_then_survives_a_restart(tmp_path: Path) -> None:
    body = {"system_prompt": "x", "default_face_id": STOCK_FACE, "layers": {"llm": LLM}}
    with start_palace(tmp_path / "data") as palace, palace.client() as api:
        pal = api.post("/v2/pals", json=body).json()["pal_id"]
        patch(api, pal, replace("/layers/llm/api_key", "sk-second"))
    with start_palace(tmp_path / "data") as palace, palace.client() as api:
        assert rollback(api, pal, 1).status_code == 200
        assert is_stored(api, pal, "/layers/llm/api_key", "sk-first")


# --- Names for meetings -----------------------------------------------------------------------------------------------


def test_a_rollback_takes_the_name_of_then_again_and_gives_the_other_back(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"conferencing": {"username": "desk-then"}})
    patch(api, pal, replace(MAIL, "desk-now"))
    assert (is_available(api, "desk-then"), is_available(api, "desk-now")) == (True, False)
    assert rollback(api, pal, 1).status_code == 200
    assert (is_available(api, "desk-then"), is_available(api, "desk-now")) == (False, True)


GOING_BACK: list[Any] = [
    pytest.param("desk-lost", lambda api, pal: rollback(api, pal, 1), id="a rollback"),
    pytest.param("desk-missed", lambda api, pal: revert(api, pal, 2), id="a revert"),
]


@pytest.mark.parametrize(("name", "go_back"), GOING_BACK)
def test_a_name_that_somebody_took_meanwhile_does_not_come_back(
    api: httpx.Client, new_pal: NewPal, name: str, go_back: Callable[..., httpx.Response]
) -> None:
    pal = new_pal(layers={"conferencing": {"username": name}})
    patch(api, pal, remove("/layers/conferencing"))
    thief = new_pal(layers={"conferencing": {"username": name}})
    before = document(api, pal)
    details = refused(go_back(api, pal), 400)
    assert [(detail["pointer"], detail["problem"]) for detail in details] == [(MAIL, TAKEN)]
    assert (document(api, pal), len(revisions(api, pal))) == (before, 2)
    api.delete(f"/v2/pals/{thief}")
    assert go_back(api, pal).status_code == 200


# --- Take one change back ---------------------------------------------------------------------------------------------

REVERTED: list[Any] = [
    pytest.param([replace("/greeting", "x")], id="a root member"),
    pytest.param([remove("/layers/stt/hotwords")], id="a member removed"),
    pytest.param([remove("/layers/stt")], id="a layer removed"),
    pytest.param([add("/layers/perception", {})], id="a layer added"),
    pytest.param([add("/document_tags/1", "n"), remove("/document_tags/0")], id="an array"),
    pytest.param([replace("/layers/llm/api_key", "sk-second")], id="a secret"),
    pytest.param([remove("/layers/llm")], id="a layer with a secret"),
    pytest.param(
        [replace("/layers/llm", LLM | {"base_url": "https://b.example.org", "api_key": "sk-b"})], id="an address"
    ),
    pytest.param([replace("/pal_name", "N"), replace("/layers/llm/model", "n"), remove("/layers/stt")], id="several"),
]


@pytest.mark.parametrize("operations", REVERTED)
def test_a_revert_takes_back_one_change_and_keeps_what_came_later(
    api: httpx.Client, new_pal: NewPal, operations: list[Operation]
) -> None:
    pal = new_pal(greeting="hello", document_tags=["a", "b"], layers={"llm": LLM, "stt": {"hotwords": "Wren"}})
    first = document(api, pal)
    assert patch(api, pal, *operations).status_code == 200
    assert patch(api, pal, replace("/context", "later"), add("/layers/tts", {"api_key": "el-later"})).status_code == 200
    answer = revert(api, pal, 2)
    assert answer.status_code == 200, answer.text
    layers = first["layers"] | {"tts": {"api_key": "********"}}
    assert answer.json() == first | {"context": "later", "layers": layers, "updated_at": answer.json()["updated_at"]}
    assert is_stored(api, pal, "/layers/llm/api_key", "sk-first")
    assert is_stored(api, pal, "/layers/tts/api_key", "el-later")
    newest = revisions(api, pal)[0]
    assert (newest["revision"], newest["action"], newest["about"]) == (4, "revert", {"reverted": 2})
    assert sorted(newest["touched"]) == sorted(revision(api, pal, 2)["touched"])


def test_a_revert_can_be_reverted(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="one", layers={"llm": LLM})
    patch(api, pal, replace("/greeting", "two"), replace("/layers/llm/api_key", "sk-second"))
    for number, greeting, secret in ((2, "one", "sk-first"), (3, "two", "sk-second"), (4, "one", "sk-first")):
        assert revert(api, pal, number).json()["greeting"] == greeting
        assert is_stored(api, pal, "/layers/llm/api_key", secret)


MOVED: list[Any] = [
    pytest.param([replace("/greeting", "x")], [replace("/greeting", "y")], ["/greeting"], id="the same member"),
    pytest.param([add("/layers/stt/hotwords", "x")], [remove("/layers/stt")], ["/layers/stt/hotwords"], id="above it"),
    pytest.param(
        [remove("/layers/stt/hotwords")], [remove("/layers/stt")], ["/layers/stt/hotwords"], id="what was around it"
    ),
    pytest.param([add("/layers/tts", {})], [add("/layers/tts/api_key", "k")], ["/layers/tts"], id="below it"),
    pytest.param(
        [add("/document_tags/-", "x")], [add("/document_tags/0", "y")], ["/document_tags"], id="another element"
    ),
    pytest.param(
        [replace("/layers/llm/api_key", "sk-2")],
        [replace("/layers/llm/api_key", "sk-3")],
        ["/layers/llm/api_key"],
        id="a secret",
    ),
    pytest.param(
        [add("/layers/tts", {"tts_engine": "elevenlabs", "api_key": "sk-a"})],
        [replace("/layers/tts/api_key", "sk-b")],
        ["/layers/tts/api_key"],
        id="a secret that came with its layer",
    ),
    pytest.param(
        [replace("/greeting", "x"), replace("/context", "x"), replace("/pal_name", "x")],
        [replace("/pal_name", "y"), replace("/greeting", "y")],
        ["/greeting", "/pal_name"],
        id="two of three",
    ),
    pytest.param(
        [replace("/layers/llm", LLM | {"base_url": "https://b.example.org"})],
        [replace("/layers/llm/api_key", "sk-for-b")],
        ["/layers/llm/api_key"],
        id="a secret for another address",
    ),
]


@pytest.mark.parametrize(("operations", "later", "pointers"), MOVED)
def test_what_has_been_changed_again_is_not_taken_back_and_named(
    api: httpx.Client, new_pal: NewPal, operations: list[Operation], later: list[Operation], pointers: list[str]
) -> None:
    pal = new_pal(layers={"llm": LLM, "stt": {"hotwords": "Wren"}})
    assert patch(api, pal, *operations).status_code == 200
    assert patch(api, pal, *later).status_code == 200
    before = document(api, pal)
    details = refused(revert(api, pal, 2), 409)
    assert {detail["code"] for detail in details} == {"moved_since"}
    assert sorted(detail["pointer"] for detail in details) == pointers
    assert (document(api, pal), len(revisions(api, pal))) == (before, 3)


@pytest.mark.parametrize("undo", [rollback, revert])
def test_going_back_twice_is_no_conflict_the_second_time(
    api: httpx.Client, new_pal: NewPal, undo: Callable[..., httpx.Response]
) -> None:
    pal = new_pal(greeting="one", layers={"llm": LLM})
    patch(api, pal, replace("/greeting", "two"), replace("/layers/llm/api_key", "sk-second"))
    tag = api.get(f"/v2/pals/{pal}").headers["etag"]
    number = 1 if undo is rollback else 2
    assert undo(api, pal, number, **{"if-match": tag}).status_code == 200
    assert undo(api, pal, number, **{"if-match": tag}).status_code == 304
    assert is_stored(api, pal, "/layers/llm/api_key", "sk-first")
    assert len(revisions(api, pal)) == 3


def test_what_is_taken_back_in_part_already_is_taken_back_as_a_whole(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="one", context="one")
    patch(api, pal, replace("/greeting", "two"), replace("/context", "two"))
    greeted(api, pal, "one")
    reverted = revert(api, pal, 2)
    assert reverted.status_code == 200
    assert (reverted.json()["greeting"], reverted.json()["context"]) == ("one", "one")


def test_the_first_revision_cannot_be_reverted(api: httpx.Client, new_pal: NewPal) -> None:
    details = refused(revert(api, new_pal(), 1), 400)
    assert [detail["code"] for detail in details] == ["no_revision_before"]


@pytest.mark.parametrize(("number", "status"), [("2", 404), ("0", 404), ("-1", 404), ("9" * 30, 404), ("x", 400)])
def test_only_a_revision_that_exists_can_be_reverted(
    api: httpx.Client, new_pal: NewPal, number: str, status: int
) -> None:
    refused(api.post(f"/v2/pals/{new_pal()}/revisions/{number}/revert"), status)


def test_a_revert_whose_result_is_no_pal_is_400(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(pipeline_mode="echo", system_prompt="")
    patch(api, pal, replace("/system_prompt", "x"))
    patch(api, pal, replace("/pipeline_mode", "full"))
    assert [detail["pointer"] for detail in refused(revert(api, pal, 2), 400)] == ["/system_prompt"]


@pytest.mark.parametrize("path", ["revisions/2/revert", "restore"])
@pytest.mark.parametrize("body", [[], "x", 5, {"to": 1}, {"comment": 5}])
def test_a_wrong_body_of_a_revert_or_a_restore_is_refused(
    api: httpx.Client, new_pal: NewPal, path: str, body: Any
) -> None:
    pal = new_pal()
    greeted(api, pal, "x")
    refused(api.post(f"/v2/pals/{pal}/{path}", json=body), 400)
    assert len(revisions(api, pal)) == 2
