"""The outermost layer: a request id for every answer and log line; every request is counted, and traced if wanted."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palace.api.bodies import header
from palace.api.mistakes import where, who
from palace.api.sockets import as_request
from palace.call import Part
from palace.clock import Clock
from palace.errors import NoSuchRoute
from palace.ids import Ids
from palace.metrics import Meter
from palace.tracing import Tracing, trace_id

if TYPE_CHECKING:
    from opentelemetry.trace import Span

VERSION_PREFIX = "/v2"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
REQUEST_ID_HEX_DIGITS = 12
SWITCHING = 101
TRACE_HEADERS = ("traceparent", "tracestate")

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.http")


class Gateway:
    """Wraps the whole application. A client's own `x-request-id` is kept when it is short and plain."""

    def __init__(
        self,
        app: ASGIApp,
        clock: Clock,
        ids: Ids,
        collections: frozenset[str],
        meter: Meter,
        is_ready: Callable[[], bool],
        tracing: Tracing | None,
        *,
        log_requests: bool,
    ) -> None:
        self._app = app
        self._clock = clock
        self._ids = ids
        self._collections = collections
        self._meter = meter
        self._is_ready = is_ready
        self._tracing = tracing
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on under its id, count it, and log it."""
        if scope["type"] == "websocket":
            scope, send = as_request(scope, send)
        sent_id = header(scope, b"x-request-id")
        is_usable = sent_id is not None and REQUEST_ID.fullmatch(sent_id) is not None
        request_id = sent_id if sent_id and is_usable else self._ids.new("r-", REQUEST_ID_HEX_DIGITS)
        scope["palace.request_id"] = request_id
        scope["path"] = self._full(scope["path"])
        started = self._clock.monotonic()
        span = self._begin_span(scope) if self._tracing is not None else None
        status, answered = 0, None

        async def send_with_id(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "websocket.accept":
                status, answered = SWITCHING, self._clock.monotonic() - started
                message["headers"] = [(b"x-request-id", request_id.encode("ascii"))]
            elif message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode("ascii")),
                    *scope.get("palace.headers", ()),
                    *(() if self._is_ready() else ((b"connection", b"close"),)),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds = self._clock.monotonic() - started
            route = scope.get("palace.route") or scope["path"]
            self._meter.request(route, scope["method"], status, seconds if answered is None else answered)
            if span is not None:
                self._end_span(span, scope, status, started, seconds)
            if self._log_requests or status >= 500:
                log.info("request", **where(scope), **who(scope), status=status, ms=round(seconds * 1000, 1))

    def _full(self, path: str) -> str:
        """The path with its version, without a slash at its end: all forms are served, none redirects (contract 1.2).

        Clients differ in whether the version is a part of the URL that they are given or of the paths that they add.
        """
        short = path.removesuffix("/") or path
        return f"{VERSION_PREFIX}{short}" if short[1:].partition("/")[0] in self._collections else short

    # --- Traces -------------------------------------------------------------------------------------------------------

    def _begin_span(self, scope: Scope) -> "Span":
        assert self._tracing is not None
        sent = {name: value for name in TRACE_HEADERS if (value := header(scope, name.encode("ascii"))) is not None}
        scope["palace.parts"] = []
        span = self._tracing.begin(sent, self._clock.now().timestamp())
        scope["palace.trace_id"] = trace_id(span)
        return span

    def _end_span(self, span: "Span", scope: Scope, status: int, started: float, seconds: float) -> None:
        """Say what the request was; its key is no part of that, whose account it is."""
        assert self._tracing is not None
        ended = self._clock.now().timestamp()
        shift = ended - seconds - started  # From the clock that never goes backwards to the time since 1970.
        parts = [Part(part.name, part.started + shift, part.ended + shift) for part in scope["palace.parts"]]
        route = scope.get("palace.route")
        attributes = {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
            "palace.request_id": scope["palace.request_id"],
            "palace.account": scope.get("palace.account"),
        }
        self._tracing.end(span, f"{scope['method']} {route or 'other'}", attributes, parts, ended)


async def no_such_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Where the router ends when no path fits."""
    del receive, send
    raise NoSuchRoute(f"There is no operation at {scope['path'][:200]}. See /docs for those there are.")
