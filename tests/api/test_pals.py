"""PALs: create, read, list and delete, and the user names they hold."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.api.wire import document, patch, refused, remove, replace
from tests.serving import STOCK_FACE, start_palace

NewPal = Callable[..., str]
MINIMAL = {"system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE}
LIVEKIT = {
    "pal_name": "lk",
    "default_face_id": STOCK_FACE,
    "pipeline_mode": "echo",
    "layers": {"transport": {"transport_type": "livekit"}},
}
ROOT_MEMBERS = """pal_id pal_name pal_description system_prompt context greeting dynamic_greeting pipeline_mode
default_face_id languages document_ids document_tags objectives_id guardrail_ids guardrail_tags guardrails_id tool_ids
memories disclosure_type verbal_disclosure visual_disclosure is_template layers is_published created_at updated_at"""


def create(api: httpx.Client, **members: Any) -> httpx.Response:
    return api.post("/v2/pals", json=MINIMAL | members)


# --- Create and read --------------------------------------------------------------------------------------------------


def test_creating_answers_with_a_receipt(api: httpx.Client) -> None:
    answer = create(api, pal_name="Night Desk")
    assert answer.status_code == 200
    receipt = answer.json()
    assert list(receipt) == ["pal_id", "pal_name", "pal_description", "tool_ids", "created_at"]
    assert re.fullmatch(r"p[0-9a-f]{11}", receipt["pal_id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", receipt["created_at"])
    assert (receipt["pal_name"], receipt["pal_description"], receipt["tool_ids"]) == ("Night Desk", None, [])


def test_a_new_pal_shows_every_root_member(api: httpx.Client) -> None:
    receipt = create(api).json()
    shown = document(api, receipt["pal_id"])
    assert sorted(shown) == sorted(ROOT_MEMBERS.split())
    assert shown["created_at"] == shown["updated_at"] == receipt["created_at"]
    assert (shown["pipeline_mode"], shown["disclosure_type"], shown["layers"]) == ("full", "auto", {})


def test_what_was_sent_is_what_is_read(api: httpx.Client, new_pal: NewPal) -> None:
    sent = {
        "pal_name": "Nachtpförtner 🌙",
        "pal_description": "",
        "system_prompt": "Zeile 1\nZeile 2\t\\ \"'/~",
        "greeting": "Guten Abend",
        "dynamic_greeting": True,
        "pipeline_mode": "full",
        "languages": ["de", "en"],
        "guardrail_tags": ["desk"],
        "memories": ["likes tea"],
        "disclosure_type": "always",
        "verbal_disclosure": "I am an AI.",
        "is_template": True,
        "layers": {"llm": {"extra_body": {"深": [1, 2.5, -0.0, 1e300, 2**63, None, {"": ""}]}}, "transport": {"a": {}}},
    }
    shown = document(api, new_pal(**sent))
    assert {name: shown[name] for name in sent} == sent


@pytest.mark.parametrize(
    "body",
    [pytest.param(LIVEKIT, id="as LiveKit's plugin sends it"), pytest.param(MINIMAL, id="as little as possible")],
)
def test_bodies_of_real_clients_are_accepted(api: httpx.Client, body: dict[str, Any]) -> None:
    assert api.post("/v2/pals", json=body).status_code == 200


BAD_CREATES: list[Any] = [
    pytest.param(
        {"default_face_id": None},
        "Bad Request. {'default_face_id': ['default_face_id is required when creating a pal.']}",
        id="no face",
    ),
    pytest.param({"default_face_id": "r00000000000"}, "Invalid replica_uuid", id="an unknown face"),
    pytest.param(
        {"system_prompt": ""}, "Bad Request. {'system_prompt': ['Missing data for required field.']}", id="no prompt"
    ),
    pytest.param(
        {"system_prompt": " \n"},
        "Bad Request. {'system_prompt': ['Missing data for required field.']}",
        id="a prompt of blanks",
    ),
    pytest.param({"skills": {}}, "Bad Request. {'skills': ['Unknown field.']}", id="skills are not part of it"),
    pytest.param({"pal_id": "p1"}, "Bad Request. {'pal_id': ['Unknown field.']}", id="the server makes the id"),
    pytest.param({"created_at": ""}, "Bad Request. {'created_at': ['Unknown field.']}", id="the server tells the time"),
]


@pytest.mark.parametrize(("members", "sentence"), BAD_CREATES)
def test_what_is_no_pal_is_not_created(api: httpx.Client, members: dict[str, Any], sentence: str) -> None:
    before = api.get("/v2/pals").json()["total_count"]
    refused(create(api, **members), 400, sentence)
    assert api.get("/v2/pals").json()["total_count"] == before


@pytest.mark.parametrize("body", ["[]", "5", "null", '"x"', '[{"op": "add"}]'])
def test_a_pal_is_an_object(api: httpx.Client, body: str) -> None:
    refused(api.post("/v2/pals", content=body, headers={"content-type": "application/json"}), 400)


@pytest.mark.parametrize("mode", ["echo", "speech-to-speech"])
def test_a_prompt_is_needed_in_full_only(api: httpx.Client, mode: str) -> None:
    pal = create(api, pipeline_mode=mode, system_prompt="").json()["pal_id"]
    details = refused(patch(api, pal, replace("/pipeline_mode", "full")), 400)
    assert [detail["pointer"] for detail in details] == ["/system_prompt"]
    both = patch(api, pal, replace("/pipeline_mode", "full"), replace("/system_prompt", "x"))
    assert both.status_code == 200


# --- Delete -----------------------------------------------------------------------------------------------------------


def test_a_deleted_pal_is_gone_for_every_operation(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    gone = api.delete(f"/v2/pals/{pal}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert "content-length" not in gone.headers
    refused(api.get(f"/v2/pals/{pal}"), 400, "Invalid pal_id")
    refused(api.delete(f"/v2/pals/{pal}"), 400, "Invalid pal_id")
    refused(patch(api, pal, replace("/pal_name", "x")), 400, "Invalid pal_id")


def test_a_stock_pal_is_read_but_not_deleted(api: httpx.Client) -> None:
    refused(api.delete("/v2/pals/pb87e71797da"), 400, "Invalid pal_id")
    assert api.get("/v2/pals/pb87e71797da").status_code == 200


# --- List -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, list[str]]]:
    """A server of its own, and the ids of the first account's twelve PALs, oldest first."""
    with start_palace(tmp_path_factory.mktemp("list") / "data") as palace, palace.client() as api:
        made = [create(api, pal_name=str(number)).json()["pal_id"] for number in range(11)]
        yield api, ["pcb7a34da5fe", *made]


