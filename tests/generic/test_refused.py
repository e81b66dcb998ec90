"""Who may not, what is not there, and what no operation reads: refused before anything happens."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from palace.resource import Endpoint
from tests.api.wire import refused, text_of
from tests.generic.subjects import SUBJECTS, Client, Subject, table
from tests.serving import Palace, start_palace

Row = tuple[str, tuple[Any, ...]]
SMALL_BODY = 2000
MOST_BACKENDS = 1
"""none of this comes as far as a store"""
NOT_JSON = [b"{", b"", b"[1,]", b'{"a":1,"a":2}', b'"\xff"', b'{"a":"\\ud800"}', b"[" * 200 + b"]" * 200]
NOT_AN_OBJECT = [[], "words", 7, None, True]
NOT_A_PATCH: list[Any] = [{}, "words", 7, None, True, [7], [{}], [{"op": "merge", "path": "/a"}]]
MEDIA = "application/json"


def body_of(subject: Subject, endpoint: Endpoint) -> Any:
    """What the operation takes."""
    if endpoint.body == "document":
        return subject.body()
    shown = list(endpoint.examples.values())
    return shown[0] if shown else None


def call(client: Client, subject: Subject, endpoint: Endpoint, id: str, **options: Any) -> httpx.Response:
    """One operation on one object, as its example shows it."""
    if endpoint.body != "none" and not {"content", "json"} & set(options):
        options["json"] = body_of(subject, endpoint)
    query = {one.name: "nothing" for one in endpoint.parameters if one.required}
    return client.http.request(endpoint.method, subject.at(id, endpoint.path), params=query, **options)


def operations() -> Iterator[Row]:
    for subject in SUBJECTS:
        for endpoint in subject.endpoints:
            yield f"{endpoint.method} {subject.name}{endpoint.path}", (subject, endpoint)


def on_one_object() -> Iterator[Row]:
    for title, (subject, endpoint) in operations():
        if "{id}" in endpoint.path:
            yield title, (subject, endpoint)


def with_a_body(*kinds: str) -> Iterator[Row]:
    for title, (subject, endpoint) in operations():
        if endpoint.body in kinds:
            yield title, (subject, endpoint)


def paths() -> Iterator[Row]:
    for subject in SUBJECTS:
        for path in dict.fromkeys(endpoint.path for endpoint in subject.endpoints):
            methods = {endpoint.method for endpoint in subject.endpoints if endpoint.path == path}
            yield f"{subject.name}{path}", (subject, path, methods)


def some_object(client: Client, subject: Subject) -> str:
    """An object of the account's own where clients make them, else that of the example."""
    return client.make(subject) if subject.has("POST") else subject.resource.names.example_id


# --- Who --------------------------------------------------------------------------------------------------------------


@table("subject endpoint", operations())
def test_an_operation_wants_a_key_that_is_known(server: Palace, subject: Subject, endpoint: Endpoint) -> None:
    for key in (None, "no-such-key"):
        with server.client(key) as http:
            answer = call(Client(http), subject, endpoint, subject.resource.names.example_id)
            refused(answer, 401, "Invalid access token")


@table("subject endpoint", on_one_object())
def test_what_is_not_yours_looks_like_what_is_not_there(
    client: Client, stranger: Client, subject: Subject, endpoint: Endpoint
) -> None:
    names = subject.resource.names
    unknown = call(client, subject, endpoint, names.id_prefix + "0" * names.id_digits)
    said = {**unknown.json(), "request_id": None}
    assert unknown.status_code in endpoint.answers
    text_of(unknown)
    if endpoint.path.count("{") == 1:
        wanted = subject.resource.unknown()
        assert (unknown.status_code, said["error"]) == (wanted.status, subject.words.sentence(wanted.text))
    if subject.has("POST"):
        for foreign in (made := client.make(subject)), made.upper(), f"{made}0":
            answer = call(stranger, subject, endpoint, foreign)
            assert (answer.status_code, {**answer.json(), "request_id": None}) == (unknown.status_code, said)


