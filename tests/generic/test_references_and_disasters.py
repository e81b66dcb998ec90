"""A deletion with what it does to others is one deed: in the audit log, without a history, and when the server dies."""

import asyncio
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from palace.resource import Reference
from tests.api.wire import refused
from tests.generic.stored import check_indexes, deeds, leading_nowhere
from tests.generic.subjects import LINKS, SUBJECTS, Client, Subject, naming, table
from tests.generic.test_references import REFUSED, TAKEN_OUT, delete, ids_in, linked, users_of
from tests.rows import check_sound
from tests.serving import KEY, Palace, start_palace

SECONDS_OF_LOAD = 1.2
WRITERS_PER_LINK = 3


@pytest.fixture(scope="module")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    """A server whose file can be looked into."""
    with start_palace(tmp_path_factory.mktemp("filed") / "data") as running:
        yield running


# --- Other accounts ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stranger(filed: Palace) -> Iterator[httpx.Client]:
    """A client of another account."""
    with filed.client(filed.new_key("stranger")) as http:
        yield http


@table("subject reference target", LINKS)
def test_an_object_of_somebody_else_does_not_exist(
    filed: Palace, stranger: httpx.Client, subject: Subject, reference: Reference, target: Subject
) -> None:
    with filed.client() as http:
        client = Client(http)
        other = client.make(target)
        body = subject.words.document(naming(subject, reference, other))
        refused(stranger.post(subject.path, json=body), 400, subject.words.sentence(reference.problem))
        assert users_of(client, target, other) == []


# --- The audit log ----------------------------------------------------------------------------------------------------


@table("subject reference target", TAKEN_OUT)
def test_what_a_deletion_did_to_others_is_logged_before_it(
    filed: Palace, subject: Subject, reference: Reference, target: Subject
) -> None:
    with filed.client() as http:
        client = Client(http)
        id, other = linked(client, subject, reference, target)
        http.delete(target.at(other), params={"dry_run": "true"})
        assert deeds(filed.data, target.resource.kind, other) == [("create", 1)]
        assert delete(client, target, other).is_success
    assert deeds(filed.data, subject.resource.kind, id) == [("create", 1), ("side_effect", 2)]
    assert deeds(filed.data, target.resource.kind, other) == [("create", 1), ("delete", 2)]


# --- Without a history ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    """A server that remembers nothing but what is."""
    with start_palace(tmp_path_factory.mktemp("forgetful") / "data", "--no-history") as running:
        yield running


@table("subject reference target", TAKEN_OUT)
def test_without_a_history_what_is_deleted_is_let_go_of_all_the_same(
    forgetful: Palace, subject: Subject, reference: Reference, target: Subject
) -> None:
    with forgetful.client() as http:
        client = Client(http)
        id, other = linked(client, subject, reference, target)
        assert delete(client, target, other).is_success
        assert ids_in(subject, reference, client.read(subject, id)) == []
        assert client.revision(subject, id) == 2
        assert client.revisions(subject, id) == []
        unknown = target.resource.unknown()
        refused(http.post(target.at(other, "/{id}/restore")), unknown.status)
        client.change(subject, id, 1)
        assert http.delete(subject.at(id)).is_success


@table("subject reference target", REFUSED)
def test_without_a_history_what_is_needed_is_kept_all_the_same(
    forgetful: Palace, subject: Subject, reference: Reference, target: Subject
) -> None:
    with forgetful.client() as http:
        client = Client(http)
        id, other = linked(client, subject, reference, target)
        assert [one["id"] for one in refused(delete(client, target, other), 409)] == [id]
        assert delete(client, target, other, cascade="true").is_success
        assert ids_in(subject, reference, client.read(subject, id)) == [other]
        assert http.delete(subject.at(id)).is_success


# --- When the server dies ---------------------------------------------------------------------------------------------


async def load(palace: Palace) -> int:
    """Make, link, change and delete at both ends of every reference until the server dies. How much was answered."""
    answered = itertools.count()
    chance = random.Random(7)
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=palace.url, headers={"x-api-key": KEY}, limits=limits, timeout=60) as http:

        async def work(subject: Subject, reference: Reference, target: Subject) -> None:
            users, targets = [], []
            try:
                while True:
                    made = await http.post(target.path, json=target.body())
                    targets.append(made.json()[target.id_member])
                    body = subject.words.document(naming(subject, reference, chance.choice(targets)))
                    user = await http.post(subject.path, json=body)
                    users += [user.json()[subject.id_member]] if user.is_success else []
                    deaths = [http.delete(target.at(chance.choice(targets)), params={"cascade": "true"})]
                    if users:
                        id, other = chance.choice(users), chance.choice(targets)
                        value = naming(subject, reference, other)[reference.pointer[0]]
                        deaths.append(http.patch(subject.at(id), json=subject.setting(reference.pointer[0], value)))
                    for answer in await asyncio.gather(*deaths):
                        assert answer.status_code < 500, answer.text
                    for _ in deaths:
                        next(answered)
            except httpx.TransportError:
                return

        async def strike() -> None:
            await asyncio.sleep(SECONDS_OF_LOAD)
            await asyncio.to_thread(palace.kill)

        links = [row for _, row in LINKS if not row[0].is_legacy and row[0].has("PATCH /{id}")]
        await asyncio.gather(strike(), *(work(*link) for link in links for _ in range(WRITERS_PER_LINK)))
    return next(answered)


def test_a_server_that_is_killed_leaves_nothing_that_names_what_is_gone(tmp_path: Path) -> None:
    data, count, kills = tmp_path / "data", 0, 0
    while kills < 2 or count <= 100:  # A smaller load would prove little.
        kills += 1
        with start_palace(data) as palace:
            count += asyncio.run(load(palace))
        check_sound(data)
        assert leading_nowhere(data) == []
        assert check_indexes(data) > 10
    with start_palace(data) as palace, palace.client() as http:
        for subject in SUBJECTS:
            if subject.has("GET"):
                assert http.get(subject.path).status_code == 200