PAGES: list[Any] = [
    pytest.param("pal_type=user", slice(0, 10), id="ten by default, oldest first"),
    pytest.param("pal_type=user&page=1", slice(0, 10), id="the first page is 1"),
    pytest.param("pal_type=user&page=0", slice(0, 10), id="0 is the first page too"),
    pytest.param("pal_type=user&page=-3", slice(0, 10), id="so is a negative one"),
    pytest.param("pal_type=user&page=2", slice(10, 12), id="the second page"),
    pytest.param("pal_type=user&page=3", slice(12, 12), id="a page behind the last is empty"),
    pytest.param("pal_type=user&page=999999999", slice(12, 12), id="a page far behind the last"),
    pytest.param("pal_type=user&limit=5&page=2", slice(5, 10), id="pages of five"),
    pytest.param("pal_type=user&limit=100000", slice(0, 12), id="a limit is cut to 100"),
    pytest.param("pal_type=user&limit=0", slice(0, 1), id="a limit is at least 1"),
    pytest.param("pal_type=user&sort=asc&limit=2", slice(0, 2), id="oldest first"),
    pytest.param("pal_type=user&sort=desc&limit=2", slice(11, 9, -1), id="newest first"),
    pytest.param("persona_type=user&limit=2", slice(0, 2), id="the older name of the filter"),
]


@pytest.mark.parametrize(("query", "part"), PAGES)
def test_a_page_of_the_list(twelve: tuple[httpx.Client, list[str]], query: str, part: slice) -> None:
    api, ids = twelve
    answer = api.get(f"/v2/pals?{query}")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert list(page) == ["data", "total_count"]
    assert [pal["pal_id"] for pal in page["data"]] == ids[part]
    assert page["total_count"] == 12


def test_the_whole_list_is_stock_and_own_each_in_full(twelve: tuple[httpx.Client, list[str]]) -> None:
    api, ids = twelve
    everything = api.get("/v2/pals?limit=100").json()
    system = api.get("/v2/pals?limit=100&pal_type=system").json()
    assert everything["total_count"] == len(everything["data"]) == system["total_count"] + 12
    assert {pal["pal_id"] for pal in everything["data"]} == {*ids, *(pal["pal_id"] for pal in system["data"])}
    assert all(pal == document(api, pal["pal_id"]) for pal in everything["data"])
    assert "pb87e71797da" in {pal["pal_id"] for pal in system["data"]}


BAD_QUERIES = ["limit=ten", "limit=1.5", "page=x", "page=1e3", "limit=%F0%9F%98%80",
               "sort=up", "pal_type=mine", "pal_type=user&persona_type=system", "limit=%00", "limit=٣"]  # fmt: skip


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_query_that_makes_no_sense_is_400(api: httpx.Client, query: str) -> None:
    refused(api.get(f"/v2/pals?{query}"), 400)


