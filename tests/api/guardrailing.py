"""What tests of guardrails and of sets of them have in common."""

from typing import Any

import httpx

from tests.api.wire import document, patch

GUARDRAILS = "/v2/guardrails"
SERVERS = ("uuid", "created_at", "updated_at")


def rule(name: str, **members: Any) -> dict[str, Any]:
    return {"guardrail_name": name, "guardrail_prompt": "Never.", **members}


def made(api: httpx.Client, *rules: dict[str, Any], **members: Any) -> str:
    answer = api.post(GUARDRAILS, json={"name": "Desk rules", "data": list(rules), **members})
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["guardrails_id"]
    return id


def items(api: httpx.Client, id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document(api, id, "guardrails")["data"]
    return found


def uuids(api: httpx.Client, id: str) -> list[str]:
    return [item["uuid"] for item in items(api, id)]


def change(api: httpx.Client, id: str, *operations: dict[str, Any], **headers: str) -> httpx.Response:
    answer = patch(api, id, *operations, family="guardrails", **headers)
    assert answer.status_code in (200, 304), answer.text
    return answer


def is_there(api: httpx.Client, uuid: str) -> bool:
    return api.get(f"{GUARDRAILS}/{uuid}").status_code == 200


def assert_twins(api: httpx.Client, id: str) -> None:
    """Every item of a set says what the guardrail says whose uuid it has, and no two have the same."""
    shown = items(api, id)
    assert len({item["uuid"] for item in shown}) == len(shown)
    for item in shown:
        twin = document(api, item["uuid"], "guardrails")
        assert {**item, "uuid": None} == {**{n: v for n, v in twin.items() if n not in SERVERS}, "uuid": None}
        users = api.get(f"{GUARDRAILS}/{item['uuid']}/references").json()["data"]
        assert [user["id"] for user in users if user["kind"] == "guardrails"] == [id]
