"""What is made is there: read as it was sent, listed as it is read, under an id of the declared shape."""

import re

from jsonschema import Draft202012Validator

from palace.api.openapi import build_openapi
from palace.json_patch import equal
from palace.resource import values_at
from palace.resources import RESOURCES
from palace.settings import Settings
from tests.generic.subjects import Client, Subject, subjects

DOCUMENT = build_openapi(RESOURCES, Settings())
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|\+00:00)")
ETAG = re.compile(r'"[!#-~]+"')


def is_said(sent: object, stored: object) -> bool:
    """Whether everything that was sent is stored, defaults being added."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        return all(name in stored and is_said(value, stored[name]) for name, value in sent.items())
    if isinstance(sent, list) and isinstance(stored, list):
        return len(sent) == len(stored) and all(map(is_said, sent, stored))
    return bool(equal(sent, stored))


@subjects("POST", "GET /{id}")
def test_what_is_made_is_read_as_it_was_sent_with_its_defaults(client: Client, subject: Subject) -> None:
    body = subject.body()
    shown = client.read(subject, client.made(subject, body))
    sent = {name: value for name, value in body.items() if subject.inside(name) in subject.resource.members}
    masked = {secret.pointer[0] for secret in subject.resource.secrets}
    assert is_said({name: value for name, value in sent.items() if subject.inside(name) not in masked}, shown)
    known = {*subject.resource.members, *subject.resource.read_only}
    told = {name if name in known else subject.inside(name) for name in shown}
    assert known - set(subject.sparse) <= told <= known


@subjects("POST", "GET /{id}")
def test_an_id_has_the_declared_shape_and_times_are_times(client: Client, subject: Subject) -> None:
    names, shown = subject.resource.names, client.read(subject, client.make(subject))
    assert re.fullmatch(rf"{names.id_prefix}[0-9a-f]{{{names.id_digits}}}", shown[subject.id_member])
    assert re.fullmatch(rf"{names.id_prefix}[0-9a-z]{{{names.id_digits}}}", names.example_id)
    assert shown["created_at"] == shown["updated_at"]
    assert MOMENT.fullmatch(shown["created_at"])


@subjects("POST", "GET /{id}")
def test_making_and_reading_tell_the_tag_and_the_revision(client: Client, subject: Subject) -> None:
    made = client.http.post(subject.path, json=subject.body())
    read = client.http.get(subject.at(made.json()[subject.id_member]))
    for name in ("etag", "x-revision"):
        assert made.headers[name] == read.headers[name]
    assert ETAG.fullmatch(read.headers["etag"])
    assert read.headers["x-revision"] == "1"


@subjects("POST", "GET /{id}")
def test_both_forms_of_a_path_are_served_and_head_is_get_without_the_body(client: Client, subject: Subject) -> None:
    made = client.http.post(f"{subject.path}/", json=subject.body())
    assert made.status_code in (200, 201), made.text
    place = subject.at(made.json()[subject.id_member])
    plain, slashed, head = client.http.get(place), client.http.get(f"{place}/"), client.http.head(place)
    assert plain.content == slashed.content
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == plain.headers["etag"]


@subjects("GET /{id}")
def test_answers_are_as_the_reference_describes_them(client: Client, subject: Subject) -> None:
    names, spelled = subject.resource.names, f"{subject.path}/{{{subject.spelled_id}}}"
    place = subject.at(client.make(subject) if subject.has("POST") else names.example_id)
    for path, shown in ((spelled, client.http.get(place)), (subject.path, client.http.get(subject.path))):
        operation = DOCUMENT["paths"][path].get("get")
        if operation is not None:
            described = operation["responses"]["200"]["content"]["application/json"]["schema"]
            Draft202012Validator({**described, "components": DOCUMENT["components"]}).validate(shown.json())


@subjects("GET", "GET /{id}")
def test_an_item_of_the_list_is_what_is_read_or_some_of_it(client: Client, subject: Subject) -> None:
    for item in client.listed(subject, limit=3, sort="desc")["data"]:
        client.settled(subject, item[subject.id_member])
    listed = client.listed(subject, limit=3, sort="desc")["data"]
    assert listed
    for item in listed:
        shown = client.read(subject, item[subject.id_member])
        assert item == {name: shown[name] for name in item}
        assert {subject.id_member, "created_at"} <= set(item)


@subjects("GET /{id}", where=lambda subject: subject.is_legacy)
def test_the_older_family_of_routes_serves_the_same_object_in_older_words(client: Client, subject: Subject) -> None:
    newer = Subject(subject.resource)
    id = client.settled(newer, client.make(newer)) if newer.has("POST") else newer.resource.names.example_id
    shown, other = client.http.get(newer.at(id)), client.http.get(subject.at(id))
    assert subject.words.document(shown.json()) == other.json()
    assert shown.headers["etag"] == other.headers["etag"]


@subjects("POST")
def test_members_that_only_the_server_writes_cannot_be_made_up(client: Client, subject: Subject) -> None:
    for member in subject.read_only:
        answer = client.http.post(subject.path, json=subject.body() | {member: "p0123456789a"})
        if answer.status_code != 400:
            assert client.read(subject, answer.json()[subject.id_member])[member] != "p0123456789a"


def is_all_said(subject: Subject) -> bool:
    """Whether an object is made of its document, of which nothing is hidden, or given to each object anew."""
    secrets = (values_at(subject.resource.example, secret.pointer) for secret in subject.resource.secrets)
    return subject.makes_documents and not subject.parts and not any(secrets)


@subjects("POST", "GET /{id}", where=is_all_said)
def test_what_was_read_makes_another_object_that_says_the_same(client: Client, subject: Subject) -> None:
    first = client.read(subject, client.make(subject))
    names = {subject.spelled(claim.pointer[0]) for claim in subject.resource.claims}
    again = {name: value for name, value in first.items() if name not in subject.read_only}
    again |= {name: value for name, value in subject.body().items() if name in names}
    second = client.read(subject, client.made(subject, again))
    assert {name for name in second if second[name] != first[name]} <= {*names, *subject.read_only}
