"""Every list: pages from its own first number on, both ways, nothing of others, found by name where it can be."""

from typing import Any

import pytest

from tests.generic.subjects import SUBJECTS, Client, Subject, subjects
from tests.serving import Palace

MADE = 5


def pages(client: Client, subject: Subject, **query: Any) -> list[str]:
    """The ids on all pages of two, which say the same total."""
    style = subject.style
    assert style is not None
    found: list[str] = []
    number = style.first_page
    while True:
        said = client.http.get(subject.path, params={"limit": 2, "page": number, **query}).json()
        if style.tells_page:
            assert (said["page"], said["limit"]) == (number, 2)
        found += [item[subject.id_member] for item in said["data"]]
        if not said["data"]:
            assert said["total_count"] == len(found)
            return found
        number += 1


@pytest.fixture(scope="module")
def lister(server: Palace) -> Any:
    """A client of an account that has made nothing yet."""
    with server.client(server.new_key("lister")) as http:
        yield Client(http)


@pytest.fixture(scope="module")
def made(client: Client, lister: Client) -> dict[str, list[str]]:
    """What the account made, by collection, oldest first; another account made some in between."""
    found = {}
    for subject in SUBJECTS:
        if subject.has("POST") and not subject.is_legacy:
            found[subject.resource.kind] = [lister.make(subject) for _ in range(MADE)]
            client.make(subject)
    return found


LISTED = {"where": lambda subject: subject.style is not None}


@subjects("POST", "GET", **LISTED)
def test_pages_have_everything_once_and_nothing_of_others(
    lister: Client, client: Client, made: dict[str, list[str]], subject: Subject
) -> None:
    mine = made[subject.resource.kind]
    found = pages(lister, subject)
    assert len(set(found)) == len(found)
    assert [id for id in found if id in mine] == (mine if subject.style.default_sort == "asc" else mine[::-1])
    theirs = [id for id in found if id not in mine]
    assert theirs == [id for id in pages(client, subject) if id in theirs], "stock objects, which all have"
    assert not set(mine) & set(pages(client, subject))


@subjects("GET", **LISTED)
def test_both_orders_are_each_other_backwards(lister: Client, made: dict[str, list[str]], subject: Subject) -> None:
    up, down = pages(lister, subject, sort="asc"), pages(lister, subject, sort="desc")
    assert up == down[::-1]
    assert pages(lister, subject, sort="ascending") == up
    assert pages(lister, subject, sort="descending") == down
    assert pages(lister, subject) == (up if subject.style.default_sort == "asc" else down)


@subjects("GET", **LISTED)
def test_odd_numbers_of_pages_and_sizes_are_put_right(lister: Client, subject: Subject) -> None:
    style = subject.style
    first = lister.http.get(subject.path).json()
    assert len(first["data"]) == min(style.page_size, first["total_count"])
    for number in ("-1", str(style.first_page), ""):
        assert lister.http.get(subject.path, params={"page": number}).json() == first
    assert len(lister.http.get(subject.path, params={"limit": "0"}).json()["data"]) == min(1, first["total_count"])
    assert len(lister.http.get(subject.path, params={"limit": "1000"}).json()["data"]) <= 100
    far = lister.http.get(subject.path, params={"page": "9" * 30}).json()
    assert (far["data"], far["total_count"]) == ([], first["total_count"])
    assert lister.http.get(f"{subject.path}?=x&nothing=1").json() == first, "what nobody knows is ignored"


@subjects("POST", "GET", where=lambda subject: bool(subject.style and subject.style.search))
def test_a_search_finds_a_part_of_the_name_whatever_the_case_and_the_whole_id(
    lister: Client, made: dict[str, list[str]], subject: Subject
) -> None:
    search, mine = subject.style.search, made[subject.resource.kind]
    assert pages(lister, subject, **{search: mine[0]}) == [mine[0]]
    assert pages(lister, subject, **{search: mine[0][:-1]}) == []
    [name] = subject.resource.labels["name"]
    shown = lister.read(subject, mine[1])[subject.spelled(name)]
    for part in (shown, shown[1:].upper(), shown[:-1].lower()):
        assert mine[1] in pages(lister, subject, **{search: part})
    assert pages(lister, subject, **{search: "%"}) == pages(lister, subject, **{search: "no such name"}) == []


@subjects("POST", "GET", where=lambda subject: bool(subject.style and subject.style.ids))
def test_ids_are_those_asked_for(lister: Client, made: dict[str, list[str]], subject: Subject) -> None:
    ids, mine = subject.spelled(subject.style.ids), made[subject.resource.kind]
    assert set(pages(lister, subject, **{ids: f"{mine[0]}, {mine[2]},nobody"})) == {mine[0], mine[2]}


@subjects("POST", "GET", where=lambda subject: bool(subject.style and subject.style.owned_by))
def test_your_own_are_told_from_stock_objects(lister: Client, made: dict[str, list[str]], subject: Subject) -> None:
    owned, mine = subject.spelled(subject.style.owned_by), made[subject.resource.kind]
    own, stock, both = (pages(lister, subject, **{owned: word}) for word in ("user", "system", "all"))
    assert sorted(own) == sorted(mine)
    assert sorted([*own, *stock]) == sorted(both)
