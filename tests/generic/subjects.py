"""What the generic suites are about: every resource in every family of its routes, with the operations that it has.

Everything comes from what a resource declares: its example, its endpoints, its model. A resource that is added to
RESOURCES is a subject; an operation that it lacks has no tests.
"""

import copy
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from palace.json_patch import parse_pointer
from palace.resource import Document, Endpoint, Reference, Resource, values_at
from palace.resources import RESOURCES
from palace.verbs import ListStyle, list_parameters
from palace.vocabulary import Words
from tests.api.wire import refused
from tests.generic.schemas import Schemas

COUNT = itertools.count(1)
SECONDS_OF_A_JOB = 60
BY_KIND = {resource.kind: resource for resource in RESOURCES}
MERGES = ("document", "object")
"""bodies of a change that are part of an object, where others are a JSON Patch"""


@dataclass(frozen=True)
class Subject:
    """One resource in one family of its routes: its own, or those that it shares with another one, the host."""

    resource: Resource
    is_legacy: bool = False
    host: Resource | None = None

    @property
    def words(self) -> Words:
        return Words(self.is_legacy, self.resource.aliases)

    @property
    def name(self) -> str:
        first = next(one for one in RESOURCES if one.collection == self.resource.collection)
        kind = "" if first is self.resource else f"({self.resource.kind})"
        return self.path.removeprefix("/v2/") + kind

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return (self.host or self.resource).endpoints

    @property
    def path(self) -> str:
        """The path of the collection."""
        legacy = self.resource.names.legacy if self.is_legacy else None
        return f"/v2/{legacy.collection if legacy else self.resource.collection}"

    @property
    def id_member(self) -> str:
        return self.spelled(self.resource.id_member)

    def spelled(self, member: str) -> str:
        """A member of the root as this family of routes spells it."""
        return self.words.pointer(f"/{member}")[1:]

    @property
    def spelled_id(self) -> str:
        """The name of the id in paths of the reference: that of the host, where there is one."""
        return self.id_member if self.host is None else self.host.id_member

    def inside(self, member: str) -> str:
        """The name used inside of a member of the root."""
        return self.resource.aliases.canonical.get(member, member)

    @property
    def read_only(self) -> list[str]:
        return [self.spelled(member) for member in self.resource.read_only]

    @property
    def sparse(self) -> tuple[str, ...]:
        """The members that a document does not have while they are null."""
        return self.resource.sparse

    @property
    def parts(self) -> set[str]:
        """The kinds of the objects that are made, changed and deleted with one of these."""
        return {reference.kind for reference in self.resource.references if is_part(reference)}

    @property
    def schemas(self) -> Schemas:
        """The JSON schema of the document, with the names used inside."""
        return Schemas(self.resource.model.model_json_schema())

    # --- Operations ---------------------------------------------------------------------------------------------------

    def operation(self, method: str, path: str) -> Endpoint | None:
        """The operation with this method at this path below the collection."""
        found = [one for one in self.endpoints if (one.method, one.path) == (method, path)]
        return found[0] if found else None

    def has(self, *operations: str) -> bool:
        """Whether there are all of these operations, each as in `GET /{id}`; that of the collection is `GET`."""
        asked = (operation.partition(" ") for operation in operations)
        return all(self.operation(method, path) for method, _, path in asked)

    @property
    def patches(self) -> bool:
        """Whether a change is a JSON Patch."""
        change = self.operation("PATCH", "/{id}")
        return change is not None and change.body == "patch"

    @property
    def merges(self) -> bool:
        """Whether a change is a part of an object."""
        change = self.operation("PATCH", "/{id}")
        return change is not None and change.body in MERGES

    @property
    def makes_documents(self) -> bool:
        """Whether an object is made of its document."""
        made = self.operation("POST", "")
        return made is not None and made.body == "document"

    def parameter(self, **style: Any) -> str:
        """The query parameter of the list that does what this one of a style does; empty where there is none."""
        listing = self.operation("GET", "")
        [wanted] = [one for one in list_parameters(ListStyle(**style)) if one.name == "asked for"]
        found = [one for one in listing.parameters if one.sentence == wanted.sentence] if listing else []
        return self.spelled(found[0].name) if found else ""

    # --- Documents ----------------------------------------------------------------------------------------------------

    def example(self) -> Document:
        """The declared example, in the words used inside, with names of its own where two objects may not share one."""
        document = copy.deepcopy(self.resource.example)
        for claim in self.resource.claims:
            for _, value in values_at(document, claim.pointer):
                put(document, claim.pointer, f"{value}{next(COUNT)}")
        return document

    def new(self) -> Document:
        """What makes an object, in the words used inside: the example, or what the operation shows that takes less."""
        made = self.operation("POST", "")
        if made is None or made.body == "document":
            return self.example()
        return copy.deepcopy(next(iter(made.examples.values())))

    def body(self, **members: Any) -> Document:
        """What makes an object, with other members if there are."""
        return self.words.document({**self.new(), **members})

    @property
    def text_member(self) -> str:
        """A member of the root in which any text may stand, as `name` is: what the suites change."""
        claimed = {claim.pointer for claim in self.resource.claims}
        special = claimed | {one.pointer for one in (*self.resource.references, *self.resource.secrets)}
        for member, value in self.resource.example.items():
            if isinstance(value, str) and (member,) not in special and self.schemas.is_free_text((member,)):
                return member
        raise LookupError(f"The example of {self.name} has no text that may be any other.")

    def text(self, number: int) -> str:
        """The text of the example, and a number behind it."""
        return f"{self.resource.example[self.text_member]}{number}"

    def change(self, number: int) -> Any:
        """The body of a change that puts this text into the document."""
        return self.setting(self.text_member, self.text(number))

    def setting(self, member: str, value: Any) -> Any:
        """The body of a change that sets a member of the root."""
        if self.merges:
            return self.words.document({member: value})
        return self.words.patch([{"op": "add", "path": f"/{member}", "value": value}])

    def at(self, id: str, path: str = "/{id}", number: int = 1) -> str:
        """The address of an operation on one object. Whatever else stands in its path is that of nothing."""
        said = path.replace("{id}", id).replace("{number}", str(number))
        return self.path + "".join(part if part[:1] != "{" else "nothing" for part in split_braces(said))


