"""`?dry_run=true`: everything is checked and told, nothing is stored. What is stored otherwise than sent is told."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import jsonpatch
import pytest

from tests.api.wire import (
    MERGE_PATCH,
    Operation,
    add,
    document,
    etag,
    expect,
    greeted,
    is_stored,
    patch,
    preview,
    refused,
    remove,
    replace,
    revision,
    revisions,
)
from tests.serving import STOCK_FACE

NewPal = Callable[..., str]
FAMILIES = ["pals", "personas"]
STOCK_PAL = "pb87e71797da"
NEW_PAL = {"system_prompt": "x", "default_face_id": STOCK_FACE}
LLM = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": "sk-seen"}
NAME = "/layers/conferencing"
DIFFERENTLY = "x-stored-differently"


def is_available(api: httpx.Client, username: str) -> bool:
    answer: bool = api.get("/v2/pals/check-username", params={"username": username}).json()["available"]
    return answer


def everything(api: httpx.Client, pal: str) -> list[Any]:
    """All that a client can see of the PAL and of the list it is in."""
    shown = api.get(f"/v2/pals/{pal}")
    listed = api.get("/v2/pals?sort=desc&limit=100").json()
    return [shown.status_code, shown.json().get("pal_id") and shown.json(), shown.headers.get("etag"),
            revisions(api, pal), listed]  # fmt: skip


def without_times(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name not in ("updated_at", "created_at", "pal_id")}


# --- What would happen is what happens --------------------------------------------------------------------------------

MERGE = {"content-type": MERGE_PATCH}
CHANGES: list[Any] = [
    pytest.param("PATCH", "", [replace("/greeting", "new")], {}, id="a member"),
    pytest.param(
        "PATCH", "", [replace("/greeting", "new"), remove("/layers/stt"), add("/document_tags/0", "t")], {}, id="3"
    ),
    pytest.param("PATCH", "", [add("/layers/conversational_flow", {})], {}, id="filled in"),
    pytest.param("PATCH", "", [replace("/layers/llm/api_key", "sk-other")], {}, id="a secret"),
    pytest.param("PATCH", "", [add("/layers/tts", {"api_key": "el-new"})], {}, id="a layer with a secret"),
    pytest.param("PATCH", "", {"greeting": "new", "layers": {"stt": None}}, MERGE, id="a merge patch"),
    pytest.param("POST", "/rollback", {"to": 1}, {}, id="a rollback"),
    pytest.param("POST", "/revisions/2/revert", None, {}, id="a revert"),
    pytest.param("POST", "/revisions/2/revert", {"comment": "why"}, {}, id="a revert with a comment"),
]


@pytest.mark.parametrize(("method", "path", "body", "headers"), CHANGES)
def test_a_preview_tells_what_the_write_then_does_and_stores_nothing(
    api: httpx.Client, new_pal: NewPal, method: str, path: str, body: Any, headers: dict[str, str]
) -> None:
    pal = new_pal(greeting="old", layers={"llm": LLM, "stt": {"hotwords": "Wren"}})
    patch(api, pal, replace("/greeting", "older"), replace("/layers/llm/api_key", "sk-second"))
    before, stored = everything(api, pal), document(api, pal)
    said = preview(api, method, f"/v2/pals/{pal}{path}", json=body, headers=headers)
    assert everything(api, pal) == before
    assert is_stored(api, pal, "/layers/llm/api_key", "sk-second")
    answer = api.request(method, f"/v2/pals/{pal}{path}", json=body, headers=headers)
    assert answer.status_code == 200
    assert (said["changed"], without_times(said["document"])) == (True, without_times(answer.json()))
    done = revision(api, pal, 3)
    assert {name: said[name] for name in ("touched", "patch", "inverse")} == {
        name: done[name] for name in ("touched", "patch", "inverse")
    }
    assert without_times(jsonpatch.apply_patch(stored, said["patch"])) == without_times(said["document"])
    assert without_times(jsonpatch.apply_patch(said["document"], said["inverse"])) == without_times(stored)
    assert said["effects"] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_preview_of_a_new_pal_makes_none_and_shows_no_id(api: httpx.Client, family: str) -> None:
    body = NEW_PAL | {"pal_name": "Seen", "layers": {"conferencing": {"username": "seen-only"}, "llm": LLM}}
    total = api.get("/v2/pals").json()["total_count"]
    answer = api.post(f"/v2/{family}?dry_run=true", json=body)
    said = answer.json()
    assert (answer.status_code, said["changed"], said["touched"]) == (200, True, [""])
    assert (said["patch"], said["inverse"]) == ([], [])
    assert {"etag", "x-revision"}.isdisjoint(answer.headers)
    assert f"{family[:-1]}_id" not in said["document"]
    assert said["document"]["layers"]["llm"]["api_key"] == "********"
    assert api.get("/v2/pals").json()["total_count"] == total
    assert is_available(api, "seen-only")
    pal = api.post(f"/v2/{family}", json=body).json()[f"{family[:-1]}_id"]
    made = document(api, pal, family)
    del made[f"{family[:-1]}_id"]
    assert without_times(made) == without_times(said["document"])
    assert list(made) == list(said["document"])
    api.delete(f"/v2/pals/{pal}")


def test_a_preview_of_a_deletion_deletes_nothing_and_frees_no_name(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"conferencing": {"username": "still-here"}, "llm": LLM})
    before = everything(api, pal)
    said = preview(api, "DELETE", f"/v2/pals/{pal}")
    assert said | {"effects": None} == {
        "dry_run": True,
        "changed": True,
        "document": None,
        "touched": [""],
        "patch": [],
        "inverse": [],
        "effects": None,
    }
    assert everything(api, pal) == before
    assert not is_available(api, "still-here")
    assert is_stored(api, pal, "/layers/llm/api_key", LLM["api_key"])


def test_a_preview_of_a_restoration_restores_nothing_and_takes_no_name(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"conferencing": {"username": "not-back"}})
    last = document(api, pal)
    api.delete(f"/v2/pals/{pal}")
    before = everything(api, pal)
    said = preview(api, "POST", f"/v2/pals/{pal}/restore")
    assert (said["changed"], without_times(said["document"])) == (True, without_times(last))
    assert (said["touched"], said["patch"], said["inverse"]) == ([], [], [])
    assert everything(api, pal) == before
    assert is_available(api, "not-back")
    refused(api.get(f"/v2/pals/{pal}"), 400)


def test_a_preview_of_other_names_moves_none(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"conferencing": {"username": "name-one"}})
    said = preview(api, "PATCH", f"/v2/pals/{pal}", json=[replace(f"{NAME}/username", "Name-Two")])
    assert said["document"]["layers"]["conferencing"]["username"] == "name-two"
    assert (is_available(api, "name-one"), is_available(api, "name-two")) == (False, True)


UNCHANGING: list[Any] = [
    pytest.param("PATCH", "", [], id="no operations"),
    pytest.param("PATCH", "", [replace("/layers/llm/api_key", LLM["api_key"])], id="the same secret"),
    pytest.param("PATCH", "", [add("/layers/llm/speculative_inference", True)], id="a default over its absence"),
    pytest.param("POST", "/rollback", {"to": 1}, id="a rollback to what it says"),
]


@pytest.mark.parametrize(("method", "path", "body"), UNCHANGING)
def test_a_preview_of_what_changes_nothing_says_so(
    api: httpx.Client, new_pal: NewPal, method: str, path: str, body: Any
) -> None:
    pal = new_pal(layers={"llm": LLM})
    said = preview(api, method, f"/v2/pals/{pal}{path}", json=body)
    assert (said["changed"], said["touched"], said["patch"], said["inverse"]) == (False, [], [], [])
    assert said["document"] == document(api, pal)


def test_a_preview_speaks_the_words_of_its_route(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"conversational_flow": {}})
    flow = "/layers/conversational_flow/replica_interruptibility"
    operations = [replace("/pal_name", "x"), replace(flow, "low")]
    said = preview(api, "PATCH", f"/v2/personas/{pal}", json=operations)
    assert said["touched"] == ["/persona_name", flow]
    assert [one["path"] for one in said["patch"] + said["inverse"]] == ["/persona_name", flow] * 2
    assert said["document"]["persona_name"] == "x"
    assert "pal_" not in json.dumps(said)
    assert preview(api, "DELETE", f"/v2/personas/{pal}")["document"] is None


# --- The tag, and the errors ------------------------------------------------------------------------------------------


def test_the_tag_of_a_preview_guards_the_write(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    operations = [replace("/greeting", "x")]
    answer = api.patch(f"/v2/pals/{pal}?dry_run=true", json=operations)
    assert (answer.headers["etag"], answer.headers["x-revision"]) == (etag(api, pal), "1")
    guard = {"if-match": answer.headers["etag"]}
    assert preview(api, "PATCH", f"/v2/pals/{pal}", json=operations, headers=guard)["changed"] is True
    patch(api, pal, replace("/context", "someone else"))
    refused(patch(api, pal, *operations, **guard), 412)
    refused(api.patch(f"/v2/pals/{pal}?dry_run=true", json=operations, headers=guard), 412)
    assert len(revisions(api, pal)) == 2


REFUSED: list[Any] = [
    pytest.param("PATCH", "{pal}", [replace("/greeting", 5)], 400, id="a wrong type"),
    pytest.param("PATCH", "{pal}", [add("/nope", 1), replace("/pal_name", [])], 400, id="two problems"),
    pytest.param("PATCH", "{pal}", [replace("/default_face_id", "r0")], 400, id="no such face"),
    pytest.param("PATCH", "{pal}", [expect("/greeting", "y")], 422, id="a failed test"),
    pytest.param("PATCH", "{pal}", [{"op": "merge", "path": ""}], 422, id="a malformed patch"),
    pytest.param("PATCH", "{pal}", [add(NAME, {"username": "taken-already"})], 400, id="a name that is taken"),
    pytest.param("PATCH", "{pal}", [replace("/layers/llm/base_url", "https://b.example.org")], 400, id="a mask"),
    pytest.param("PATCH", "{stock}", [replace("/greeting", "x")], 400, id="a stock PAL"),
    pytest.param("PATCH", "p0", [replace("/greeting", "x")], 400, id="an unknown PAL"),
    pytest.param("DELETE", "{stock}", None, 400, id="a stock PAL deleted"),
    pytest.param("POST", "{pal}/rollback", {"to": 9}, 404, id="no such revision"),
    pytest.param("POST", "{pal}/revisions/1/revert", None, 400, id="the first revision"),
    pytest.param("POST", "{pal}/restore", None, 400, id="not deleted"),
    pytest.param("POST", "", {"system_prompt": "x"}, 400, id="a new PAL without a face"),
    pytest.param("POST", "", NEW_PAL | {"layers": {"conferencing": {"username": "taken-already"}}}, 400, id="taken"),
]


@pytest.fixture(scope="module")
def taken(api: httpx.Client) -> str:
    body = NEW_PAL | {"layers": {"conferencing": {"username": "taken-already"}}}
    return str(api.post("/v2/pals", json=body).json()["pal_id"])


@pytest.mark.usefixtures("taken")
@pytest.mark.parametrize(("method", "path", "body", "status"), REFUSED)
def test_a_preview_is_refused_as_the_write_is(
    api: httpx.Client, new_pal: NewPal, method: str, path: str, body: Any, status: int
) -> None:
    pal = new_pal(layers={"llm": LLM})
    path = "/v2/pals/" + path.replace("{pal}", pal).replace("{stock}", STOCK_PAL)
    seen = api.request(method, path, json=body, params={"dry_run": "true"})
    done = api.request(method, path, json=body)
    assert (refused(seen, status), seen.json()["message"]) == (refused(done, status), done.json()["message"])


@pytest.mark.parametrize("query", ["dry_run=1", "dry_run=yes", "dry_run=treu", "dry_run=true ", "dry_run=truefalse",
                                   "dry-run=true", "dryRun=true", "DRY_RUN=true", "dryrun"])  # fmt: skip
@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "k"}])
def test_what_is_nearly_a_preview_is_refused_and_changes_nothing(
    api: httpx.Client, new_pal: NewPal, query: str, headers: dict[str, str]
) -> None:
    pal = new_pal()
    for answer in (
        api.patch(f"/v2/pals/{pal}?{query}", json=[replace("/greeting", "x")], headers=headers),
        api.delete(f"/v2/pals/{pal}?{query}", headers=headers),
        api.post(f"/v2/pals?{query}", json=NEW_PAL, headers=headers),
    ):
        assert [detail["code"] for detail in refused(answer, 400)] == ["invalid_query"]
    assert len(revisions(api, pal)) == 1


@pytest.mark.parametrize(("query", "is_preview"), [("dry_run", True), ("dry_run=", True), ("dry_run=True", True),
                                                    ("dry_run=false", False), ("dry_run=False", False)])  # fmt: skip
def test_without_a_value_it_is_a_preview_and_with_false_it_is_none(
    api: httpx.Client, new_pal: NewPal, query: str, is_preview: bool
) -> None:
    pal = new_pal()
    answer = api.patch(f"/v2/pals/{pal}?{query}", json=[replace("/greeting", "x")])
    assert answer.json().get("dry_run", False) is is_preview
    assert len(revisions(api, pal)) == (1 if is_preview else 2)


# --- What was stored otherwise than it was sent -----------------------------------------------------------------------

FLOW = "/layers/conversational_flow"
STORED: list[Any] = [
    pytest.param(add("/layers/tts", {"tts_emotion_control": "true"}),
                 [{"pointer": "/layers/tts/tts_emotion_control", "how": "coerced", "stored": True}], id="coerced"),
    pytest.param(add(NAME, {"username": "Stored.LOW"}),
                 [{"pointer": f"{NAME}/username", "how": "normalised", "stored": "stored.low"}], id="normalised"),
    pytest.param(add("/layers/tts", None), [{"pointer": "/layers/tts", "how": "left_out"}], id="left out"),
    pytest.param(
        remove(f"{FLOW}/wake_phrase"),
        [{"pointer": f"{FLOW}/wake_phrase", "how": "defaulted", "stored": None}],
        id="defaulted",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "expected"), STORED)
def test_what_was_stored_otherwise_than_it_was_sent_is_told(
    api: httpx.Client, new_pal: NewPal, operation: Operation, expected: list[Any]
) -> None:
    pal = new_pal(layers={"conversational_flow": {"wake_phrase": "hey"}})
    for path in (f"/v2/pals/{pal}?dry_run=true", f"/v2/pals/{pal}"):
        operations = [operation] if "conferencing" in operation["path"] else [replace("/greeting", "x"), operation]
        answer = api.patch(path, json=operations)
        assert answer.status_code == 200, answer.text
        assert json.loads(answer.headers[DIFFERENTLY]) == expected
    greeted(api, pal, "y")
    assert DIFFERENTLY not in patch(api, pal, replace("/context", "z")).headers


def test_members_that_were_filled_in_are_told_in_the_words_of_the_route(api: httpx.Client, new_pal: NewPal) -> None:
    for family, name in (("pals", "pal_interruptibility"), ("personas", "replica_interruptibility")):
        answer = patch(api, new_pal(), add(FLOW, {"turn_commitment": "low"}), family=family)
        told = {one["pointer"]: one for one in json.loads(answer.headers[DIFFERENTLY])}
        assert told[f"{FLOW}/{name}"] == {"pointer": f"{FLOW}/{name}", "how": "defaulted", "stored": "medium"}
        assert {one["how"] for one in told.values()} == {"defaulted"}
        assert f"{FLOW}/turn_commitment" not in told


def test_a_new_pal_tells_it_too_but_not_what_was_left_out_at_the_root(api: httpx.Client) -> None:
    plain = api.post("/v2/pals", json=NEW_PAL)
    assert DIFFERENTLY not in plain.headers
    body = NEW_PAL | {"layers": {"tts": {"tts_emotion_control": "no"}, "stt": None}}
    told = json.loads(api.post("/v2/pals", json=body).headers[DIFFERENTLY])
    assert told == [
        {"pointer": "/layers/tts/tts_emotion_control", "how": "coerced", "stored": False},
        {"pointer": "/layers/stt", "how": "left_out"},
    ]


def test_the_header_is_short_even_when_everything_is_stored_differently(api: httpx.Client) -> None:
    off = dict.fromkeys(("llm", "stt", "perception", "capabilities", "knowledge_base", "transport", "sts"))
    flow = {"conversational_flow": {}, "conferencing": {"username": "All-Of-It"}, "tts": {"tts_emotion_control": "no"}}
    header = api.post("/v2/pals", json=NEW_PAL | {"layers": off | flow}).headers[DIFFERENTLY]
    assert {one["how"] for one in json.loads(header)} == {"left_out", "defaulted", "normalised", "coerced"}
    assert len(header) < 2000


def test_what_changes_nothing_or_is_stored_as_sent_has_no_such_header(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"stt": {}})
    for operations in ([], [add("/layers/tts", None)], [replace("/greeting", "深"), add("/layers/llm", LLM)]):
        assert DIFFERENTLY not in patch(api, pal, *operations).headers


def test_the_header_never_holds_a_secret(api: httpx.Client, new_pal: NewPal) -> None:
    layers = {"llm": LLM, "tts": {"api_key": "el-hidden", "tts_emotion_control": "true"}, "stt": None}
    made = api.post("/v2/pals", json=NEW_PAL | {"layers": layers})
    patched = patch(api, new_pal(), replace("/layers", layers))
    for answer in (made, patched):
        assert len(json.loads(answer.headers[DIFFERENTLY])) == 2
        assert not [secret for secret in ("sk-seen", "el-hidden") if secret in str(answer.headers)]
