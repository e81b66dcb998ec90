"""--seed: objects that are there when the server is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palace.resources import RESOURCES
from palace.seeding import InvalidSeed, has_objects, plant_seed, read_seed
from tests.inside import Inside, inside
from tests.serving import STOCK_FACE, start_palace

NEW_PAL = {"pal_name": "Night Desk", "system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE}
YAML = """
# Objects are made in the order in which they need each other, whatever the order here.
pals:
  - pal_id: pnightdesk01
    pal_name: Night Desk
    system_prompt: Answer briefly.
    default_face_id: rmyface00001
    layers:
      llm: {model: own, base_url: "https://llm.example.com", api_key: "${env:LLM_KEY}"}
      tts: {pronunciation_dictionary_id: pd_names}
  - pal_name: Without an id
    pipeline_mode: echo
personas:
  - persona_id: polder
    persona_name: In older words
    system_prompt: Hm.
    default_replica_id: rmyface00001
faces:
  - {face_id: rmyface00001, face_name: Mine}
pronunciation_dictionaries:
  - pronunciation_dictionary_id: pd_names
    name: Names
    rules: [{text: Wren, pronunciation: ren, type: alias}]
"""


def test_objects_of_every_kind_are_there_with_their_references_and_secrets(tmp_path: Path) -> None:
    (tmp_path / "seed.yaml").write_text(YAML)
    flags = ("--ephemeral", "--seed", str(tmp_path / "seed.yaml"))
    with start_palace(tmp_path / "data", *flags, LLM_KEY="hush-hush") as palace, palace.client() as api:
        pal = api.get("/v2/pals/pnightdesk01").json()
        assert (pal["default_face_id"], pal["layers"]["llm"]["api_key"]) == ("rmyface00001", "********")
        assert pal["layers"]["tts"]["pronunciation_dictionary_id"] == "pd_names"
        assert api.get("/v2/pals/polder").json()["pal_name"] == "In older words"
        assert api.get("/v2/faces/rmyface00001", params={"verbose": "true"}).json()["face_type"] == "user"
        assert api.get("/v2/pronunciation-dictionaries/pd_names").json()["rules_count"] == 1
        users = api.get("/v2/pronunciation-dictionaries/pd_names/references").json()["data"]
        assert [user["id"] for user in users] == ["pnightdesk01"]
        assert api.get("/v2/pals/pnightdesk01/revisions").json()["data"][0]["action"] == "create"


def test_the_example_of_every_kind_of_object_can_be_a_seed_and_is_made_once(fresh: Inside, tmp_path: Path) -> None:
    kinds = [resource for resource in RESOURCES if has_objects(resource)]
    assert {"pal", "face", "tool", "objectives", "guardrail"} <= {resource.kind for resource in kinds}
    path = tmp_path / "seed.json"
    path.write_text(json.dumps({resource.collection: [resource.example] for resource in kinds}))
    seed = read_seed(path, RESOURCES, {})
    assert fresh.run(plant_seed(path, seed, fresh.account, fresh.services)) == len(kinds)
    assert fresh.run(plant_seed(path, seed, fresh.account, fresh.services)) == 0
    first = {"newest_first": False, "limit": 1, "offset": 0}
    faces = fresh.run(fresh.services.store.reading.page("face", fresh.account, owned="own", **first))
    assert json.loads(faces.bodies[0])["status"] == "completed", "nobody would finish it"


def test_it_makes_what_is_not_there_and_leaves_what_was_changed_or_deleted(tmp_path: Path) -> None:
    seed, data = tmp_path / "seed.json", tmp_path / "data"
    named = [{**NEW_PAL, "pal_name": "A"}, {**NEW_PAL, "pal_name": "B"}, {**NEW_PAL, "pal_name": "A"}]
    seed.write_text(json.dumps({"pals": named}))
    with start_palace(data, "--seed", str(seed)) as palace, palace.client() as api:
        pals = api.get("/v2/pals", params={"pal_type": "user"}).json()["data"]
        made = {pal["pal_id"]: pal["pal_name"] for pal in pals if pal["pal_name"] in "AB"}
        assert sorted(made.values()) == ["A", "A", "B"]
        changed, deleted, _ = made
        api.patch(f"/v2/pals/{changed}", json=[{"op": "add", "path": "/greeting", "value": "Changed."}])
        api.delete(f"/v2/pals/{deleted}")
    seed.write_text(json.dumps({"pals": [{**NEW_PAL, "pal_name": "C"}, *reversed(named)]}))
    with start_palace(data, "--seed", str(seed)) as palace, palace.client() as api:
        pals = api.get("/v2/pals", params={"pal_type": "user"}).json()["data"]
        assert sorted(pal["pal_name"] for pal in pals if pal["pal_name"] in "ABC") == sorted(
            ["C", *(name for id, name in made.items() if id != deleted)]
        )
        assert api.get(f"/v2/pals/{changed}").json()["greeting"] == "Changed."


def test_what_the_api_shows_can_be_a_seed(tmp_path: Path) -> None:
    with start_palace(tmp_path / "a", "--ephemeral") as palace, palace.client() as api:
        shown = {"pals": api.get("/v2/pals", params={"pal_type": "user"}).json()["data"]}
    [pal] = shown["pals"]
    shown["pals"] = [{**pal, "pal_id": "panother"}]
    (tmp_path / "seed.json").write_text(json.dumps(shown))
    flags = ("--ephemeral", "--seed", str(tmp_path / "seed.json"))
    with start_palace(tmp_path / "b", *flags) as palace, palace.client() as api:
        there = api.get("/v2/pals/panother").json()
        assert {**there, **{name: pal[name] for name in ("pal_id", "created_at", "updated_at")}} == pal


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Inside]:
    with inside(tmp_path, PALACE_EPHEMERAL="true") as palace:
        yield palace


def refused(palace: Inside, folder: Path, seed: Any) -> list[str]:
    """What is said about a seed, line by line, without where the file is."""
    text = seed if isinstance(seed, str) else json.dumps(seed)
    path = folder / ("seed.yaml" if isinstance(seed, str) else "seed.json")
    path.write_text(text)
    with pytest.raises(InvalidSeed) as failure:
        palace.run(plant_seed(path, read_seed(path, RESOURCES, {}), palace.account, palace.services))
    first, *lines = str(failure.value).splitlines()
    assert first == f"The seed {path} cannot be used:"
    return [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("seed", "said"),
    [
        pytest.param(
            {"pals": [NEW_PAL, {**NEW_PAL, "pal_name": 5, "greetin": "x"}]},
            ["pals[1]: /pal_name: ", "pals[1]: /greetin: "],
            id="members that are not valid, all of them",
        ),
        pytest.param({"skills": [{}]}, ["skills: there is no such collection; there are "], id="a registry"),
        pytest.param({"pal": []}, ["pal: there is no such collection; there are faces, "], id="an unknown collection"),
        pytest.param({"pals": {}}, ["pals: it must be a list of objects."], id="no list"),
        pytest.param({"pals": ["p1"]}, ["pals[0]: it must be an object."], id="no object"),
        pytest.param([], ["It must be an object such as "], id="a list for the whole"),
        pytest.param({"pals": [{"pal_id": 1}]}, ["pals[0]: pal_id must be a text."], id="an id that is no text"),
        pytest.param(
            {"pals": [{**NEW_PAL, "pal_id": "p1"}], "personas": [{**NEW_PAL, "pal_id": "p1"}]},
            ["personas[0]: pals[0] has the id p1 as well."],
            id="an id twice",
        ),
        pytest.param(
            {"pals": [{**NEW_PAL, "default_face_id": "rnowhere"}]},
            ["pals[0]: /default_face_id: "],
            id="a reference that leads nowhere",
        ),
        pytest.param(
            {"pals": [{**NEW_PAL, "default_face_id": "rbad"}], "faces": [{"face_id": "rbad", "face": 1}]},
            ["faces[0]: /face: "],
            id="what refers to something faulty is not told of",
        ),
        pytest.param({"faces": [{"status": "new"}]}, ["faces[0]: /status: "], id="a fact that cannot be one"),
        pytest.param(
            {"faces": [{"face_id": STOCK_FACE, "face_name": "x"}]},
            [f"faces[0]: {STOCK_FACE} is a stock object: choose another id."],
            id="the id of a stock object",
        ),
        pytest.param(
            {"pals": [{**NEW_PAL, "pal_name": "A", "persona_name": "B"}]}, ["pals[0]: "], id="two names for one member"
        ),
        pytest.param("pals: [{", ["line 1, "], id="no YAML"),
        pytest.param("pals: [{system_prompt: '${env:NOT_SET}'}]", ["Not set in the environment"], id="no variable"),
    ],
)
def test_a_seed_that_cannot_be_used_is_refused_with_every_place(
    fresh: Inside, tmp_path: Path, seed: Any, said: list[str]
) -> None:
    lines = refused(fresh, tmp_path, seed)
    assert len(lines) == len(said)
    for line, beginning in zip(lines, said, strict=True):
        assert line.startswith(beginning), line


def test_a_seed_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="it cannot be read: No such file"):
        start_palace(tmp_path / "data", "--ephemeral", "--seed", str(tmp_path / "none.json"))


def test_no_secret_of_a_seed_is_repeated_in_a_problem(fresh: Inside, tmp_path: Path) -> None:
    llm = {"model": "own", "base_url": "https://llm.example.com", "api_key": "hush-hush", "nonsense": "hush-hush"}
    [line] = refused(fresh, tmp_path, {"pals": [{**NEW_PAL, "layers": {"llm": llm}}]})
    assert "nonsense" in line
    assert "hush" not in line
