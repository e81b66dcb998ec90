"""What a store keeps, and what can go wrong; no database in sight."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Owned = Literal["all", "stock", "own"]


@dataclass(frozen=True, slots=True)
class Record:
    """One stored document. `body` is its JSON as clients read it; `secrets` names, as JSON, what it shows as a mask."""

    kind: str
    id: str
    owner: int
    revision: int
    created_at: str
    updated_at: str
    body: bytes
    secrets: bytes | None = None
    etag: str = ""
    base: int = 0
    """number of the newest revision that was kept whole; 0 when the next one must be"""
    seq: int = 0
    """the store's own number, in the order of creation"""


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of a document, as it is remembered.

    `content` is JSON: the whole document when `base` is its own `number`, else the JSON Patch that leads here from the
    revision before. `touched`, `about` and `secrets` are JSON too.
    """

    document: int
    number: int
    base: int
    created_at: str
    action: str
    etag: str
    key_id: str
    request_id: str
    comment: str | None
    touched: bytes
    about: bytes | None
    secrets: bytes | None
    content: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """Changes of a document that are not live: `body` is the document with them, `base` the live one without.

    While it is open, `base` is the live document, at `base_revision`. `secrets` and `base_secrets` name, as JSON, what
    the two show as masks. `key_id` is that of the key that changed the draft last.
    """

    document: int
    number: int
    state: Literal["open", "discarded", "published"]
    base_revision: int
    key_id: str
    created_at: str
    updated_at: str
    etag: str
    base_secrets: bytes | None
    secrets: bytes | None
    base: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Shown:
    """What a GET needs of a document."""

    body: bytes
    etag: str
    revision: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer to a request with an idempotency key. `fingerprint` tells whether a later request is the same.

    `headers` is a JSON object. `body` is in the words of its route when `is_spelled`, else in those used inside.
    """

    fingerprint: bytes
    status: int
    headers: bytes
    body: bytes
    is_spelled: bool


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and how many objects the whole list has."""

    bodies: list[bytes]
    total_count: int


class Use(NamedTuple):
    """A document has the id of an object of `kind` at this JSON Pointer."""

    kind: str
    id: str
    pointer: str


class Label(NamedTuple):
    """Something that lists find a document by: `name` is its name, a `tag` one of its tags."""

    label: str
    value: str


class User(NamedTuple):
    """A document that refers to some object, and where."""

    kind: str
    id: str
    name: str | None
    pointer: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Which documents a list is to have, and in which order.

    `search` is a part of the name, or the whole id. Of each of the `labels` a document has one of the values, whatever
    the case of their letters.
    """

    owned: Owned = "all"
    order: Literal["oldest", "newest", "name", "name_backwards"] = "oldest"
    limit: int = 10
    offset: int = 0
    search: str = ""
    ids: tuple[str, ...] | None = None
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stock_first: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it is a list of all objects in the order of creation."""
        is_filtered = bool(self.search or self.labels or self.ids is not None)
        return not (is_filtered or self.order.startswith("name") or self.stock_first)


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


class DraftOpen(Exception):
    """The document has an open draft already."""


class NameTaken(Exception):
    """Another object holds this name in this scope."""

    def __init__(self, scope: str, name: str) -> None:
        super().__init__(f"{name!r} is taken in {scope}.")
        self.scope = scope
        self.name = name


class Stale(Exception):
    """The record has another revision by now than the one the write started from."""


class AnswerTaken(Exception):
    """There is a first answer under this idempotency key already: another server was faster."""


class StorageFailure(Exception):
    """The database could not carry out a write or make it durable; nothing of it is stored."""


class Unreadable(StorageFailure):
    """The database could not be read."""


class Overloaded(StorageFailure):
    """More writes wait than the store takes; nothing of this one is stored."""


class DatabaseInUse(StorageFailure):
    """Servers work on the database, or somebody who must be alone with it."""


class OutcomeUnknown(StorageFailure):
    """The database went away while it made a write durable: all of it is stored, or nothing of it."""
