"""Skills of a PAL over the wire: what the tests of them have in common."""

from typing import Any

import httpx

SLIDES = {"document_ids": ["d1"], "slides_trigger": "walk_the_deck"}


def path(pal: str, skill: str = "", family: str = "pals") -> str:
    return f"/v2/{family}/{pal}/skills" + (f"/{skill}" if skill else "")


def put(api: httpx.Client, pal: str, skill: str, config: Any = None, **headers: str) -> httpx.Response:
    body = {} if config is None else {"config": config}
    return api.put(path(pal, skill), json=body, headers=headers)


def configure(api: httpx.Client, pal: str, skill: str, config: Any, **headers: str) -> httpx.Response:
    return api.patch(path(pal, skill), json={"config": config}, headers=headers)


def attached(api: httpx.Client, pal: str) -> dict[str, Any]:
    answer = api.get(path(pal))
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"data"}
    found: dict[str, Any] = answer.json()["data"]
    return found


def history(api: httpx.Client, pal: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/v2/pals/{pal}/skills-history/revisions").json()["data"]
    return found
