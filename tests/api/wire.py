"""What the tables of this folder have in common: one way to send a patch, one way to judge an answer."""

from typing import Any

import httpx

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
DOCUMENTED = {200, 204, 304, 400, 401, 404, 405, 413, 415, 422}
NO_SUCH_ID = "There is no such object, or it is not yours."
UNCHANGED = "No changes were made to the PAL"

Operation = dict[str, Any]


def patch(api: httpx.Client, pal: str, *operations: Operation, family: str = "pals", **headers: str) -> httpx.Response:
    """PATCH a PAL with these operations."""
    return api.patch(f"/v2/{family}/{pal}", json=list(operations), headers=headers)


def send(api: httpx.Client, method: str, path: str, body: bytes, media: str = "application/json") -> httpx.Response:
    """These very bytes."""
    return api.request(method, path, content=body, headers={"content-type": media})


def document(api: httpx.Client, pal: str, family: str = "pals") -> dict[str, Any]:
    """The PAL as Get PAL shows it."""
    answer = api.get(f"/v2/{family}/{pal}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def text_of(answer: httpx.Response) -> str:
    """The sentence of an error, which both kinds of clients find, and every entry of `details` tells a problem."""
    body = answer.json()
    assert set(body) - {"corrected_patch"} == {"message", "error", "details", "request_id"}
    assert body["message"] == body["error"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["details"]
    assert all(detail["code"] and detail["problem"] for detail in body["details"])
    sentence: str = body["message"]
    return sentence


def refused(answer: httpx.Response, status: int, sentence: str | None = None) -> list[dict[str, Any]]:
    """The `details` of a refusal with this status and, where it is given, this very sentence."""
    assert answer.status_code == status, answer.text
    said = text_of(answer)
    assert sentence in (None, said)
    details: list[dict[str, Any]] = answer.json()["details"]
    return details


def replace(path: str, value: Any) -> Operation:
    return {"op": "replace", "path": path, "value": value}


def add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> Operation:
    return {"op": "remove", "path": path}


def expect(path: str, value: Any) -> Operation:
    return {"op": "test", "path": path, "value": value}
