"""Requests to addresses that clients name: the one place for them, guarded so that none leads inwards (SSRF).

A name is looked up once for each connection, every address found is judged, and the connection goes to one of these
very addresses: a name that changes its mind in between (DNS rebinding) changes nothing. Each redirect is judged again.
There are no cookies, no proxies from the environment, no connections shared between requests. The threats:
docs/explanation/fetching.md.
"""

import asyncio
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, BinaryIO

import httpcore
import httpx

from palace import __version__
from palace.addresses import Networks, address_in, is_public_address, is_public_host
from palace.lookups import Lookups, NotNow

LONGEST_URL = 2048
LONGEST_FILLED_URL = 8000
"""characters of an address that a server made from a template: what every server should take (RFC 9110, section 4.1)"""
MOST_REDIRECTS = 5
MOST_ADDRESSES_TRIED = 4
CONNECT_SECONDS = 5.0
SILENT_SECONDS = 20.0
"""how long a server may say nothing before it is given up"""
IDLE_SECONDS = 30.0
"""how long a connection is kept for the next request, where connections are kept"""

REDIRECTS = {301, 302, 303, 307, 308}
PASSING = {408, 425, 429, *range(500, 600)}
"""statuses that may be others a little later"""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
NOT_IN_A_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
PRIVATE = "Must not lead to a private address: this server fetches from public ones only."

Resolver = Callable[[str], Awaitable[Sequence[str]]]
"""All addresses of a name. Raises NotNow."""


class FetchFailed(Exception):
    """What was asked for did not come. The text is a sentence for the client: no content, no address it did not send.

    `is_temporary`: another try may succeed.
    """

    def __init__(self, text: str, *, is_temporary: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.is_temporary = is_temporary


class FetchRefused(FetchFailed):
    """The address, or what came from it, is not what this server takes."""


class NotReached(FetchFailed):
    """There was no connection: nothing was sent."""


class TookTooLong(FetchFailed):
    """The time for all of it was over. What was sent may have been carried out."""


class _TooMuch(Exception):
    """More came than the bound allows."""


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How requests leave this server: networks that are allowed besides public ones, who looks up names, whom TLS
    trusts.
    """

    allowed: Networks = ()
    resolve: Resolver = field(default_factory=lambda: Lookups().look_up)
    certificates: Callable[[], ssl.SSLContext] = _certificates


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one answer may be: its size once it is unpacked, the seconds for all of it, its media types (none: any)."""

    most_bytes: int
    seconds: float
    media_types: tuple[str, ...] = ()
    https_only: bool = False
    longest_url: int = LONGEST_URL


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came, apart from its content."""

    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: these headers, and besides them only those that the connection needs."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: names of headers in lower case, the content unpacked, cut off where it went beyond the bound."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


# --- Addresses --------------------------------------------------------------------------------------------------------


def problem_with_url(
    url: str, allowed: Networks = (), *, https_only: bool = False, longest: int = LONGEST_URL
) -> str | None:
    """Why this server would not fetch from a URL, as far as that is seen without looking anything up."""
    try:
        if len(url) > longest or "\\" in url or any(one.isspace() or not one.isprintable() for one in url):
            raise httpx.InvalidURL("")
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        return "Not a valid URL."
    if parsed.scheme not in (("https",) if https_only else ("http", "https")):
        return "Must be an https URL." if https_only else "Must be an http or https URL."
    if parsed.userinfo:
        return "Must not have a user name or a password in it."
    if not host or not 0 < (parsed.port or 1) < 1 << 16:
        return "Not a valid URL."
    return None if is_public_host(host, allowed) else PRIVATE


class _Doorkeeper(httpcore.AsyncNetworkBackend):
    """Opens connections, and only to addresses that are judged. Raises FetchRefused for the others."""

    def __init__(self, fetcher: Fetcher, where: str) -> None:
        self._fetcher = fetcher
        self._where = where
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of the host that answers."""
        literal = address_in(host)
        try:
            found = [host] if literal else await self._fetcher.resolve(host)
        except NotNow as error:
            raise NotReached(f"{host} could not be looked up just now.", is_temporary=True) from error
        if not found or not all(is_public_address(address, self._fetcher.allowed) for address in found):
            raise FetchRefused(f"{self._where} has no public address.")
        failure: Exception = httpcore.ConnectError()
        for address in found[:MOST_ADDRESSES_TRIED]:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


def guarded_pool(fetcher: Fetcher, where: str, most_connections: int) -> httpcore.AsyncConnectionPool:
    """Connections to a server that a client named and that is asked often, each to an address that was judged.

    A request over them raises FetchRefused where the name leads inwards; sentences call the server `where`.
    """
    return _pool(fetcher, most_connections, _Doorkeeper(fetcher, where))


def open_pool(fetcher: Fetcher, most_connections: int) -> httpcore.AsyncConnectionPool:
    """Connections to a server that the operator named: any address will do."""
    return _pool(fetcher, most_connections, None)


def _pool(fetcher: Fetcher, most: int, backend: httpcore.AsyncNetworkBackend | None) -> httpcore.AsyncConnectionPool:
    return httpcore.AsyncConnectionPool(
        fetcher.certificates(), max_connections=most, keepalive_expiry=IDLE_SECONDS, network_backend=backend
    )


# --- Requests ---------------------------------------------------------------------------------------------------------

WAITS = {"connect": CONNECT_SECONDS, "read": SILENT_SECONDS, "write": SILENT_SECONDS, "pool": CONNECT_SECONDS}
UNREACHABLE = (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.PoolTimeout)
BROKEN = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError)


