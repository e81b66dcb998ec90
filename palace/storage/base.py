"""What a store keeps, and what can go wrong; no database in sight."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One stored document. `body` is its JSON as clients read it; `secrets` holds, sealed, what it shows as a mask."""

    kind: str
    id: str
    owner: int
    revision: int
    created_at: str
    updated_at: str
    body: bytes
    secrets: bytes | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and how many objects the whole list has."""

    bodies: list[bytes]
    total_count: int


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One API key as it is kept: never the key itself. `revoked_at` is None while the key works."""

    key_id: str
    digest: bytes
    account: int
    account_name: str
    label: str
    hint: str
    created_at: str
    revoked_at: str | None


class IdTaken(Exception):
    """An object of this kind with this id exists already."""


class NameTaken(Exception):
    """Another object holds this name in this scope."""

    def __init__(self, scope: str, name: str) -> None:
        super().__init__(f"{name!r} is taken in {scope}.")
        self.scope = scope
        self.name = name


class Stale(Exception):
    """The record has another revision by now than the one the write started from."""


class StorageFailure(Exception):
    """The database could not carry out a write or make it durable; nothing of it is stored."""
