"""Tools to send, and what is shown of them: for the tables about tools."""

from itertools import count
from typing import Any

import httpx

NUMBERS = count(1)
MASK = "*" * 8
URL = "https://api.example.org/rate"
NIGHTS = {"type": "object", "properties": {"nights": {"type": "integer"}}}
API = {
    "url": URL,
    "method": "POST",
    "timeout": 10,
    "headers": None,
    "auth": None,
    "body_template": None,
    "query_params": None,
    "content_type": None,
}
"""`delivery.api` with nothing but a URL, as it is shown."""
BEARER = {"type": "bearer", "token": "s3cr3t"}
BASIC = {"type": "basic", "username": "desk", "password": "s3cr3t"}
KEY = {"type": "api_key", "name": "X-Key", "value": "s3cr3t"}
HMAC = {"type": "hmac", "secret": "s3cr3t"}
OAUTH = {
    "type": "oauth2_client_credentials",
    "token_url": "https://login.example.org/token",
    "client_id": "desk",
    "client_secret": "s3cr3t",
}
WITH_SECRET: list[tuple[dict[str, str], str]] = [
    (BEARER, "token"),
    (BASIC, "password"),
    (KEY, "value"),
    (HMAC, "secret"),
    (OAUTH, "client_secret"),
]
"""Every auth that has a secret, and the name of it."""


def create(api: httpx.Client, **members: Any) -> httpx.Response:
    """POST a tool with these members; `...` leaves one out."""
    body = {"name": f"a_tool_{next(NUMBERS)}", "description": "Tells the price of a room."} | members
    return api.post("/v2/tools", json={name: value for name, value in body.items() if value is not ...})


def created(answer: httpx.Response) -> dict[str, Any]:
    """The tool in an answer."""
    assert answer.status_code == 200, answer.text
    tool: dict[str, Any] = answer.json()
    return tool


def with_api(**members: Any) -> dict[str, Any]:
    """A delivery to a server."""
    return {"delivery": {"api": {"url": URL} | members}}
