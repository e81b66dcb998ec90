"""Connections as this server needs them: only conversations change to WebSockets, and a line can be cut at once."""

from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from palace.api.sockets import is_for_a_socket

DROP = "palace.drop"
"""The extension by which an application ends its connection without another word, as a network does."""
MOST_BYTES = 1 << 20
"""of one message from a client; a longer one closes the line with 1009 (RFC 6455, section 7.4.1)"""
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


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket (RFC 6455) that does not wait for a client that takes nothing any more."""

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
