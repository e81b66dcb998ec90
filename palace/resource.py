"""What a resource is: a value that says what exists, and which operations it has."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from palace.audit import Chain
from palace.call import Call, Reply
from palace.changes import Feed
from palace.clock import Clock
from palace.engines.models import Models
from palace.errors import ClientError, InvalidId, ReadOnlyObject
from palace.fetching import Fetcher
from palace.ids import Ids
from palace.json_patch import Limits, format_pointer
from palace.metrics import Meter
from palace.rates import Rates
from palace.settings import Settings
from palace.skills import Skills
from palace.storage import Store
from palace.vault import Vault
from palace.vocabulary import NO_ALIASES, Aliases

Document = dict[str, Any]
READ_ONLY_TIMES = ("created_at", "updated_at")


class Talks(Protocol):
    """The conversations that go on, as `palace.talking` keeps them."""

    async def happened(self, document: int, id: str, owner: int, what: Any) -> None:
        """Something happened to a conversation, one of `palace.conversation.events`. Raises StorageFailure."""

    def forget_all(self) -> None:
        """The store was set back: what is in memory is not true any more."""


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers work with, put together in `palace.app`."""

    store: Store
    clock: Clock
    ids: Ids
    vault: Vault
    limits: Limits
    settings: Settings
    chain: Chain
    fetcher: Fetcher = field(default_factory=Fetcher)
    models: Models = field(default_factory=Models)
    """the language models"""
    url: str = ""
    """under which clients reach the server: absolute addresses in documents begin with it"""
    kinds: Mapping[str, "Resource"] = field(default_factory=dict)
    """every resource by its kind, for what one object does to others"""
    skills: Skills = field(default_factory=dict)
    """every skill by its id, also those that are not enabled"""
    changes: Feed = field(default_factory=Feed)
    """tells those who listen what is stored, on a server that has the store tell it"""
    running: set[tuple[int, str]] = field(default_factory=set)
    """idempotency keys (account, key) whose first request is being carried out"""
    meter: Meter = field(default_factory=Meter)
    rates: Rates | None = None
    """how many requests each key may make; None for any number"""
    meeting_key: bytes = b""
    """signs the tokens with which people come into private conversations"""
    talks: Talks | None = None
    """the conversations that go on; None where nobody talks, as in commands on a data folder"""

    @property
    def audit(self) -> Chain | None:
        """The chain of the audit log, None when it is switched off."""
        return self.chain if self.settings.audit else None


