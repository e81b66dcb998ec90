"""The outermost layer: a request id for every answer and log line, and an answer for every mistake."""

import re

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palace.api.bodies import Disconnected, header
from palace.clock import Clock
from palace.errors import ClientError, Detail, NoSuchRoute, ServerError
from palace.errors import StoreUnavailable as Unavailable
from palace.ids import Ids
from palace.storage import StorageFailure
from palace.vocabulary import Words

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
REQUEST_ID_HEX_DIGITS = 12
RETRY_SECONDS = "5"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.http")


class Gateway:
    """Wraps the whole application. A client's own `x-request-id` is kept when it is short and plain."""

    def __init__(self, app: ASGIApp, clock: Clock, ids: Ids, *, log_requests: bool) -> None:
        self._app = app
        self._clock = clock
        self._ids = ids
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and answer for whatever comes back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent_id = header(scope, b"x-request-id")
        request_id = (
            sent_id if sent_id and REQUEST_ID.fullmatch(sent_id) else self._ids.new("r-", REQUEST_ID_HEX_DIGITS)
        )
        if len(scope["path"]) > 1:  # Both forms of every path are served, without a redirect (contract 1.2).
            scope["path"] = scope["path"].rstrip("/") or "/"
        started = self._clock.monotonic()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode("ascii"))]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Disconnected:
            log.info("client went away", request_id=request_id, method=scope["method"], path=scope["path"])
            return
        except Exception as error:
            if status:  # Too late for another answer: the connection is closed by the server.
                log.exception("answer broken off", request_id=request_id, method=scope["method"], path=scope["path"])
                raise
            mistake = self._mistake(error, scope, request_id)
            await send_error(mistake, scope.get("palace.words", Words()), request_id, send_with_id)
        if self._log_requests or status >= 500:
            milliseconds = round((self._clock.monotonic() - started) * 1000, 1)
            log.info(
                "request",
                request_id=request_id,
                method=scope["method"],
                path=scope["path"],
                status=status,
                ms=milliseconds,
            )

    def _mistake(self, error: Exception, scope: Scope, request_id: str) -> ClientError:
        if isinstance(error, ClientError):
            return error
        where = {"request_id": request_id, "method": scope["method"], "path": scope["path"]}
        if isinstance(error, StorageFailure):
            log.error("store unavailable", **where, problem=str(error))
            problem = "The server cannot store changes right now. Nothing was changed; try again."
            return Unavailable(problem, [Detail("store_unavailable", problem)], {"retry-after": RETRY_SECONDS})
        log.error("unexpected error", **where, exc_info=error)
        return ServerError("This is a bug of the server. Its log has more under the request id.")


async def send_error(error: ClientError, words: Words, request_id: str, send: Send) -> None:
    """The answer to a mistake, as JSON."""
    body = orjson.dumps(error.body(words, request_id))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        *((name.encode("ascii"), value.encode("latin-1")) for name, value in error.headers.items()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def no_such_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Where the router ends when no path fits."""
    del receive, send
    raise NoSuchRoute(f"There is no operation at {scope['path'][:200]}. See /docs for those there are.")
