"""What a handler is handed and what it hands back; no HTTP in sight."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from palace.vocabulary import Words

STOCK_OWNER = 0


@dataclass(frozen=True, slots=True)
class Account:
    """Who calls: the number of the account, and the public id of the key that was used."""

    id: int
    key_id: str


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The key under which the first answer to a request is kept, and what tells whether another one is the same.

    Answers from before `since` do not count any more.
    """

    key: str
    fingerprint: bytes
    since: str


class Part(NamedTuple):
    """Something that took a part of a call's time, by the clock that never goes backwards."""

    name: str
    started: float
    ended: float
    facts: Mapping[str, Any] = MappingProxyType({})
    """what traces tell of it"""


@dataclass(slots=True)
class Call:
    """One request, translated: names in it are those used inside, except in `body_as_sent`.

    `if_match`, `if_none_match` and `last_event_id` are the texts of these headers, `comment` says why the client makes
    a change. With `wants_events` it would rather be told as it happens than once. `parts` is None where nobody wants to
    know what took how long.
    """

    account: Account
    words: Words
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    body_as_sent: Any = None
    is_merge_patch: bool = False
    wants_representation: bool = False
    is_lenient: bool = False
    if_match: str | None = None
    if_none_match: str | None = None
    comment: str | None = None
    request_id: str = ""
    idempotency: Idempotency | None = None
    wants_events: bool = False
    last_event_id: str | None = None
    parts: list[Part] | None = None

    def took(self, name: str, started: float, ended: float) -> None:
        """Note a part of the time that the call takes."""
        if self.parts is not None:
            self.parts.append(Part(name, started, ended))


@dataclass(slots=True)
class Reply:
    """One answer: `document` is JSON text, or empty for an answer without a body.

    Its names are those used inside, and are translated on the way out, unless `is_spelled`: then they are those of the
    route already. Instead of a document there may be `events`, server-sent, which are open until all are sent; what is
    raised while they are opened is answered as an error.
    """

    status: int = 200
    document: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_spelled: bool = False
    events: AbstractAsyncContextManager[AsyncIterator[bytes]] | None = None
