"""Changing, of every resource: looked at first, guarded, carried out once, told in the history."""

from typing import Any

from tests.api.wire import is_replay, keyed, preview, refused
from tests.generic.subjects import Client, Subject, subjects

MOST_BACKENDS = 4
"""also where every work is run twice"""
STALE = '"0123456789abcdef"'


def etag_of(client: Client, subject: Subject, id: str) -> str:
    tag: str = client.http.get(subject.at(id)).headers["etag"]
    return tag


def state_of(client: Client, subject: Subject, id: str) -> tuple[Any, ...]:
    answer = client.http.get(subject.at(client.settled(subject, id)))
    return answer.status_code, answer.content, answer.headers.get("etag"), answer.headers.get("x-revision")


# --- The change -------------------------------------------------------------------------------------------------------


@subjects("POST", "PATCH /{id}")
def test_a_change_is_read_and_nothing_else_is_changed(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    before = client.read(subject, id)
    answer = client.change(subject, id, 1)
    after = client.read(subject, id)
    member = subject.spelled(subject.text_member)
    assert after[member] == subject.text(1)
    assert {name for name in after if after[name] != before[name]} == {member, "updated_at"}
    assert after["updated_at"] > before["updated_at"]
    assert (answer.headers["x-revision"], answer.headers["etag"]) == ("2", etag_of(client, subject, id))


@subjects("POST", "PATCH /{id}")
def test_a_change_that_is_made_already_makes_no_revision(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    client.change(subject, id, 1)
    before = state_of(client, subject, id)
    again = client.http.patch(subject.at(id), json=subject.change(1))
    assert again.status_code == (304 if subject.patches else 200)
    assert (again.headers["etag"], again.headers["x-revision"]) == before[2:]
    assert state_of(client, subject, id) == before


@subjects("POST", "PATCH /{id}")
def test_what_only_the_server_writes_cannot_be_changed(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    before = state_of(client, subject, id)
    for member in subject.resource.read_only:
        answer = client.http.patch(subject.at(id), json=subject.setting(member, "2026-01-01T00:00:00.000000Z"))
        assert answer.status_code in (304, 400), (member, answer.text)
        assert state_of(client, subject, id) == before


@subjects("POST", "PATCH /{id}", where=lambda subject: subject.patches)
def test_a_patch_that_does_not_fit_changes_nothing_at_all(client: Client, subject: Subject) -> None:
    id, name = client.make(subject), subject.spelled(subject.text_member)
    before = state_of(client, subject, id)
    for operation in (
        {"op": "remove", "path": "/nobody_knows"},
        {"op": "test", "path": f"/{name}", "value": 7},
        {"op": "replace", "path": f"/{name}/below", "value": 7},
        {"op": "copy", "from": "/nobody_knows", "path": f"/{name}"},
    ):
        answer = client.http.patch(subject.at(id), json=[*subject.change(1), operation])
        status = (subject.resource.wording.patch or (0, ""))[0]
        assert answer.status_code in ({status} if status else {400, 422}), answer.text
        assert [detail["operation"] for detail in refused(answer, answer.status_code)] == [1]
        assert state_of(client, subject, id) == before


@subjects("POST", "PATCH /{id}", where=lambda subject: subject.patches)
def test_a_merge_patch_changes_what_it_names(client: Client, subject: Subject) -> None:
    id, name = client.make(subject), subject.spelled(subject.text_member)
    headers = {"content-type": "application/merge-patch+json"}
    answer = client.http.patch(subject.at(id), json={name: subject.text(3)}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert client.read(subject, id)[name] == subject.text(3)


# --- Looked at first --------------------------------------------------------------------------------------------------


@subjects("POST")
def test_a_preview_of_making_makes_nothing(client: Client, subject: Subject) -> None:
    count = client.count(subject)
    said = preview(client.http, "POST", subject.path, json=subject.body())
    assert said["changed"] is True
    assert subject.id_member not in said["document"]
    assert client.count(subject) == count


@subjects("POST", "PATCH /{id}")
def test_a_preview_of_a_change_tells_what_it_would_do_and_does_not(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    before = state_of(client, subject, id)
    said = preview(client.http, "PATCH", subject.at(id), json=subject.change(1))
    assert state_of(client, subject, id) == before
    pointer = f"/{subject.spelled(subject.text_member)}"
    assert (said["changed"], said["touched"], said["effects"]) == (True, [pointer], [])
    assert said["document"][pointer[1:]] == subject.text(1)
    [back] = said["inverse"]
    assert back["value"] == subject.resource.example[subject.text_member]
    client.change(subject, id, 1)
    after = client.read(subject, id)
    assert {**said["document"], "updated_at": None} == {**after, "updated_at": None}
    again = preview(client.http, "PATCH", subject.at(id), json=subject.change(1))
    assert (again["changed"], again["touched"], again["patch"]) == (False, [], [])


@subjects("POST", "DELETE /{id}")
def test_a_preview_of_a_deletion_deletes_nothing(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    before = state_of(client, subject, id)
    said = preview(client.http, "DELETE", subject.at(id))
    assert (said["changed"], said["document"]) == (True, None)
    assert {one["kind"] for one in said["effects"]} == subject.parts
    assert state_of(client, subject, id) == before


# --- Guarded ----------------------------------------------------------------------------------------------------------


@subjects("POST", "PATCH /{id}")
def test_a_change_to_what_was_changed_since_is_412_and_tells_what(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    seen = etag_of(client, subject, id)
    client.change(subject, id, 1)
    before = state_of(client, subject, id)
    answer = client.http.patch(subject.at(id), json=subject.change(2), headers={"if-match": seen})
    details = refused(answer, 412)
    assert [(one["pointer"], one["revision"]) for one in details] == [(f"/{subject.spelled(subject.text_member)}", 2)]
    assert state_of(client, subject, id) == before
    assert (answer.headers["etag"], answer.headers["x-revision"]) == before[2:]
    client.change(subject, id, 2, **{"if-match": before[2]})


@subjects("POST", "DELETE /{id}")
def test_a_deletion_of_what_was_never_seen_is_412(client: Client, subject: Subject) -> None:
    id = client.make(subject)
    before = state_of(client, subject, id)
    refused(client.http.delete(subject.at(id), headers={"if-match": STALE}), 412)
    assert state_of(client, subject, id) == before
    assert client.http.delete(subject.at(id), headers={"if-match": before[2]}).is_success


@subjects("GET /{id}", "POST")
def test_what_a_client_has_already_is_not_sent_again(client: Client, subject: Subject) -> None:
    id = client.settled(subject, client.make(subject))
    seen = etag_of(client, subject, id)
    for tag in (seen, f"W/{seen}", f"{STALE}, {seen}", "*"):
        answer = client.http.get(subject.at(id), headers={"if-none-match": tag})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", seen)
    assert client.http.get(subject.at(id), headers={"if-none-match": STALE}).status_code == 200


@subjects("GET /{id}", "POST")
def test_a_malformed_tag_is_refused_whatever_else_is_asked_for(client: Client, subject: Subject) -> None:
    place = subject.at(client.make(subject))
    reading = subject.operation("GET", "/{id}")
    for query in ({}, *({one.name: "true"} for one in reading.parameters if one.schema.get("type") == "boolean")):
        refused(client.http.get(place, params=query, headers={"if-none-match": "no tag"}), 400)


# --- Once -------------------------------------------------------------------------------------------------------------


@subjects("POST")
def test_a_key_makes_one_object(client: Client, subject: Subject) -> None:
    body, key = subject.body(), keyed(f"make-{subject.name}")
    count = client.count(subject)
    first, second = (client.http.post(subject.path, json=body, headers=key) for _ in range(2))
    assert first.is_success
    assert is_replay(first, second)
    assert client.count(subject) == count + 1
    refused(client.http.post(subject.path, json={**body, "nobody_knows": 1}, headers=key), 422)
    assert client.count(subject) == count + 1


@subjects("POST", "PATCH /{id}")
def test_a_key_makes_one_change(client: Client, subject: Subject) -> None:
    id, key = client.make(subject), keyed(f"change-{subject.name}")
    first, second = (client.http.patch(subject.at(id), json=subject.change(1), headers=key) for _ in range(2))
    assert first.status_code == 200, first.text
    assert is_replay(first, second)
    assert client.revision(subject, id) == 2
    refused(client.http.patch(subject.at(id), json=subject.change(2), headers=key), 422)
    assert client.revision(subject, id) == 2


@subjects("POST", "DELETE /{id}")
def test_a_key_deletes_once_and_says_so_again(client: Client, subject: Subject) -> None:
    id, key = client.make(subject), keyed(f"delete-{subject.name}")
    first, second = (client.http.delete(subject.at(id), headers=key) for _ in range(2))
    assert first.is_success
    assert is_replay(first, second)
    client.is_gone(subject, client.http.delete(subject.at(id)))


# --- Told -------------------------------------------------------------------------------------------------------------


@subjects("POST", "PATCH /{id}", "DELETE /{id}", "GET /{id}/revisions")
def test_a_comment_and_the_ids_of_key_and_request_stand_in_the_history(client: Client, subject: Subject) -> None:
    made = client.http.post(subject.path, json=subject.body(), headers={"x-comment": "made%20so"})
    id = made.json()[subject.id_member]
    changed = client.change(subject, id, 1, **{"x-comment": "said otherwise"})
    deleted = client.http.delete(subject.at(id), params={"comment": "not needed"})
    told = client.revisions(subject, id)
    assert [one["comment"] for one in told] == ["not needed", "said otherwise", "made so"]
    answers = (deleted, changed, made)
    assert [one["request_id"] for one in told] == [answer.headers["x-request-id"] for answer in answers]
    assert len({one["key_id"] for one in told}) == 1
    refused(client.http.post(subject.path, json=subject.body(), headers={"x-comment": "x" * 501}), 400)
