"""`GET /_palace/changes`: what changes in the caller's account, told while it happens, as server-sent events.

The format is that of the HTML standard (https://html.spec.whatwg.org/multipage/server-sent-events.html); pages of a
browser read it with `fetch`, because their EventSource cannot send the header x-api-key.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from palace.api.auth import authenticate
from palace.api.bodies import Headers
from palace.api.endpoints import READ_METHODS, named_route, not_allowed
from palace.call import Account
from palace.changes import Event, Feed
from palace.errors import ClientError
from palace.resource import Services
from palace.storage import StorageFailure
from palace.unavailable import Stopping, TooManyListeners

PATH = "/_palace/changes"
HEARTBEAT_SECONDS = 15.0
"""Shorter than what proxies commonly give a silent connection; and how long a revoked key may go on to listen."""
RETRY_MILLISECONDS = 1000
MOST_LISTENERS = 200
HEADERS: Mapping[bytes, bytes] = {
    b"content-type": b"text/event-stream; charset=utf-8",
    b"cache-control": b"no-store",
    b"x-accel-buffering": b"no",
}
"""The last one has nginx pass everything on at once."""
RESYNC = b"event: resync\ndata: {}\n\n"
HEARTBEAT = b": still here\n\n"


class _Changes:
    """The stream of changes, as an ASGI application."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the client goes away, its key is revoked or the server stops. Raises ClientError."""
        if scope["method"] not in READ_METHODS:
            raise not_allowed(scope["method"], READ_METHODS)
        headers, feed = Headers(scope), self._services.changes
        key = headers.get(b"x-api-key")
        account = await authenticate(key, self._services.store.reading)
        if feed.is_over:
            raise Stopping
        if feed.listeners >= MOST_LISTENERS:
            raise TooManyListeners(MOST_LISTENERS)
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS.items())})
        if scope["method"] == "GET":
            telling = asyncio.create_task(self._tell(account, key, headers.get(b"last-event-id") or "", send))
            leaving = asyncio.create_task(_gone(receive))
            await asyncio.wait((telling, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
        await send({"type": "http.response.body", "body": b""})

    async def _tell(self, account: Account, key: str | None, cursor: str, send: Send) -> None:
        feed = self._services.changes
        await _send(send, b"retry: %d\n\n" % RETRY_MILLISECONDS)
        with feed.listening(account.id, cursor) as listener:
            while not feed.is_over:
                events = await listener.next(HEARTBEAT_SECONDS)
                if not events and not await self._is_still_open(key):
                    return
                await _send(send, b"".join(map(_text, events)) or _nothing_new(feed))

    async def _is_still_open(self, key: str | None) -> bool:
        try:
            await authenticate(key, self._services.store.reading)
        except ClientError:
            return False
        except StorageFailure:
            """Nobody can tell. Without the database nothing changes, so nothing is told that the key may not see."""
        return True


def _nothing_new(feed: Feed) -> bytes:
    """What is sent to keep the connection; where changes by other servers are not heard of, have the client look."""
    return HEARTBEAT if feed.hears_all else RESYNC


def _text(event: Event) -> bytes:
    said: dict[str, Any] = {}
    if (deed := event.deed) is not None:
        said = {"kind": deed.kind, "id": deed.id, "revision": deed.revision, "action": deed.action}
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (event.cursor.encode(), event.name.encode(), orjson.dumps(said))


async def _send(send: Send, text: bytes) -> None:
    await send({"type": "http.response.body", "body": text, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        """A body means nothing here."""


def changes_route(services: Services) -> BaseRoute:
    """Where changes are told."""
    return named_route(PATH, _Changes(services))
