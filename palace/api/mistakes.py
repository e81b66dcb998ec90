"""An answer for every mistake, for what takes too long, and for what is too much at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palace.api.bodies import Disconnected, header, send_json
from palace.errors import ClientError, Detail, ServerError
from palace.errors import StoreUnavailable as Unavailable
from palace.metrics import Meter
from palace.storage import OutcomeUnknown, Overloaded, StorageFailure, Unreadable
from palace.unavailable import BodyTooSlow, OutcomeNotKnown, TooBusy, TookTooLong
from palace.vocabulary import Words

LONGEST_CLIENT = 100
"""How much of a client's `User-Agent` is logged."""
RETRY_SECONDS = "5"
READING = ("GET", "HEAD", "OPTIONS")
API = "/v2/"
"""What lies elsewhere is answered however much there is to do: health, metrics, the reference."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.http")


class Mistakes:
    """Answers for whatever is raised further in. It stands inside CORS, so that pages of a browser can read errors."""

    def __init__(self, app: ASGIApp, meter: Meter, *, most_requests: int, seconds: float) -> None:
        """`seconds` 0 gives requests any time."""
        self._app = app
        self._meter = meter
        self._most_requests = most_requests
        self._seconds = seconds
        self._open: dict[_Exchange, None] = {}
        """in the order in which they came, so that the first one is the first to be late"""
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and answer for what comes back as an exception, or does not come back in time."""
        if len(self._open) >= self._most_requests and scope["path"].startswith(API):
            self._meter.count("refused/requests")
            await send_error(TooBusy(), scope, send)
            return
        exchange = _Exchange(scope, receive, send, self._let_go)
        self._begin(exchange)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Disconnected:
            if not exchange.is_late:
                log.info("client went away", **where(scope))
        except Exception as error:
            if exchange.has_begun:  # Too late for another answer: the server closes the connection.
                log.exception("answer broken off", **where(scope))
                raise
            await exchange.send_error(mistake(error, scope, self._meter))
        finally:
            self._let_go(exchange)
            await exchange.answered()

    def _begin(self, exchange: "_Exchange") -> None:
        """Note a request, and see to it that somebody looks when its time is over.

        One timer looks after all of them: one for each would cost 2 µs a request.
        """
        self._meter.count("requests_in_flight")
        self._open[exchange] = None
        if self._seconds:
            loop = asyncio.get_running_loop()
            exchange.ends_at = loop.time() + self._seconds
            if self._timer is None:
                self._timer = loop.call_at(exchange.ends_at, self._end_late_ones, loop)

    def _let_go(self, exchange: "_Exchange") -> None:
        """It is over, or goes on as a stream: that is no work, and has limits of its own."""
        if exchange in self._open:
            del self._open[exchange]
            self._meter.count("requests_in_flight", -1)

    def _end_late_ones(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for exchange in self._open:
            if exchange.ends_at > loop.time():
                self._timer = loop.call_at(exchange.ends_at, self._end_late_ones, loop)
                break
            exchange.end(self._seconds, self._meter)


class _Exchange:
    """One request and its answer; of two answers the first is sent.

    A request that is late is answered, and what it set going goes on, as it does when the client goes away: nobody can
    say any more whether a write that waits for its commit will be made.
    """

    __slots__ = (
        "_answering",
        "_let_go",
        "_receive",
        "_scope",
        "_send",
        "_waits_for_body",
        "ends_at",
        "has_begun",
        "is_late",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, let_go: Callable[["_Exchange"], None]) -> None:
        self._scope = scope
        self._let_go = let_go
        self._receive = receive
        self._send = send
        self._waits_for_body = False
        self._answering: asyncio.Task[None] | None = None
        self.ends_at = 0.0
        self.has_begun = False
        self.is_late = False

    async def receive(self) -> Message:
        """A part of the request."""
        self._waits_for_body = True
        message = await self._receive()
        self._waits_for_body = False
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer, unless another one was given."""
        if not self.is_late:
            if not self.has_begun and self._scope.get("palace.is_stream"):
                self._let_go(self)
            self.has_begun = True
            await self._send(message)

    async def send_error(self, error: ClientError) -> None:
        """The answer is an error, unless another one was given."""
        if not self.is_late:
            await send_error(error, self._scope, self._send)

    async def answered(self) -> None:
        """Wait for the answer that was given because it was late: whoever returns without any is taken for broken."""
        if self._answering is not None:
            await self._answering

    def end(self, seconds: float, meter: Meter) -> None:
        """The time is over: answer for a request that has not been answered."""
        if self.has_begun or self.is_late:
            return
        error: ClientError
        if self._waits_for_body:
            error = BodyTooSlow(seconds)
        else:
            error = TookTooLong(seconds, is_change=self._scope["method"] not in READING)
        meter.count("refused/body_time" if self._waits_for_body else "refused/time")
        log.warning("took too long", **where(self._scope), status=error.status)
        self.is_late = True
        self._answering = asyncio.create_task(send_error(error, self._scope, self._send))


def mistake(error: Exception, scope: Scope, meter: Meter) -> ClientError:
    """What a client is told about an exception."""
    if isinstance(error, ClientError):
        return error
    if isinstance(error, Overloaded):
        meter.count("refused/writes")
        return TooBusy()
    if isinstance(error, OutcomeUnknown):
        log.error("outcome unknown", **where(scope), problem=str(error))
        return OutcomeNotKnown()
    if isinstance(error, StorageFailure):
        log.error("store unavailable", **where(scope), problem=str(error))
        what = "read its database" if isinstance(error, Unreadable) else "store changes"
        problem = f"The server cannot {what} right now. Nothing was changed; try again."
        return Unavailable(problem, [Detail("store_unavailable", problem)], {"retry-after": RETRY_SECONDS})
    log.error("unexpected error", **where(scope), exc_info=error)
    return ServerError("This is a bug of the server. Its log has more under the request id.")


def where(scope: Scope) -> dict[str, Any]:
    """Which request a line of the log is about, and in which trace it is, if it is in one."""
    told = {"request_id": scope["palace.request_id"], "method": scope["method"], "path": scope["path"]}
    traced = scope.get("palace.trace_id")
    return told if traced is None else told | {"trace_id": traced}


def who(scope: Scope) -> dict[str, Any]:
    """Which operation was called, as the path of its route, and by what kind of client."""
    return {"route": scope.get("palace.route"), "client": (header(scope, b"user-agent") or "")[:LONGEST_CLIENT]}


async def send_error(error: ClientError, scope: Scope, send: Send) -> None:
    """The answer to a mistake, as JSON, in the words of the route."""
    body = error.body(scope.get("palace.words", Words()), scope["palace.request_id"])
    await send_json(error.status, orjson.dumps(body), error.headers, send)
