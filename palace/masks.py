"""Secrets in documents: shown as a mask, kept sealed in a table of their own, never shown again (contract 1.8)."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson

from palace.ids import Ids
from palace.json_patch import format_pointer, parse_pointer
from palace.resource import Document, Problem, Resource, Secret, value_at
from palace.shown import MASK
from palace.storage import Transaction
from palace.vault import Vault, VaultError

SECRET_HEX_DIGITS = 20

Refs = dict[str, str]
"""For each pointer that shows a mask, the id of the secret it stands for."""


def load_refs(stored: bytes | None) -> Refs:
    """The secrets of a document or a revision from the store's column."""
    return orjson.loads(stored) if stored else {}


def dump_refs(refs: Refs) -> bytes | None:
    """The column of the store, None when there is no secret."""
    return orjson.dumps(refs, option=orjson.OPT_SORT_KEYS) if refs else None


Fresh = Mapping[str, tuple[str, bytes]]
"""New secrets by their ids: the place that each is sealed for, and the sealed text."""


@dataclass(slots=True)
class Settled:
    """A document in which every secret is a mask, the secrets behind the masks, and what is wrong with them."""

    document: Document
    kept: Refs = field(default_factory=dict)
    fresh: dict[str, str] = field(default_factory=dict)
    """secrets that came with the document, still readable, by their pointers"""
    problems: list[Problem] = field(default_factory=list)


def settle_secrets(resource: Resource, document: Document, *, before: Document, refs: Refs) -> Settled:
    """Take each secret out of `document`, and keep each stored one that it shows as a mask in its own place.

    `before` and `refs` are the stored document and its secrets (both empty for a new one). Inputs are not changed.
    """
    settled = Settled(document)
    for secret in resource.secrets:
        value = value_at(document, secret.pointer)
        if not isinstance(value, str) or not value:
            continue
        place = format_pointer(secret.pointer)
        if not value.strip("*"):
            problem = _problem_with_mask(secret, value, place, document, before, refs)
            if problem is not None:
                settled.problems.append(problem)
                continue
            settled.kept[place] = refs[place]
        else:
            settled.fresh[place] = value
            settled.document = _with_value(settled.document, secret.pointer, MASK)
    return settled


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals what came with a document of one object, inside the transaction that stores it."""

    vault: Vault
    ids: Ids
    kind: str
    id: str

    async def seal(self, settled: Settled, tx: Transaction, *known: Refs) -> tuple[Refs, Fresh]:
        """The secrets of the document, and those of them that are new.

        A secret that was stored at its place already keeps its id, so that writing it again changes nothing.
        """
        refs = dict(settled.kept)
        new: dict[str, tuple[str, bytes]] = {}
        for pointer, secret in settled.fresh.items():
            place = f"{self.kind}/{self.id}{pointer}"
            candidates = dict.fromkeys(stored[pointer] for stored in known if pointer in stored)
            ref = await self._found(secret, candidates, place, tx)
            if ref is None:
                ref = self.ids.new("", SECRET_HEX_DIGITS)
                new[ref] = place, self.vault.seal(secret, place)
            refs[pointer] = ref
        return refs, new

    async def _found(self, secret: str, candidates: Iterable[str], place: str, tx: Transaction) -> str | None:
        """The id among the candidates under which this very secret is stored."""
        for ref in candidates:
            sealed = await tx.get_secret(ref)
            with suppress(VaultError):
                if sealed is not None and self.vault.open(sealed, place) == secret:
                    return ref
        return None


async def unmasked(kind: str, id: str, document: Document, refs: Refs, tx: Transaction, vault: Vault) -> Document:
    """The document with its secrets in the place of their masks, for whoever sends them where they belong.

    A secret that is gone for good stays masked. Raises VaultError.
    """
    for pointer, ref in refs.items():
        sealed = await tx.get_secret(ref)
        if sealed is not None:
            document = _with_value(document, parse_pointer(pointer), vault.open(sealed, f"{kind}/{id}{pointer}"))
    return document


def _problem_with_mask(
    secret: Secret, value: str, place: str, document: Document, before: Document, refs: Refs
) -> Problem | None:
    if value != MASK or place not in refs:
        return Problem(secret.pointer, "mask", "Asterisks stand for a stored secret, and there is none here: send it.")
    address = readdressed(secret, document, before)
    if address:
        text = f"Must be sent again because {address} changes: a stored secret goes to no other address."
        return Problem(secret.pointer, "mask", text)
    return None


def readdressed(secret: Secret, document: Document, before: Document) -> str | None:
    """The member that the secret is bound to and that differs between the two documents."""
    for sibling in secret.bound_to:
        bound = (*secret.pointer[:-1], sibling)
        if value_at(document, bound) != value_at(before, bound):
            return sibling
    if secret.origin and _origin(value_at(document, secret.origin)) != _origin(value_at(before, secret.origin)):
        return secret.origin[-1]
    return None


def _origin(url: object) -> tuple[str, str] | None:
    """Scheme and authority of a URL; of what is none, all of it."""
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:  # It is still to be judged.
        return "", url
    return parts.scheme.lower(), parts.netloc.lower()


def carried_refs(refs: Refs, before: Refs, after: Refs) -> Refs:
    """The secrets `refs`, with what became other ones between two states made to them too."""
    exchanged = {pointer: after.get(pointer) for pointer in {**before, **after}}
    exchanged = {pointer: ref for pointer, ref in exchanged.items() if ref != before.get(pointer)}
    return {pointer: ref for pointer, ref in {**refs, **exchanged}.items() if ref is not None}


def readdressed_secrets(
    resource: Resource, document: Document, refs: Refs, *sources: tuple[Document, Refs]
) -> list[str]:
    """Pointers of secrets that would be sent to an address that they were stored for in none of the `sources`."""
    wrong = []
    for secret in resource.secrets:
        pointer = format_pointer(secret.pointer)
        if pointer not in refs or value_at(document, secret.pointer) is None:
            continue
        known = [said for said, behind in sources if behind.get(pointer) == refs[pointer]]
        if all(readdressed(secret, document, said) for said in known):
            wrong.append(pointer)
    return wrong


def _with_value(document: Document, pointer: tuple[str, ...], value: str) -> Document:
    """A copy of the document with another value at an existing place."""
    token, *rest = pointer
    return {**document, token: _with_value(document[token], tuple(rest), value) if rest else value}
