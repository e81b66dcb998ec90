"""`GET /_palace/changes`: what changes in the caller's account, told while it happens, as server-sent events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from palace.api.auth import authenticate
from palace.api.bodies import Headers
from palace.api.endpoints import READ_METHODS, named_route, not_allowed
from palace.api.streams import send_stream
from palace.call import Account
from palace.changes import Event, Feed
from palace.errors import ClientError
from palace.resource import Services
from palace.storage import StorageFailure
from palace.unavailable import Stopping, TooManyListeners

PATH = "/_palace/changes"
HEARTBEAT_SECONDS = 15.0
"""Shorter than what proxies commonly give a silent connection; and how long a revoked key may go on to listen."""
MOST_LISTENERS = 200
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
        async with aclosing(self._told(account, key, headers.get(b"last-event-id") or "")) as texts:
            await send_stream(texts, scope, receive, send)

    async def _told(self, account: Account, key: str | None, cursor: str) -> AsyncGenerator[bytes, None]:
        feed = self._services.changes
        with feed.listening(account.id, cursor) as listener:
            while not feed.is_over:
                events = await listener.next(HEARTBEAT_SECONDS)
                if not events and not await self._is_still_open(key):
                    return
                yield b"".join(map(_text, events)) or _nothing_new(feed)

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


def changes_route(services: Services) -> BaseRoute:
    """Where changes are told."""
    return named_route(PATH, _Changes(services))
