"""What a handler is handed and what it hands back; no HTTP in sight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from palace.vocabulary import Words

STOCK_OWNER = 0


@dataclass(frozen=True, slots=True)
class Account:
    """Who calls: the number of the account, and the public id of the key that was used."""

    id: int
    key_id: str


@dataclass(slots=True)
class Call:
    """One request, translated: names in it are those used inside, except in `body_as_sent`."""

    account: Account
    words: Words
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    body_as_sent: Any = None
    is_merge_patch: bool = False
    wants_representation: bool = False


@dataclass(slots=True)
class Reply:
    """One answer: `document` is JSON text in the vocabulary used inside, or empty for an answer without a body."""

    status: int = 200
    document: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
