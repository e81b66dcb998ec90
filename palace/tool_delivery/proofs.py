"""How a tool's server is shown who sends: headers, a query parameter, a signature; and what nobody may see. Pure."""

import hashlib
import hmac
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from palace.fetching import Request
from palace.resource import Document
from palace.shown import MASK
from palace.tool_delivery.placeholders import compact, encoded, placeholders_in

SIGNATURE = "x-tavus-signature"
SHORTEST_SECRET = 4
"""characters: what is shorter would be found everywhere"""
SHORTEST_WRITTEN = 12
"""characters of a value that only the name of its header or parameter makes a secret"""
SOUNDS_SECRET = re.compile(
    r"(^|[-_.])(authorization|auth|cookie|key|token|secret|password|passwd|pwd|signature|sig|credentials?)($|[-_.])"
    r"|apikey|(token|secret|password)$",
    re.IGNORECASE,
)
"""Names of headers and of query parameters whose values are not shown, though they are no sealed secrets."""


def proven(request: Request, auth: Document | None, token: str = "") -> Request:
    """The request with what the auth of the tool asks for; `token` is the one that OAuth gave."""
    proof = PROOFS.get((auth or {}).get("type", "none"))
    assert proof is not None, "a kind of auth that no model has"
    return proof(request, auth or {}, token)


def _bearer(request: Request, auth: Document, _token: str) -> Request:
    return _with_header(request, "authorization", f"Bearer {auth['token']}")


def _basic(request: Request, auth: Document, _token: str) -> Request:
    return _with_header(request, "authorization", f"Basic {basic_credentials(auth)}")


def _api_key(request: Request, auth: Document, _token: str) -> Request:
    if auth.get("location") == "query":
        return _with_parameter(request, auth["name"], auth["value"])
    return _with_header(request, auth["name"].lower(), auth["value"])


def _hmac(request: Request, auth: Document, _token: str) -> Request:
    """Lower-case hexadecimal HMAC-SHA256 over the bytes of the body (runtime contract 5.2)."""
    return _with_header(request, SIGNATURE, signature(auth["secret"], request.body or b""))


def _oauth2(request: Request, _auth: Document, token: str) -> Request:
    return _with_header(request, "authorization", f"Bearer {token}")


PROOFS: Mapping[str, Callable[[Request, Document, str], Request]] = {
    "none": lambda request, _auth, _token: request,
    "bearer": _bearer,
    "basic": _basic,
    "api_key": _api_key,
    "hmac": _hmac,
    "oauth2_client_credentials": _oauth2,
}


def signature(secret: str, body: bytes) -> str:
    """What `X-Tavus-Signature` says."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def basic_credentials(auth: Document) -> str:
    """User name and password as the header has them."""
    return b64encode(f"{auth['username']}:{auth['password']}".encode()).decode()


def _with_header(request: Request, name: str, value: str) -> Request:
    """The request with this header, and without another one of that name."""
    others = tuple(header for header in request.headers if header[0].lower() != name)
    return replace(request, headers=(*others, (name, value)))


def _with_parameter(request: Request, name: str, value: str) -> Request:
    """The request with this parameter in its query, and without another one of that name: no argument stands for it."""
    address, _, query = request.url.partition("?")
    others = [pair for pair in query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != name]
    return replace(request, url=f"{address}?{'&'.join([*others, f'{encoded(name)}={encoded(value)}'])}")


# --- What must not be seen --------------------------------------------------------------------------------------------


def secrets_of(auth: Document | None) -> list[str]:
    """Every secret of the auth, and what is made of it to be sent."""
    auth = auth or {}
    found = [auth[name] for name in ("token", "password", "value", "secret", "client_secret") if auth.get(name)]
    return [*found, basic_credentials(auth)] if auth.get("type") == "basic" else found


def written_secrets(api: Document) -> list[str]:
    """What the tool's owner wrote into headers and query whose names sound secret; a word that is shorter is none."""
    query = [pair.partition("=") for pair in api["url"].partition("?")[2].split("&")]
    pairs = [
        *(api.get("headers") or {}).items(),
        *(api.get("query_params") or {}).items(),
        *((unquote_plus(name), unquote_plus(value)) for name, _, value in query),
    ]
    written = [value for name, value in pairs if SOUNDS_SECRET.search(name) and not any(placeholders_in(value))]
    found = [*written, *(value.partition(" ")[2] for value in written)]  # `Bearer …` may come back without its scheme.
    return [value for value in found if len(value) >= SHORTEST_WRITTEN]


def without_secrets(text: str, secrets: Iterable[str], *, is_cut: bool = False) -> str:
    """The text with a mask for each secret, also where it is written as URLs and JSON write it; and, in a text that was
    cut off, for the beginning of a secret at the end.
    """
    spelled = {form for secret in secrets if len(secret) >= SHORTEST_SECRET for form in _forms(secret)}
    for form in sorted(spelled, key=len, reverse=True):
        text = text.replace(form, MASK)
        begun = (length for length in range(len(form) - 1, 0, -1) if is_cut and text.endswith(form[:length]))
        length = next(begun, 0)
        text = f"{text[:-length]}{MASK}" if length else text
    return text


def _forms(secret: str) -> Iterator[str]:
    """The secret as it is, and as others write it: in URLs, in JSON, with its bytes read as Latin-1."""
    for text in (secret, secret.encode().decode("latin-1")):
        yield from (text, encoded(text), quote_plus(text), json.dumps(text)[1:-1], compact(text)[1:-1])


def shown(request: Request, auth: Document | None, secrets: Iterable[str]) -> dict[str, Any]:
    """The request for a record: no secret in it, nor a value whose name sounds like one."""
    secrets, key = tuple(secrets), str((auth or {}).get("name", "")).lower()

    def hides(name: str) -> bool:
        return bool(key and name.lower() == key) or SOUNDS_SECRET.search(name) is not None

    address, mark, query = request.url.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    query = "&".join(name + is_ + (MASK if hides(unquote_plus(name)) else value) for name, is_, value in pairs)
    headers = {name: MASK if hides(name) else value for name, value in request.headers}
    return {
        "method": request.method,
        "url": without_secrets(f"{address}{mark}{query}", secrets),
        "headers": {name: without_secrets(value, secrets) for name, value in headers.items()},
        "body": None if request.body is None else without_secrets(request.body.decode(), secrets),
    }
