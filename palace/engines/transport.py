"""How questions travel: what goes out is what is said here and nothing else, and what comes in has a limit.

The `openai` client reads headers from the environment (`OPENAI_CUSTOM_HEADERS`, `OPENAI_ORG_ID`) and tells about this
machine (`X-Stainless-…`); none of that leaves the server. Connections to an address that a PAL names are guarded.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any

import httpcore
import httpx

from palace import __version__
from palace.fetching import Fetcher, guarded_pool, open_pool

MOST_BYTES = 8 << 20
"""of one answer; a long one has some 100 KB"""

MOST_CONNECTIONS = 1000
"""to one model, of all conversations"""

FRAMING = ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade")
CONTENT = ("content-type", "accept", "accept-encoding", "expect", "proxy-authorization", "proxy-connection")
OURS = frozenset((*FRAMING, *CONTENT))
"""headers that nobody else sets: they say where a request goes and where it ends"""


class TooLong(Exception):
    """An answer has more bytes than are taken."""


class Packed(Exception):
    """An answer is compressed, though that was not asked for."""


def headers_of(api_key: str, headers: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """Every header that goes to a model, but for those in OURS. Raises ValueError with a sentence."""
    given = {str(name).lower(): str(value) for name, value in headers.items() if str(name).lower() not in OURS}
    sent = {"user-agent": f"palace/{__version__}"}
    if api_key:
        sent["authorization"] = f"Bearer {api_key}"
    sent |= given
    for name, value in sent.items():
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum() or not value.isprintable():
            raise ValueError(f"headers: {name!r} cannot be sent.")
    return [(name.encode("ascii"), value.encode("utf-8")) for name, value in sent.items()]


class Transport(httpx.AsyncBaseTransport):
    """Carries requests to one model, with `headers`."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, headers: list[tuple[bytes, bytes]], connect: float) -> None:
        self._pool = pool
        self._headers = headers
        self._waits = {"connect": connect, "pool": connect, "write": connect, "read": None}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask. The answer's body is read by who gets it, and knows its own end: `extensions["body"]`."""
        content = await request.aread()
        url = request.url
        headers = [
            (b"host", url.netloc),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode("ascii")),
            (b"accept", b"text/event-stream"),
            (b"accept-encoding", b"identity"),
            *self._headers,
        ]
        response = await self._pool.handle_async_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=headers,
                content=content,
                extensions={"timeout": self._waits},
            )
        )
        body = Body(response)
        kept = [(name, value) for name, value in response.headers if name.lower() != b"set-cookie"]
        packing = {value.lower() for name, value in kept if name.lower() == b"content-encoding"}
        if packing - {b"identity"}:
            await body.aclose()
            raise Packed
        return httpx.Response(response.status, headers=kept, stream=body, extensions={"body": body})

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class Body(httpx.AsyncByteStream):
    """What a model sends, as far as it is taken."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self._size = 0
        self._end = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._response.stream, AsyncIterable)
        async for chunk in self._response.stream:  # Not `aiter_stream`: the client comes twice, at last for the rest.
            self._size += len(chunk)
            if self._size > MOST_BYTES:
                raise TooLong
            self._end = (self._end + chunk)[-64:]
            yield chunk

    @property
    def says_done(self) -> bool:
        """Whether it ends as a stream of OpenAI's does: not every model tells the end in its last chunk as well."""
        return b"[DONE]" in self._end

    async def aclose(self) -> None:
        """Read no more; the connection is closed if there would be more."""
        await self._response.aclose()


def pool_for(host: str, fetcher: Fetcher, *, is_guarded: bool) -> httpcore.AsyncConnectionPool:
    """Connections to a model; guarded where a PAL names its address."""
    if is_guarded:
        return guarded_pool(fetcher, host, MOST_CONNECTIONS)
    return open_pool(fetcher, MOST_CONNECTIONS)
