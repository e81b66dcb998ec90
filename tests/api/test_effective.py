"""What a conversation would use, where it comes from, and which revision set it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palace.json_patch import equal, format_pointer
from palace.resources.pals import Pal
from palace.resources.pals.layers import Layers
from palace.revisions.blame import Blame, Since
from tests.acceptance.random_pals import free_forms, whole_layers, words
from tests.api.attaching import put
from tests.api.wire import add, greeted, patch, refused, remove, replace, restore, revisions
from tests.inside import Inside, inside
from tests.serving import STOCK_FACE

NewPal = Callable[..., str]
Listed = dict[str, Any]


def effective(api: httpx.Client, pal: str, pointer: str = "", family: str = "pals") -> list[Listed]:
    answer = api.get(f"/v2/{family}/{pal}/effective", params={"pointer": pointer})
    assert answer.status_code == 200, answer.text
    listed: list[Listed] = answer.json()["data"]
    return listed


def one(api: httpx.Client, pal: str, pointer: str) -> Listed:
    (found,) = [entry for entry in effective(api, pal, pointer) if entry["pointer"] == pointer]
    return found


# --- The PAL and its defaults -----------------------------------------------------------------------------------------


def test_every_setting_tells_where_it_comes_from_and_since_when(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"stt": {"hotwords": "Wren House"}})
    greeted(api, pal, "one", "two")
    patch(api, pal, add("/layers/llm", {"headers": {"x": "y"}}))
    said = api.get(f"/v2/pals/{pal}/effective").json()
    assert (set(said), said["pal_id"], said["revision"]) == ({"pal_id", "revision", "data"}, pal, 4)
    times = {entry["revision"]: entry["created_at"] for entry in revisions(api, pal)}
    first, third, fourth = ({"source": "pal", "revision": n, "changed_at": times[n]} for n in (1, 3, 4))
    found = {entry["pointer"]: entry for entry in said["data"] if entry["source"] in {"pal", "default"}}
    assert [found[pointer] for pointer in ("/layers/stt/hotwords", "/greeting", "/layers/llm/headers/x")] == [
        {"pointer": "/layers/stt/hotwords", "value": "Wren House", **first},
        {"pointer": "/greeting", "value": "two", **third},
        {"pointer": "/layers/llm/headers/x", "value": "y", **fourth},
    ]
    for pointer, value in {
        "/pipeline_mode": "full", "/layers/stt/stt_engine": "tavus-auto", "/layers/llm/model": "tavus-gemma-4",
        "/layers/perception/perception_model": "raven-1", "/layers/conferencing/allowlist": [], "/layers/sts": None,
    }.items():  # fmt: skip
        none = {"revision": None, "changed_at": None}
        assert found[pointer] == {"pointer": pointer, "value": value, "source": "default", **none}
    assert not found.keys() & {"/pal_id", "/created_at", "/updated_at", "/is_published"}


@pytest.mark.parametrize(
    ("operations", "revision"),
    [
        pytest.param([add("/layers/transport/a/b", 2)], 2, id="the member itself"),
        pytest.param([add("/layers/transport/c", 2)], 1, id="its neighbour"),
        pytest.param([remove("/layers/transport"), add("/layers/transport", {"a": {"b": 1}})], 1, id="written again"),
        pytest.param([replace("/layers/transport", {"a": {"b": 2}, "c": 1})], 2, id="with all around it"),
    ],
)
def test_a_revision_is_named_when_it_made_a_difference(
    api: httpx.Client, new_pal: NewPal, operations: list[Any], revision: int
) -> None:
    pal = new_pal(layers={"transport": {"a": {"b": 1}}})
    patch(api, pal, *operations)
    assert one(api, pal, "/layers/transport/a/b")["revision"] == revision


def test_a_layer_that_was_gone_in_between_is_set_by_whoever_brought_it_back(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"transport": {"a": {"b": 1}}})
    patch(api, pal, remove("/layers/transport"))
    patch(api, pal, add("/layers/transport", {"a": {"b": 1}}))
    patch(api, pal, remove("/layers/transport/a/b"))
    assert one(api, pal, "/layers/transport/a") | {"changed_at": ...} == {
        "pointer": "/layers/transport/a", "value": {}, "source": "pal", "revision": 4, "changed_at": ...,
    }  # fmt: skip
    assert api.post(f"/v2/pals/{pal}/rollback", json={"to": 1}).status_code == 200
    assert one(api, pal, "/layers/transport/a/b")["revision"] == 5


def test_a_member_whose_name_is_longer_than_a_pointer_may_be_is_shown_too(api: httpx.Client, new_pal: NewPal) -> None:
    pal, name = new_pal(layers={"transport": {"a": 1}}), "n" * 2000
    patch(api, pal, add("/layers/transport", {"a": 1, name: 2}))
    assert effective(api, pal, "/layers/transport")[-1]["revision"] == 2


def test_a_secret_is_a_mask_whose_last_change_is_known(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"llm": {"model": "m", "base_url": "https://x.example/v1", "api_key": "sk-effective-1"}})
    patch(api, pal, replace("/layers/llm/api_key", "sk-effective-2"))
    found = one(api, pal, "/layers/llm/api_key")
    assert (found["value"], found["source"], found["revision"]) == ("********", "pal", 2)
    assert "sk-effective" not in api.get(f"/v2/pals/{pal}/effective").text


# --- A part of it -----------------------------------------------------------------------------------------------------


def test_a_pointer_narrows_what_is_shown(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    everything, part = effective(api, pal), effective(api, pal, "/layers/tts")
    assert part == [entry for entry in everything if entry["pointer"].startswith("/layers/tts/")]
    assert [entry["pointer"] for entry in effective(api, pal, "/layers/tts/voice_id")] == ["/layers/tts/voice_id"]
    assert [entry["pointer"] for entry in effective(api, pal, "/tool_ids/0")] == ["/tool_ids"]


@pytest.mark.parametrize("pointer", ["layers", "/layers/ttz", "/pal_id", "/~2", "/" + "x" * 5000])
def test_a_pointer_that_leads_nowhere_is_refused(api: httpx.Client, new_pal: NewPal, pointer: str) -> None:
    answer = api.get(f"/v2/pals/{new_pal()}/effective", params={"pointer": pointer})
    assert refused(answer, 400)[0]["code"] == "invalid_query"


def test_it_speaks_the_words_of_its_route(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"conversational_flow": {"pal_interruptibility": "low"}})
    said = api.get(f"/v2/personas/{pal}/effective", params={"pointer": "/default_replica_id"}).json()
    assert said["persona_id"] == pal
    assert {entry["pointer"] for entry in said["data"]} == {"/default_replica_id"}
    flow = "/layers/conversational_flow/replica_interruptibility"
    for asked in (flow, flow.replace("replica", "pal"), flow.replace("replica", "face")):
        (entry,) = effective(api, pal, asked, "personas")
        assert (entry["pointer"], entry["value"], entry["source"]) == (flow, "low", "pal")


def test_it_is_shown_to_whoever_may_read_the_pal(api: httpx.Client, neighbour: httpx.Client, new_pal: NewPal) -> None:
    for id in (new_pal(), "pdeadbeef000"):
        refused(neighbour.get(f"/v2/pals/{id}/effective"), 400, "Invalid pal_id")
    found = effective(neighbour, "pa5ad6596ef5", "/layers/stt/stt_engine")
    assert (found[0]["value"], found[0]["revision"]) == ("tavus-deepgram-medical", 1)


# --- Other objects ----------------------------------------------------------------------------------------------------


def test_the_face_and_the_dictionary_are_told(api: httpx.Client, new_pal: NewPal) -> None:
    rules = [{"text": "Wren", "pronunciation": "ren", "type": "alias"}]
    made = api.post("/v2/pronunciation-dictionaries", json={"name": "Names", "rules": rules}).json()
    id = made["pronunciation_dictionary_id"]
    pal = new_pal(layers={"tts": {"pronunciation_dictionary_id": id}})
    api.patch(f"/v2/pronunciation-dictionaries/{id}", json=[replace("/name", "Street")])
    own, told = effective(api, pal, "/layers/tts/pronunciation_dictionary_id")
    assert (own["value"], own["source"], own["revision"]) == (id, "pal", 1)
    assert (told["value"], told["source"]) == ({"name": "Street", "rules_count": 1}, "pronunciation_dictionary")
    assert (told["id"], told["revision"]) == (id, 2)
    own, face = effective(api, pal, "/default_face_id")
    assert (own["source"], face["source"], face["id"]) == ("pal", "face", STOCK_FACE)
    assert (face["value"]["name"], face["value"]["model_name"]) == ("Stock face: studio", "phoenix-4")
    api.delete(f"/v2/pronunciation-dictionaries/{id}")
    (entry,) = effective(api, pal, "/layers/tts/pronunciation_dictionary_id")
    assert (entry["value"], entry["source"], entry["revision"]) == (None, "pal", 2)


def test_skills_are_told_with_the_revision_that_configured_them(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal()
    put(api, pal, "memory")
    put(api, pal, "internet_search")
    put(api, pal, "memory", {"a": 1})
    found = [{**entry, "changed_at": ...} for entry in effective(api, pal, "/skills")]
    skill = {"source": "skill", "changed_at": ...}
    assert found == [
        {"pointer": "/skills/memory", "value": {"a": 1}, "id": "memory", "revision": 3, **skill},
        {"pointer": "/skills/internet_search", "value": {}, "id": "internet_search", "revision": 2, **skill},
    ]


# --- Histories with holes ---------------------------------------------------------------------------------------------


def test_a_restored_pal_keeps_the_revisions_that_set_it_up(api: httpx.Client, new_pal: NewPal) -> None:
    made = api.post("/v2/pronunciation-dictionaries", json={"name": "Gone", "rules": []}).json()
    id = made["pronunciation_dictionary_id"]
    pal = new_pal(layers={"tts": {"pronunciation_dictionary_id": id}})
    greeted(api, pal, "Hello")
    api.delete(f"/v2/pals/{pal}")
    api.delete(f"/v2/pronunciation-dictionaries/{id}")
    restore(api, pal)
    assert one(api, pal, "/greeting")["revision"] == 2
    assert one(api, pal, "/system_prompt")["revision"] == 1
    assert one(api, pal, "/layers/tts/pronunciation_dictionary_id")["revision"] == 4


def test_what_changed_while_nothing_was_remembered_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    def write(palace: Inside, pal: str, *operations: Any) -> None:
        assert palace.call("patchPal", pal, list(operations)).status == 200

    def since(palace: Inside, pal: str) -> dict[str, int | None]:
        found = palace.call("getEffectivePal", pal).body["data"]
        return {entry["pointer"]: entry["revision"] for entry in found if entry["source"] == "pal"}

    body = {"pal_name": "a", "system_prompt": "a", "default_face_id": STOCK_FACE, "layers": {"stt": {}}}
    with inside(tmp_path) as palace:
        pal = palace.call("createPal", body=body).body["pal_id"]
    with inside(tmp_path, PALACE_HISTORY="false") as palace:
        other = palace.call("createPal", body=body).body["pal_id"]
        write(palace, pal, replace("/pal_name", "b"))
        write(palace, pal, add("/layers/stt/hotwords", "b"))
        assert set(since(palace, other).values()) == {None}
        assert since(palace, pal)["/pal_name"] == 1
    with inside(tmp_path) as palace:
        write(palace, pal, replace("/greeting", "b"))
        found = since(palace, pal)
        expected = {"/greeting": 4, "/layers/stt/hotwords": 3, "/pal_name": 3, "/system_prompt": 1}
        assert {pointer: found[pointer] for pointer in expected} == expected
        write(palace, other, replace("/greeting", "b"))
        assert since(palace, other) == {"/greeting": 2, "/pal_name": 1, "/system_prompt": 1, "/default_face_id": 1}


# --- For random PALs --------------------------------------------------------------------------------------------------

SOME = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
DEFAULT_LAYERS = {
    "transport": None,
    "sts": None,
    **{
        name: next(kind for kind in field.annotation.__args__ if kind is not type(None))().model_dump()
        for name, field in Layers.model_fields.items()
        if name not in ("transport", "sts")
    },
}
DEFAULTS = {**Pal().model_dump(), "layers": DEFAULT_LAYERS}
ABSENT = object()
documents = st.fixed_dictionaries(
    {"layers": whole_layers.flatmap(lambda layers: st.builds(lambda form: {**layers, "transport": form}, free_forms))},
    optional={"greeting": words, "languages": st.lists(st.sampled_from("ab"), max_size=2)},
)


def leaves(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(value, dict) or not value:
        yield place, value
        return
    for name, below in value.items():
        yield from leaves(below, (*place, name))


def value_at(document: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        if not isinstance(document, dict) or name not in document:
            return ABSENT
        document = document[name]
    return document


def completed(defaults: Any, stored: Any) -> Any:
    if not isinstance(defaults, dict) or not isinstance(stored, dict):
        return stored
    filled = {name: completed(value, stored.get(name, value)) for name, value in defaults.items()}
    return {**filled, **{name: value for name, value in stored.items() if name not in defaults}}


def last_difference(states: list[Any], place: tuple[str, ...]) -> int:
    """The number of the last state that says something else there than the one before it."""
    number = len(states)
    while number > 1:
        one, other = value_at(states[number - 1], place), value_at(states[number - 2], place)
        if (one is ABSENT) != (other is ABSENT) or (one is not ABSENT and not equal(one, other)):
            break
        number -= 1
    return number


@pytest.fixture(scope="module")
def within(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    with inside(tmp_path_factory.mktemp("effective")) as opened:
        yield opened


@SOME
@given(made=documents, changes=st.lists(documents, max_size=6))
def test_every_leaf_and_every_default_is_there_with_the_revision_that_set_it(
    within: Inside, made: Any, changes: list[Any]
) -> None:
    body = {"pal_name": "x", "system_prompt": "x", "default_face_id": STOCK_FACE}
    pal = within.call("createPal", body={**body, **made}).body["pal_id"]
    for change in changes:
        operations = [add(f"/{name}", value) for name, value in change.items()]
        assert within.call("patchPal", pal, operations).status in {200, 304}
    newest = within.call("getPal", pal)
    count = int(newest.headers["x-revision"])
    states = [within.call("getPalRevision", pal, number=number).body["document"] for number in range(1, count + 1)]
    stored = {name: newest.body[name] for name in DEFAULTS}
    listed = within.call("getEffectivePal", pal).body["data"]
    found = {entry["pointer"]: entry for entry in listed if entry["source"] in {"pal", "default"}}
    expected = {}
    for place, value in leaves(completed(DEFAULTS, stored)):
        is_set = value_at(stored, place) is not ABSENT and (len(place) > 1 or not equal(value, DEFAULTS[place[0]]))
        source, revision = ("pal", last_difference(states, place)) if is_set else ("default", None)
        expected[format_pointer(place)] = (value, source, revision)
    if not expected["/layers/tts/voice_id"][0]:  # Then a conversation uses that of the face.
        del expected["/layers/tts/voice_id"]
    told = {pointer: (entry["value"], entry["source"], entry["revision"]) for pointer, entry in found.items()}
    assert told == expected


def test_nothing_is_known_of_a_pal_without_history() -> None:
    assert Blame().of(("greeting",)) is None
    assert Blame(first=Since(1, "t")).of(("greeting",)) == Since(1, "t")
