"""Lists of tools: whose, in which order, found by what (contract 1.5)."""

from typing import Any

import httpx
import pytest

from tests.api.tooling import create, created
from tests.api.wire import refused


@pytest.fixture(scope="module")
def listed(palace: Any) -> Any:
    """A client of an account with three tools."""
    with palace.client(palace.new_key("lister of tools")) as client:
        ids = [
            created(create(client, name=name, tags=tags))["tool_id"]
            for name, tags in (("room_rate", ["desk"]), ("wake_up", ["desk", "Night"]), ("room_service", []))
        ]
        yield client, ids


A, B, C, END = 0, 1, 2, "end_call"
LISTS = [
    ("", [A, B, C]),
    ("type=user", [A, B, C]),
    ("type=system", [END]),
    ("type=all", [END, A, B, C]),
    ("type=all&sort=desc", [END, C, B, A]),
    ("sort=desc", [C, B, A]),
    ("type=all&sort=desc&limit=2&page=2", [B, A]),
    ("limit=2&page=2", [C]),
    ("limit=2&page=0", [A, B]),
    ("name_or_uuid=room", [A, C]),
    ("name_or_uuid=ROOM_R", [A]),
    ("name_or_uuid=end_call", []),
    ("name_or_uuid=end_call&type=all", [END]),
    ("tags=desk", [A, B]),
    ("tags=night,nothing", [B]),
    ("tags=desk&type=all&sort=desc", [B, A]),
    ("tags=nothing", []),
]


@pytest.mark.parametrize(("query", "expected"), LISTS)
def test_a_list_has_what_it_was_asked_for(listed: Any, query: str, expected: list[Any]) -> None:
    client, ids = listed
    page = created(client.get(f"/v2/tools?{query}"))
    wanted = [one if isinstance(one, str) else ids[one] for one in expected]
    assert set(page) == {"data", "total_count"}
    assert [tool["tool_id"] for tool in page["data"]] == wanted
    if "limit" not in query:
        assert page["total_count"] == len(wanted)


def test_a_list_finds_a_tool_by_its_id_and_shows_it_whole(listed: Any) -> None:
    client, ids = listed
    [tool] = client.get(f"/v2/tools?name_or_uuid={ids[B]}").json()["data"]
    assert tool == client.get(f"/v2/tools/{ids[B]}").json()


@pytest.mark.parametrize("query", ["type=mine", "sort=up", "limit=x", "page=x"])
def test_a_parameter_that_a_list_does_not_know_is_refused(api: httpx.Client, query: str) -> None:
    refused(api.get(f"/v2/tools?{query}"), 400)
