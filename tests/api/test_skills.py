"""The registry of skills, the operator's own, and a file of them that cannot be used."""

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from palace.resource import Problem
from palace.schemas import schema_problems
from palace.skills import BUILT_IN, InvalidSkillsFile, load_skills
from tests.api.wire import refused
from tests.quick import run
from tests.serving import start_palace

SHOWN = ["internet_search", "presentation", "magic_canvas", "memory"]
OWN = {
    "skill_id": "room_service",
    "display_name": "Room service",
    "description": "Takes orders for the kitchen.",
    "config": {
        "type": "object",
        "required": ["menu"],
        "properties": {"menu": {"type": "string"}, "tip": {"type": "number", "default": 0.1, "maximum": 1}},
    },
}


def written(path: Path, skills: Any) -> str:
    path.write_text(json.dumps(skills) if path.suffix == ".json" else yaml.safe_dump(skills))
    return str(path)


# --- The registry -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2/skills", "/v2/skills/"])
def test_skills_are_listed_with_a_name_and_a_description(api: httpx.Client, path: str) -> None:
    answer = api.get(path)
    assert set(answer.json()) == {"data"}
    assert [skill["skill_id"] for skill in answer.json()["data"]] == SHOWN
    assert all(set(skill) == {"skill_id", "display_name", "description"} for skill in answer.json()["data"])


@pytest.mark.parametrize("id", SHOWN)
def test_one_skill_is_shown_as_in_the_list(api: httpx.Client, id: str) -> None:
    listed = {skill["skill_id"]: skill for skill in api.get("/v2/skills").json()["data"]}
    assert api.get(f"/v2/skills/{id}").json() == api.get(f"/v2/skills/{id}/").json() == listed[id]


@pytest.mark.parametrize(("id", "said"), [("my_skill", "no such skill"), ("browser_use", "switched off")])
def test_a_skill_that_does_not_exist_or_is_switched_off_is_unknown(api: httpx.Client, id: str, said: str) -> None:
    (detail,) = refused(api.get(f"/v2/skills/{id}"), 404, f"Unknown skill '{id}'")
    assert (detail["code"], detail["skill_id"]) == ("unknown_skill", id)
    assert said in detail["problem"]


# --- Skills of the operator -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["skills.yaml", "skills.json"])
def test_an_operator_adds_skills_and_changes_those_there_are(tmp_path: Path, name: str) -> None:
    changed = [{"skill_id": "browser_use", "enabled": True}, {"skill_id": "memory", "enabled": False}]
    file = written(tmp_path / name, {"skills": [OWN, *changed, {"skill_id": "presentation", "display_name": "Slides"}]})
    found = load_skills(file)
    assert {id: skill.enabled for id, skill in found.items()} == {
        "internet_search": True,
        "presentation": True,
        "magic_canvas": True,
        "memory": False,
        "browser_use": True,
        "room_service": True,
    }
    assert found["presentation"].display_name == "Slides"
    assert found["presentation"].schema == load_skills()["presentation"].schema


def test_a_skill_of_the_operator_is_attached_like_any_other(tmp_path: Path) -> None:
    file = written(tmp_path / "skills.yaml", {"skills": [OWN, {"skill_id": "browser_use", "enabled": True}]})
    with start_palace(tmp_path / "data", "--skills-file", file) as palace, palace.client() as api:
        skills = "/v2/pals/pcb7a34da5fe/skills"
        assert api.get("/v2/skills/room_service").json()["description"] == "Takes orders for the kitchen."
        put = api.put(f"{skills}/room_service", json={"config": {"menu": "night"}})
        assert put.json()["config"] == {"menu": "night", "tip": 0.1}
        details = refused(api.put(f"{skills}/room_service", json={"config": {"tip": 7}}), 400)
        assert {detail["pointer"]: detail["code"] for detail in details} == {
            "/config/menu": "missing",
            "/config/tip": "out_of_range",
        }
        flow = {"name": "Book", "start_url": "https://example.org", "steps": []}
        assert api.put(f"{skills}/browser_use", json={"config": {"guided_flows": [flow] * 20}}).status_code == 200
        refused(api.put(f"{skills}/browser_use", json={"config": {"guided_flows": [flow] * 21}}), 400)


def test_what_a_pal_had_of_a_skill_that_is_gone_can_still_be_read_and_detached(tmp_path: Path) -> None:
    file = written(tmp_path / "skills.yaml", {"skills": [OWN]})
    skill = "/v2/pals/pcb7a34da5fe/skills/room_service"
    with start_palace(tmp_path / "data", "--skills-file", file) as palace, palace.client() as api:
        assert api.put(skill, json={"config": {"menu": "night"}}).status_code == 200
    with start_palace(tmp_path / "data") as palace, palace.client() as api:
        assert api.get(skill).json()["config"]["menu"] == "night"
        assert api.put("/v2/pals/pcb7a34da5fe/skills/memory").status_code == 200
        refused(api.patch(skill, json={"config": {"menu": "day"}}), 404, "Unknown skill 'room_service'")
        assert api.delete(skill).status_code == 204