def split_braces(path: str) -> Iterator[str]:
    """The path in pieces, each placeholder one of them."""
    rest = path
    while "{" in rest:
        before, _, rest = rest.partition("{")
        inside, _, rest = rest.partition("}")
        yield before
        yield f"{{{inside}}}"
    yield rest


SUBJECTS = [
    Subject(resource, is_legacy)
    for resource in RESOURCES
    if resource.endpoints
    for is_legacy in ((False, True) if resource.names.legacy else (False,))
] + [
    Subject(resource, host=host)
    for resource in RESOURCES
    for host in RESOURCES
    if not resource.endpoints and host.endpoints and host.collection == resource.collection
]


def subjects(*operations: str, where: Callable[[Subject], bool] = lambda _subject: True) -> pytest.MarkDecorator:
    """One test for each subject that has these operations."""
    found = [subject for subject in SUBJECTS if subject.has(*operations) and where(subject)]
    return pytest.mark.parametrize("subject", [pytest.param(one, id=one.name) for one in found])


def table(names: str, rows: Iterable[tuple[str, tuple[Any, ...]]]) -> pytest.MarkDecorator:
    """One test for each row: what it is called, and its values."""
    return pytest.mark.parametrize(names.split(), [pytest.param(*values, id=title) for title, values in rows])


# --- Places -----------------------------------------------------------------------------------------------------------


def put(document: Document, place: tuple[str, ...], value: Any) -> None:
    """Set the value at a place of a document; what is missing on the way is made, `*` being the first of a list."""
    holder: Any = document
    for token, following in zip(place, (*place[1:], ""), strict=True):
        is_last = following == ""
        empty: Any = value if is_last else [] if following == "*" else {}
        if isinstance(holder, list):
            index = 0 if token == "*" else int(token)
            if index == len(holder):
                holder.append(empty)
            elif is_last:
                holder[index] = value
            holder = holder[index]
        else:
            if is_last or not holder.get(token):
                holder[token] = empty
            holder = holder[token]


def naming(subject: Subject, reference: Reference, id: str) -> Document:
    """What makes an object that names another one, in the words used inside."""
    document = subject.new()
    if reference.pointer[-1] == "*":
        put(document, reference.pointer[:-1], [])
    put(document, reference.pointer, id)
    return document


def place_of(reference: Reference) -> str:
    """The pointer of what `naming` puts there."""
    return "/" + "/".join("0" if token == "*" else token for token in reference.pointer)


