"""What a resource is: a value that says what exists, and which operations it has."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel

from palace.audit import Chain
from palace.call import Call, Reply
from palace.clock import Clock
from palace.ids import Ids
from palace.json_patch import Limits
from palace.settings import Settings
from palace.storage import SqliteStore
from palace.vault import Vault
from palace.vocabulary import NO_ALIASES, Aliases

Document = dict[str, Any]
READ_ONLY_TIMES = ("created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers work with, put together in `palace.app`."""

    store: SqliteStore
    clock: Clock
    ids: Ids
    vault: Vault
    limits: Limits
    settings: Settings
    chain: Chain
    running: set[tuple[int, str]] = field(default_factory=set)
    """idempotency keys (account, key) whose first request is being carried out"""

    @property
    def audit(self) -> Chain | None:
        """The chain of the audit log, None when it is switched off."""
        return self.chain if self.settings.audit else None


Handler = Callable[["Resource", Call, Services], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a document is not valid.

    `form` says how the API words it: `field` in a dict of fields, `sentence` behind `Bad Request. `, `bare` as it is.
    """

    pointer: tuple[str | int, ...]
    code: str
    text: str
    form: Literal["field", "sentence", "bare"] = "field"
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reference:
    """A member that holds the id of another object; `problem` is what the API says when there is no such object."""

    pointer: tuple[str, ...]
    kind: str
    problem: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A member that is stored sealed and shown as a mask.

    The mask stands for the stored secret only while the members in `bound_to` (its siblings) stay the same: nobody may
    have a stored secret sent to another address.
    """

    pointer: tuple[str, ...]
    bound_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter of an operation, for the reference and for nothing else: handlers read `call.query`."""

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
    an `optional` one may be left out. `number` in the path is that of a revision or a draft.
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
    examples: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """A member whose value no two objects of any account may share; `problem` is what the API says when it is taken."""

    pointer: tuple[str, ...]
    scope: str
    problem: str


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


@dataclass(frozen=True)
class Resource:
    """One kind of object: its names, its document, its rules and its operations."""

    kind: str
    collection: str
    legacy: Legacy
    tag: str
    id_prefix: str
    model: type[BaseModel]
    example: Document
    endpoints: tuple[Endpoint, ...]
    born_with: Mapping[str, Any] = field(default_factory=dict)
    rules: Callable[[Any], Iterable[Problem]] = lambda _document: ()
    references: tuple[Reference, ...] = ()
    claims: tuple[Claim, ...] = ()
    secrets: tuple[Secret, ...] = ()
    drafts: Drafts | None = None
    synonyms: Mapping[str, str] = field(default_factory=dict)
    """Pointers that people write for others, for explanations only; an empty one is the server's own business."""

    @property
    def aliases(self) -> Aliases:
        """The other spellings of members."""
        return self.legacy.aliases

    @cached_property
    def id_member(self) -> str:
        """The member that holds the object's id: `pal_id`."""
        return f"{self.kind}_id"

    @cached_property
    def read_only(self) -> tuple[str, ...]:
        """The members that only the server writes."""
        return (self.id_member, *self.born_with, *READ_ONLY_TIMES)

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