async def fetch(url: str, bounds: Bounds, into: BinaryIO, fetcher: Fetcher) -> Fetched:
    """GET what is at a URL, following at most five redirects, and write it to `into`. Raises FetchFailed, FetchRefused.

    What `into` holds after a failure is worth nothing.
    """
    where = "The server"
    try:
        async with asyncio.timeout(bounds.seconds):
            for hop in range(MOST_REDIRECTS + 1):
                where = _checked(url, where, bounds, fetcher, is_redirect=hop > 0)
                location, fetched = await _ask(url, where, bounds, into, fetcher)
                if fetched is not None:
                    return fetched
                url = _redirected(url, location, where)
    except (TimeoutError, *BROKEN) as error:
        raise _failure(error, where, bounds) from error
    raise FetchRefused(f"{where} leads on after {MOST_REDIRECTS} redirects.")


async def send(request: Request, bounds: Bounds, fetcher: Fetcher) -> Answer:
    """Send one request and take its answer, whatever its status; a redirect is an answer like any other.

    Raises FetchRefused; NotReached when nothing was sent; TookTooLong; FetchFailed when the answer broke off.
    """
    where = _checked(request.url, "", bounds, fetcher, is_redirect=False)
    for name, value in request.headers:  # Here, because the engine would show the value in its exception.
        if not HEADER_NAME.fullmatch(name) or NOT_IN_A_HEADER.search(value):
            raise FetchRefused("A header has characters that no header can carry.")
    waits = {"connect": CONNECT_SECONDS, "pool": CONNECT_SECONDS}
    try:
        async with asyncio.timeout(bounds.seconds), _answer(request, where, waits, fetcher) as response:
            told = _headers(response)
            parts, is_cut = [], False
            try:
                if request.method != "HEAD":
                    async for chunk in _unpacked(response, told, where, bounds.most_bytes):
                        parts.append(chunk)  # noqa: PERF401 - what came before it is too much is wanted
            except _TooMuch:
                is_cut = True
            return Answer(response.status, told, b"".join(parts), is_cut)
    except (TimeoutError, *BROKEN) as error:
        raise _failure(error, where, bounds) from error


def _failure(error: Exception, where: str, bounds: Bounds) -> FetchFailed:
    """What an exception of the connection means."""
    if isinstance(error, TimeoutError):
        return TookTooLong(f"{where} took longer than {bounds.seconds:g} seconds.", is_temporary=True)
    problem = "did not answer" if isinstance(error, httpcore.TimeoutException) else "could not be reached"
    if isinstance(error, UNREACHABLE):
        return NotReached(f"{where} {problem}.", is_temporary=True)
    if isinstance(error, httpcore.TimeoutException):
        return FetchFailed(f"{where} {problem}.", is_temporary=True)
    return FetchFailed(f"{where} broke off, or did not speak HTTP.", is_temporary=True)


def _checked(url: str, where: str, bounds: Bounds, fetcher: Fetcher, *, is_redirect: bool) -> str:
    """How sentences name the server behind a URL: only by what the client wrote. Raises FetchRefused."""
    problem = problem_with_url(url, fetcher.allowed, https_only=bounds.https_only, longest=bounds.longest_url)
    if is_redirect:
        where = where if where.startswith("The redirect") else f"The redirect of {where}"
        if problem:
            raise FetchRefused(f"{where} leads to an address that this server does not fetch from.")
        return where
    if problem:
        raise FetchRefused(problem)
    return httpx.URL(url).host


