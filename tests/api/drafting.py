"""What the tests of drafts have in common: requests below a PAL, and what is said of a draft."""

from typing import Any

import httpx

from tests.api.wire import Operation, add, replace

IN_THE_WAY = "This PAL has changes in PAL Maker. Retry with force=true"
NAMED = replace("/pal_name", "The Day Desk")
GREETED = replace("/greeting", "Good morning.")
PROMPTED = replace("/system_prompt", "Speak slowly.")
CONFERENCING = add("/layers/conferencing", {"allowlist": ["a@example.org"]})


def send(
    api: httpx.Client, method: str, path: str, *operations: Operation, family: str = "pals", **headers: str
) -> httpx.Response:
    """A JSON Patch, or no body, to a path below a family of routes."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    body = list(operations) if method == "PATCH" else None
    return api.request(method, f"/v2/{family}/{path}", json=body, headers=headers)


def drafted(api: httpx.Client, pal: str, *operations: Operation, **headers: str) -> dict[str, Any]:
    """The draft after these operations on it."""
    answer = send(api, "PATCH", f"{pal}/draft", *operations, **headers)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def draft_of(api: httpx.Client, pal: str) -> dict[str, Any] | None:
    """The open draft, if there is one."""
    answer = api.get(f"/v2/pals/{pal}/draft")
    return answer.json() if answer.status_code == 200 else None


def published(api: httpx.Client, pal: str) -> dict[str, Any]:
    """The answer to publishing, which succeeds."""
    answer = send(api, "POST", f"{pal}/publish")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def newest(api: httpx.Client, pal: str) -> dict[str, Any]:
    """The newest revision, as it is listed."""
    revision: dict[str, Any] = api.get(f"/v2/pals/{pal}/revisions?limit=1").json()["data"][0]
    return revision


def in_the_way(answer: httpx.Response) -> dict[str, Any]:
    """What a 409 says of the draft that a write met."""
    body = answer.json()
    assert (answer.status_code, body["message"], body["error"]) == (409, IN_THE_WAY, IN_THE_WAY)
    assert body["conflict"] == "maker_changes"
    draft: dict[str, Any] = body["draft"]
    return {**draft, "details": body["details"]}


def said(shown: dict[str, Any], *names: str) -> dict[str, Any]:
    """Some members of a document: those that the three operations above write, unless others are named."""
    return {name: shown[name] for name in names or ("pal_name", "greeting", "system_prompt")}


def state(shown: dict[str, Any]) -> dict[str, Any]:
    """A document without what differs between two objects that say the same."""
    return {name: value for name, value in shown.items() if not name.endswith(("_at", "pal_id", "status"))}
