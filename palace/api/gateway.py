"""The outermost layer: a request id for every answer and log line, and an answer for every mistake."""

import re
from typing import Any

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palace.api.bodies import Disconnected, header, send_json
from palace.clock import Clock
from palace.errors import ClientError, Detail, NoSuchRoute, ServerError
from palace.errors import StoreUnavailable as Unavailable
from palace.ids import Ids
from palace.storage import OutcomeUnknown, StorageFailure
from palace.vocabulary import Words

VERSION_PREFIX = "/v2"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
REQUEST_ID_HEX_DIGITS = 12
LONGEST_CLIENT = 100
"""How much of a client's `User-Agent` is logged."""
RETRY_SECONDS = "5"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.http")


class Gateway:
    """Wraps the whole application. A client's own `x-request-id` is kept when it is short and plain."""

    def __init__(
        self, app: ASGIApp, clock: Clock, ids: Ids, collections: frozenset[str], *, log_requests: bool
    ) -> None:
        self._app = app
        self._clock = clock
        self._ids = ids
        self._collections = collections
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on under its id, and log it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent_id = header(scope, b"x-request-id")
        is_usable = sent_id is not None and REQUEST_ID.fullmatch(sent_id) is not None
        request_id = sent_id if sent_id and is_usable else self._ids.new("r-", REQUEST_ID_HEX_DIGITS)
        scope["palace.request_id"] = request_id
        scope["path"] = self._full(scope["path"])
        started = self._clock.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode("ascii"))]
            await send(message)

        await self._app(scope, receive, send_with_id)
        if self._log_requests or status >= 500:
            milliseconds = round((self._clock.monotonic() - started) * 1000, 1)
            log.info("request", **_where(scope), **_who(scope), status=status, ms=milliseconds)

    def _full(self, path: str) -> str:
        """The path with its version, without a slash at its end: all forms are served, none redirects (contract 1.2).

        Clients differ in whether the version is a part of the URL that they are given or of the paths that they add.
        """
        short = path.removesuffix("/") or path
        return f"{VERSION_PREFIX}{short}" if short[1:].partition("/")[0] in self._collections else short


class Mistakes:
    """Answers for whatever is raised further in. It stands inside CORS, so that pages of a browser can read errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and answer for what comes back as an exception."""
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Disconnected:
            log.info("client went away", **_where(scope))
        except Exception as error:
            if has_begun:  # Too late for another answer: the server closes the connection.
                log.exception("answer broken off", **_where(scope))
                raise
            await send_error(_mistake(error, scope), scope, send)


def _mistake(error: Exception, scope: Scope) -> ClientError:
    if isinstance(error, ClientError):
        return error
    if isinstance(error, OutcomeUnknown):
        log.error("outcome unknown", **_where(scope), problem=str(error))
        problem = "The database went away while the change was stored: all of it is stored, or nothing."
        told = "Read the object before you send it again. Under an Idempotency-Key, sending it again is safe."
        return Unavailable(f"{problem} {told}", [Detail("outcome_unknown", problem)], {"retry-after": RETRY_SECONDS})
    if isinstance(error, StorageFailure):
        log.error("store unavailable", **_where(scope), problem=str(error))
        problem = "The server cannot store changes right now. Nothing was changed; try again."
        return Unavailable(problem, [Detail("store_unavailable", problem)], {"retry-after": RETRY_SECONDS})
    log.error("unexpected error", **_where(scope), exc_info=error)
    return ServerError("This is a bug of the server. Its log has more under the request id.")


def _where(scope: Scope) -> dict[str, Any]:
    return {"request_id": scope["palace.request_id"], "method": scope["method"], "path": scope["path"]}


def _who(scope: Scope) -> dict[str, Any]:
    """Which operation was called, as the path of its route, and by what kind of client."""
    return {"route": scope.get("palace.route"), "client": (header(scope, b"user-agent") or "")[:LONGEST_CLIENT]}


async def send_error(error: ClientError, scope: Scope, send: Send) -> None:
    """The answer to a mistake, as JSON, in the words of the route."""
    body = error.body(scope.get("palace.words", Words()), scope["palace.request_id"])
    await send_json(error.status, orjson.dumps(body), error.headers, send)


async def no_such_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Where the router ends when no path fits."""
    del receive, send
    raise NoSuchRoute(f"There is no operation at {scope['path'][:200]}. See /docs for those there are.")
