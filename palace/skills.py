"""The skills there are: data in a file that comes with the server, and in one of the operator's (contract 7)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from palace.settings import InvalidSetting

BUILT_IN = Path(__file__).parent / "resources" / "skills.yaml"
TEXTS = ("skill_id", "display_name", "description")
MEMBERS = (*TEXTS, "config", "enabled")


class InvalidSkillsFile(InvalidSetting):
    """A file of skills that cannot be used; the text names the file, the skill and the problem."""


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill. `schema` is the JSON Schema of its configuration; one that is not enabled cannot be attached."""

    skill_id: str
    display_name: str
    description: str
    schema: Mapping[str, Any]
    enabled: bool = True

    @property
    def shown(self) -> dict[str, Any]:
        """The skill as the API shows it."""
        return {name: getattr(self, name) for name in TEXTS}


Skills = Mapping[str, Skill]


def load_skills(own_file: str = "") -> Skills:
    """The skills that come with the server, with those of the operator's file. Raises InvalidSkillsFile.

    An entry with the id of a skill that is there already changes the members that it names.
    """
    found = {entry["skill_id"]: entry for entry in _entries(BUILT_IN)}
    if own_file:
        for entry in _entries(Path(own_file)):
            found[entry["skill_id"]] = {**found.get(entry["skill_id"], {}), **entry}
    return {id: _skill(entry, own_file or BUILT_IN) for id, entry in found.items()}


def _entries(path: Path) -> Iterable[dict[str, Any]]:
    """What a file says of each skill, as far as that can be judged one by one."""
    try:
        text = path.read_text(encoding="utf-8")
        said = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise InvalidSkillsFile(f"The skills file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError) as error:
        raise InvalidSkillsFile(f"The skills file {path} is neither YAML nor JSON: {_where(error)}.") from error
    except RecursionError as error:
        raise InvalidSkillsFile(f"The skills file {path} is nested too deep.") from error
    said = _as_json(said, path)
    entries = said.get("skills") if isinstance(said, dict) and set(said) == {"skills"} else None
    if not isinstance(entries, list):
        raise InvalidSkillsFile(f"The skills file {path} must be a mapping with one member, skills, which is a list.")
    seen: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        _check_entry(entry, f"The skills file {path}, skill {number}", seen)
    return entries


def _as_json(said: Any, path: Path) -> Any:
    """What YAML said, as JSON says it. Raises InvalidSkillsFile for dates, for what contains itself, and the like."""
    try:
        return json.loads(json.dumps(said, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSkillsFile(f"The skills file {path} has something that JSON has not: {error}.") from error


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"see line {mark.line + 1}" if mark else str(error)


def _check_entry(entry: Any, where: str, seen: set[str]) -> None:
    if not isinstance(entry, dict) or not isinstance(entry.get("skill_id"), str) or not entry["skill_id"]:
        raise InvalidSkillsFile(f"{where}: it must be a mapping with a skill_id.")
    id = entry["skill_id"]
    if not id.isascii() or not id.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise InvalidSkillsFile(f"{where}: a skill_id is made of letters, digits, dots, dashes and underscores.")
    if id in seen:
        raise InvalidSkillsFile(f"{where}: {id} is there twice.")
    seen.add(id)
    for name, value in entry.items():
        if name not in MEMBERS:
            raise InvalidSkillsFile(f"{where} ({id}): unknown member {name}; there are {', '.join(MEMBERS)}.")
        kind, what = {"config": (dict, "a JSON Schema"), "enabled": (bool, "true or false")}.get(name, (str, "a text"))
        if not isinstance(value, kind):
            raise InvalidSkillsFile(f"{where} ({id}): {name} must be {what}.")


def _skill(entry: dict[str, Any], path: str | Path) -> Skill:
    id = entry["skill_id"]
    missing = [name for name in TEXTS if not entry.get(name)]
    if missing:
        raise InvalidSkillsFile(f"The skills file {path}: skill {id} has no {', '.join(missing)}.")
    schema = entry.get("config", {"type": "object", "additionalProperties": False})
    _check_schema(schema, f"The skills file {path}: the config of skill {id}")
    return Skill(id, entry["display_name"], entry["description"], schema, entry.get("enabled", True))


def _check_schema(schema: dict[str, Any], what: str) -> None:
    """Raises InvalidSkillsFile for what is no JSON Schema, or refers to one that is not in it."""
    from jsonschema import Draft202012Validator  # Only here: commands that open no server do without.
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path))
        raise InvalidSkillsFile(f"{what} is no JSON Schema at /{place}: {error.message}.") from error
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise InvalidSkillsFile(f"{what} refers to {reference}, which is not in it.") from error


def _references(schema: Any) -> Iterable[str]:
    """Every `$ref` in a schema."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)
