"""What refers to what, for every declared reference: only to what exists, seen from the other end, and let go of as it
is declared when that is deleted.
"""

from typing import Any

import httpx

from palace.resource import Document, Reference, values_at
from tests.api.wire import preview, refused
from tests.generic.subjects import LINKS, REFERENCES, Client, Subject, naming, place_of, table, value_at_pointer

MOST_BACKENDS = 4
"""also where every work is run twice"""
TAKEN_OUT = [(title, row) for title, row in LINKS if row[1].on_delete != "refuse"]
REFUSED = [(title, row) for title, row in LINKS if row[1].on_delete == "refuse"]


def linked(client: Client, subject: Subject, reference: Reference, target: Subject) -> tuple[str, str]:
    """An object that names another: the ids of both."""
    other = client.make(target)
    return client.made(subject, subject.words.document(naming(subject, reference, other))), other


def ids_in(subject: Subject, reference: Reference, shown: Document) -> list[Any]:
    """The ids at the declared place of a document that was read."""
    spelled = tuple(subject.words.pointer("/" + "/".join(reference.pointer)).split("/")[1:])
    return [value for _, value in values_at(shown, spelled) if value is not None]


def users_of(client: Client, target: Subject, id: str) -> list[Document]:
    answer = client.http.get(target.at(id, "/{id}/references"))
    assert answer.status_code == 200, answer.text
    listed: list[Document] = answer.json()["data"]
    assert answer.json()["total_count"] == len(listed)
    return listed


def delete(client: Client, target: Subject, id: str, **query: str) -> httpx.Response:
    return client.http.delete(target.at(id), params=query)


def effects(said: Document, target: Subject) -> list[Document]:
    """What a preview says of others than the parts of the object itself."""
    return [one for one in said["effects"] if one["kind"] not in target.parts]


def unknown_id(client: Client, target: Subject, id: str) -> None:
    client.is_gone(target, client.http.get(target.at(id)))


# --- Only to what exists ----------------------------------------------------------------------------------------------


@table("subject reference", REFERENCES)
def test_an_id_that_does_not_exist_is_refused_in_the_declared_words(
    client: Client, subject: Subject, reference: Reference
) -> None:
    count = client.count(subject)
    body = subject.words.document(naming(subject, reference, "x00000000000"))
    for answer in (client.http.post(subject.path, json=body), *_changes(client, subject, body, reference)):
        [detail] = refused(answer, 400, subject.words.sentence(reference.problem))
        assert (detail["code"], detail["kind"], detail["id"]) == ("unknown_reference", reference.kind, "x00000000000")
        assert detail["pointer"] == subject.words.pointer(place_of(reference))
    assert client.count(subject) - count == (1 if subject.has("PATCH /{id}") else 0)


def _changes(client: Client, subject: Subject, body: Document, reference: Reference) -> list[httpx.Response]:
    """A change that would have an object name what does not exist, where objects change."""
    if not subject.has("PATCH /{id}"):
        return []
    id, member = client.make(subject), reference.pointer[0]
    answer = client.http.patch(subject.at(id), json=subject.setting(member, body[subject.spelled(member)]))
    assert client.revision(subject, id) == 1
    return [answer]


