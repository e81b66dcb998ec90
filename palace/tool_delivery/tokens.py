"""Access tokens that a tool's server wants, kept while they last (OAuth 2.0 client credentials, RFC 6749, 4.4)."""

import hashlib
import math
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from palace.clock import Clock
from palace.fetching import Answer, Bounds, Fetcher, FetchFailed, Request, send
from palace.resource import Document
from palace.tool_delivery.placeholders import compact, encoded, form_of
from palace.tool_delivery.requests import FORM_TYPE, JSON_TYPE

MOST_TOKENS = 1000
MOST_BYTES = 64 << 10
"""of the answer that has a token in it"""
EARLY_SECONDS = 30
"""how long before its end a token is given up: it may be on its way for a while"""
UNSAID_SECONDS = 300
"""how long a token is kept whose server does not say how long it lasts"""
LONGEST_SECONDS = 24 * 3600
REFUSALS = (400, 401)
"""what servers say that want the client's credentials in the other place"""


class NoToken(FetchFailed):
    """No token came. The text has no secret in it."""


class Tokens:
    """Tokens in memory, of each tool and client its own; those that were not used longest go first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def token(self, tool: Document, auth: Document, seconds: float, fetcher: Fetcher) -> str:
        """A token, a kept one or a new one. Raises FetchFailed."""
        key = _key(tool, auth)
        token, until = self._kept.get(key, ("", 0.0))
        if not token or until <= self._clock.monotonic():
            asked = self._clock.monotonic()
            token, lasts = await _ask(auth, seconds, fetcher)
            self._kept[key] = token, asked + lasts - EARLY_SECONDS
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_TOKENS:
            self._kept.popitem(last=False)
        return token

    def forget(self, tool: Document, auth: Document) -> None:
        """Do without the token that is kept: it was refused."""
        self._kept.pop(_key(tool, auth), None)


def _key(tool: Document, auth: Document) -> str:
    """Another secret, scope or address is another token."""
    return hashlib.sha256(compact([tool["tool_id"], auth]).encode()).hexdigest()


async def _ask(auth: Document, seconds: float, fetcher: Fetcher) -> tuple[str, float]:
    """A new token and the seconds that it lasts. Raises FetchFailed.

    The credentials go into a header, which every server must read (section 2.3.1), and where they are refused there,
    into the body, which is what some read all the same.
    """
    bounds = Bounds(MOST_BYTES, seconds, https_only=True)
    answer = await send(_request(auth, in_header=True), bounds, fetcher)
    if answer.status in REFUSALS:
        answer = await send(_request(auth, in_header=False), bounds, fetcher)
    return _token_in(answer)


def _request(auth: Document, *, in_header: bool) -> Request:
    wanted = [("grant_type", "client_credentials")]
    wanted += [("scope", auth["scope"])] if auth.get("scope") else []
    headers = [("accept", JSON_TYPE), ("content-type", FORM_TYPE)]
    if in_header:
        credentials = f"{encoded(auth['client_id'])}:{encoded(auth['client_secret'])}"
        headers.append(("authorization", f"Basic {b64encode(credentials.encode()).decode()}"))
    else:
        wanted += [("client_id", auth["client_id"]), ("client_secret", auth["client_secret"])]
    return Request("POST", auth["token_url"], tuple(headers), form_of(wanted).encode())


def _token_in(answer: Answer) -> tuple[str, float]:
    """The token of an answer and the seconds that it lasts. Raises NoToken."""
    if answer.status != 200:
        raise NoToken(f"The server of the tokens answered {answer.status}.", is_temporary=answer.status >= 500)
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        said = None
    token = said.get("access_token") if isinstance(said, dict) else None
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise NoToken("The server of the tokens sent none.")
    if str(said.get("token_type", "bearer")).lower() != "bearer":
        raise NoToken("The server of the tokens sent one that is not of the type bearer.")
    return token, _seconds(said)


def _seconds(said: Mapping[str, Any]) -> float:
    """`expires_in`, which some servers send as a text."""
    try:
        seconds = float(said.get("expires_in") or UNSAID_SECONDS)
    except (TypeError, ValueError):
        seconds = UNSAID_SECONDS
    return UNSAID_SECONDS if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_SECONDS)
