"""What `tavus chat` uses of Daily's Python module, over the WebSocket of a conversation of Palace.

An app message is one JSON text on `{conversation_url}/ws`, both ways. Callbacks come on a thread of their own, as
Daily's do.
"""

import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit
from uuid import uuid4

from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

SECONDS_TO_COME_BACK = 30.0
"""So long a lost line is tried again, and so long the server keeps the place."""
SECONDS_BETWEEN_TRIES = 0.5
SECONDS_TO_LEAVE = 5.0
QUIET_SECONDS = 0.1
"""When nothing comes for so long, the greeting is through: it was written before the line was opened."""
MOST_BYTES = 16 * 2**20
"""in one message"""
PAL = "pal"
"""Who sends all app messages."""
SIGNS_OF_THE_PAL = ("system.replica_present", "system.pal_present", "system.replica_joined", "system.pal_joined")

Message = dict[str, Any]


class Daily:
    """Daily's library as a whole; there is nothing to set up here."""

    @staticmethod
    def init() -> None:
        """Do nothing."""


class EventHandler:
    """What is told of a meeting; to be overridden."""

    def on_participant_joined(self, participant: Message) -> None:
        """Somebody else is in the meeting: the PAL."""

    def on_app_message(self, message: Any, sender: str) -> None:
        """An app message has come."""

    def on_error(self, message: str) -> None:
        """The meeting cannot be joined, or is lost."""


class NoConversation(Exception):
    """There is no conversation to be in; the text says why."""


class CallClient:
    """One participant in at most one meeting."""

    def __init__(self, event_handler: EventHandler | None = None) -> None:
        self._handler = event_handler or EventHandler()
        self._participant = uuid4().hex
        self._newest, self._copies = -1, 0
        self._has_met_pal = False
        self._held: list[Message] = []
        self._has_left = threading.Event()
        self._is_over = False
        self._socket: ClientConnection | None = None
        self._has_line = threading.Condition()
        self._thread: threading.Thread | None = None

    # --- What tavus-cli calls -----------------------------------------------------------------------------------------

    def join(self, meeting_url: str) -> None:
        """Begin to join; whether it worked is told to the handler."""
        self._thread = threading.Thread(target=self._run, args=(meeting_url,), name="daily", daemon=True)
        self._thread.start()

    def send_app_message(self, message: Any) -> None:
        """Send an app message to the PAL. Raises ConnectionError when there is no line to it, and none comes back."""
        with self._has_line:
            self._has_line.wait_for(lambda: self._socket is not None or self._is_over, SECONDS_TO_COME_BACK)
            socket = self._socket
        if socket is None:
            raise ConnectionError("There is no line to the conversation.")
        try:
            socket.send(json.dumps(message))
        except ConnectionClosed as error:
            raise ConnectionError(
                "The line to the conversation broke; whether the PAL has heard that is not known."
            ) from error

    def leave(self) -> None:
        """Leave the meeting; the PAL is told."""
        self._has_left.set()
        if (socket := self._socket) is not None:
            socket.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(SECONDS_TO_LEAVE)

    def release(self) -> None:
        """Leave, where that has not happened yet."""
        self.leave()

    # --- On its own thread --------------------------------------------------------------------------------------------

    def _run(self, meeting_url: str) -> None:
        """Be in the meeting until one side leaves; a line that breaks is tried again for a while."""
        try:
            self._stay(address_of(meeting_url))
        except NoConversation as error:
            self._handler.on_error(str(error))
        finally:
            with self._has_line:
                self._is_over = True
                self._has_line.notify_all()

    def _stay(self, address: SplitResult) -> None:
        tries = 0
        while not self._has_left.is_set():
            try:
                for message in self._messages(address):
                    tries = round(SECONDS_TO_COME_BACK / SECONDS_BETWEEN_TRIES)
                    self._handler.on_app_message(message, PAL)
                return
            except (WebSocketException, OSError, ValueError) as problem:
                is_refused = isinstance(problem, InvalidStatus) and problem.response.status_code < 500
                if is_refused or tries == 0:
                    raise NoConversation(_said(problem, address)) from problem
                tries -= 1
                self._has_left.wait(SECONDS_BETWEEN_TRIES)

    def _messages(self, address: SplitResult) -> Iterator[Message]:
        """What comes by one connection until it ends well.

        The copies of a message share its number, and a line may break between them: the newest one is asked for again.
        """
        query = [*parse_qsl(address.query), ("participant", self._participant)]
        if self._newest >= 0:
            query.append(("after", str(max(self._newest - 1, 0))))
        known = (self._newest, self._copies)
        url = urlunsplit(address._replace(query=urlencode(query)))
        try:
            with connect(url, max_size=MOST_BYTES, user_agent_header="palace-daily-shim") as socket:
                self._use(socket)
                while not self._has_left.is_set():
                    try:
                        message = json.loads(socket.recv(timeout=QUIET_SECONDS if self._held else None))
                    except TimeoutError:
                        yield from self._release()
                        continue
                    if not self._has_met_pal and message.get("event_type") in SIGNS_OF_THE_PAL:
                        self._held.append(message)
                        continue
                    seq = message.get("seq")
                    if seq == known[0] and known[1] > 0:
                        known = (known[0], known[1] - 1)
                        continue
                    if isinstance(seq, int):
                        self._newest, self._copies = seq, self._copies + 1 if seq == self._newest else 1
                    yield message
        except ConnectionClosedOK as closed:
            yield from self._release()
            if not self._has_left.is_set() and not self._has_met_pal:  # Else the PAL's last message has told it.
                reason = closed.rcvd.reason if closed.rcvd is not None else ""
                raise NoConversation(f"The conversation has ended{f': {reason}' if reason else ''}.") from closed
        finally:
            self._use(None)

    def _release(self) -> Iterator[Message]:
        """The signs that the PAL is there, once its greeting is through.

        With the first sign tavus-cli begins to speak, and takes what comes afterwards for the answer.
        """
        if self._held and not self._has_met_pal:
            self._has_met_pal = True
            self._handler.on_participant_joined({"id": PAL, "info": {"isLocal": False, "userName": "PAL"}})
        yield from self._held
        self._held.clear()

    def _use(self, socket: ClientConnection | None) -> None:
        with self._has_line:
            self._socket = socket
            self._has_line.notify_all()


def address_of(meeting_url: str) -> SplitResult:
    """Where the WebSocket of a conversation is. Raises NoConversation."""
    parts = urlsplit(meeting_url)
    host = parts.hostname or ""
    if host == "daily.co" or host.endswith(".daily.co"):
        raise NoConversation(
            f"{host} is a room of Daily's, and palace-daily-shim joins conversations of a Palace only. "
            "To join it, uninstall palace-daily-shim and install daily-python."
        )
    path = parts.path.rstrip("/")
    if parts.scheme not in ("http", "https") or not host or path.split("/")[-2:-1] != ["c"]:
        raise NoConversation(
            f"{meeting_url!r} is no URL of a conversation: it is like http://127.0.0.1:8790/c/c12d3a4."
        )
    return parts._replace(scheme=parts.scheme.replace("http", "ws", 1), path=f"{path}/ws", fragment="")


def _said(problem: Exception, address: SplitResult) -> str:
    """Why there is no line, in a sentence."""
    if not isinstance(problem, InvalidStatus):
        return f"There is no line to {address.netloc}: {problem or 'it takes too long'}."
    try:
        body = json.loads(problem.response.body or b"")
        return str(body.get("message") or body["error"])
    except (ValueError, KeyError, AttributeError):
        return f"{address.netloc} answered {problem.response.status_code}: is it a Palace, and a new one?"
