"""Reading what a client sends: its size, its media type, its JSON. And sending JSON back."""

from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from palace.errors import BodyTooLarge, Detail, MalformedJson, MalformedPatch, UnsupportedMediaType
from palace.json_patch import InvalidJson, Limits, read_json

MERGE_PATCH = "application/merge-patch+json"
PATCH_TYPES = ("application/json", "application/json-patch+json", MERGE_PATCH)
DOCUMENT_TYPES = ("application/json",)


class Disconnected(Exception):
    """The client went away before it had sent its whole request: nobody is left to answer."""


class Headers:
    """The headers of a request by their lower-case names; of several with one name the first counts."""

    __slots__ = ("_values",)

    def __init__(self, scope: Scope) -> None:
        self._values: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    def get(self, name: bytes) -> str | None:
        """The text of a header, or None."""
        value = self._values.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def is_chunked(self) -> bool:
        """Whether a body follows whose length is not announced."""
        return b"transfer-encoding" in self._values


async def read_body(headers: Headers, receive: Receive, largest: int) -> bytes:
    """The whole body. Raises BodyTooLarge before more than `largest` bytes are kept, and Disconnected."""
    announced = headers.get(b"content-length")
    if announced is not None and int(announced) > largest:  # The HTTP parser admits digits only.
        raise _too_large(int(announced), largest)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > largest:
            raise _too_large(size, largest)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(size: int, largest: int) -> BodyTooLarge:
    problem = f"The body has {size} bytes or more; the limit is {largest}."
    facts = {"limit": "max_body_bytes", "maximum": largest, "actual": size}
    return BodyTooLarge(problem, [Detail("body_too_large", problem, facts=facts)], {"connection": "close"})


def media_type(headers: Headers, known: tuple[str, ...]) -> str:
    """The media type of the body; a missing one counts as JSON. Raises UnsupportedMediaType."""
    sent = (headers.get(b"content-type") or known[0]).split(";")[0].strip().lower()
    if sent in known:
        return sent
    problem = f"{sent[:80]!r} is not read here: send the body with the header content-type: {known[0]}."
    facts = {"allowed": list(known)}
    told = {"accept-patch" if known is PATCH_TYPES else "accept-post": ", ".join(known)}
    raise UnsupportedMediaType(problem, [Detail("unsupported_media_type", problem, facts=facts)], told)


def parse_document(body: bytes, limits: Limits) -> Any:
    """The JSON of a body. Raises MalformedJson."""
    try:
        return read_json(body, limits)
    except InvalidJson as error:
        raise MalformedJson(f"Bad Request. {error.problem}", [_detail(error)]) from error


def parse_patch(body: bytes, limits: Limits) -> Any:
    """The JSON of a JSON Patch. Raises MalformedPatch: a client expects 422 here, not 400 (contract 2.5)."""
    try:
        return read_json(body, limits)
    except InvalidJson as error:
        raise MalformedPatch([_detail(error)]) from error


def _detail(error: InvalidJson) -> Detail:
    return Detail(error.code, error.problem, facts={} if error.offset is None else {"offset": error.offset})


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of this lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None


async def send_json(status: int, body: bytes | None, headers: Mapping[str, str], send: Send) -> None:
    """An answer with this JSON; without a body it has no content-length either, as 204 and 304 want it (RFC 9110)."""
    told = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    if body is not None:
        told += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body or b""})