Handler = Callable[["Resource", Call, Services], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a document is not valid.

    `form` says how the API words it: `field` in a dict of fields, `sentence` behind `Bad Request. `, `bare` as it is.
    `explained` is what `details` say where that is more than the API's own words in `text`.
    """

    pointer: tuple[str | int, ...]
    code: str
    text: str
    form: Literal["field", "sentence", "bare"] = "field"
    facts: Mapping[str, Any] = field(default_factory=dict)
    explained: str = ""


MOST_PROBLEMS = 1000
"""how many problems of one document are told"""

OnDelete = Literal["remove", "clear", "refuse"]
EACH = "*"
"""In a pointer: every element of an array, or every member of an object."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A member that holds the id of another object; `problem` is what the API says when there is no such object.

    When that object is deleted, its id is removed from the array, the member is cleared to null, or the deletion is
    refused unless the client says `?cascade=true`: then the id stays and leads nowhere (contract 11).

    Where `is_part`, the other object is kept as a twin of the element that has its id: whoever stores the one stores
    the other, and the whole element goes when its twin does.
    """

    pointer: tuple[str, ...]
    kind: str
    problem: str
    on_delete: OnDelete = "clear"
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class Secret:
    """A member that is stored sealed and shown as a mask.

    The mask stands for the stored secret only while the members in `bound_to` (its siblings) and the server in the URL
    at the pointer `origin` stay the same: nobody may have a stored secret sent to another address.
    """

    pointer: tuple[str, ...]
    bound_to: tuple[str, ...] = ()
    origin: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter of an operation, for the reference and for nothing else: handlers read `call.query`.

    One whose name stands in braces in the path is a part of the path, and handlers read it from `call.ids`.
    """

    name: str
    schema: Mapping[str, Any]
    sentence: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of a resource, and what its reference page says.

    `path` is relative to the collection, with `{id}` for the object's id. `answers` maps a status to its meaning; what
    the 200 holds is a document, a page of them, or what `answer_schema` says. `required` are members of the body that
    only the newer family of routes demands. An `object` is a body of the operation's own, described by `body_schema`;
    an `optional` one may be left out. Where it `streams`, the 200 is server-sent events, always or when the header
    `Accept` asks for them. `number` in the path is that of a revision or a draft.
    """

    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    operation_id: str
    summary: str
    description: str
    handler: Handler
    answers: Mapping[int, str]
    body: Literal["none", "document", "patch", "object", "optional"] = "none"
    body_schema: Mapping[str, Any] | None = None
    required: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    answers_with: Literal["document", "page"] = "document"
    answer_schema: Mapping[str, Any] | None = None
    streams: Literal["never", "asked", "always"] = "never"
    examples: Mapping[str, Any] = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    """where this server differs from the published one or had to choose, and why: for the compatibility page"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A member whose value no two objects may share; `problem` is what the API says when it is taken, with `status`.

    It is unique among the objects of one account, or of all where `is_global`.
    """

    pointer: tuple[str, ...]
    scope: str
    problem: str
    is_global: bool = False
    status: int = 400

    def scope_of(self, account: int) -> str:
        """The scope as the store knows it."""
        return self.scope if self.is_global else f"{self.scope}/{account}"


@dataclass(frozen=True, slots=True)
class Drafts:
    """Changes of an object may wait as a draft to be published: all but those at `live_only` and below it."""

    live_only: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Legacy:
    """The older name of a kind, of the collection under which the same objects are served, and of their members."""

    kind: str
    collection: str
    aliases: Aliases = NO_ALIASES


@dataclass(frozen=True, slots=True)
class Stamp:
    """A member that only the server writes: what it may be, and what it is, given the rest and the owner.

    Without `value` it is a fact: `initial` until the server writes another one, and no change of the rest moves it. Of
    an object that the server makes itself it is `planted`, where that is not None.
    """

    name: str
    schema: Mapping[str, Any]
    value: Callable[[Document, int], Any] | None = None
    initial: Any = None
    planted: Any = None


@dataclass(frozen=True, slots=True)
class Names:
    """What objects of a kind are called: in paths, in documents, in sentences.

    `noun` is as in `Create a tool`. An id is `id_prefix` and `id_digits` hexadecimal digits (contract 1.6).
    """

    collection: str
    tag: str
    noun: str
    id_member: str
    id_prefix: str
    example_id: str
    id_digits: int = 11
    legacy: Legacy | None = None
    also: Aliases = NO_ALIASES
    """older spellings of members where there are no older routes"""


@dataclass(frozen=True, slots=True)
class Wording:
    """What the API says where kinds of objects differ: each a status and a text, None for what PALs say."""

    unknown: tuple[int, str] | None = None
    """for an id that does not exist or is not yours"""
    stock: str | None = None
    """for a change of a stock object; `{verb}` stands for `update` or `delete`"""
    patch: tuple[int, str] | None = None
    """for a JSON Patch that is malformed or does not fit"""
    missing: Mapping[str, str] = field(default_factory=dict)
    """for a member that must be there and is not, wherever it belongs"""


@dataclass(frozen=True)
class Resource:
    """One kind of object: its names, its document, its rules and its operations.

    `labels` are what lists filter and sort by: for each label the place of its values, as in `{"tag": ("tags", "*")}`.
    `sparse` are members that a document does not have while they are null.
    """

    kind: str
    names: Names
    model: type[BaseModel]
    example: Document
    endpoints: tuple[Endpoint, ...]
    wording: Wording = Wording()
    stamps: tuple[Stamp, ...] = ()
    sparse: tuple[str, ...] = ()
    rules: Callable[[Any], Iterable[Problem]] = lambda _document: ()
    references: tuple[Reference, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    secrets: tuple[Secret, ...] = ()
    drafts: Drafts | None = None
    synonyms: Mapping[str, str] = field(default_factory=dict)
    """Pointers that people write for others, for explanations only; an empty one is the server's own business."""

    @property
    def aliases(self) -> Aliases:
        """The other spellings of members."""
        return self.names.legacy.aliases if self.names.legacy else self.names.also

    @property
    def collection(self) -> str:
        """The part of a path: `pals`."""
        return self.names.collection

    @property
    def id_member(self) -> str:
        """The member that holds the object's id: `pal_id`."""
        return self.names.id_member

    @cached_property
    def stamped(self) -> tuple[str, ...]:
        """The members besides id and times that only the server writes."""
        return tuple(stamp.name for stamp in self.stamps)

    @cached_property
    def read_only(self) -> tuple[str, ...]:
        """The members that only the server writes."""
        return (self.id_member, *self.stamped, *READ_ONLY_TIMES)

    def written_in(self, document: Document) -> Document:
        """What clients write of a document: all but the members that only the server writes."""
        return {name: value for name, value in document.items() if name not in self.read_only}

    def unknown(self) -> InvalidId:
        """What a client is told about an id that does not exist, or is not its own."""
        status, text = self.wording.unknown or (400, f"Invalid {self.id_member}")
        return InvalidId(text, status)

    def read_only_object(self, verb: Literal["update", "delete"]) -> ReadOnlyObject:
        """What a client is told that wants to change a stock object."""
        return ReadOnlyObject((self.wording.stock or f"Invalid {self.id_member}").format(verb=verb))

    def worded(self, error: ClientError) -> ClientError:
        """What is wrong with a JSON Patch, in the words that the API has for this kind of object."""
        if self.wording.patch is not None:
            error.status, error.text = self.wording.patch
        return error

    @cached_property
    def some_member(self) -> str:
        """A member that clients write, to show what an object looks like."""
        return next(iter(self.example), self.id_member)

    @cached_property
    def members(self) -> frozenset[str]:
        """The members that a client may write."""
        return frozenset(self.model.model_fields)


def value_at(document: Any, pointer: Sequence[str]) -> Any:
    """The value at a place, or None where the document has no such place."""
    for token in pointer:
        if not isinstance(document, dict):
            return None
        document = document.get(token)
    return document


def values_at(document: Any, pointer: Sequence[str]) -> list[tuple[str, Any]]:
    """Every value at a place that may have `*` in it, each with its JSON Pointer."""
    found: list[tuple[tuple[str, ...], Any]] = [((), document)]
    for token in pointer:
        below: list[tuple[tuple[str, ...], Any]] = []
        for place, value in found:
            if token == EACH:
                items = enumerate(value) if isinstance(value, list) else _items(value)
                below += [((*place, str(key)), item) for key, item in items]
            elif isinstance(value, dict) and token in value:
                below.append(((*place, token), value[token]))
        found = below
    return [(format_pointer(place), value) for place, value in found]


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else ()
