"""Requests that ask for more than anybody needs: refused briefly, and nobody else waits for them."""

from typing import Any

import httpx
import pytest

from palace.links import LONGEST_LABEL
from palace.resource import MOST_PROBLEMS
from tests.api.tooling import create, with_api
from tests.api.wire import patch, refused, replace

MANY = MOST_PROBLEMS + 1
SHORT = 1_000_000
"""bytes of an answer"""
UNKNOWN = {f"member {number}": number for number in range(MANY)}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/v2/tools", UNKNOWN, id="unknown members of a tool"),
        pytest.param("/v2/pals", UNKNOWN, id="unknown members of a PAL"),
        pytest.param("/v2/pals", {"memories": [1] * MANY}, id="elements of another type"),
        pytest.param("/v2/faces", UNKNOWN, id="unknown members of a face"),
    ],
)
def test_problems_without_end_are_told_as_one(api: httpx.Client, path: str, body: dict[str, Any]) -> None:
    details = refused(api.post(path, json=body), 400)
    assert "too_many_problems" in {detail["code"] for detail in details}
    assert len(details) < 10


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"parameters": {"properties": dict.fromkeys(UNKNOWN, 5)}}, id="parameters"),
        pytest.param(
            with_api(body_template={"a": [f"{{room_{number}}}" for number in range(MANY)]}), id="placeholders"
        ),
    ],
)
def test_of_very_many_broken_rules_the_first_ones_are_told(api: httpx.Client, members: dict[str, Any]) -> None:
    answer = create(api, **members)
    assert 0 < len(refused(answer, 400)) <= MOST_PROBLEMS
    assert len(answer.content) < SHORT


def test_of_very_many_problems_with_skills_the_first_ones_are_told(api: httpx.Client, new_pal: Any) -> None:
    path = f"/v2/pals/{new_pal()}/skills"
    skill = api.get("/v2/skills").json()["data"][0]["skill_id"]
    for sent, status in (({skill: {"config": UNKNOWN}}, 400), ({id: {} for id in UNKNOWN}, 404)):
        answer = api.put(path, json={"skills": sent})
        assert len(refused(answer, status)) == MOST_PROBLEMS


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        pytest.param({"tags": ["desk"] * 51}, "/tags", id="tags"),
        pytest.param({"tags": ["x" * 101]}, "/tags/0", id="a tag"),
        pytest.param(with_api(url="https://api.example.org/" + "a" * 2025), "/delivery/api/url", id="a URL"),
        pytest.param(with_api(headers={f"X-{n}": "" for n in range(51)}), "/delivery/api/headers", id="headers"),
        pytest.param(
            with_api(query_params={f"p{n}": "" for n in range(51)}), "/delivery/api/query_params", id="query parameters"
        ),
    ],
)
def test_what_a_tool_has_many_of_has_a_limit(api: httpx.Client, members: dict[str, Any], pointer: str) -> None:
    [detail] = refused(create(api, **members), 400)
    assert (detail["code"], detail["pointer"]) == ("too_long", pointer)


def test_a_body_with_more_values_than_anything_has_is_refused(api: httpx.Client) -> None:
    [detail] = refused(api.post("/v2/pals", json={"memories": [""] * 250_000}), 400)
    assert detail["code"] == "too_many_values"


def test_a_list_looks_for_a_hundred_values_at_most(api: httpx.Client) -> None:
    values = ",".join(map(str, range(101)))
    [detail] = refused(api.get("/v2/faces", params={"face_ids": values}), 400)
    assert (detail["parameter"], detail["maximum"], detail["actual"]) == ("face_ids", 100, 101)
    assert api.get("/v2/faces", params={"face_ids": "a," * 1000}).json()["total_count"] == 0


def test_a_pal_has_a_hundred_guardrail_tags_at_most(api: httpx.Client, new_pal: Any) -> None:
    pal = new_pal(guardrail_tags=["x"] * 100)
    [detail] = refused(patch(api, pal, {"op": "add", "path": "/guardrail_tags/-", "value": "x"}), 400)
    assert (detail["code"], detail["pointer"]) == ("too_long", "/guardrail_tags")


def test_a_long_name_stands_in_the_document_and_not_in_every_list_of_users(
    api: httpx.Client, new_pal: Any, new_tool: Any
) -> None:
    tool, name = new_tool(), "Night Desk " * 10_000
    pal = new_pal(pal_name=name, tool_ids=[tool])
    assert api.get(f"/v2/pals/{pal}").json()["pal_name"] == name
    [user] = api.get(f"/v2/tools/{tool}/references").json()["data"]
    assert user["name"] == name[:LONGEST_LABEL]
    assert patch(api, pal, replace("/pal_name", name[:-1])).status_code == 200
    assert patch(api, pal, replace("/pal_name", "Day Desk")).status_code == 200
    [user] = api.get(f"/v2/tools/{tool}/references").json()["data"]
    assert user["name"] == "Day Desk"
