"""YAML that means JSON: the core schema of YAML 1.2, so that `off` is the text "off" and `12:30` no number."""

import re
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from palace.json_patch import InvalidJson, read_json

ONE_LINE = 1 << 30
"""No line is folded: a text without line breaks stays one line, as it is in every other editor of a PAL."""

_NEEDS_ESCAPES = re.compile("[\r\x85\u2028\u2029\ufeff]")
"""What YAML takes for the end of a line, or for nothing, where it is not escaped."""

_BEFORE_MEMBERS = re.compile(r"\s*(?:#.*|%.*|---\s*)?$")
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_RESOLVERS = (
    ("tag:yaml.org,2002:bool", _BOOL, list("tTfF")),
    ("tag:yaml.org,2002:int", _INT, list("-+0123456789")),
    ("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789.")),
    ("tag:yaml.org,2002:null", _NULL, ["~", "n", "N", ""]),
)


class InvalidYaml(ValueError):
    """The text is no YAML, or says what JSON cannot; `str()` says what and where."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[Any, Any] = {}


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = {first: list(known) for first, known in yaml.SafeDumper.yaml_implicit_resolvers.items()}
    """Those of YAML 1.1 as well: what either schema would take for a number or a switch is written in quotes."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never `&anchors`: a value that occurs twice is written twice."""
        del data
        return True


for _tag, _pattern, _first in _RESOLVERS:
    _Loader.add_implicit_resolver(_tag, _pattern, _first)
    _Dumper.add_implicit_resolver(_tag, _pattern, _first)


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.MarkedYAMLError(problem="the name of a member must be text", problem_mark=key_node.start_mark)
        if key in members:
            raise yaml.MarkedYAMLError(problem=f"the member {key!r} occurs twice", problem_mark=key_node.start_mark)
        members[key] = loader.construct_object(value_node, deep=True)
    return members


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    number = float(loader.construct_scalar(node))
    if not isfinite(number):
        raise yaml.MarkedYAMLError(problem="the number is too large", problem_mark=node.start_mark)
    return number


def _foreign(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    del loader
    raise yaml.MarkedYAMLError(problem=f"{node.tag} is nothing that JSON has", problem_mark=node.start_mark)


_Loader.yaml_constructors = {
    name: make
    for name, make in yaml.SafeLoader.yaml_constructors.items()
    if name and name.rpartition(":")[2] in {"null", "bool", "str", "seq"}
}
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)
_Loader.add_constructor(None, _foreign)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _NEEDS_ESCAPES.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def load_yaml(text: str) -> Any:
    """What a YAML text holds, as JSON values. Raises InvalidYaml.

    Only `true` and `false` are switches, only decimal numbers are numbers, and names of members are unique texts.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that constructs even less
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InvalidYaml(where + (error.problem or "not YAML")) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidYaml(str(error).splitlines()[0] if str(error) else "not YAML") from error


def read_yaml(text: str) -> dict[str, Any]:
    """The mapping of members that a YAML text holds. Raises InvalidYaml."""
    document = load_yaml(text)
    if not isinstance(document, dict):
        raise InvalidYaml("a PAL is a mapping of members, such as `pal_name: Night Desk`")
    return document


def write_yaml(value: Any) -> str:
    """The value as YAML that `read_yaml` reads back; members in their order, texts of many lines as blocks."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=ONE_LINE)
    return text.removesuffix("...\n")


def with_id(text: str, id: str) -> str:
    """The text of a file with `pal_id` as its first member; its comments stay where the text allows it."""
    lines = text.splitlines(keepends=True)
    start = next((index for index, line in enumerate(lines) if not _BEFORE_MEMBERS.match(line)), len(lines))
    candidate = "".join([*lines[:start], f"pal_id: {id}\n", *lines[start:]])
    wanted = {"pal_id": id, **read_yaml(text)}
    try:
        is_right = read_yaml(candidate) == wanted
    except InvalidYaml:
        is_right = False
    return candidate if is_right else write_yaml(wanted)


def read_file(path: Path) -> Any:
    """The JSON or YAML in a file. Raises ValueError with a sentence."""
    try:
        content = path.read_bytes()
        return read_json(content) if path.suffix == ".json" else load_yaml(content.decode("utf-8"))
    except OSError as error:
        raise ValueError(f"it cannot be read: {error.strerror}") from error
    except InvalidJson as error:
        raise ValueError(error.problem) from error
    except (InvalidYaml, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from error