def _redirected(url: str, location: str, where: str) -> str:
    try:
        target = httpx.URL(url).join(location).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError) as error:  # ValueError: what is in brackets is no address.
        raise FetchRefused(f"{where} sends a redirect that is no URL.") from error
    if httpx.URL(url).scheme == "https" and target.scheme != "https":
        raise FetchRefused(f"{where} sends a redirect from https to {target.scheme}.")
    return str(target)


@asynccontextmanager
async def _answer(
    request: Request, where: str, waits: Mapping[str, float], fetcher: Fetcher
) -> AsyncIterator[httpcore.Response]:
    """The answer to one request, on a connection of its own."""
    url = httpx.URL(request.url)
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    said = {name.lower().encode("ascii"): value.strip().encode() for name, value in request.headers}
    headers = {b"user-agent": f"palace/{__version__}".encode("ascii"), b"accept": b"*/*"} | said
    if request.body is not None:
        headers[b"content-length"] = b"%d" % len(request.body)
    headers |= {b"host": url.netloc, b"accept-encoding": b"identity", b"connection": b"close"}
    certificates = fetcher.certificates() if url.scheme == "https" else None
    async with (
        httpcore.AsyncConnectionPool(certificates, network_backend=_Doorkeeper(fetcher, where)) as pool,
        pool.stream(
            request.method, target, headers=list(headers.items()), content=request.body, extensions={"timeout": waits}
        ) as response,
    ):
        yield response


def _headers(response: httpcore.Response) -> dict[str, str]:
    """The headers of an answer by their names in lower case; the first of several."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1").strip() for name, value in reversed(response.headers)
    }


async def _ask(url: str, where: str, bounds: Bounds, into: BinaryIO, fetcher: Fetcher) -> tuple[str, Fetched | None]:
    """One request: where it redirects to, or what was fetched."""
    async with _answer(Request("GET", url), where, WAITS, fetcher) as response:
        told = _headers(response)
        if response.status in REDIRECTS and "location" in told:
            return told["location"], None
        if response.status != 200:
            raise FetchFailed(f"{where} answered {response.status}.", is_temporary=response.status in PASSING)
        return "", await _take(response, told, where, bounds, into)


async def _take(
    response: httpcore.Response, told: Mapping[str, str], where: str, bounds: Bounds, into: BinaryIO
) -> Fetched:
    """The content of an answer, written to `into` while it comes. Raises FetchRefused as soon as it goes too far."""
    media_type = told.get("content-type", "").split(";")[0].strip().lower()
    if bounds.media_types and media_type not in bounds.media_types:
        raise FetchRefused(f"{where} sent another media type than one of: {', '.join(bounds.media_types)}.")
    too_large = FetchRefused(f"{where} sent more than {bounds.most_bytes} bytes.")
    announced = told.get("content-length", "")
    if announced.isdecimal() and int(announced[:18]) > bounds.most_bytes:
        raise too_large
    size = 0
    try:
        async for chunk in _unpacked(response, told, where, bounds.most_bytes):
            size += len(chunk)
            into.write(chunk)
    except _TooMuch:
        raise too_large from None
    return Fetched(media_type, size)


async def _unpacked(
    response: httpcore.Response, told: Mapping[str, str], where: str, most_bytes: int
) -> AsyncIterator[bytes]:
    """The content of an answer while it comes. Raises _TooMuch after the last byte allowed; FetchRefused."""
    gzip = _gzip(told.get("content-encoding", ""), where)
    broken = FetchRefused(f"{where} sent content that is not gzip, as it says.")
    received = size = 0
    async for packed in response.aiter_stream():
        received += len(packed)
        try:  # At most one byte too many is unpacked: a small chunk may hold a thousand times its size.
            chunk = packed if gzip is None else gzip.decompress(packed, most_bytes - size + 1)
        except zlib.error as error:
            raise broken from error
        yield chunk[: most_bytes - size]
        size += len(chunk)
        if max(received, size) > most_bytes:
            raise _TooMuch
    if gzip is not None and not gzip.eof:
        raise broken


def _gzip(encoding: str, where: str) -> Any:
    """What unpacks the content; None where it is not packed. Raises FetchRefused for any other packing than gzip."""
    if encoding.lower() in ("", "identity"):
        return None
    if encoding.lower() not in ("gzip", "x-gzip"):
        raise FetchRefused(f"{where} sent a content-encoding that was not asked for.")
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
