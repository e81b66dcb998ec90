"""Tags of a PAL; reads that are saved and writes that are guarded with them (RFC 9110, sections 8.8 and 13)."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
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
    restore,
    revert,
    revisions,
    rollback,
)
from tests.serving import STOCK_FACE, start_palace

NewPal = Callable[..., str]
FAMILIES = ["pals", "personas"]
STOCK_PAL = "pb87e71797da"
NEW_PAL = {"system_prompt": "x", "default_face_id": STOCK_FACE}
LLM = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": "sk-guarded"}
STRONG = re.compile(r'"[0-9a-f]{24}"')


# --- Tags -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_answer_that_speaks_of_one_pal_has_the_same_strong_tag(api: httpx.Client, family: str) -> None:
    made = api.post(f"/v2/{family}", json=NEW_PAL)
    pal = made.json()[f"{family[:-1]}_id"]
    path = f"/v2/{family}/{pal}"
    first = [made, api.get(path), api.head(path), api.get(f"/v2/pals/{pal}"), patch(api, pal, family=family)]
    changed = patch(api, pal, replace("/greeting", "x"), family=family)
    second = [changed, api.get(path), api.head(path), api.get(f"/v2/pals/{pal}"),
              patch(api, pal, replace("/greeting", "x"), family=family)]  # fmt: skip
    assert [answer.status_code for answer in first] == [200, 200, 200, 200, 304]
    for number, answers in ((1, first), (2, second)):
        (tag,) = {answer.headers["etag"] for answer in answers}
        assert STRONG.fullmatch(tag)
        assert {answer.headers["x-revision"] for answer in answers} == {str(number)}
    assert made.headers["etag"] != changed.headers["etag"]


def test_stock_pals_and_faces_have_tags_too(api: httpx.Client, neighbour: httpx.Client) -> None:
    for path in (f"/v2/pals/{STOCK_PAL}", f"/v2/faces/{STOCK_FACE}", f"/v2/replicas/{STOCK_FACE}?verbose=true"):
        (tag,) = {client.get(path).headers["etag"] for client in (api, neighbour)}
        assert STRONG.fullmatch(tag)


def test_two_pals_that_say_the_same_have_different_tags(api: httpx.Client, new_pal: NewPal) -> None:
    assert etag(api, new_pal()) != etag(api, new_pal())


def test_changing_something_and_changing_it_back_gives_the_first_tag_again(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="a", layers={"stt": {"hotwords": "Wren"}, "llm": {}})
    first = etag(api, pal)
    for there, back in (
        (replace("/greeting", "b"), replace("/greeting", "a")),
        (remove("/layers/stt"), add("/layers/stt", {"hotwords": "Wren"})),
        (add("/layers/llm/extra_body", {"x": 1}), remove("/layers/llm/extra_body")),
    ):
        assert patch(api, pal, there).headers["etag"] != first
        assert patch(api, pal, back).headers["etag"] == first


def test_a_tag_tells_which_secret_it_is(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM})
    first, shown = etag(api, pal), document(api, pal)
    changed = patch(api, pal, replace("/layers/llm/api_key", "sk-other"))
    assert changed.headers["etag"] != first
    assert document(api, pal)["layers"] == shown["layers"]
    assert patch(api, pal, replace("/layers/llm/api_key", "sk-other")).headers["etag"] == changed.headers["etag"]
    assert rollback(api, pal, 1).headers["etag"] == first


def test_pages_of_other_origins_can_read_what_guards_need(api: httpx.Client, new_pal: NewPal) -> None:
    answer = api.get(f"/v2/pals/{new_pal()}", headers={"origin": "https://app.example.org"})
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].lower().split(",")}
    assert exposed >= {"etag", "x-revision", "idempotency-replayed", "x-stored-differently", "retry-after"}


# --- Reads that are saved ---------------------------------------------------------------------------------------------

OTHER = '"0123456789abcdef01234567"'
SAVED: list[Any] = [
    pytest.param("{tag}", 304, id="the tag"),
    pytest.param("W/{tag}", 304, id="the tag as a proxy weakens it"),
    pytest.param("*", 304, id="any"),
    pytest.param(f"{OTHER}, {{tag}}", 304, id="a list"),
    pytest.param(f"{OTHER},W/{{tag}} , {OTHER}", 304, id="a list without blanks, weak"),
    pytest.param(f", {{tag}},,{OTHER},", 304, id="a list with empty elements"),
    pytest.param('"a,b", {tag}, ""', 304, id="a list with a comma in a tag"),
    pytest.param(OTHER, 200, id="another tag"),
    pytest.param('"*"', 200, id="a tag of one asterisk"),
    pytest.param('""', 200, id="an empty tag"),
    pytest.param(f"W/{OTHER}, {OTHER}", 200, id="other tags"),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("header", "status"), SAVED)
def test_what_the_client_has_already_is_not_sent_again(
    api: httpx.Client, new_pal: NewPal, method: str, family: str, header: str, status: int
) -> None:
    pal = new_pal()
    tag = etag(api, pal)
    headers = {"if-none-match": header.replace("{tag}", tag)}
    answer = api.request(method, f"/v2/{family}/{pal}", headers=headers)
    assert (answer.status_code, answer.headers["etag"], answer.headers["x-revision"]) == (status, tag, "1")
    if status == 304:
        assert answer.content == b""
        assert "content-length" not in answer.headers
    greeted(api, pal, "x")
    if "*" not in header:
        assert api.request(method, f"/v2/{family}/{pal}", headers=headers).status_code == 200


MALFORMED = [
    "",
    "abc",
    '"abc',
    'abc"',
    "'abc'",
    'w/"abc"',
    '"a" "b"',
    '"a";"b"',
    "*, *",
    '*, "a"',
    "W/*",
    '"a b"',
    ",",
]


@pytest.mark.parametrize("header", MALFORMED)
def test_what_is_no_list_of_tags_is_refused(api: httpx.Client, new_pal: NewPal, header: str) -> None:
    pal = new_pal()
    answers = [
        patch(api, pal, replace("/greeting", "x"), **{"if-match": header}),
        api.get(f"/v2/pals/{pal}", headers={"if-none-match": header}),
        api.delete(f"/v2/pals/{pal}", headers={"if-match": header}),
    ]
    for answer in answers:
        assert [detail["code"] for detail in refused(answer, 400)] == ["invalid_etag"]
    assert len(revisions(api, pal)) == 1


def test_a_long_list_of_tags_is_read_quickly(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    many = ", ".join(f'"{number:024x}"' for number in range(1000))
    assert api.get(f"/v2/pals/{pal}", headers={"if-none-match": f"{many}, {etag(api, pal)}"}).status_code == 304
    refused(api.get(f"/v2/pals/{pal}", headers={"if-none-match": f"{many}{' ,' * 5000} x"}), 400)


# --- Writes that are guarded ------------------------------------------------------------------------------------------

GUARDED: list[Any] = [
    pytest.param("{tag}", 200, id="the tag"),
    pytest.param("*", 200, id="any"),
    pytest.param(f"{OTHER}, {{tag}}", 200, id="a list"),
    pytest.param(f",{{tag}} ,, W/{OTHER},", 200, id="a list with empty elements"),
    pytest.param("W/{tag}", 412, id="a weak tag"),
    pytest.param(f"{OTHER}, W/{{tag}}", 412, id="a list with the tag weakened"),
    pytest.param('"*"', 412, id="a tag of one asterisk"),
    pytest.param('""', 412, id="an empty tag"),
    pytest.param(OTHER, 412, id="a tag it never had"),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("header", "status"), GUARDED)
def test_a_write_happens_only_to_the_state_that_it_names(
    api: httpx.Client, new_pal: NewPal, family: str, header: str, status: int
) -> None:
    pal = new_pal()
    before, tag = document(api, pal), etag(api, pal)
    headers = {"if-match": header.replace("{tag}", tag)}
    answer = patch(api, pal, replace("/greeting", "x"), family=family, **headers)
    if status == 200:
        assert (answer.status_code, answer.json()["greeting"]) == (200, "x")
        return
    details = refused(answer, 412)
    assert [detail["code"] for detail in details] == ["unknown_etag"]
    assert (answer.headers["etag"], answer.headers["x-revision"]) == (tag, "1")
    assert document(api, pal) == before


def test_a_tag_that_is_current_again_is_no_conflict(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="a")
    tag = etag(api, pal)
    greeted(api, pal, "b", "a")
    assert patch(api, pal, replace("/greeting", "c"), **{"if-match": tag}).status_code == 200


SINCE: list[Any] = [
    pytest.param([[replace("/greeting", "x")]], {"/greeting": 2}, id="one change"),
    pytest.param([[replace("/greeting", "x")], [replace("/context", "y")]], {"/greeting": 2, "/context": 3}, id="two"),
    pytest.param([[replace("/greeting", "x")], [replace("/greeting", "y")]], {"/greeting": 3}, id="the newest counts"),
    pytest.param(
        [[replace("/greeting", "x")], [replace("/context", "y")], [replace("/greeting", None)]],
        {"/context": 3},
        id="what was changed back is not named",
    ),
    pytest.param([[replace("/document_tags/1", "x")]], {"/document_tags": 2}, id="an element of an array"),
    pytest.param([[replace("/layers/llm/api_key", "sk-2")]], {"/layers/llm/api_key": 2}, id="a secret"),
    pytest.param(
        [[replace("/layers/llm/api_key", "sk-2")], [replace("/greeting", "x")], [replace("/layers/llm/model", "n")]],
        {"/layers/llm/api_key": 2, "/greeting": 3, "/layers/llm/model": 4},
        id="a secret and its layer",
    ),
    pytest.param([[remove("/layers/llm")]], {"/layers/llm": 2}, id="a layer removed"),
    pytest.param([[add("/layers/stt", {})], [add("/layers/stt/hotwords", "x")]], {"/layers/stt": 3}, id="inside it"),
    pytest.param(
        [[add("/layers/sts", {"a": 1})], [replace("/layers/sts/a", 2)], [replace("/greeting", "x")]],
        {"/layers/sts": 3, "/greeting": 4},
        id="above and below",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), SINCE)
def test_a_conflict_names_every_member_that_changed_since_and_the_revision_that_did(
    api: httpx.Client, new_pal: NewPal, changes: list[list[Operation]], expected: dict[str, int]
) -> None:
    pal = new_pal(document_tags=["a", "b"], layers={"llm": LLM})
    tag = etag(api, pal)
    for operations in changes:
        assert patch(api, pal, *operations).status_code == 200
    answer = patch(api, pal, replace("/pal_name", "x"), **{"if-match": tag})
    details = refused(answer, 412)
    listed = {one["revision"]: one for one in revisions(api, pal)}
    assert {detail["pointer"]: detail["revision"] for detail in details} == expected
    assert len(details) == len(expected)
    for detail in details:
        by = listed[detail["revision"]]
        told = (detail["code"], detail["key_id"], detail["changed_at"])
        assert told == ("changed_since", by["key_id"], by["created_at"])
    assert answer.headers["etag"] == etag(api, pal)
    assert len(listed) == len(changes) + 1


def test_a_conflict_reaches_back_over_many_revisions(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    tag = etag(api, pal)
    patch(api, pal, replace("/context", "x"))
    greeted(api, pal, *map(str, range(60)))
    details = refused(patch(api, pal, replace("/pal_name", "x"), **{"if-match": tag}), 412)
    assert {detail["pointer"]: detail["revision"] for detail in details} == {"/context": 2, "/greeting": 62}


def test_the_newest_of_several_tags_is_what_the_client_knows(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    first = etag(api, pal)
    greeted(api, pal, "x")
    second = etag(api, pal)
    patch(api, pal, replace("/context", "y"))
    details = refused(patch(api, pal, replace("/pal_name", "x"), **{"if-match": f"{first}, {second}"}), 412)
    assert [detail["pointer"] for detail in details] == ["/context"]


def test_a_conflict_does_not_blame_a_deletion_that_was_taken_back(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    tag = etag(api, pal)
    greeted(api, pal, "x")
    api.delete(f"/v2/pals/{pal}")
    restore(api, pal)
    details = refused(patch(api, pal, replace("/context", "y"), **{"if-match": tag}), 412)
    assert [(detail["pointer"], detail["revision"]) for detail in details] == [("/greeting", 2)]


def test_a_conflict_speaks_the_words_of_its_route_and_shows_no_value(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM, "conversational_flow": {}})
    tag = etag(api, pal)
    flow = "/layers/conversational_flow"
    patch(api, pal, replace("/pal_name", "a name nobody sees"), replace(f"{flow}/pal_interruptibility", "low"))
    answer = patch(api, pal, replace("/greeting", "x"), family="personas", **{"if-match": tag})
    pointers = [detail["pointer"] for detail in refused(answer, 412)]
    assert pointers == ["/persona_name", f"{flow}/replica_interruptibility"]
    assert "nobody sees" not in answer.text
    assert "pal_" not in answer.text


def test_a_write_that_was_carried_out_already_is_no_conflict(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM})
    tag = etag(api, pal)
    wanted = [replace("/greeting", "x"), replace("/layers/llm/api_key", "sk-new")]
    assert patch(api, pal, *wanted, **{"if-match": tag}).status_code == 200
    again = patch(api, pal, *wanted, **{"if-match": tag})
    assert (again.status_code, again.headers["etag"]) == (304, etag(api, pal))
    merge = api.patch(f"/v2/pals/{pal}", json={"greeting": "x"}, headers={"content-type": MERGE_PATCH, "if-match": tag})
    assert merge.status_code == 304
    refused(patch(api, pal, replace("/greeting", "y"), **{"if-match": tag}), 412)
    refused(patch(api, pal, add("/document_tags/-", "y"), **{"if-match": tag}), 412)
    assert is_stored(api, pal, "/layers/llm/api_key", "sk-new")


MISFITS: list[Any] = [
    pytest.param(expect("/greeting", None), 422, id="a failed test"),
    pytest.param(remove("/layers/stt/hotwords"), 422, id="a member that is gone"),
    pytest.param(add("/layers/stt/a/b", 1), 400, id="a parent that is gone"),
    pytest.param(replace("/pal_name", 5), 400, id="a result that is no PAL"),
]


@pytest.mark.parametrize(("operation", "status"), MISFITS)
def test_a_patch_that_does_not_fit_any_more_is_told_why(
    api: httpx.Client, new_pal: NewPal, operation: Operation, status: int
) -> None:
    pal = new_pal(layers={"stt": {"hotwords": "Wren"}})
    tag = etag(api, pal)
    patch(api, pal, replace("/greeting", "x"), remove("/layers/stt/hotwords"))
    details = refused(patch(api, pal, operation, **{"if-match": tag}), 412)
    assert sorted(detail["pointer"] for detail in details) == ["/greeting", "/layers/stt/hotwords"]
    refused(patch(api, pal, operation, **{"if-match": etag(api, pal)}), status)


WRITES: list[Any] = [
    pytest.param(lambda api, pal, **headers: rollback(api, pal, 1, **headers), id="a rollback"),
    pytest.param(lambda api, pal, **headers: revert(api, pal, 2, **headers), id="a revert"),
    pytest.param(lambda api, pal, **headers: api.delete(f"/v2/pals/{pal}", headers=headers), id="a deletion"),
    pytest.param(lambda api, pal, **headers: patch(api, pal, replace("/pal_name", "x"), **headers), id="a patch"),
    pytest.param(
        lambda api, pal, **headers: api.patch(
            f"/v2/pals/{pal}", json={"pal_name": "x"}, headers=headers | {"content-type": MERGE_PATCH}
        ),
        id="a merge patch",
    ),
]
Write = Callable[..., httpx.Response]


@pytest.mark.parametrize("write", WRITES)
def test_every_write_can_be_guarded(api: httpx.Client, new_pal: NewPal, write: Write) -> None:
    pal = new_pal()
    tag = etag(api, pal)
    greeted(api, pal, "x")
    details = refused(write(api, pal, **{"if-match": tag}), 412)
    assert [(detail["pointer"], detail["revision"]) for detail in details] == [("/greeting", 2)]
    assert [one["revision"] for one in revisions(api, pal)] == [2, 1]
    assert write(api, pal, **{"if-match": etag(api, pal)}).status_code in (200, 204)
    assert len(revisions(api, pal)) == 3


def test_a_restoration_can_be_guarded(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    first = etag(api, pal)
    greeted(api, pal, "x")
    last = etag(api, pal)
    api.delete(f"/v2/pals/{pal}")
    details = refused(restore(api, pal, **{"if-match": first}), 412)
    assert [detail["pointer"] for detail in details] == ["/greeting"]
    assert restore(api, pal, **{"if-match": last}).status_code == 200


# --- A server that wants guards ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def careful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data = tmp_path_factory.mktemp("careful") / "data"
    with start_palace(data, PALACE_REQUIRE_IF_MATCH="true") as palace, palace.client() as client:
        yield client


@pytest.mark.parametrize("write", WRITES)
def test_where_guards_are_required_a_write_without_one_is_428(careful: httpx.Client, write: Write) -> None:
    pal = careful.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
    assert patch(careful, pal, replace("/greeting", "x"), **{"if-match": etag(careful, pal)}).status_code == 200
    assert [detail["code"] for detail in refused(write(careful, pal), 428)] == ["precondition_required"]
    assert len(revisions(careful, pal)) == 2
    assert write(careful, pal, **{"if-match": "*"}).status_code in (200, 204)


def test_where_guards_are_required_a_restoration_and_a_preview_need_one_too(careful: httpx.Client) -> None:
    pal = careful.post("/v2/pals", json=NEW_PAL).json()["pal_id"]
    tag = etag(careful, pal)
    path, wanted = f"/v2/pals/{pal}", [replace("/greeting", "x")]
    refused(careful.patch(f"{path}?dry_run=true", json=wanted), 428)
    assert preview(careful, "PATCH", path, json=wanted, headers={"if-match": tag})["changed"] is True
    careful.delete(path, headers={"if-match": tag})
    refused(restore(careful, pal), 428)
    assert restore(careful, pal, **{"if-match": tag}).status_code == 200