@table("subject reference target", LINKS)
def test_what_uses_an_object_is_seen_from_it_as_long_as_it_does(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, other = linked(client, subject, reference, target)
    [user] = users_of(client, target, other)
    assert (user["kind"], user["id"], user["pointers"]) == (subject.resource.kind, id, [place_of(reference)])
    assert value_at_pointer(client.read(subject, id), subject.words.pointer(place_of(reference))) == other
    assert client.http.delete(subject.at(id)).is_success
    assert users_of(client, target, other) == [], "what is deleted uses nothing"
    assert client.http.post(subject.at(id, "/{id}/restore")).status_code == 200
    assert [one["id"] for one in users_of(client, target, other)] == [id]
    assert delete(client, target, other, cascade="true").is_success


# --- What a deletion does ---------------------------------------------------------------------------------------------


@table("subject reference target", TAKEN_OUT)
def test_what_is_deleted_is_named_by_nothing_any_more_and_the_history_tells_why(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, other = linked(client, subject, reference, target)
    before = client.read(subject, id)
    assert ids_in(subject, reference, before) == [other]
    [told] = effects(preview(client.http, "DELETE", target.at(other)), target)
    assert (told["kind"], told["id"]) == (subject.resource.kind, id)
    assert other in told["what"]
    assert place_of(reference) in told["what"]
    assert client.read(subject, id) == before
    assert len(users_of(client, target, other)) == 1
    deletion = client.http.delete(target.at(other), headers={"x-comment": "no longer needed"})
    assert deletion.is_success
    unknown_id(client, target, other)
    assert ids_in(subject, reference, client.read(subject, id)) == []
    newest, made = client.revisions(subject, id)
    assert (newest["action"], made["action"]) == ("side_effect", "create")
    assert newest["about"] == {"because": {"kind": target.resource.kind, "id": other, "action": "delete"}}
    assert newest["request_id"] == deletion.headers["x-request-id"]
    pointer = subject.words.pointer(place_of(reference))
    assert all((pointer + "/").startswith(touched + "/") for touched in newest["touched"])
    client.change(subject, id, 1)


@table("subject reference target", TAKEN_OUT)
def test_a_change_that_a_deletion_made_cannot_be_taken_back_to_an_id_that_is_gone(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, other = linked(client, subject, reference, target)
    assert delete(client, target, other).is_success
    for path, body in (("/{id}/rollback", {"to": 1}), ("/{id}/revisions/{number}/revert", {})):
        answer = client.http.post(subject.at(id, path, 2), json=body)
        [detail] = refused(answer, 400, subject.words.sentence(reference.problem))
        assert detail["id"] == other
    assert client.http.post(target.at(other, "/{id}/restore")).status_code == 200
    assert client.http.post(subject.at(id, "/{id}/rollback"), json={"to": 1}).status_code == 200
    assert ids_in(subject, reference, client.read(subject, id)) == [other]
    assert [one["id"] for one in users_of(client, target, other)] == [id]


@table("subject reference target", TAKEN_OUT)
def test_an_object_that_comes_back_does_without_what_was_deleted_since(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, other = linked(client, subject, reference, target)
    assert client.http.delete(subject.at(id)).is_success
    assert effects(preview(client.http, "DELETE", target.at(other)), target) == []
    assert delete(client, target, other).is_success
    back = client.http.post(subject.at(id, "/{id}/restore"))
    assert back.status_code == 200, back.text
    assert ids_in(subject, reference, client.read(subject, id)) == []
    client.change(subject, id, 1)


@table("subject reference target", REFUSED)
def test_what_is_needed_is_not_deleted_unless_that_is_said(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, other = linked(client, subject, reference, target)
    for query in ({}, {"cascade": "false"}, {"dry_run": "true"}):
        [detail] = refused(delete(client, target, other, **query), 409)
        assert (detail["code"], detail["kind"], detail["id"]) == ("in_use", subject.resource.kind, id)
        assert place_of(reference) in detail["problem"]
    client.read(target, other)
    said = client.http.delete(target.at(other), params={"cascade": "true", "dry_run": "true"}).json()
    assert [(one["kind"], one["id"]) for one in effects(said, target)] == [(subject.resource.kind, id)]
    assert delete(client, target, other, cascade="true").is_success
    unknown_id(client, target, other)
    assert ids_in(subject, reference, client.read(subject, id)) == [other], "the id stays and leads nowhere"
    assert client.revision(subject, id) == 1
    client.change(subject, id, 1)


@table("subject reference target", LINKS)
def test_a_deletion_that_is_refused_leaves_what_uses_the_object(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, other = linked(client, subject, reference, target)
    stale = {"if-match": '"0123456789abcdef"'}
    refused(client.http.delete(target.at(other), params={"cascade": "true"}, headers=stale), 412)
    refused(delete(client, target, other, cascade="perhaps"), 400)
    assert client.revision(subject, id) == 1
    assert [one["id"] for one in users_of(client, target, other)] == [id]


LISTS = [(title, row) for title, row in TAKEN_OUT if row[1].pointer[-1] == "*"]


@table("subject reference target", LISTS)
def test_others_in_the_same_list_stay_in_their_order(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    ids = [client.make(target) for _ in range(12)]
    document = naming(subject, reference, ids[0])
    holder: Any = document
    for token in reference.pointer[:-1]:
        holder = holder[0 if token == "*" else token]
    holder += ids[1:]
    id = client.made(subject, subject.words.document(document))
    for gone in (ids[0], ids[10], ids[5]):
        assert delete(client, target, gone).is_success
        ids.remove(gone)
        assert ids_in(subject, reference, client.read(subject, id)) == ids
        for other in ids:
            assert [one["id"] for one in users_of(client, target, other)] == [id]
    pointers = {user["pointers"][0] for other in ids for user in users_of(client, target, other)}
    assert len(pointers) == len(ids), "each is known at the place where it stands"
