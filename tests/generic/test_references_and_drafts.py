"""A deletion and changes that wait to be published: the draft stays, and goes live without what is gone."""

from collections.abc import Iterator
from typing import Any

from palace.resource import Reference
from tests.api.wire import preview, refused
from tests.generic.subjects import LINKS, Client, Subject, naming, place_of, put, table
from tests.generic.test_references import delete, ids_in, linked

Row = tuple[str, tuple[Any, ...]]


def drafted_links() -> Iterator[Row]:
    """References of what has drafts, at places that a draft may change."""
    for title, (subject, reference, target) in LINKS:
        drafts = subject.resource.drafts
        if drafts and reference.pointer[: len(drafts.live_only)] != drafts.live_only:
            yield title, (subject, reference, target)


MOST_BACKENDS = 4
"""also where every work is run twice"""
LET_GO = [row for row in drafted_links() if row[1][1].on_delete != "refuse"]


def drafts_naming(client: Client, subject: Subject, reference: Reference, id: str, other: str) -> None:
    """Change the draft of an object so that it names another one."""
    member = reference.pointer[0]
    document = {**client.read(subject, id), member: naming(subject, reference, other)[member]}
    answer = client.http.patch(subject.at(id, "/{id}/draft"), json=subject.setting(member, document[member]))
    assert answer.status_code == 200, answer.text


@table("subject reference target", LET_GO)
def test_a_draft_of_something_else_stays_and_loses_the_id_with_what_is_live(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, other = linked(client, subject, reference, target)
    draft = subject.at(id, "/{id}/draft")
    assert client.http.patch(draft, json=subject.change(1)).status_code == 200
    assert delete(client, target, other).is_success
    waiting = client.http.get(draft).json()
    assert (waiting["state"], waiting["base_revision"]) == ("open", 2)
    assert waiting["touched"] == [f"/{subject.spelled(subject.text_member)}"]
    assert ids_in(subject, reference, waiting["document"]) == []
    assert client.http.post(subject.at(id, "/{id}/publish")).status_code == 200
    live = client.read(subject, id)
    assert (ids_in(subject, reference, live), live[subject.spelled(subject.text_member)]) == ([], subject.text(1))


@table("subject reference target", LET_GO)
def test_a_draft_that_names_what_was_deleted_goes_live_without_it(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, other = client.make(subject), client.make(target)
    drafts_naming(client, subject, reference, id, other)
    assert client.http.patch(subject.at(id, "/{id}/draft"), json=subject.change(1)).status_code == 200
    assert client.http.get(target.at(other, "/{id}/references")).json()["data"] == [], "only what is live uses it"
    assert delete(client, target, other).is_success
    assert client.revision(subject, id) == 1, "nothing that is live had it"
    publish = subject.at(id, "/{id}/publish")
    said = preview(client.http, "POST", publish)
    assert {"kind": subject.resource.kind, "id": id, "what": f"{other} removed from {place_of(reference)}"} in said[
        "effects"
    ]
    answer = client.http.post(publish)
    assert answer.status_code == 200, answer.text
    live = client.read(subject, id)
    assert (ids_in(subject, reference, live), live[subject.spelled(subject.text_member)]) == ([], subject.text(1))
    refused(client.http.get(subject.at(id, "/{id}/draft")), 404)


@table("subject reference target", LET_GO)
def test_a_draft_that_changes_the_very_member_goes_live_without_what_is_gone(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, gone = linked(client, subject, reference, target)
    kept = client.make(target)
    drafts_naming(client, subject, reference, id, kept)
    assert delete(client, target, gone).is_success
    assert ids_in(subject, reference, client.read(subject, id)) == []
    assert client.http.post(subject.at(id, "/{id}/publish")).status_code == 200
    assert ids_in(subject, reference, client.read(subject, id)) == [kept]
    assert client.http.get(target.at(kept, "/{id}/references")).json()["total_count"] == 1


@table("subject reference target", drafted_links())
def test_a_draft_cannot_name_what_does_not_exist(
    client: Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    id, member = client.make(subject), reference.pointer[0]
    document = subject.example()
    put(document, reference.pointer[:-1] if reference.pointer[-1] == "*" else reference.pointer, None)
    value = naming(subject, reference, "x00000000000")[member]
    answer = client.http.patch(subject.at(id, "/{id}/draft"), json=subject.setting(member, value))
    [detail] = refused(answer, 400, subject.words.sentence(reference.problem))
    assert detail["pointer"] == subject.words.pointer(place_of(reference))
    refused(client.http.get(subject.at(id, "/{id}/draft")), 404)
