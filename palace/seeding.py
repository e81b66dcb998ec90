"""What an operator brings along in files: objects that are made at start-up if they are not there, and faults.

Objects stand under their collections: `{"pals": [{…}], "faces": [{…}]}`. One without an id gets an id that follows from
its name (or, where kinds have none, from its place among its kind), so that it is the same one at every start. What
others refer to is made before them.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from palace.call import STOCK_OWNER
from palace.config_files import MissingVariables, resolved
from palace.errors import ClientError
from palace.faults import InvalidFault, Planned, read_plan
from palace.links import uses_of
from palace.resource import Document, Resource, Services, value_at
from palace.schemas import schema_problems
from palace.storage import IdTaken
from palace.verbs import plant
from palace.vocabulary import AmbiguousAlias, canonical_document
from palace.yaml_text import read_file

Key = tuple[str, str]
"""Kind and id."""


class InvalidSeed(Exception):
    """A file of objects cannot be used; `str()` names it, each place in it, and what is wrong there."""

    def __init__(self, file: str, problems: Iterable[str]) -> None:
        super().__init__("\n  ".join([f"The seed {file} cannot be used:", *problems]))


class InvalidFaults(Exception):
    """A file of faults cannot be used; `str()` names it, the place and the problem."""


def read_plan_file(path: Path) -> list[Planned]:
    """The faults of a file. Raises InvalidFaults."""
    try:
        return read_plan(read_file(path))
    except ValueError as error:
        raise InvalidFaults(f"The faults {path} cannot be used: {error}") from error
    except InvalidFault as error:
        where = f"{error.pointer}: " if error.pointer else ""
        raise InvalidFaults(f"The faults {path} cannot be used: {where}{error.problem}") from error


@dataclass(frozen=True, slots=True)
class Seedling:
    """One object to be made. `place` is where it stands in the file, as in `pals[1]`."""

    place: str
    resource: Resource
    id: str
    document: Document
    facts: Document = field(default_factory=dict)
    """what the file tells of it that else only the server writes"""
    needs: set[Key] = field(default_factory=set)

    @property
    def key(self) -> Key:
        """What tells it from all others."""
        return self.resource.kind, self.id


def read_seed(path: Path, resources: Sequence[Resource], environment: Mapping[str, str]) -> list[Seedling]:
    """The objects of a file, in an order in which they can be made; `${env:NAME}` stands for a variable.

    Raises InvalidSeed.
    """
    try:
        seed = resolved(read_file(path), environment)
    except (ValueError, MissingVariables) as error:
        raise InvalidSeed(str(path), [str(error)]) from error
    problems: list[str] = []
    seedlings = list(_seedlings(seed, resources, problems))
    places: dict[Key, str] = {}
    for seedling in seedlings:
        first = places.setdefault(seedling.key, seedling.place)
        if first != seedling.place:
            problems.append(f"{seedling.place}: {first} has the id {seedling.id} as well.")
    if problems:
        raise InvalidSeed(str(path), problems)
    return _in_order(path, seedlings)


def _seedlings(seed: Any, resources: Sequence[Resource], problems: list[str]) -> Iterator[Seedling]:
    known = {name: resource for resource in resources if has_objects(resource) for name in _collections(resource)}
    if not isinstance(seed, dict):
        problems.append('It must be an object such as {"pals": [{"pal_name": "Night Desk"}]}.')
        return
    for collection, entries in seed.items():
        resource = known.get(collection.replace("_", "-"))
        if resource is None:
            problems.append(f"{collection}: there is no such collection; there are {', '.join(sorted(known))}.")
        elif not isinstance(entries, list):
            problems.append(f"{collection}: it must be a list of objects.")
        else:
            yield from _of_one_kind(collection, resource, entries, problems)


def has_objects(resource: Resource) -> bool:
    """Whether people write such objects: it is no registry, no part of other objects, and nothing that happens."""
    paths = {(endpoint.method, endpoint.path) for endpoint in resource.endpoints}
    return ("GET", "/{id}") in paths and any(method == "PATCH" for method, _ in paths)


def _collections(resource: Resource) -> Iterator[str]:
    yield resource.collection
    if resource.names.legacy:
        yield resource.names.legacy.collection


def _of_one_kind(collection: str, resource: Resource, entries: list[Any], problems: list[str]) -> Iterator[Seedling]:
    named: dict[str, int] = {}
    for index, entry in enumerate(entries):
        place = f"{collection}[{index}]"
        if not isinstance(entry, dict):
            problems.append(f"{place}: it must be an object.")
            continue
        try:
            document = dict(canonical_document(entry, resource.aliases))
        except AmbiguousAlias as error:
            problems.append(f"{place}: {error}")
            continue
        id = document.pop(resource.id_member, None)
        if id is not None and (not isinstance(id, str) or not id):
            problems.append(f"{place}: {resource.id_member} must be a text.")
            continue
        given = {name: document.pop(name) for name in resource.read_only if name in document}  # As it is read.
        known = {stamp.name: stamp for stamp in resource.stamps if stamp.value is None and stamp.name in given}
        facts = {name: given[name] for name in known}
        for name, stamp in known.items():
            problems += [f"{place}: /{name}: {found.text}" for found in schema_problems(stamp.schema, facts[name])]
        if id is None:
            name = str(value_at(document, resource.labels.get("name", ("",))) or "")
            id = _id_of(resource, name, named.setdefault(name, 0))
            named[name] += 1
        needs = {(use.kind, use.id) for use in uses_of(resource.references, document)}
        yield Seedling(place, resource, id, document, facts, needs)


def _id_of(resource: Resource, name: str, number: int) -> str:
    digest = hashlib.sha256(f"{resource.kind}\0{name}\0{number}".encode()).hexdigest()
    return resource.names.id_prefix + digest[: resource.names.id_digits]


def _in_order(path: Path, seedlings: list[Seedling]) -> list[Seedling]:
    by_key = {seedling.key: seedling for seedling in seedlings}
    graph = {seedling.key: seedling.needs & by_key.keys() - {seedling.key} for seedling in seedlings}
    try:
        return [by_key[key] for key in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " -> ".join(by_key[key].place for key in error.args[1])
        raise InvalidSeed(str(path), [f"These refer to each other, so none can be first: {circle}."]) from error


# --- Making them ------------------------------------------------------------------------------------------------------


async def plant_seed(path: Path, seed: Sequence[Seedling], account: int, services: Services) -> int:
    """Make every object that is not there, and was not deleted; returns how many. Raises InvalidSeed."""
    problems: list[str] = []
    failed: set[Key] = set()
    made = 0
    for seedling in seed:
        if seedling.needs & failed:
            failed.add(seedling.key)
            continue
        told = await _plant_one(seedling, account, services)
        made += told is None
        if told:
            failed.add(seedling.key)
            problems += [f"{seedling.place}: {problem}" for problem in told]
    if problems:
        raise InvalidSeed(str(path), problems)
    return made


async def _plant_one(seedling: Seedling, account: int, services: Services) -> list[str] | None:
    """Nothing when it was made, no problems when it is there already, else what is wrong."""
    resource, id = seedling.resource, seedling.id
    found = await services.store.reading.get_with_deleted(resource.kind, id, account)
    if found is not None:
        return [f"{id} is a stock object: choose another id."] if found[0].owner == STOCK_OWNER else []
    try:
        await plant(resource, id, account, seedling.document, services, seedling.facts)
    except IdTaken:
        return [f"{id} belongs to another account: choose another id."]
    except ClientError as error:
        told = [(detail.pointer or "", detail.problem) for detail in error.details]
        return [f"{pointer}: {problem}" if pointer else problem for pointer, problem in told]
    return None