def is_part(reference: Reference) -> bool:
    """Whether the other object is kept by the one that names it, and goes with it."""
    return reference.is_part


REFERENCES = [
    (f"{subject.name} {place_of(reference)}", (subject, reference))
    for subject in SUBJECTS
    if subject.makes_documents and subject.has("GET /{id}")
    for reference in subject.resource.references
    if not is_part(reference)
]
"""Every declared reference of every subject that is made of its document."""

LINKS = [
    (title, (subject, reference, target))
    for title, (subject, reference) in REFERENCES
    for target in SUBJECTS
    if target.resource.kind == reference.kind and target.has("POST", "GET /{id}", "DELETE /{id}")
    if target.is_legacy == subject.is_legacy or not target.resource.names.legacy
]
"""Those whose other end clients make and delete, too."""


# --- Objects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Client:
    """A client of a running server, in the words of the suites."""

    http: httpx.Client
    queries: dict[str, dict[str, str]] = field(default_factory=dict)

    def make(self, subject: Subject, **members: Any) -> str:
        """A new object like the example; its id."""
        return self.made(subject, subject.body(**members))

    def made(self, subject: Subject, body: Document) -> str:
        answer = self.http.post(subject.path, json=body)
        assert answer.status_code in (200, 201), answer.text
        id: str = answer.json()[subject.id_member]
        return id

    def read(self, subject: Subject, id: str) -> Document:
        answer = self.http.get(subject.at(id))
        assert answer.status_code == 200, answer.text
        shown: Document = answer.json()
        return shown

    def settled(self, subject: Subject, id: str) -> str:
        """The id, once no job goes on with the object: what a job finds out is a revision of it."""
        deadline = time.monotonic() + SECONDS_OF_A_JOB
        while (found := self.http.get(subject.at(id))).is_success and found.json().get("status") == "started":
            assert time.monotonic() < deadline, found.text
            time.sleep(0.02)
        return id

    def change(self, subject: Subject, id: str, number: int, **headers: str) -> httpx.Response:
        """Another text in place of the one in the example."""
        answer = self.http.patch(subject.at(id), json=subject.change(number), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    def is_gone(self, subject: Subject, answer: httpx.Response) -> None:
        """Refused like an id that nobody has; some kinds say 404 of what was there."""
        unknown = subject.resource.unknown()
        assert answer.status_code in (unknown.status, 404)
        refused(answer, answer.status_code, subject.words.sentence(unknown.text))

    def revision(self, subject: Subject, id: str) -> int:
        return int(self.http.get(subject.at(id)).headers["x-revision"])

    def revisions(self, subject: Subject, id: str) -> list[Document]:
        """The newest hundred, newest first."""
        answer = self.http.get(subject.at(id, "/{id}/revisions"), params={"limit": "100"})
        assert answer.status_code == 200, answer.text
        listed: list[Document] = answer.json()["data"]
        return listed

    def listed(self, subject: Subject, **query: Any) -> Document:
        """One page of the list."""
        answer = self.http.get(subject.path, params=self.query(subject) | query)
        assert answer.status_code == 200, answer.text
        page: Document = answer.json()
        return page

    def query(self, subject: Subject) -> dict[str, str]:
        """What a list has to be asked for so that it shows what is made: mostly nothing."""
        if subject.name not in self.queries:
            self.queries[subject.name] = self._found_query(subject) if subject.has("POST") else {}
        return self.queries[subject.name]

    def _found_query(self, subject: Subject) -> dict[str, str]:
        made, listing = self.make(subject), subject.operation("GET", "")
        asked = listing.parameters if listing else ()
        words = ((one.name, word) for one in asked for word in ("true", "false") if one.schema.get("type") == "boolean")
        for query in ({}, *({name: word} for name, word in words)):
            page = self.http.get(subject.path, params={**query, "sort": "desc"}).json()
            if any(item.get(subject.id_member) == made for item in page["data"]):
                return query
        raise LookupError(f"No list shows what is made by {subject.name}.")

    def count(self, subject: Subject) -> int:
        """How many objects the list has."""
        total: int = self.listed(subject)["total_count"]
        return total


def value_at_pointer(document: Any, pointer: str) -> Any:
    for token in parse_pointer(pointer):
        document = document[int(token)] if isinstance(document, list) else document[token]
    return document