def test_what_is_wrong_with_a_query_is_told_in_the_words_of_the_api(api: httpx.Client) -> None:
    [detail] = refused(api.get("/v2/pals?page=x"), 400, "Bad Request. {'page': ['Not a valid integer.']}")
    assert (detail["code"], detail["parameter"]) == ("invalid_query", "page")


def test_reading_takes_the_parameters_of_other_versions_and_ignores_them(api: httpx.Client) -> None:
    pal = create(api).json()["pal_id"]
    for query in ("verbose=true", "include_settings=true", "source=draft"):
        assert api.get(f"/v2/pals/{pal}?{query}").json() == document(api, pal)


# --- User names of meetings -------------------------------------------------------------------------------------------


def is_available(api: httpx.Client, username: str) -> dict[str, Any]:
    answer = api.get("/v2/pals/check-username", params={"username": username})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_username_is_lower_case_unique_and_an_address(api: httpx.Client) -> None:
    assert is_available(api, "Night.Porter") == {"available": True}
    receipt = create(api, layers={"conferencing": {"username": "Night.Porter"}}).json()
    assert receipt["conferencing_email"] == "night.porter@tavusinvite.com"
    shown = document(api, receipt["pal_id"])
    assert shown["layers"]["conferencing"] == {"username": "night.porter"}
    assert "conferencing_email" not in shown
    assert is_available(api, "NIGHT.porter") == {"available": False, "reason": "Username is already taken."}
    second = create(api, layers={"conferencing": {"username": "night.PORTER"}})
    details = refused(second, 400)
    assert (details[0]["pointer"], details[0]["problem"]) == (
        "/layers/conferencing/username",
        "Username is already taken.",
    )


def test_a_username_is_freed_when_its_pal_lets_it_go(api: httpx.Client, new_pal: NewPal) -> None:
    first, second = new_pal(layers={"conferencing": {"username": "once-mine"}}), new_pal()
    take = {"op": "add", "path": "/layers/conferencing", "value": {"username": "once-mine"}}
    refused(patch(api, second, take), 400)
    assert patch(api, first, replace("/layers/conferencing/username", "other-name")).status_code == 200
    assert patch(api, second, take).status_code == 200
    assert patch(api, second, remove("/layers/conferencing")).status_code == 200
    assert is_available(api, "once-mine") == {"available": True}
    assert api.delete(f"/v2/pals/{first}").status_code == 204
    assert is_available(api, "other-name") == {"available": True}


def test_a_patch_that_is_refused_takes_no_username(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    refused(
        patch(api, pal, {"op": "add", "path": "/layers/conferencing", "value": {"username": "not-yet", "x": 1}}), 400
    )
    assert is_available(api, "not-yet") == {"available": True}


BAD_USERNAMES = ["a", ".ab", "ab-", "a b", "a@b", "ab\n", "é1", "bot7", "BOT123", "x" * 65, "a/b", "\u212aelvin"]


@pytest.mark.parametrize("username", BAD_USERNAMES)
def test_a_bad_username_is_refused_and_the_check_says_why(api: httpx.Client, username: str) -> None:
    details = refused(create(api, layers={"conferencing": {"username": username}}), 400)
    assert [detail["pointer"] for detail in details] == ["/layers/conferencing/username"]
    told = is_available(api, username)
    assert (told["available"], type(told["reason"])) == (False, str)


def test_a_username_that_is_too_long_is_told_so_in_the_words_of_the_api(api: httpx.Client) -> None:
    sentence = "Bad Request. {'layers': {'conferencing': {'username': ['Longer than maximum length 64.']}}}"
    refused(create(api, layers={"conferencing": {"username": "x" * 65}}), 400, sentence)


@pytest.mark.parametrize("username", ["ab", "A1", "bot", "robot7", "bot7x", "a._-b", "x" * 64])
def test_a_good_username_is_accepted(api: httpx.Client, username: str) -> None:
    assert is_available(api, username) == {"available": True}
    pal = create(api, layers={"conferencing": {"username": username}}).json()["pal_id"]
    assert api.delete(f"/v2/pals/{pal}").status_code == 204


@pytest.mark.parametrize("query", ["", "?username=", "?name=x"])
def test_the_check_needs_a_username(api: httpx.Client, query: str) -> None:
    refused(
        api.get(f"/v2/pals/check-username{query}"),
        400,
        "Bad Request. {'username': ['Missing data for required field.']}",
    )


def test_conferencing_needs_a_face(api: httpx.Client) -> None:
    body = {"system_prompt": "x", "layers": {"conferencing": {"allowlist": []}}}
    refused(api.post("/v2/personas", json=body), 400)
    pal = create(api, layers={"conferencing": {}}).json()["pal_id"]
    details = refused(patch(api, pal, remove("/default_face_id")), 400)
    assert [(detail["pointer"], detail["operation"]) for detail in details] == [("/default_face_id", 0)]