@table("subject path methods", paths())
def test_a_method_that_is_not_there_is_405_and_those_that_are_are_told(
    client: Client, subject: Subject, path: str, methods: set[str]
) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
        answer = client.http.request(method, subject.at("nothing", path))
        refused(answer, 405)
        told = {name.strip() for name in answer.headers["allow"].split(",")}
        assert told - {"HEAD", "OPTIONS"} == methods


# --- What no operation reads ------------------------------------------------------------------------------------------


@table("subject endpoint", with_a_body("document", "object", "optional", "patch"))
def test_a_body_that_is_no_strict_json_is_refused_and_changes_nothing(
    client: Client, subject: Subject, endpoint: Endpoint
) -> None:
    id, count = client.settled(subject, some_object(client, subject)), client.count(subject)
    revision = client.revision(subject, id)
    for content in NOT_JSON:
        if endpoint.body == "optional" and not content:
            continue
        answer = call(client, subject, endpoint, id, content=content, headers={"content-type": MEDIA})
        expected = subject.resource.wording.patch or (422, None) if endpoint.body == "patch" else (400, None)
        details = refused(answer, expected[0])
        assert details[0]["code"]
    assert (client.count(subject), client.revision(subject, id)) == (count, revision)


@table("subject endpoint", with_a_body("document", "patch"))
def test_json_of_another_kind_is_refused_and_changes_nothing(
    client: Client, subject: Subject, endpoint: Endpoint
) -> None:
    id, count = client.settled(subject, some_object(client, subject)), client.count(subject)
    revision = client.revision(subject, id)
    for body in NOT_A_PATCH if endpoint.body == "patch" else NOT_AN_OBJECT:
        answer = call(client, subject, endpoint, id, json=body)
        expected = subject.resource.wording.patch or (422, None) if endpoint.body == "patch" else (400, None)
        refused(answer, expected[0])
    assert (client.count(subject), client.revision(subject, id)) == (count, revision)


@table("subject endpoint", with_a_body("document", "object", "optional", "patch"))
def test_another_media_type_is_415(client: Client, subject: Subject, endpoint: Endpoint) -> None:
    id = some_object(client, subject)
    for media in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        refused(call(client, subject, endpoint, id, content=b"{}", headers={"content-type": media}), 415)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server that reads small bodies only."""
    data = tmp_path_factory.mktemp("narrow") / "data"
    with start_palace(data, PALACE_MAX_BODY_BYTES=str(SMALL_BODY)) as palace, palace.client() as http:
        yield Client(http)


@table("subject endpoint", with_a_body("document", "object", "optional", "patch"))
def test_a_body_that_is_too_large_is_413(narrow: Client, subject: Subject, endpoint: Endpoint) -> None:
    content = b'{"a":"' + b"x" * SMALL_BODY + b'"}'
    id = subject.resource.names.example_id
    details = refused(call(narrow, subject, endpoint, id, content=content, headers={"content-type": MEDIA}), 413)
    assert details[0]["limit"] == "max_body_bytes"


# --- Queries ----------------------------------------------------------------------------------------------------------


def parameters() -> Iterator[Row]:
    for title, (subject, endpoint) in operations():
        is_read = endpoint.method == "GET" and endpoint.streams != "always"  # A stream goes on, whatever was asked.
        for parameter in endpoint.parameters if is_read else ():
            if {"enum", "type"} & set(parameter.schema) and parameter.schema.get("type") != "string":
                yield f"{title}?{parameter.name}", (subject, endpoint, subject.spelled(parameter.name))


@table("subject endpoint name", parameters())
def test_a_query_parameter_that_is_none_of_what_it_may_be_is_refused(
    client: Client, subject: Subject, endpoint: Endpoint, name: str
) -> None:
    place = subject.at(some_object(client, subject), endpoint.path)
    plain = client.http.get(place).status_code
    for value in ("sideways", "1.5", "\u0661", "true,false"):
        refused(client.http.get(place, params={name: value}), 400 if plain == 200 else plain)
    assert client.http.get(place, params={name: ""}).status_code == plain, "one without a value is none"
