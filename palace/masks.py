"""Secrets in documents: shown as a mask, kept sealed beside the document, never shown again (contract 1.8)."""

from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any

import orjson

from palace.json_patch import format_pointer
from palace.resource import Document, Problem, Resource, Secret, value_at
from palace.vault import Vault, VaultError

MASK = "*" * 8
Sealed = dict[str, str]


def load_sealed(stored: bytes | None) -> Sealed:
    """Pointers and sealed secrets (base64) from the store's column."""
    return orjson.loads(stored) if stored else {}


def dump_sealed(sealed: Sealed) -> bytes | None:
    """The column of the store, None when there is no secret."""
    return orjson.dumps(sealed, option=orjson.OPT_SORT_KEYS) if sealed else None


class Settled:
    """A document in which every secret is a mask, the secrets that belong to it, and what is wrong with them."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.sealed: Sealed = {}
        self.problems: list[Problem] = []


def settle_secrets(
    resource: Resource, id: str, document: Document, vault: Vault, *, before: Document, sealed: Sealed
) -> Settled:
    """Seal each secret that `document` brings, keep each stored one that it shows as a mask in its own place.

    `before` and `sealed` are the stored document and its secrets (both empty for a new one). Inputs are not changed.
    """
    settled = Settled(document)
    for secret in resource.secrets:
        value = value_at(document, secret.pointer)
        if not isinstance(value, str) or not value:
            continue
        place = format_pointer(secret.pointer)
        if not value.strip("*"):
            problem = _problem_with_mask(secret, value, place, document, before, sealed)
            if problem is not None:
                settled.problems.append(problem)
                continue
            settled.sealed[place] = sealed[place]
        else:
            settled.sealed[place] = _seal(vault, value, f"{resource.kind}/{id}{place}", sealed.get(place))
            settled.document = _with_value(settled.document, secret.pointer, MASK)
    return settled


def _seal(vault: Vault, secret: str, place: str, known: str | None) -> str:
    """The known ciphertext when it holds the same secret, so that writing a secret again changes nothing."""
    if known is not None:
        with suppress(VaultError):
            if vault.open(b64decode(known), place) == secret:
                return known
    return b64encode(vault.seal(secret, place)).decode("ascii")


def _problem_with_mask(
    secret: Secret, value: str, place: str, document: Document, before: Document, sealed: Sealed
) -> Problem | None:
    if value != MASK or place not in sealed:
        return Problem(secret.pointer, "mask", "Asterisks stand for a stored secret, and there is none here: send it.")
    for sibling in secret.bound_to:
        bound = (*secret.pointer[:-1], sibling)
        if value_at(document, bound) != value_at(before, bound):
            text = f"Must be sent again because {sibling} changes: a stored secret goes to no other address."
            return Problem(secret.pointer, "mask", text)
    return None


def _with_value(document: Document, pointer: tuple[str, ...], value: Any) -> Document:
    """A copy of the document with another value at an existing place."""
    token, *rest = pointer
    return {**document, token: _with_value(document[token], tuple(rest), value) if rest else value}