BROKEN = [
    pytest.param("[", "is neither YAML nor JSON: see line 1", id="no yaml"),
    pytest.param("skills: {}", "one member, skills, which is a list", id="no list"),
    pytest.param("- skill_id: x", "one member, skills, which is a list", id="no mapping"),
    pytest.param("skills: [x]", "skill 1: it must be a mapping with a skill_id", id="no entry"),
    pytest.param("skills: [{skill_id: a b}]", "made of letters, digits", id="an odd id"),
    pytest.param("skills: [{skill_id: a}, {skill_id: a}]", "skill 2: a is there twice", id="twice"),
    pytest.param("skills: [{skill_id: a, colour: red}]", "(a): unknown member colour", id="an unknown member"),
    pytest.param("skills: [{skill_id: a, enabled: maybe}]", "(a): enabled must be true or false", id="no boolean"),
    pytest.param("skills: [{skill_id: a, config: []}]", "(a): config must be a JSON Schema", id="no schema"),
    pytest.param("[" * 5_000, "is nested too deep", id="too deep"),
    pytest.param("skills: [{skill_id: a, config: &a {not: *a}}]", "something that JSON has not", id="in itself"),
    pytest.param("skills: [{skill_id: a, config: {default: 2026-01-01}}]", "something that JSON has not", id="a date"),
    pytest.param("skills: [{skill_id: a, config: {default: .nan}}]", "something that JSON has not", id="no number"),
    pytest.param("skills: [{skill_id: a}]", "skill a has no display_name, description", id="nothing to show"),
    pytest.param(
        "skills: [{skill_id: memory, config: {type: map}}]", "config of skill memory is no JSON Schema at /type",
        id="a schema that is none",
    ),
    pytest.param(
        "skills: [{skill_id: memory, config: {$ref: 'https://example.org/s.json'}}]",
        "config of skill memory refers to https://example.org/s.json, which is not in it",
        id="a schema from elsewhere",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), BROKEN)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "skills.yaml"
    file.write_text(text)
    with pytest.raises(InvalidSkillsFile) as refusal:
        load_skills(str(file))
    assert str(file) in str(refusal.value)
    assert problem in str(refusal.value)


def test_a_server_with_a_broken_file_does_not_start(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "palace", "serve", "--port", "0", "--data", str(tmp_path / "data")]
    missing = str(tmp_path / "none.yaml")
    done = run([*command, "--skills-file", missing])
    assert done.returncode == 1
    assert done.stderr == f"palace: The skills file {missing} cannot be read: No such file or directory.\n"


# --- What a schema says, in the words of the API ----------------------------------------------------------------------

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["needed"],
    "additionalProperties": False,
    "patternProperties": {"^x-": True},
    "properties": {
        "needed": {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^s"},
        "flag": {"type": "boolean"},
        "count": {"type": "integer", "minimum": 1, "exclusiveMaximum": 5},
        "any": {"type": ["number", "array"]},
        "word": {"enum": ["a", "b"]},
        "list": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "object"}, "uniqueItems": True},
        "one": {"const": 1},
        "odd": {"not": {}},
    },
}


@pytest.mark.parametrize(
    ("members", "pointer", "code", "text"),
    [
        pytest.param({"needed": ...}, ("needed",), "missing", "Missing data for required field.", id="missing"),
        pytest.param({"x": 1, "x-y": 1}, ("x",), "unknown_field", "Unknown field.", id="unknown"),
        pytest.param({"flag": "s3cret"}, ("flag",), "wrong_type", "Not a valid boolean.", id="boolean"),
        pytest.param({"flag": None}, ("flag",), "null", "Field may not be null.", id="null"),
        pytest.param({"any": "s3cret"}, ("any",), "wrong_type", "Not a valid number or list.", id="two types"),
        pytest.param({"word": "s3cret"}, ("word",), "not_allowed", "Must be one of: a, b.", id="enum"),
        pytest.param({"one": "s3cret"}, ("one",), "not_allowed", "Must be one of: 1.", id="const"),
        pytest.param({"needed": "s"}, ("needed",), "too_short", "Shorter than minimum length 2.", id="short"),
        pytest.param({"needed": "s3cr"}, ("needed",), "too_long", "Longer than maximum length 3.", id="long"),
        pytest.param({"needed": "abc"}, ("needed",), "pattern", "String does not match expected pattern.", id="like"),
        pytest.param({"count": 0}, ("count",), "out_of_range", "Must be greater than or equal to 1.", id="least"),
        pytest.param({"count": 5}, ("count",), "out_of_range", "Must be less than 5.", id="most"),
        pytest.param({"list": []}, ("list",), "too_short", "Shorter than minimum length 1.", id="few"),
        pytest.param({"list": ["s3cret"]}, ("list", 0), "wrong_type", "Not a valid mapping type.", id="below"),
        pytest.param({"odd": "s3cret"}, ("odd",), "rule", "Does not fit the schema of the skill (not).", id="others"),
    ],
)
def test_a_problem_has_its_place_and_the_words_of_the_api(
    members: dict[str, Any], pointer: tuple[str | int, ...], code: str, text: str
) -> None:
    value = {name: member for name, member in {"needed": "sun", **members}.items() if member is not ...}
    (problem,) = schema_problems(SCHEMA, value)
    assert (problem.pointer, problem.code, problem.text) == (pointer, code, text)
    assert "s3cret" not in repr(problem)


def test_a_reference_that_leads_back_to_itself_fits_nothing() -> None:
    [problem] = schema_problems({"$ref": "#"}, {})
    assert (problem.pointer, problem.code) == ((), "rule")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    found: list[Problem] = schema_problems(SCHEMA, {"x": 1, "flag": 1, "count": 7})
    assert {problem.pointer for problem in found} == {("needed",), ("x",), ("flag",), ("count",)}


def test_the_file_that_comes_with_the_server_is_part_of_its_package() -> None:
    assert BUILT_IN.is_file()
    assert list(load_skills()) == [*SHOWN, "browser_use"]
