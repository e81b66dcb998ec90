"""Two spellings of one thing: pal/persona and face/replica (contract 1.3).

Inside there is one vocabulary, the newer one. Keys and pointer tokens are translated at the edge, at the places where
the API has such a name and nowhere else: a tool's own parameter called `replica_id` stays as it is, and so does every
string value.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any


class AmbiguousAlias(Exception):
    """Two spellings of one member arrived with different values."""

    def __init__(self, spellings: tuple[str, str]) -> None:
        super().__init__(f"{spellings[0]} and {spellings[1]} are two names of one thing, but their values differ.")
        self.spellings = spellings


@dataclass(frozen=True, slots=True)
class Aliases:
    """The other spellings known at one level of a document, and below it."""

    canonical: dict[str, str] = field(default_factory=dict)
    legacy: dict[str, str] = field(default_factory=dict)
    below: dict[str, "Aliases"] = field(default_factory=dict)

    def spellings(self) -> list[str]:
        """Every other spelling, at this level and below it."""
        return [*self.canonical, *(spelling for below in self.below.values() for spelling in below.spellings())]

    def all_legacy(self) -> dict[str, str]:
        """The legacy spelling of every name, at this level and below it."""
        found = dict(self.legacy)
        for below in self.below.values():
            found |= below.all_legacy()
        return found


NO_ALIASES = Aliases()


def aliases(declared: Mapping[str, str | tuple[str, ...]]) -> Aliases:
    """A tree from `{"layers/flow/new_name": ("old_name", "odd_name")}`; the first old name is the legacy spelling."""
    root = Aliases()
    for place, others in declared.items():
        *parents, name = place.split("/")
        level = root
        for parent in parents:
            level = level.below.setdefault(parent, Aliases())
        spellings = (others,) if isinstance(others, str) else others
        level.legacy[name] = spellings[0]
        level.canonical.update(dict.fromkeys(spellings, name))
    return root


def canonical_document(document: Json, known: Aliases) -> Json:
    """The document with every alias replaced by the name used inside. Raises AmbiguousAlias."""
    if not isinstance(document, dict):
        return document
    renamed: dict[str, Json] = {}
    spelled: dict[str, str] = {}
    for key, value in document.items():
        name: str = known.canonical.get(key) or key
        value = canonical_document(value, known.below[name]) if name in known.below else value
        if name in renamed and renamed[name] != value:
            raise AmbiguousAlias((spelled[name], key))
        renamed[name] = value
        spelled[name] = key
    return renamed


def legacy_document(document: Json, known: Aliases) -> Json:
    """The document as the persona/replica family of routes shows it."""
    if not isinstance(document, dict):
        return document
    return {
        known.legacy.get(key, key): legacy_document(value, known.below[key]) if key in known.below else value
        for key, value in document.items()
    }


def canonical_pointer(pointer: str, known: Aliases) -> tuple[str, Aliases]:
    """The pointer in the vocabulary used inside, and the aliases known below the place it names."""
    tokens = pointer.split("/")
    for index, token in enumerate(tokens[1:], start=1):
        tokens[index] = known.canonical.get(token, token)
        known = known.below.get(tokens[index], NO_ALIASES)
    return "/".join(tokens), known


def canonical_patch(operations: Json, known: Aliases) -> Json:
    """`path`, `from` and `value` of a JSON Patch in the vocabulary used inside; what is malformed passes unchanged."""
    if not isinstance(operations, list):
        return operations
    return [_canonical_operation(operation, known) for operation in operations]


def _canonical_operation(operation: Json, known: Aliases) -> Json:
    if not isinstance(operation, dict):
        return operation
    renamed = dict(operation)
    source, path = operation.get("from"), operation.get("path")
    if isinstance(source, str):
        renamed["from"], _ = canonical_pointer(source, known)
    if isinstance(path, str):
        renamed["path"], below = canonical_pointer(path, known)
        if "value" in operation:
            renamed["value"] = canonical_document(operation["value"], below)
    return renamed


def legacy_tokens(tokens: Iterable[Json], known: Aliases) -> list[Json]:
    """The tokens of a place, spelled as the persona/replica family of routes spells them."""
    spelled = []
    for token in tokens:
        spelled.append(known.legacy.get(token, token))
        known = known.below.get(token, NO_ALIASES)
    return spelled


def legacy_operation(operation: Mapping[str, Json], known: Aliases) -> dict[str, Json]:
    """An operation of a JSON Patch as the persona/replica family of routes spells it."""
    spelled = dict(operation)
    for member in ("from", "path"):
        if isinstance(operation.get(member), str):
            tokens = operation[member].split("/")
            spelled[member] = "/".join([*tokens[:1], *legacy_tokens(tokens[1:], known)])
    if "value" in operation and isinstance(operation.get("path"), str):
        below = known
        for token in operation["path"].split("/")[1:]:
            below = below.below.get(token, NO_ALIASES)
        spelled["value"] = legacy_document(operation["value"], below)
    return spelled


@dataclass(frozen=True, slots=True)
class Words:
    """The vocabulary of one route: which family it belongs to, and the aliases of its resource."""

    is_legacy: bool = False
    known: Aliases = NO_ALIASES

    def document(self, document: Json) -> Json:
        """The document in the words of this route."""
        return legacy_document(document, self.known) if self.is_legacy else document

    def sentence(self, sentence: str) -> str:
        """A sentence of the server's, with the names of members as this route spells them."""
        if not self.is_legacy:
            return sentence
        spelled = self.known.all_legacy()
        return re.sub("|".join(rf"\b{name}\b" for name in spelled), lambda name: spelled[name.group()], sentence)

    def pointer(self, pointer: str) -> str:
        """The pointer in the words of this route."""
        if not self.is_legacy:
            return pointer
        return "/".join(["", *legacy_tokens(pointer.split("/")[1:], self.known)]) if pointer else pointer

    def patch(self, operations: Iterable[Mapping[str, Json]]) -> list[dict[str, Json]]:
        """The operations of a JSON Patch in the words of this route."""
        if not self.is_legacy:
            return [dict(operation) for operation in operations]
        return [legacy_operation(operation, self.known) for operation in operations]

    def value(self, value: Json, tokens: Iterable[str]) -> Json:
        """The value at a place, with the names of its members in the words of this route."""
        if not self.is_legacy:
            return value
        known = self.known
        for token in tokens:
            known = known.below.get(token, NO_ALIASES)
        return legacy_document(value, known)
