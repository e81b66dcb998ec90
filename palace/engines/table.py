"""The operator's table of models: under which name which model is asked. Pure; reading the file is done elsewhere.

The reference is docs/howto/language_models.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from palace.addresses import parse_networks
from palace.engines.local import NAME as LOCAL
from palace.engines.openai_compatible import Endpoint, Seconds
from palace.engines.scripted import NAME as SCRIPTED
from palace.engines.transport import headers_of
from palace.fetching import problem_with_url

DEFAULT_MODEL = "tavus-gemma-4"
"""the name that a PAL gives which gives none"""

DEFAULT = "default"
"""the name under which every model is asked that has no name of its own"""

BUILT_IN = (SCRIPTED, LOCAL)
MEMBERS = ("base_url", "model", "api_key", "headers", "extra_body", "default_query", "fallback", "seconds")
TEXTS = ("base_url", "model", "api_key", "fallback")
SECONDS = tuple(one.name for one in fields(Seconds))
ANYWHERE = parse_networks("all")


class InvalidTable(Exception):
    """This is no table of models; `str()` tells everything that is wrong, each with its place."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How one name is served; `fallback` is the name of the model that is asked when this one is down."""

    endpoint: Endpoint
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Names of models. `same` are those that only stand for another name."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Every name that a PAL may give."""
        return frozenset((*BUILT_IN, *self.entries, *self.same))

    def entry(self, name: str) -> Entry | None:
        """What serves a name; None for a name that the table does not know."""
        return self.entries.get(self.meant(name))

    def meant(self, name: str) -> str:
        """The name that this one stands for."""
        return self.same.get(name, name)


def read_table(said: Any) -> Table:
    """The table that a JSON value is. Raises InvalidTable."""
    if not isinstance(said, dict):
        raise InvalidTable("It must be an object with the names of models.")
    problems = [f"{name}: {problem}" for name, entry in said.items() for problem in _problems(name, entry, said)]
    if not problems:
        problems += [f"{name}: Leads back to itself." for name in said if _is_circle(name, said)]
    if problems:
        raise InvalidTable("\n  ".join(problems))
    same = {name: entry for name, entry in said.items() if isinstance(entry, str)}
    entries = {name: _entry(name, entry) for name, entry in said.items() if isinstance(entry, dict)}
    return Table(entries, {name: _end(name, said) for name in same})


def _entry(name: str, said: Mapping[str, Any]) -> Entry:
    endpoint = Endpoint(
        f"The model {name}",
        said["base_url"],
        said.get("model", name),
        said.get("api_key", ""),
        said.get("headers", {}),
        said.get("extra_body", {}),
        said.get("default_query", {}),
        Seconds(**said.get("seconds", {})),
    )
    return Entry(endpoint, said.get("fallback", ""))


def _problems(name: str, entry: Any, said: Mapping[str, Any]) -> Iterator[str]:
    if name in BUILT_IN:
        yield "This name is the server's own."
    if isinstance(entry, str):
        if entry not in (*BUILT_IN, *said):
            yield f"There is no model {entry}; there are {', '.join(sorted((*BUILT_IN, *said)))}."
        return
    if not isinstance(entry, dict):
        yield "Must be an object with base_url, or the name of another model."
        return
    for member in entry:
        if member not in MEMBERS:
            yield f"{member}: Unknown member; there are {', '.join(MEMBERS)}."
    for member in TEXTS:
        if not isinstance(entry.get(member, ""), str):
            yield f"{member}: Must be a text."
    if "base_url" not in entry:
        yield "base_url: Missing."
    elif isinstance(entry["base_url"], str) and (problem := problem_with_url(entry["base_url"], ANYWHERE)):
        yield f"base_url: {problem}"
    for member in ("headers", "extra_body", "default_query"):
        if not isinstance(entry.get(member, {}), dict):
            yield f"{member}: Must be an object."
    yield from _problems_of_headers(entry)
    yield from _problems_of_seconds(entry.get("seconds", {}))
    if (fallback := entry.get("fallback")) and fallback not in (*BUILT_IN, *said):
        yield f"fallback: There is no model {fallback}; there are {', '.join(sorted((*BUILT_IN, *said)))}."


def _problems_of_headers(entry: Mapping[str, Any]) -> Iterator[str]:
    try:
        if isinstance(entry.get("headers", {}), dict):
            headers_of(str(entry.get("api_key", "")), entry.get("headers", {}))
    except ValueError as error:
        yield str(error)


def _problems_of_seconds(seconds: Any) -> Iterator[str]:
    if not isinstance(seconds, dict):
        yield "seconds: Must be an object."
        return
    for name, value in seconds.items():
        if name not in SECONDS:
            yield f"seconds: {name}: Unknown member; there are {', '.join(SECONDS)}."
        elif not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            yield f"seconds: {name}: Must be a number of seconds above 0."


def _next(name: str, said: Mapping[str, Any]) -> str:
    entry = said.get(name, "")
    return entry if isinstance(entry, str) else entry.get("fallback", "")


def _is_circle(name: str, said: Mapping[str, Any]) -> bool:
    """Whether who asks for a name, and is sent on from fallback to fallback, comes back to it."""
    passed: Sequence[str] = ()
    at = _next(name, said)
    while at and at != name and at not in passed:
        passed = (*passed, at)
        at = _next(at, said)
    return at == name


def _end(name: str, said: Mapping[str, Any]) -> str:
    while isinstance(said.get(name), str):
        name = said[name]
    return name
