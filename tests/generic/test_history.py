"""The history of every resource: complete, comparable, and a way back from everything."""

from itertools import pairwise
from typing import Any

from palace.json_patch import Limits, apply_patch, compile_patch
from palace.resource import Document
from tests.api.wire import refused
from tests.generic.subjects import Client, Subject, subjects

MOST_BACKENDS = 4
"""also where every work is run twice"""
TIMES = ("updated_at",)


def patched(document: Document, patch: list[Any]) -> Document:
    after: Document = apply_patch(document, compile_patch(patch, Limits()), Limits()).document
    return after


def said(document: Document) -> Document:
    """A document without the time of its last change."""
    return {name: value for name, value in document.items() if name not in TIMES}


def revision(client: Client, subject: Subject, id: str, number: int) -> Document:
    answer = client.http.get(subject.at(id, "/{id}/revisions/{number}", number))
    assert answer.status_code == 200, answer.text
    shown: Document = answer.json()
    return shown


def with_history(client: Client, subject: Subject) -> str:
    """An object that was made and changed three times: four revisions."""
    id = client.make(subject)
    for number in (1, 2, 3):
        client.change(subject, id, number)
    return id


CHANGED = ("POST", "GET /{id}", "PATCH /{id}", "GET /{id}/revisions")


@subjects(*CHANGED, "GET /{id}/revisions/{number}")
def test_every_revision_is_there_with_its_document_and_both_ways(client: Client, subject: Subject) -> None:
    id = with_history(client, subject)
    listed = client.revisions(subject, id)
    assert [one["revision"] for one in listed] == [4, 3, 2, 1]
    assert listed[-1]["action"] == "create"
    assert [one["etag_before"] for one in listed] == [*(one["etag"] for one in listed[1:]), None]
    states = [revision(client, subject, id, number) for number in (1, 2, 3, 4)]
    member = subject.spelled(subject.text_member)
    first = subject.resource.example[subject.text_member]
    texts = [first, *(subject.text(number) for number in (1, 2, 3))]
    assert [state["document"][member] for state in states] == texts
    for older, newer in pairwise(states):
        assert said(patched(older["document"], newer["patch"])) == said(newer["document"])
        assert said(patched(newer["document"], newer["inverse"])) == said(older["document"])
        assert newer["touched"] == [f"/{member}"]
    assert states[-1]["document"] == client.read(subject, id)


@subjects(*CHANGED, "GET /{id}/revisions/{number}", "GET /{id}/diff")
def test_a_comparison_leads_from_any_revision_to_any_other(client: Client, subject: Subject) -> None:
    id = with_history(client, subject)
    for since, to in ((1, 4), (4, 1), (2, 3), (3, 3)):
        answer = client.http.get(subject.at(id, "/{id}/diff"), params={"from": since, "to": to})
        assert answer.status_code == 200, answer.text
        one, other = (revision(client, subject, id, number)["document"] for number in (since, to))
        assert said(patched(one, answer.json()["patch"])) == said(other)
        assert (answer.json()["changes"] == []) == (since == to)
    newest = client.http.get(subject.at(id, "/{id}/diff")).json()
    assert (newest["from"], newest["to"]) == (3, 4)


@subjects(*CHANGED)
def test_pages_of_revisions_follow_each_other(client: Client, subject: Subject) -> None:
    id = with_history(client, subject)
    found, cursor, pages = [], "", 0
    while cursor is not None:
        place = subject.at(id, "/{id}/revisions")
        page = client.http.get(place, params={"limit": "3", "cursor": cursor}).json()
        found += page["data"]
        cursor, pages = page["next_cursor"], pages + 1
    assert (found, pages) == (client.revisions(subject, id), 2)
    refused(client.http.get(place, params={"cursor": "!"}), 400)


@subjects(*CHANGED, "POST /{id}/rollback")
def test_a_rollback_gives_back_what_there_was(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    first = client.read(subject, id)
    client.change(subject, id, 1)
    back = client.http.post(subject.at(id, "/{id}/rollback"), json={"to": 1, "comment": "as it was"})
    assert back.status_code == 200, back.text
    assert said(client.read(subject, id)) == said(first)
    newest = client.revisions(subject, id)[0]
    assert (newest["revision"], newest["action"], newest["comment"]) == (3, "rollback", "as it was")
    assert newest["about"] == {"to": 1}
    assert client.http.post(subject.at(id, "/{id}/rollback"), json={"to": 1}).status_code == 304
    refused(client.http.post(subject.at(id, "/{id}/rollback"), json={"to": 99}), 404)
    refused(client.http.post(subject.at(id, "/{id}/rollback"), json={"to": "1"}), 400)
    refused(client.http.post(subject.at(id, "/{id}/rollback"), json={}), 400)
    assert client.revision(subject, id) == 3


@subjects(*CHANGED, "POST /{id}/revisions/{number}/revert")
def test_one_change_is_taken_back(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    first = client.read(subject, id)
    client.change(subject, id, 1)
    revert = subject.at(id, "/{id}/revisions/{number}/revert", 2)
    assert client.http.post(revert).status_code == 200
    assert said(client.read(subject, id)) == said(first)
    assert client.http.post(revert).status_code == 304
    client.change(subject, id, 2)
    details = refused(client.http.post(revert), 409)
    assert [one["pointer"] for one in details] == [f"/{subject.spelled(subject.text_member)}"]
    refused(client.http.post(subject.at(id, "/{id}/revisions/{number}/revert", 1)), 400)
    refused(client.http.post(subject.at(id, "/{id}/revisions/{number}/revert", 99)), 404)
    assert client.revision(subject, id) == 4


@subjects(*CHANGED, "DELETE /{id}", "POST /{id}/restore")
def test_what_is_deleted_is_unknown_and_comes_back_as_it_was(client: Client, subject: Subject) -> None:
    id, count = client.make(subject), client.count(subject)
    client.change(subject, id, 1)
    before = client.read(subject, id)
    refused(client.http.post(subject.at(id, "/{id}/restore")), 400)
    assert client.http.delete(subject.at(id)).is_success
    assert client.count(subject) == count - 1
    client.is_gone(subject, client.http.get(subject.at(id)))
    client.is_gone(subject, client.http.patch(subject.at(id), json=subject.change(2)))
    client.is_gone(subject, client.http.delete(subject.at(id)))
    assert client.revisions(subject, id)[0]["action"] == "delete"
    back = client.http.post(subject.at(id, "/{id}/restore"), json={"comment": "after all"})
    assert back.status_code == 200, back.text
    assert said(client.read(subject, id)) == said(before)
    assert (client.revision(subject, id), client.count(subject)) == (4, count)
    assert client.revisions(subject, id)[0]["action"] == "restore"
    client.change(subject, id, 2)
