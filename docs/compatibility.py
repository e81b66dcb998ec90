"""The page on compatibility: what is there, who uses it, what differs and why. No row of it is written by hand.

It comes from the list of resources, from `docs/published_operations.yaml` and `docs/differences.yaml`, and from what
the tests saw (`tests/recorded/observed.json`).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from palace.api.openapi import build_openapi
from palace.resource import Endpoint, Resource
from palace.resources import RESOURCES
from palace.settings import Settings

FOLDER = Path(__file__).parent
OBSERVED: dict[str, dict[str, list[int]]] = json.loads((FOLDER.parent / "tests/recorded/observed.json").read_text())
PUBLISHED: dict[str, list[str]] = yaml.safe_load((FOLDER / "published_operations.yaml").read_text())
DIFFERENCES: dict[str, list[dict[str, Any]]] = yaml.safe_load((FOLDER / "differences.yaml").read_text())
OPENAPI = build_openapi(RESOURCES, Settings())
ANYBODY = "tests"

INTRODUCTION = """
# Compatibility

What of the Tavus Developer API is there, who uses it, what differs, and why. Where published pages and observed
behaviour disagree, the client that would break decides.

This page is generated: `make compatibility` runs the tests against a server that notes down which operation answered
which status to which client, and CI fails when something on this page is not seen any more. Clients run unmodified:
""".strip()
LEGEND = """
In the tables, *answers* are the statuses that the tests have seen, and *not seen* those that the reference names and no
test of the recorded run has met. Then comes, for each client that calls any of it, what it was answered.
""".strip()
MEANING = {
    "curl": "every command of the README and of the guides",
    "urllib": "Python's own",
    "tavus-cli": "the vendor's command line, 0.11.0",
    "tavus-mcp": "the vendor's MCP server, of the same package",
    "livekit-plugins-tavus": "LiveKit's plugin, 1.8",
    "pipecat-ai": "Pipecat's Tavus client, 1.14, with its base URL patched",
}


def compatibility_page() -> str:
    """The whole page."""
    parts = [
        INTRODUCTION,
        "\n".join(f"* `{client}`: {meaning}" for client, meaning in MEANING.items()),
        LEGEND,
        "## What there is",
        _table(("part", "published operations", "not there yet"), _overview()),
        *(text for tag, resources in _parts().items() for text in _part(tag, resources)),
        "## Everywhere",
        _table(("topic", "here", "why", "shown by"), [_difference(row, row["topic"]) for row in _topics()]),
        *_more(),
        "## Not there yet",
        "\n".join(f"* **{group}**: {_listed(absent)}" for group, absent in _absent().items() if absent),
        "",
    ]
    return "\n\n".join(parts)


# --- What is published, and what is here ------------------------------------------------------------------------------


def _bare(operation: str) -> str:
    """The operation with nameless parameters, to compare."""
    return re.sub(r"{\w+}", "{}", operation)


def _key(resource: Resource, endpoint: Endpoint, collection: str | None = None) -> str:
    """The operation as the log of the server names it."""
    return f"{endpoint.method} /v2/{collection or resource.collection}{endpoint.path}"


def _here() -> set[str]:
    return {_bare(_key(resource, endpoint)) for resource in RESOURCES for endpoint in resource.endpoints}


def _is_published(resource: Resource, endpoint: Endpoint) -> bool:
    return _bare(_key(resource, endpoint)) in {_bare(one) for group in PUBLISHED.values() for one in group}


def _absent() -> dict[str, list[str]]:
    """The published operations that are not here."""
    here = _here()
    return {group: [one for one in operations if _bare(one) not in here] for group, operations in PUBLISHED.items()}


def _overview() -> list[tuple[str, ...]]:
    rows = []
    for group, absent in _absent().items():
        there = len(PUBLISHED[group]) - len(absent)
        if there:
            rows.append((group, f"{there} of {len(PUBLISHED[group])}", _listed(absent)))
    return rows


def _listed(operations: Iterable[str]) -> str:
    return ", ".join(f"`{operation}`" for operation in operations)


# --- One part ---------------------------------------------------------------------------------------------------------


def _parts() -> dict[str, list[Resource]]:
    """The resources by their tag: several may be told of as one part of the API."""
    parts: dict[str, list[Resource]] = {}
    for resource in RESOURCES:
        parts.setdefault(resource.names.tag, []).append(resource)
    return parts


def _part(tag: str, resources: Sequence[Resource]) -> list[str]:
    """Its operations, and what differs in them; nothing for one that only others speak of."""
    all_here = [(resource, endpoint) for resource in resources for endpoint in resource.endpoints]
    published = [one for one in all_here if _is_published(*one)]
    differences = [row for one in all_here for row in _differences_of(*one, _named_in(resources))]
    if not published and not differences:
        return []
    legacy = [resource.names.legacy.collection for resource in resources if resource.names.legacy]
    parts = [f"## {tag}", *(f"Everything is also there under `/v2/{name}`, in the older words." for name in legacy)]
    if published:
        clients = [client for client in MEANING if any(_statuses(*one, client) for one in published)]
        rows = [_operation(*one, clients) for one in published]
        parts.append(_table(("operation", "answers", "not seen", *clients), rows))
    if differences:
        parts += ["What differs, or had to be decided:", _table(("operation", "here", "why", "shown by"), differences)]
    return parts


def _named_in(resources: Sequence[Resource]) -> Callable[[Resource, Endpoint], str]:
    """How operations are named in a part: without the collection, where all of them have the same."""
    if len({resource.collection for resource in resources}) == 1:
        return lambda _resource, endpoint: f"`{endpoint.method} {endpoint.path or '/'}`"
    return lambda resource, endpoint: f"`{_key(resource, endpoint)}`"


def _operation(resource: Resource, endpoint: Endpoint, clients: Sequence[str]) -> tuple[str, ...]:
    seen, unseen = _answers([(resource, endpoint)])
    told = [", ".join(_statuses(resource, endpoint, client)) for client in clients]
    return (f"`{_key(resource, endpoint)}`", seen, unseen, *told)


def _statuses(resource: Resource, endpoint: Endpoint, client: str) -> list[str]:
    """What a client was answered, by path: at the older one, its name comes first."""
    found = []
    for key, name in _keys(resource, endpoint).items():
        statuses = OBSERVED.get(key, {}).get(client)
        if statuses:
            found.append(f"{name} {_row_of(statuses)}".strip())
    return found


def _keys(resource: Resource, endpoint: Endpoint) -> dict[str, str]:
    """The operation as the log of the server names it, on the newer path and, with its name, on the older one."""
    legacy = resource.names.legacy
    older = {_key(resource, endpoint, legacy.collection): f"`{legacy.collection}`"} if legacy else {}
    return {_key(resource, endpoint): ""} | older


def _answers(operations: Sequence[tuple[Resource, Endpoint]]) -> tuple[str, str]:
    """The statuses seen, and the documented ones that were not."""
    seen = {status for one in operations for key in _keys(*one) for status in OBSERVED.get(key, {}).get(ANYBODY, [])}
    documented = {status for one in operations for status in documented_statuses(*one)}
    return _row_of(seen), _row_of(documented - seen)


def _row_of(statuses: Iterable[int]) -> str:
    return " ".join(str(status) for status in sorted(statuses))


def documented_statuses(resource: Resource, endpoint: Endpoint) -> set[int]:
    """The statuses that the reference names for an operation."""
    path = f"/v2/{resource.collection}{endpoint.path}".replace("{id}", f"{{{resource.id_member}}}")
    return {int(status) for status in OPENAPI["paths"][path][endpoint.method.lower()]["responses"]}


def _differences_of(
    resource: Resource, endpoint: Endpoint, name: Callable[[Resource, Endpoint], str]
) -> list[tuple[str, ...]]:
    """What is written in `differences.yaml`, once, with the first operation that it is about, and in the code."""
    rows = []
    for row in DIFFERENCES["differs"]:
        about = operations_of(row)
        if about[:1] == [endpoint.operation_id]:
            others = [one for one in resource.endpoints if one.operation_id in about]
            rows.append(_difference(row, ", ".join(name(resource, one) for one in others)))
    return rows + [(name(resource, endpoint), sentence, "", "") for sentence in endpoint.differs]


def operations_of(row: Mapping[str, Any]) -> list[str]:
    """The operation ids that a difference is about; none for a topic."""
    about = row.get("operation", [])
    return [about] if isinstance(about, str) else about


def _topics() -> list[dict[str, Any]]:
    return [row for row in DIFFERENCES["differs"] if "topic" in row]


def _difference(row: Mapping[str, Any], about: str) -> tuple[str, ...]:
    return (about, row["here"], row["why"], _shown_by(row))


def _shown_by(row: Mapping[str, Any]) -> str:
    path, _, _name = row["test"].partition("::")
    return f"[test](../../{path})"


# --- More than the published API --------------------------------------------------------------------------------------


def _more() -> list[str]:
    """Operations that every resource has are told once."""
    same: dict[str, list[tuple[Resource, Endpoint]]] = {}
    for resource in RESOURCES:
        for endpoint in resource.endpoints:
            if not _is_published(resource, endpoint):
                same.setdefault(f"{endpoint.method} {endpoint.path or '/'}", []).append((resource, endpoint))
    rows = []
    for name, found in sorted(same.items(), key=lambda item: (-len(item[1]), item[0].split(" ")[1])):
        kinds = ", ".join(resource.collection for resource, _ in found)
        rows.append((f"`{name}`", found[0][1].summary, kinds, *_answers(found)))
    return [
        "## More than the published API",
        "None of this is needed by a client that does not know it.",
        _table(("what", "how", "shown by"), [(row["what"], row["how"], _shown_by(row)) for row in DIFFERENCES["more"]]),
        "Operations besides, relative to the collection:",
        _table(("operation", "for example", "collections", "answers", "not seen"), rows),
    ]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
