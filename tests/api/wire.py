"""What the tables of this folder have in common: one way to send a patch, one way to judge an answer."""

from typing import Any

import httpx

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
DOCUMENTED = {200, 204, 304, 400, 401, 404, 405, 413, 415, 422}
NO_SUCH_ID = (
    "There is no such object, or it is not yours. Lists show the ids there are; most of what was deleted can be "
    "restored."
)
REPLAYED = "idempotency-replayed"
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


def etag(api: httpx.Client, pal: str, family: str = "pals") -> str:
    """The tag of the PAL as it is."""
    tag: str = api.get(f"/v2/{family}/{pal}").headers["etag"]
    return tag


def revisions(api: httpx.Client, pal: str, family: str = "pals") -> list[dict[str, Any]]:
    """The newest hundred revisions, newest first."""
    answer = api.get(f"/v2/{family}/{pal}/revisions?limit=100")
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["data"]
    return listed


def revision(api: httpx.Client, pal: str, number: int, family: str = "pals") -> dict[str, Any]:
    """One revision with its document."""
    answer = api.get(f"/v2/{family}/{pal}/revisions/{number}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def greeted(api: httpx.Client, pal: str, *greetings: str) -> None:
    """One revision for each greeting."""
    for greeting in greetings:
        assert patch(api, pal, replace("/greeting", greeting)).status_code == 200


def preview(api: httpx.Client, method: str, path: str, **request: Any) -> dict[str, Any]:
    """What a write would do."""
    answer = api.request(method, path, params={"dry_run": "true"}, **request)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    assert set(said) == {"dry_run", "changed", "document", "touched", "patch", "inverse", "effects"}
    assert said["dry_run"] is True
    return said


def rollback(api: httpx.Client, pal: str, to: int, **headers: str) -> httpx.Response:
    """Back to a revision."""
    return api.post(f"/v2/pals/{pal}/rollback", json={"to": to}, headers=headers)


def revert(api: httpx.Client, pal: str, number: int, **headers: str) -> httpx.Response:
    """Without one revision."""
    return api.post(f"/v2/pals/{pal}/revisions/{number}/revert", headers=headers)


def restore(api: httpx.Client, pal: str, **headers: str) -> httpx.Response:
    """A deleted PAL again."""
    return api.post(f"/v2/pals/{pal}/restore", headers=headers)


def is_stored(api: httpx.Client, pal: str, pointer: str, secret: str) -> bool:
    """Whether sending this secret again would change nothing."""
    said = preview(api, "PATCH", f"/v2/pals/{pal}", json=[replace(pointer, secret)])
    return said["changed"] is False


def keyed(key: str, **headers: str) -> dict[str, str]:
    """The headers of a request under this key."""
    return {"idempotency-key": key, **headers}


def is_replay(first: httpx.Response, second: httpx.Response) -> bool:
    """Whether the second answer is the first one again."""
    own = {"x-request-id", "date", REPLAYED}
    one, other = ({name: value for name, value in answer.headers.items() if name not in own}
                  for answer in (first, second))  # fmt: skip
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert REPLAYED not in first.headers
    same = (first.status_code, first.content, one) == (second.status_code, second.content, other)
    return same and second.headers.get(REPLAYED) == "true"


def count(api: httpx.Client) -> int:
    """How many PALs the account sees."""
    total: int = api.get("/v2/pals").json()["total_count"]
    return total


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
