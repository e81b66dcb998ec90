"""Every member of every example with everything in its place that the schema does not allow: refused, told where, and
nothing is stored.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from palace.json_patch import format_pointer
from palace.resource import Document
from tests.api.wire import refused
from tests.generic.schemas import Place, Wrong, value_at
from tests.generic.subjects import SUBJECTS, Client, Subject, put, table

Row = tuple[str, tuple[Any, ...]]
MOST_BACKENDS = 1
"""none of this comes as far as a store"""


def wrong_members() -> Iterator[Row]:
    """For each place of each example, everything that must not stand there."""
    for subject in SUBJECTS:
        found: dict[Place, list[Wrong]] = {}
        for wrong in subject.schemas.wrongs(subject.resource.example):
            found.setdefault(wrong.place, []).append(wrong)
        for place, wrongs in found.items():
            if subject.makes_documents:
                yield f"{subject.name} {format_pointer(place)}", (subject, wrongs)


def required_members() -> Iterator[Row]:
    for subject in SUBJECTS:
        made = subject.operation("POST", "")
        if made is not None and subject.makes_documents:
            places = list(subject.schemas.required(subject.resource.example))
            places += [(name,) for name in made.required if not subject.is_legacy]
            for place in dict.fromkeys(places):
                if subject.host is not None and len(place) == 1:
                    continue  # Without it this may be taken for another kind of object.
                yield f"{subject.name} {format_pointer(place)}", (subject, place)


def told(answer: httpx.Response, pointer: str, statuses: Sequence[int] = (400,)) -> Document:
    """The entry of `details` about this place or something inside it."""
    assert answer.status_code in statuses, (pointer, answer.text)
    details = refused(answer, answer.status_code)
    found = [one for one in details if (one.get("pointer", "") + "/").startswith(pointer + "/")]
    assert found, (pointer, answer.text)
    return found[0]


def with_value(document: Document, place: Place, value: Any) -> Document:
    """The document with a value at a place that it has, or may have."""
    copied = copy.deepcopy(document)
    put(copied, place, value)
    return copied


def without(document: Document, place: Place) -> Document:
    copied = copy.deepcopy(document)
    del value_at(copied, place[:-1])[place[-1]]
    return copied


@pytest.fixture(scope="module")
def victims(client: Client) -> dict[str, str]:
    """For each collection an object that stays as it is, whatever is sent to it."""
    return {one.name: client.make(one) for one in SUBJECTS if one.makes_documents and one.has("PATCH /{id}")}


@table("subject wrongs", wrong_members())
def test_a_new_object_with_a_wrong_member_is_refused(client: Client, subject: Subject, wrongs: list[Wrong]) -> None:
    count = client.count(subject)
    for wrong in wrongs:
        body = subject.words.document(with_value(subject.example(), wrong.place, wrong.value))
        detail = told(client.http.post(subject.path, json=body), subject.words.pointer(format_pointer(wrong.place)))
        check(detail, wrong)
    assert client.count(subject) == count


@table("subject wrongs", [row for row in wrong_members() if row[1][0].has("PATCH /{id}")])
def test_a_change_to_a_wrong_member_is_refused(
    client: Client, victims: dict[str, str], subject: Subject, wrongs: list[Wrong]
) -> None:
    place = subject.at(victims[subject.name])
    before = client.http.get(place)
    for wrong in wrongs:
        if subject.merges and wrong.value is None:
            continue  # In a part of an object it may stand for no value at all.
        answer = client.http.patch(place, json=putting(subject, before.json(), wrong))
        detail = told(answer, subject.words.pointer(format_pointer(wrong.place)), wrong_patch(subject))
        assert detail.get("operation", 0) == 0
        check(detail, wrong)
    after = client.http.get(place)
    assert (after.content, after.headers["x-revision"]) == (before.content, before.headers["x-revision"])


def putting(subject: Subject, shown: Document, wrong: Wrong) -> Any:
    """The body of a change that puts the value into the document that was read."""
    document = {subject.inside(name): value for name, value in shown.items()}
    if subject.merges:
        member = wrong.place[0]
        return subject.setting(member, with_value(document, wrong.place, wrong.value)[member])
    is_there = wrong.place[-1] in holder if isinstance(holder := value_at(document, wrong.place[:-1]), dict) else True
    operation = {"op": "replace" if is_there else "add", "path": format_pointer(wrong.place), "value": wrong.value}
    return subject.words.patch([operation])


def wrong_patch(subject: Subject) -> tuple[int, ...]:
    return (400, subject.resource.wording.patch[0]) if subject.resource.wording.patch else (400,)


def check(detail: Document, wrong: Wrong) -> None:
    """A code that says what is wrong, and what may stand there instead."""
    assert wrong.code in (None, detail["code"]), (wrong.title, detail)
    for name, value in (wrong.facts or {}).items():
        assert set(value) <= set(detail[name]), (wrong.title, detail)


@table("subject place", required_members())
def test_a_new_object_without_a_member_that_must_be_there_is_refused(
    client: Client, subject: Subject, place: Place
) -> None:
    count, pointer = client.count(subject), subject.words.pointer(format_pointer(place))
    body = subject.words.document(without(subject.example(), place))
    assert told(client.http.post(subject.path, json=body), pointer)["code"] in ("missing", "required")
    assert client.count(subject) == count


@table("subject", [(one.name, (one,)) for one in SUBJECTS if one.makes_documents])
def test_everything_that_is_wrong_is_told_at_once(client: Client, subject: Subject) -> None:
    body = subject.body() | {"nobody_knows": 1, "nor_this": {}, subject.spelled(subject.text_member): 7}
    details = refused(client.http.post(subject.path, json=body), 400)
    pointers = {detail["pointer"] for detail in details}
    assert pointers >= {"/nobody_knows", "/nor_this", f"/{subject.spelled(subject.text_member)}"}
