"""Every list: pages from its own first number on, both ways, nothing of others, found by name where it can be."""

from collections.abc import Iterator
from typing import Any

import pytest

from palace.resource import Document
from tests.api.wire import refused
from tests.generic.subjects import SUBJECTS, Client, Subject, subjects
from tests.serving import Palace, start_palace

MADE = 5
ASKED = "asked for"


def first_page(client: Client, subject: Subject) -> int:
    """The number of the first page, which the lists of this API do not agree about."""
    plain, one = client.listed(subject, sort="asc"), client.listed(subject, sort="asc", page=1)
    return 1 if ids_of(subject, plain) == ids_of(subject, one) else 0


def ids_of(subject: Subject, page: Document) -> list[str]:
    return [item[subject.id_member] for item in page["data"]]


def pages(client: Client, subject: Subject, limit: int = 2, **query: Any) -> list[str]:
    """The ids on all pages, which say the same total."""
    found: list[str] = []
    number = first_page(client, subject)
    while True:
        said = client.listed(subject, limit=limit, page=number, **query)
        assert (said.get("page", number), said.get("limit", limit)) == (number, limit)
        found += ids_of(subject, said)
        assert number < 1000, "there is an end to every list"
        if not said["data"]:
            assert said["total_count"] == len(found)
            return found
        number += 1


@pytest.fixture(scope="module")
def lister(server: Palace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of an account that has made nothing yet; in memory there is one account, so on another server."""
    if server.data.exists():
        with server.client(server.new_key("lister")) as http:
            yield Client(http)
    else:
        with start_palace(tmp_path_factory.mktemp("lister") / "data", "--ephemeral") as other, other.client() as http:
            yield Client(http)


@pytest.fixture(scope="module")
def made(client: Client, lister: Client) -> dict[str, list[str]]:
    """What the account made, by kind, oldest first; another account made some in between."""
    found = {}
    for subject in SUBJECTS:
        if subject.has("POST", "GET") and not subject.is_legacy:
            lister.query(subject)
            found[subject.resource.kind] = [lister.make(subject) for _ in range(MADE)]
            client.make(subject)
    return found


def has_pages(subject: Subject) -> bool:
    listing = subject.operation("GET", "")
    return listing is not None and any(one.name == "page" for one in listing.parameters)


@subjects("POST", "GET", where=has_pages)
def test_pages_have_everything_once_and_nothing_of_others(
    lister: Client, client: Client, made: dict[str, list[str]], subject: Subject
) -> None:
    mine = made[subject.resource.kind]
    found = pages(lister, subject)
    assert len(set(found)) == len(found)
    assert [id for id in found if id in mine] in (mine, mine[::-1])
    theirs = pages(client, subject, limit=100)
    assert not set(mine) & set(theirs)
    if lister.http.base_url == client.http.base_url:
        for id in set(found) & set(theirs):
            refused(lister.http.delete(subject.at(id)), 400)  # A stock object, which all have.


@subjects("GET", where=has_pages)
def test_both_orders_are_each_other_backwards(lister: Client, made: dict[str, list[str]], subject: Subject) -> None:
    up, down = pages(lister, subject, sort="asc"), pages(lister, subject, sort="desc")
    assert up == down[::-1]
    assert pages(lister, subject, sort="ascending") == up
    assert pages(lister, subject, sort="descending") == down
    assert pages(lister, subject) in (up, down)
    mine = made.get(subject.resource.kind, [])
    assert [id for id in up if id in mine] == mine


@subjects("GET", where=has_pages)
def test_odd_numbers_of_pages_and_sizes_are_put_right(lister: Client, subject: Subject) -> None:
    first = lister.listed(subject)
    ids = ids_of(subject, first)  # What else they say may change meanwhile: jobs go on.
    for number in ("-1", str(first_page(lister, subject)), ""):
        assert ids_of(subject, lister.listed(subject, page=number)) == ids
    assert len(lister.listed(subject, limit=0)["data"]) == min(1, first["total_count"])
    assert len(lister.listed(subject, limit=1000)["data"]) == min(100, first["total_count"])
    far = lister.listed(subject, page="9" * 30)
    assert (far["data"], far["total_count"]) == ([], first["total_count"])
    unknown = {"": "x", "nothing": "1"}
    assert ids_of(subject, lister.listed(subject, **unknown)) == ids, "what nobody knows is ignored"


@subjects("POST", "GET", where=lambda subject: subject.parameter(search=ASKED) != "")
def test_a_search_finds_a_part_of_the_name_whatever_the_case_and_the_whole_id(
    lister: Client, made: dict[str, list[str]], subject: Subject
) -> None:
    search, mine = subject.parameter(search=ASKED), made[subject.resource.kind]
    assert pages(lister, subject, **{search: mine[0]}) == [mine[0]]
    assert pages(lister, subject, **{search: mine[0][:-1]}) == []
    [name] = subject.resource.labels["name"]
    shown = lister.read(subject, mine[1])[subject.spelled(name)]
    for part in (shown, shown[1:].upper(), shown[:-1].lower()):
        assert mine[1] in pages(lister, subject, **{search: part})
    assert pages(lister, subject, **{search: "%"}) == pages(lister, subject, **{search: "no such name"}) == []


@subjects("POST", "GET", where=lambda subject: subject.parameter(ids=ASKED) != "")
def test_ids_are_those_asked_for(lister: Client, made: dict[str, list[str]], subject: Subject) -> None:
    ids, mine = subject.parameter(ids=ASKED), made[subject.resource.kind]
    assert set(pages(lister, subject, **{ids: f"{mine[0]}, {mine[2]},nobody"})) == {mine[0], mine[2]}


@subjects("POST", "GET", where=lambda subject: subject.parameter(owned_by=ASKED) != "")
def test_your_own_are_told_from_stock_objects(lister: Client, made: dict[str, list[str]], subject: Subject) -> None:
    owned, mine = subject.parameter(owned_by=ASKED), made[subject.resource.kind]
    own, stock, both = (pages(lister, subject, **{owned: word}) for word in ("user", "system", "all"))
    assert set(mine) <= set(own)
    assert sorted([*own, *stock]) == sorted(both)
