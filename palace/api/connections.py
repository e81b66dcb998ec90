"""Connections as this server needs them: only conversations change to WebSockets, and a line can be cut at once."""

import asyncio
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from palace.api.sockets import is_for_a_socket

DROP = "palace.drop"
"""The extension by which an application ends its connection without another word, as a network does."""
MOST_BYTES = 1 << 20
"""of one message from a client; a longer one closes the line with 1009 (RFC 6455, section 7.4.1)"""
MOST_GATHERED = 1 << 16
"""bytes that wait for the end of a turn of the loop"""
PING_SECONDS = 20.0
"""So often an idle line is asked for a sign of life, and so long it may take to give it."""


class Connection(HttpToolsProtocol):
    """Whoever asks for a WebSocket elsewhere than at a conversation is answered as if they had not."""

    def _should_upgrade(self) -> bool:
        is_get = self.parser is not None and self.parser.get_method() == b"GET"
        return is_get and super()._should_upgrade() and is_for_a_socket(self.url, self.headers)


class DroppableConnection(Connection):
    """A connection that a request can end without an answer."""

    def on_message_begin(self) -> None:
        """A request comes."""
        super().on_message_begin()
        self.scope["extensions"] = {DROP: {"now": self.transport.abort}}


class _Gathering:
    """A transport that sends at once what is written in one turn of the loop: each copy of a message is a frame, and a
    system call costs more than all the rest of a frame.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send it before long."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > MOST_GATHERED:
            self._flush()

    def close(self) -> None:
        """Send what waits, and close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        if data and not self._transport.is_closing():
            self._transport.write(data)


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket (RFC 6455) that does not wait for a client that takes nothing any more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It begins."""
        super().connection_made(transport)
        self.transport = _Gathering(self.transport)  # type: ignore[assignment]

    async def run_asgi(self) -> None:
        """Hand it to the application."""
        self.scope["extensions"] = {**(self.scope["extensions"] or {}), DROP: {"now": self.transport.abort}}
        await super().run_asgi()

    def keepalive_timeout(self) -> None:
        """No sign of life: what waits to be sent is not waited for."""
        super().keepalive_timeout()
        self.transport.abort()


SOCKETS: Mapping[str, Any] = {
    "ws": Socket,
    "ws_max_size": MOST_BYTES,
    "ws_ping_interval": PING_SECONDS,
    "ws_ping_timeout": PING_SECONDS,
    "ws_per_message_deflate": False,  # What it costs and saves: docs/decisions/0029-ways-in.md
}
"""What uvicorn is to know of WebSockets."""
