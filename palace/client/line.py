"""The WebSocket of a conversation: its app messages, each once and in order, over connections that break."""

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import orjson

from palace import __version__
from palace.client.refusals import Document, RemoteError, refused
from palace.ids import Ids

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

SECONDS_TO_COME_BACK = 30.0
"""So long a broken line is tried again, and so long the server keeps the place."""
SECONDS_BETWEEN_TRIES = 0.5
TOO_LARGE = 1009
"""why a server closes a line over which a message came that it does not take (RFC 6455, section 7.4.1)"""
MOST_BYTES = 16 * 2**20
"""in one message"""


class Line:
    """One person's way into a conversation. One thread may listen while another one sends."""

    def __init__(self, url: str, key: str, conversation_id: str, after: int = -1) -> None:
        """`url` is the server's, as Remote has it. What is old comes first if it is behind `after`."""
        self.conversation_id = conversation_id
        self.url = url
        self.hears_what_is_old = after >= 0
        self._key = key
        self._address = f"{url.replace('http', 'ws', 1)}/c/{quote(conversation_id, safe='')}/ws"
        self._participant = Ids().new("terminal-", 16)
        self._newest, self._copies = after, 0
        self._is_closed = threading.Event()
        self._socket: ClientConnection | None = None
        self._moved = threading.Condition()

    def messages(self, on_break: Callable[[], None] = lambda: None) -> Iterator[Document]:
        """What comes, until the conversation has ended or `close` is called; `on_break` is told of a broken line.

        Raises RemoteError when the server does not let us in, or does not come back.
        """
        tries = 0
        try:
            while not self._is_closed.is_set():
                try:
                    for message in self._connection():
                        tries = round(SECONDS_TO_COME_BACK / SECONDS_BETWEEN_TRIES)
                        yield message
                except _Broken as broken:
                    if tries == 0:
                        raise RemoteError(f"There is no line to {self.url}: {broken}.") from broken
                    if tries == round(SECONDS_TO_COME_BACK / SECONDS_BETWEEN_TRIES):
                        on_break()
                    tries -= 1
                    self._is_closed.wait(SECONDS_BETWEEN_TRIES)
                else:
                    return
        finally:
            self.close()

    def send(self, event_type: str, **properties: str) -> None:
        """Send an app message, once there is a line. Raises RemoteError when there is none any more."""
        with self._moved:
            self._moved.wait_for(lambda: self._socket or self._is_closed.is_set(), SECONDS_TO_COME_BACK)
            socket = self._socket
        message: Document = {
            "message_type": "conversation",
            "event_type": event_type,
            "conversation_id": self.conversation_id,
        }
        if properties:
            message["properties"] = properties
        from websockets.exceptions import ConnectionClosed

        try:
            if socket is not None:
                socket.send(orjson.dumps(message), text=True)
                return
        except ConnectionClosed as error:
            raise RemoteError("The line broke while something was said; nobody knows whether it was heard.") from error
        raise RemoteError("There is no line to the conversation any more.")

    def close(self) -> None:
        """Leave; the PAL is told."""
        with self._moved:
            self._is_closed.set()
            socket = self._socket
            self._moved.notify_all()
        if socket is not None:
            socket.close()

    def _connection(self) -> Iterator[Document]:
        """What comes by one connection until it ends well.

        The copies of a message share its number, and a line may break between them: the newest one is asked for again.
        """
        from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        query = {"participant": self._participant}
        if self._newest >= 0:
            query["after"] = str(self._newest - min(self._copies, 1))
        known = (self._newest, self._copies)
        headers = {"x-api-key": self._key}
        agent = f"palace/{__version__}"
        try:
            with connect(
                f"{self._address}?{urlencode(query)}",
                additional_headers=headers,
                user_agent_header=agent,
                max_size=MOST_BYTES,
            ) as socket:
                self._use(socket)
                while True:
                    message = orjson.loads(socket.recv())
                    seq = message.get("seq")
                    if seq == known[0] and known[1] > 0:
                        known = (known[0], known[1] - 1)
                        continue
                    if isinstance(seq, int):
                        self._newest, self._copies = seq, self._copies + 1 if seq == self._newest else 1
                    yield message
        except ConnectionClosedOK:
            return
        except InvalidStatus as error:
            if error.response.status_code >= 500:
                raise _Broken(f"it answered {error.response.status_code}") from error
            raise _refused(self.url, error.response.status_code, error.response.body) from error
        except (WebSocketException, OSError, ValueError) as error:
            if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code == TOO_LARGE:
                raise RemoteError("What was said is larger than a message to the server may be.") from error
            raise _Broken(str(error) or "it takes too long") from error
        finally:
            self._use(None)

    def _use(self, socket: "ClientConnection | None") -> None:
        with self._moved:
            self._socket = socket
            self._moved.notify_all()


class _Broken(Exception):
    """There is no line just now; the text says why."""


def _refused(url: str, status: int, content: bytes | bytearray | None) -> RemoteError:
    try:
        body = orjson.loads(content or b"")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        text = f"{url} has no WebSocket for conversations ({status}): is it a Palace, and a new one?"
        return RemoteError(text, status)
    return refused(url, status, body)
