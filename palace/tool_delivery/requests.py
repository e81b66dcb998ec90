"""The request that carries a tool out, made from the tool, the arguments and what the server knows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

import httpx

from palace.fetching import LONGEST_FILLED_URL, Request
from palace.resource import Document
from palace.tool_delivery.placeholders import (
    AUTHORITY,
    RESERVED_PREFIX,
    Filling,
    Undeliverable,
    compact,
    form_of,
    pairs_of,
    placeholders_in,
)

WITHOUT_BODY = ("GET", "HEAD", "DELETE")
SENT_BY_THE_SERVER = ("connection", "content-length", "host", "transfer-encoding")
"""Headers that decide where a request goes and where it ends: a tool does not set them."""
SECONDS = 10
"""how long a tool may take that does not say so"""
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server knows of a call. `more` are further placeholders by their whole names: `tavus_pal_id`."""

    conversation_id: str
    tool_call_id: str
    more: Mapping[str, str] = field(default_factory=dict)

    def placeholders(self) -> dict[str, str]:
        """Every placeholder of the server's own, with its value."""
        known = {"tavus_conversation_id": self.conversation_id, "tavus_tool_call_id": self.tool_call_id}
        assert all(name.startswith(RESERVED_PREFIX) for name in self.more)
        return {**self.more, **known}


def settings_of(tool: Document) -> Document:
    """`delivery.api` of a tool, with the defaults that were left out."""
    stored = tool["delivery"]["api"]
    return {"method": "POST", "timeout": SECONDS} | {name: value for name, value in stored.items() if value is not None}


def auth_type(api: Document) -> str:
    """How the tool's server is shown who sends."""
    kind: str = api.get("auth", {}).get("type", "none")
    return kind


def make_request(tool: Document, arguments: Mapping[str, Any], facts: Facts) -> Request:
    """The request without what proves who sends it. Raises Undeliverable: nothing is sent half-filled."""
    api = settings_of(tool)
    try:
        compact(arguments).encode()
    except (ValueError, TypeError, RecursionError):  # Half a surrogate pair, NaN, lists within lists without end.
        raise Undeliverable("The tool was not called. Its arguments cannot be written as JSON.") from None
    filling = Filling(arguments, {**facts.placeholders(), "tavus_tool_name": tool["name"]})
    url = _with_pairs(filling.url(api["url"]), _query(api, arguments, filling))
    media_type = _media_type(api)
    if auth_type(api) == "hmac":
        body: bytes | None = _envelope(tool["name"], arguments, facts)
    elif api["method"] in WITHOUT_BODY:
        body = None
    else:
        body = _body(api, arguments, filling, media_type)
    filling.check()
    _check_url(url, api["url"])
    headers = _headers(api)
    if body is not None:
        headers["content-type"] = media_type
    return Request(api["method"], url, tuple(headers.items()), body)


def _query(api: Document, arguments: Mapping[str, Any], filling: Filling) -> list[tuple[str, str]]:
    """`query_params`; without them, for a method without a body, all arguments that are not in the URL already."""
    if api.get("query_params"):
        return [(name, filling.text(template)) for name, template in api["query_params"].items()]
    if api["method"] in WITHOUT_BODY and auth_type(api) != "hmac":
        written = [unquote_plus(pair.partition("=")[0]) for pair in api["url"].partition("?")[2].split("&")]
        return pairs_of(arguments, but={*placeholders_in(api["url"]), *written})
    return []


def _with_pairs(url: str, pairs: list[tuple[str, str]]) -> str:
    if not pairs:
        return url
    return f"{url}{'&' if '?' in url else '?'}{form_of(pairs)}"


def _media_type(api: Document) -> str:
    """What the body is said to be. Raises Undeliverable for what this server does not write."""
    sent = [value for name, value in (api.get("headers", {})).items() if name.lower() == "content-type"]
    media_type: str = api.get("content_type") or (sent[0] if sent else JSON_TYPE)
    if media_type.lower().startswith("multipart/"):
        raise Undeliverable("The tool was not called. Its owner asked for a multipart body, which is not sent here.")
    return media_type


def _body(api: Document, arguments: Mapping[str, Any], filling: Filling, media_type: str) -> bytes:
    template = api.get("body_template")
    members = dict(arguments) if template is None else filling.json(template)
    if media_type.split(";")[0].strip().lower() == FORM_TYPE:
        return form_of(pairs_of(members)).encode()
    return compact(members).encode()


def _envelope(name: str, arguments: Mapping[str, Any], facts: Facts) -> bytes:
    """The body that is signed (runtime contract 5.2): members in order, arguments as a text within."""
    return compact(
        {
            "name": name,
            "arguments": compact(arguments),
            "conversation_id": facts.conversation_id,
            "tool_call_id": facts.tool_call_id,
        }
    ).encode()


def _headers(api: Document) -> dict[str, str]:
    """The tool's own headers by their names in lower case."""
    own = {name.lower(): value for name, value in (api.get("headers", {})).items()}
    return {name: value for name, value in own.items() if name not in (*SENT_BY_THE_SERVER, "content-type")}


def _check_url(url: str, template: str) -> None:
    """Raises Undeliverable when the URL is too long, or goes to another server than its template says."""
    if len(url) > LONGEST_FILLED_URL:
        text = f"Its address would have {len(url)} characters, and at most {LONGEST_FILLED_URL} are sent."
        raise Undeliverable(f"The tool was not called. {text} Give it shorter arguments.")
    origin = AUTHORITY.match(template)
    assert origin is not None
    try:
        same = _origin(url) == _origin(origin[0])
    except (httpx.InvalidURL, ValueError):
        same = False
    if not same:
        raise Undeliverable("The tool was not called. Its address is not valid.")


def _origin(url: str) -> tuple[str, bytes, bytes, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.userinfo, parsed.raw_host, parsed.port
