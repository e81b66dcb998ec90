"""The history of a PAL: every change is listed once, shown as it was, and compared with any other."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import jsonpatch
import pytest

from tests.api.wire import (
    NO_SUCH_ID,
    Operation,
    add,
    document,
    etag,
    greeted,
    patch,
    refused,
    remove,
    replace,
    revision,
    revisions,
)
from tests.serving import STOCK_FACE

NewPal = Callable[..., str]
STOCK_PAL = "pb87e71797da"
LLM = {"model": "m", "base_url": "https://llm.example.org/v1", "api_key": "sk-history-1"}
SUMMARY = """revision action created_at key_id request_id comment etag_before etag touched about"""


def without_time(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name != "updated_at"}


def as_text(value: Any) -> str:
    """What tells 1 from true and 1.0, which Python holds to be equal."""
    return json.dumps(value, sort_keys=True)


# --- List -------------------------------------------------------------------------------------------------------------


def test_a_new_pal_has_one_revision(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    (first,) = revisions(api, pal)
    assert list(first) == SUMMARY.split()
    assert (first["revision"], first["action"], first["touched"], first["about"]) == (1, "create", [""], {})
    assert (first["etag_before"], first["etag"]) == (None, etag(api, pal))
    assert (first["comment"], first["created_at"]) == (None, document(api, pal)["created_at"])


def test_revisions_are_listed_newest_first_and_each_names_the_tag_before_it(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    greeted(api, pal, "a", "b", "c")
    listed = revisions(api, pal)
    assert [one["revision"] for one in listed] == [4, 3, 2, 1]
    assert [one["etag_before"] for one in listed] == [*(one["etag"] for one in listed[1:]), None]
    assert [one["created_at"] for one in listed] == sorted((one["created_at"] for one in listed), reverse=True)
    assert listed[0]["created_at"] == document(api, pal)["updated_at"]
    assert api.get(f"/v2/pals/{pal}").headers["x-revision"] == "4"


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 100])
def test_paging_by_cursor_shows_every_revision_once(api: httpx.Client, new_pal: NewPal, limit: int) -> None:
    pal = new_pal()
    greeted(api, pal, *"abcdefg")
    whole = revisions(api, pal)
    seen: list[Any] = []
    cursor = ""
    while True:
        page = api.get(f"/v2/pals/{pal}/revisions", params={"limit": limit, "cursor": cursor}).json()
        assert 1 <= len(page["data"]) <= limit
        seen += page["data"]
        if page["next_cursor"] is None:
            break
        assert len(page["data"]) == limit
        cursor = page["next_cursor"]
    assert seen == whole


def test_a_change_between_two_pages_makes_no_revision_appear_twice_or_not_at_all(
    api: httpx.Client, new_pal: NewPal
) -> None:
    pal = new_pal()
    greeted(api, pal, *"abc")
    first = api.get(f"/v2/pals/{pal}/revisions?limit=2").json()
    greeted(api, pal, *"de")
    second = api.get(f"/v2/pals/{pal}/revisions?limit=2&cursor={first['next_cursor']}").json()
    assert [one["revision"] for one in first["data"] + second["data"]] == [4, 3, 2, 1]
    assert second["next_cursor"] is None


LIMITS = [("", 20), ("0", 1), ("-5", 1), ("1", 1), ("100", 40), ("99999999999999999999", 40)]


@pytest.fixture(scope="module")
def long(api: httpx.Client) -> str:
    """A PAL with 40 revisions: more than are kept as patches in a row."""
    body = {"system_prompt": "x", "default_face_id": STOCK_FACE, "document_tags": ["0"]}
    pal: str = api.post("/v2/pals", json=body).json()["pal_id"]
    for number in range(2, 41):
        answer = patch(api, pal, add("/document_tags/0", str(number)), replace("/greeting", f"No. {number}"))
        assert answer.status_code == 200
    return pal


@pytest.mark.parametrize(("limit", "expected"), LIMITS)
def test_the_limit_is_from_1_to_100_and_20_by_default(api: httpx.Client, long: str, limit: str, expected: int) -> None:
    answer = api.get(f"/v2/pals/{long}/revisions", params={"limit": limit})
    assert len(answer.json()["data"]) == expected


@pytest.mark.parametrize("cursor", ["x", "!!!!", "NV8w", "LTU", "IDUg", "é", "MQ==MQ", "0", "Mg.", "8J-YgA"])
def test_what_is_not_a_cursor_is_refused_and_never_begins_anew(api: httpx.Client, long: str, cursor: str) -> None:
    answer = api.get(f"/v2/pals/{long}/revisions", params={"cursor": cursor})
    if answer.status_code == 200:  # Read as the number of a revision that does not exist: the end.
        assert answer.json() == {"data": [], "next_cursor": None}
    else:
        assert [detail["code"] for detail in refused(answer, 400)] == ["invalid_query"]


@pytest.mark.parametrize("limit", ["ten", "1.5", "1e2", " 1", "٣"])
def test_a_limit_that_is_no_number_is_refused(api: httpx.Client, long: str, limit: str) -> None:
    refused(api.get(f"/v2/pals/{long}/revisions", params={"limit": limit}), 400)


# --- Read one ---------------------------------------------------------------------------------------------------------

CHANGES: list[Any] = [
    pytest.param([replace("/greeting", "x")], ["/greeting"], id="a root member"),
    pytest.param([remove("/greeting")], ["/greeting"], id="a root member back to null"),
    pytest.param([remove("/layers/stt/hotwords")], ["/layers/stt/hotwords"], id="a member of a layer removed"),
    pytest.param([remove("/layers/stt")], ["/layers/stt"], id="a layer removed"),
    pytest.param([add("/layers/perception", {})], ["/layers/perception"], id="a layer added"),
    pytest.param([add("/document_tags/1", "n")], ["/document_tags"], id="put into an array"),
    pytest.param([remove("/document_tags/0"), add("/document_tags/-", "z")], ["/document_tags"], id="turned around"),
    pytest.param([replace("/document_tags", [])], ["/document_tags"], id="an array emptied"),
    pytest.param([replace("/layers/llm/extra_body/n", True)], ["/layers/llm/extra_body/n"], id="1 to true"),
    pytest.param([replace("/layers/llm/extra_body/n", None)], ["/layers/llm/extra_body/n"], id="1 to null"),
    pytest.param([replace("/layers/llm/extra_body/n", "1")], ["/layers/llm/extra_body/n"], id="1 to a string"),
    pytest.param([replace("/layers/llm/extra_body/d/0/k", 5)], ["/layers/llm/extra_body/d"], id="deep in an array"),
    pytest.param(
        [add("/layers/llm/extra_body/a~1b", {"m~n": {"": 1}})], ["/layers/llm/extra_body/a~1b"], id="escaped tokens"
    ),
    pytest.param([replace("/layers/llm/extra_body/深", "🌙")], ["/layers/llm/extra_body/深"], id="other scripts"),
    pytest.param(
        [{"op": "move", "from": "/layers/llm/extra_body/d", "path": "/layers/llm/headers/d"}],
        ["/layers/llm/extra_body/d", "/layers/llm/headers/d"],
        id="a member moved",
    ),
    pytest.param(
        [replace("/layers/llm/api_key", "sk-history-2")], ["/layers/llm/api_key"], id="a secret behind one mask"
    ),
    pytest.param([add("/layers/tts", {"api_key": "el-history"})], ["/layers/tts"], id="a layer with a secret"),
    pytest.param([add("/layers/conferencing", {})], ["/layers/conferencing"], id="conferencing"),
    pytest.param(
        [replace("/pal_name", "N"), replace("/memories", ["m"]), remove("/layers/stt")],
        ["/pal_name", "/memories", "/layers/stt"],
        id="several at once",
    ),
]
FREE_FORM = {"n": 1, "d": [{"k": 1}, {"k": [2, {"l": 3}]}], "深": [1, 2.5, None]}
LAYERS = {"llm": LLM | {"extra_body": FREE_FORM, "headers": {"a": "b"}}, "stt": {"hotwords": "Wren House"}}


@pytest.mark.parametrize(("operations", "touched"), CHANGES)
def test_a_revision_leads_from_the_document_before_and_back(
    api: httpx.Client, new_pal: NewPal, operations: list[Operation], touched: list[str]
) -> None:
    pal = new_pal(layers=LAYERS, document_tags=["a", "b", "c"], greeting="hello")
    before = document(api, pal)
    answer = patch(api, pal, *operations)
    assert answer.status_code == 200, answer.text
    shown = revision(api, pal, 2)
    assert shown["document"] == document(api, pal) == answer.json()
    assert revision(api, pal, 1)["document"] == before
    assert {name: value for name, value in shown.items() if name in SUMMARY.split()} == revisions(api, pal)[0]
    assert (shown["action"], sorted(shown["touched"])) == ("patch", sorted(touched))
    led = jsonpatch.apply_patch(before, shown["patch"])
    back = jsonpatch.apply_patch(shown["document"], shown["inverse"])
    assert as_text(without_time(led)) == as_text(without_time(shown["document"]))
    assert as_text(without_time(back)) == as_text(without_time(before))


def test_the_first_revision_has_a_document_and_no_patch(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(greeting="hello")
    first = revision(api, pal, 1)
    assert first["document"] == document(api, pal)
    assert {"patch", "inverse"}.isdisjoint(first)


def test_every_one_of_many_revisions_shows_the_document_as_it_was(api: httpx.Client, long: str) -> None:
    for number in range(2, 41):
        shown = revision(api, long, number)
        tags = [str(one) for one in range(number, 1, -1)]
        assert (shown["document"]["greeting"], shown["document"]["document_tags"]) == (f"No. {number}", [*tags, "0"])
        assert shown["document"]["updated_at"] == shown["created_at"]


@pytest.mark.parametrize("number", ["0", "3", "-1", "9223372036854775807", "99999999999999999999999999"])
def test_a_revision_that_does_not_exist_is_404(api: httpx.Client, new_pal: NewPal, number: str) -> None:
    details = refused(api.get(f"/v2/pals/{new_pal()}/revisions/{number}"), 404, "Revision not found")
    assert [detail["code"] for detail in details] == ["no_such_revision"]


@pytest.mark.parametrize("number", ["x", "1.0", "1e0", "+1", "%201", "--1", "\u0661"])
def test_a_revision_that_is_no_number_is_400(api: httpx.Client, new_pal: NewPal, number: str) -> None:
    refused(api.get(f"/v2/pals/{new_pal()}/revisions/{number}"), 400)


# --- Compare ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def changed(api: httpx.Client, new_pal: NewPal) -> str:
    """A PAL with four revisions."""
    pal = new_pal(greeting="one")
    patch(api, pal, replace("/greeting", "two"), add("/layers/stt", {"hotwords": "Wren"}))
    patch(api, pal, replace("/greeting", "three"), remove("/layers/stt"))
    patch(api, pal, add("/layers/perception", {}), replace("/document_tags", ["t"]))
    return pal


SPANS = [("from=1&to=2", 1, 2), ("from=2&to=1", 2, 1), ("from=1&to=4", 1, 4), ("from=4&to=1", 4, 1), ("", 3, 4),
         ("to=2", 1, 2), ("from=2", 2, 4), ("to=1", 1, 1), ("from=&to=", 3, 4), ("from=3&to=3", 3, 3)]  # fmt: skip


@pytest.mark.parametrize(("query", "start", "end"), SPANS)
def test_a_diff_leads_from_one_revision_to_the_other(
    api: httpx.Client, changed: str, query: str, start: int, end: int
) -> None:
    said = api.get(f"/v2/pals/{changed}/diff?{query}").json()
    assert list(said) == ["from", "to", "patch", "changes", "text"]
    assert (said["from"], said["to"]) == (start, end)
    before, after = (revision(api, changed, number)["document"] for number in (start, end))
    assert without_time(jsonpatch.apply_patch(before, said["patch"])) == without_time(after)
    assert bool(said["text"]) is (start != end)


def test_a_diff_names_what_was_added_removed_and_changed(api: httpx.Client, changed: str) -> None:
    there = api.get(f"/v2/pals/{changed}/diff?from=2&to=4").json()["changes"]
    assert sorted(there, key=lambda change: str(change["pointer"])) == [
        {"pointer": "/document_tags", "kind": "changed", "before": [], "after": ["t"]},
        {"pointer": "/greeting", "kind": "changed", "before": "two", "after": "three"},
        {"pointer": "/layers/perception", "kind": "added", "after": {}},
        {"pointer": "/layers/stt", "kind": "removed", "before": {"hotwords": "Wren"}},
    ]
    back = api.get(f"/v2/pals/{changed}/diff?from=4&to=2").json()["changes"]
    kinds = {change["pointer"]: change["kind"] for change in back}
    assert (kinds["/layers/perception"], kinds["/layers/stt"]) == ("removed", "added")


def test_the_text_of_a_diff_is_in_the_unified_format(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(system_prompt="one\u2028line\x85still one")
    patch(api, pal, replace("/system_prompt", "two\u2028lines"))
    first, second = (revision(api, pal, number)["created_at"] for number in (1, 2))
    lines = api.get(f"/v2/pals/{pal}/diff").json()["text"].split("\n")
    assert lines[:2] == [f"--- revision 1\t{first}", f"+++ revision 2\t{second}"]
    assert lines[2].startswith("@@ ")
    assert [line for line in lines[3:] if line[0] in "+-"] == [
        '-  "system_prompt": "one\u2028line\x85still one",',
        '+  "system_prompt": "two\u2028lines",',
    ]


def test_a_secret_that_became_another_one_is_told_and_not_shown(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": LLM})
    patch(api, pal, replace("/layers/llm/api_key", "sk-history-2"))
    answer = api.get(f"/v2/pals/{pal}/diff")
    assert answer.json()["changes"] == [{"pointer": "/layers/llm/api_key", "kind": "secret_changed"}]
    everything = answer.text + api.get(f"/v2/pals/{pal}/revisions").text
    everything += "".join(api.get(f"/v2/pals/{pal}/revisions/{number}").text for number in (1, 2))
    assert "sk-history" not in everything


@pytest.mark.parametrize(("query", "status"), [("from=9", 404), ("to=9", 404), ("from=0&to=1", 404), ("to=-1", 404),
                                               ("from=x", 400), ("to=1.5", 400)])  # fmt: skip
def test_a_diff_of_what_does_not_exist_is_refused(api: httpx.Client, changed: str, query: str, status: int) -> None:
    refused(api.get(f"/v2/pals/{changed}/diff?{query}"), status)


# --- Whose history, in whose words ------------------------------------------------------------------------------------


def test_another_account_sees_no_history(neighbour: httpx.Client, new_pal: NewPal, api: httpx.Client) -> None:
    pal = new_pal()
    greeted(api, pal, "x")
    for id in (pal, "pdeadbeef000"):
        for path in ("revisions", "revisions/1", "revisions/9", "diff", "diff?from=9"):
            answer = neighbour.get(f"/v2/pals/{id}/{path}")
            assert refused(answer, 400, "Invalid pal_id") == [{"code": "invalid_id", "problem": NO_SUCH_ID}]


def test_a_stock_pal_has_a_history_that_everybody_reads(api: httpx.Client, neighbour: httpx.Client) -> None:
    for client in (api, neighbour):
        (first,) = revisions(client, STOCK_PAL)
        assert (first["revision"], first["action"], first["key_id"], first["request_id"]) == (1, "create", None, None)
        assert revision(client, STOCK_PAL, 1)["document"] == document(client, STOCK_PAL)


def test_history_speaks_the_words_of_its_route(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"conversational_flow": {}})
    flow = "/layers/conversational_flow"
    patch(api, pal, replace("/pal_name", "x"), replace("/default_face_id", "rc9cff32ceba"),
          replace(f"{flow}/pal_interruptibility", "low"))  # fmt: skip
    touched = ["/persona_name", "/default_replica_id", f"{flow}/replica_interruptibility"]
    assert revisions(api, pal, "personas")[0]["touched"] == touched
    shown = revision(api, pal, 2, "personas")
    assert shown["document"] == document(api, pal, "personas")
    assert [one["path"] for one in shown["patch"]] == [one["path"] for one in shown["inverse"]] == touched
    diff = api.get(f"/v2/personas/{pal}/diff")
    assert (
        [one["pointer"] for one in diff.json()["changes"]] == [one["path"] for one in diff.json()["patch"]] == touched
    )
    assert '+  "persona_name": "x"' in diff.json()["text"]
    patch(api, pal, remove(flow))
    (removed,) = api.get(f"/v2/personas/{pal}/diff").json()["changes"]
    assert removed["before"]["replica_interruptibility"] == "low"
    (back,) = revision(api, pal, 3, "personas")["inverse"]
    assert back["value"]["replica_interruptibility"] == "low"
    assert "pal_" not in diff.text + api.get(f"/v2/personas/{pal}/revisions/3").text
    refused(api.get("/v2/personas/p0/revisions"), 400, "Invalid persona_id")
