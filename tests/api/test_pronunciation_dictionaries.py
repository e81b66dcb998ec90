"""Pronunciation dictionaries, where they differ from every other kind of object (contract 10)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.wire import revisions

COLLECTION = "/v2/pronunciation-dictionaries"
FULL = {"text": "Wren", "pronunciation": "ren", "type": "alias", "case_sensitive": False, "word_boundaries": True}
PHONETIC = {"text": "Nguyen", "pronunciation": "ŋwiən", "type": "ipa", "alphabet": "ipa"} | {
    "case_sensitive": True,
    "word_boundaries": False,
}

NewPal = Callable[..., str]


@pytest.fixture
def place(api: httpx.Client) -> str:
    """The path of a dictionary with one rule."""
    return made(api, name="Names", rules=[FULL])


def made(api: httpx.Client, **members: Any) -> str:
    answer = api.post(f"{COLLECTION}/", json=members)
    assert answer.status_code == 201, answer.text
    return f"{COLLECTION}/{answer.json()['pronunciation_dictionary_id']}"


def replaced(path: str, value: Any) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": path, "value": value}]


# --- Rules come back as they were sent --------------------------------------------------------------------------------


RULES = [
    pytest.param(FULL, FULL, id="a full rule"),
    pytest.param(PHONETIC, PHONETIC, id="a full phonetic rule"),
    pytest.param({"text": "Wren", "pronunciation": "ren", "type": "alias"}, FULL, id="defaults are shown"),
    pytest.param(
        {"text": "a", "pronunciation": "ə", "type": "ipa"},
        {**PHONETIC, "text": "a", "pronunciation": "ə", "case_sensitive": False, "word_boundaries": True},
        id="the alphabet of a phonetic rule is filled in",
    ),
    pytest.param({**FULL, "alphabet": None}, FULL, id="an alias has no alphabet"),
]


@pytest.mark.parametrize(("sent", "stored"), RULES)
def test_a_rule_is_stored_with_all_its_members(api: httpx.Client, sent: Any, stored: Any) -> None:
    shown = api.get(made(api, name="Names", rules=[sent])).json()
    assert (shown["rules"], shown["rules_count"]) == ([stored], 1)


def options(is_loose: bool) -> dict[str, bool]:
    return {"case_sensitive": not is_loose, "word_boundaries": is_loose}


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(texts, st.tuples(texts, st.booleans()), max_size=8), st.booleans())
def test_full_rules_round_trip_to_the_byte(api: httpx.Client, rules: dict[str, Any], is_phonetic: bool) -> None:
    kind = {"type": "ipa", "alphabet": "ipa"} if is_phonetic else {"type": "alias"}
    sent = [{"text": text, "pronunciation": said, **kind, **options(loose)} for text, (said, loose) in rules.items()]
    answer = api.get(made(api, name="Names", rules=sent))
    assert httpx.Response(200, json=sent).content in answer.content


REFUSED = [
    pytest.param({"rules": []}, "Invalid request: name is required", "/name", id="no name"),
    pytest.param({"name": "  "}, "Invalid request: name is required", "/name", id="a blank name"),
    pytest.param(
        {"name": "n", "rules": [FULL, {**PHONETIC, "text": "Wren"}]},
        "Invalid request: duplicate text values in rules",
        "/rules/1/text",
        id="a text twice",
    ),
    pytest.param(
        {"name": "n", "rules": [{**FULL, "alphabet": "ipa"}]},
        "Bad Request. {'rules': {0: {'alphabet': ['Only for rules of type ipa.']}}}",
        "/rules/0/alphabet",
        id="an alias with an alphabet",
    ),
    pytest.param(
        {"name": "n", "rules": [{**FULL, "text": str(number)} for number in range(10_001)]},
        "Bad Request. {'rules': ['Longer than maximum length 10000.']}",
        "/rules",
        id="10,001 rules",
    ),
]


@pytest.mark.parametrize(("body", "text", "pointer"), REFUSED)
def test_a_dictionary_that_is_not_valid_is_refused(api: httpx.Client, body: Any, text: str, pointer: str) -> None:
    answer = api.post(COLLECTION, json=body)
    assert (answer.status_code, answer.json()["error"], answer.json()["message"]) == (400, text, text)
    assert pointer in [detail["pointer"] for detail in answer.json()["details"]]


def test_a_dictionary_of_10_000_rules_is_stored_and_patched(api: httpx.Client) -> None:
    rules = [{**FULL, "text": f"word {number}"} for number in range(10_000)]
    place = made(api, name="Names", rules=rules)
    answer = api.patch(place, json=replaced("/rules/5000/pronunciation", "fif ty"))
    assert (answer.status_code, answer.json()["rules_count"]) == (200, 10_000)
    assert answer.json()["rules"][5000]["pronunciation"] == "fif ty"


# --- Patches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["pronunciation_dictionary_id", "rules_count", "created_at", "updated_at"])
def test_an_operation_on_what_only_the_server_writes_is_left_out(api: httpx.Client, place: str, member: str) -> None:
    before = api.get(place).json()
    assert api.patch(place, json=replaced(f"/{member}", "x")).status_code == 304
    assert api.patch(place, json=[{"op": "remove", "path": f"/{member}"}]).status_code == 304
    answer = api.patch(place, json=[*replaced(f"/{member}", "x"), *replaced("/name", "Other names")])
    assert (answer.status_code, answer.json()["name"]) == (200, "Other names")
    assert answer.json()[member] == before[member] or member == "updated_at"


def test_a_move_from_what_only_the_server_writes_is_not_left_out(api: httpx.Client, place: str) -> None:
    answer = api.patch(place, json=[{"op": "move", "from": "/created_at", "path": "/name"}])
    assert answer.status_code == 400
    assert "read_only" in [detail["code"] for detail in answer.json()["details"]]


CHANGES = [
    pytest.param(replaced("/rules", [PHONETIC]), [PHONETIC], id="all rules"),
    pytest.param([{"op": "add", "path": "/rules/-", "value": PHONETIC}], [FULL, PHONETIC], id="one more rule"),
    pytest.param([{"op": "remove", "path": "/rules/0"}], [], id="one rule less"),
    pytest.param(replaced("/rules/0/case_sensitive", True), [{**FULL, "case_sensitive": True}], id="a member"),
]


@pytest.mark.parametrize(("operations", "rules"), CHANGES)
def test_rules_are_patched_as_a_whole_or_one_by_one(api: httpx.Client, place: str, operations: Any, rules: Any) -> None:
    answer = api.patch(place, json=operations)
    assert (answer.status_code, answer.json()["rules"], answer.json()["rules_count"]) == (200, rules, len(rules))
    assert api.get(place).json() == answer.json()


def test_a_patch_that_repeats_a_text_is_refused_in_the_words_of_the_api(api: httpx.Client, place: str) -> None:
    answer = api.patch(place, json=[{"op": "add", "path": "/rules/-", "value": FULL}])
    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid request: duplicate text values in rules")
    assert answer.json()["details"][0]["operation"] == 0


# --- Lists, and PALs that use one -------------------------------------------------------------------------------------


def test_the_list_has_no_rules_and_begins_with_the_newest_on_page_0(api: httpx.Client) -> None:
    places = [made(api, name=f"Names {number}", rules=[FULL]) for number in range(3)]
    ids = [place.rpartition("/")[2] for place in places]
    page = api.get(COLLECTION, params={"limit": 2, "page": 0}).json()
    assert [item["pronunciation_dictionary_id"] for item in page["data"]] == [ids[2], ids[1]]
    assert (page["page"], page["limit"]) == (0, 2)
    assert set(page["data"][0]) == {"pronunciation_dictionary_id", "name", "rules_count", "created_at", "updated_at"}
    following = api.get(COLLECTION, params={"limit": 2, "page": 1}).json()
    assert following["data"][0]["pronunciation_dictionary_id"] == ids[0]


def test_a_pal_keeps_its_layer_without_a_dictionary_that_is_deleted(
    api: httpx.Client, new_pal: NewPal, place: str
) -> None:
    pal = new_pal(layers={"tts": {"pronunciation_dictionary_id": place.rpartition("/")[2]}})
    assert api.delete(place).status_code == 204
    assert api.get(f"/v2/pals/{pal}").json()["layers"]["tts"] == {"pronunciation_dictionary_id": None}
    assert revisions(api, pal)[0]["touched"] == ["/layers/tts/pronunciation_dictionary_id"]


def test_an_unknown_dictionary_is_refused_where_a_pal_names_it(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"tts": {}})
    answer = api.patch(
        f"/v2/pals/{pal}",
        json=[{"op": "add", "path": "/layers/tts/pronunciation_dictionary_id", "value": "pd_000000000000"}],
    )
    assert (answer.status_code, answer.json()["message"]) == (400, "Pronunciation dictionary not found")
    assert answer.json()["details"][0]["pointer"] == "/layers/tts/pronunciation_dictionary_id"
