"""`GET /c/{id}/ws`: a conversation over a WebSocket, exactly its published app messages in both directions.

Until it is accepted, the request for a WebSocket is answered as any other: with the errors of the API, as JSON.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import structlog
from starlette.routing import BaseRoute
from starlette.types import Message, Receive, Scope, Send

from palace.api.auth import authenticate
from palace.api.bodies import Headers
from palace.api.endpoints import named_route, not_allowed
from palace.conversation.heard import NotUnderstood, heard
from palace.conversation.wire import copies
from palace.errors import ClientError
from palace.json_patch import InvalidJson, read_json
from palace.resource import Services
from palace.storage import StorageFailure
from palace.talking import Gone, Listener, Room, Rooms
from palace.talking.visiting import admit, come_in, go, participant_of, still_there
from palace.verbs.queries import newest_seq

PATH = "/c/{id}/ws"
SOCKET = re.compile(rb"/c/[^/?]+/ws(?:\?.*)?", re.DOTALL)
HEARTBEAT_SECONDS = 30.0
SLOWEST_SECONDS = 20.0
"""So long a client may take to accept what waits for it."""
LAST_SECONDS = 5.0
"""So long what a client sent before it went may take to be stored."""
GOOD_BYE, GOING_AWAY, NO_STATUS, NOT_ALLOWED, TOO_SLOW, RESTART = 1000, 1001, 1005, 1008, 1013, 1012
LONGEST_REASON = 120
CLOSED: dict[str, tuple[int, str]] = {
    "behind": (TOO_SLOW, "too slow: come again with after=, the seq of the newest message that you have"),
    "stopping": (RESTART, "the server is stopping: come again with after="),
    "gone": (GOOD_BYE, "the conversation was deleted"),
}
"""How a line is closed to which nothing comes any more (RFC 6455, section 7.4.1; 1012 and 1013 as IANA has them)."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.http")


class UpgradeRequired(ClientError):
    """426: here is a WebSocket, and nothing else (RFC 9110, section 15.5.22)."""

    status = 426
    code = "upgrade_required"

    def __init__(self) -> None:
        text = "This is the address of a WebSocket: connect to it with wss:// or ws://."
        super().__init__(text, headers={"upgrade": "websocket", "connection": "upgrade"})


class NoSuchConversation(ClientError):
    """404: no conversation has this id."""

    status = 404
    code = "no_such_conversation"

    def __init__(self) -> None:
        super().__init__("There is no such conversation, or it was deleted.")


class ForeignOrigin(ClientError):
    """403: a page of a browser that `cors_origins` does not name."""

    status = 403
    code = "foreign_origin"

    def __init__(self) -> None:
        super().__init__("Pages of this origin may not talk to this server; its setting cors_origins names those.")


def is_for_a_socket(url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a request is one for the WebSocket of a conversation, with all that belongs to one (RFC 6455, 4.2.1)."""
    found = dict(headers)
    is_whole = b"sec-websocket-key" in found and found.get(b"sec-websocket-version") == b"13"
    return is_whole and SOCKET.fullmatch(url) is not None


def as_request(scope: Scope, send: Send) -> tuple[Scope, Send]:
    """A request for a WebSocket as a plain one, whose answer may be to accept it."""

    async def answer(message: Message) -> None:
        if message["type"].startswith("http.response."):
            message = {**message, "type": f"websocket.{message['type']}"}
            message.setdefault("body", b"")
        await send(message)

    return {**scope, "type": "http", "method": "GET", "palace.is_socket": True}, answer


class _Sockets:
    """The WebSockets of all conversations, as an ASGI application."""

    def __init__(self, services: Services, origins: Sequence[str]) -> None:
        self._services = services
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One line, from its beginning to its end. Raises ClientError while it has not been accepted."""
        if scope["method"] != "GET":
            raise not_allowed(scope["method"], ("GET",))
        if not scope.get("palace.is_socket"):
            raise UpgradeRequired
        headers, rooms = Headers(scope), self._services.talks
        assert isinstance(rooms, Rooms)
        self._refuse_foreign(headers)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        after = newest_seq(query.get("after"))
        participant = participant_of(query.get("participant"), self._services.ids)
        key = headers.get(b"x-api-key")
        account = await authenticate(key, self._services.store.reading) if key else None
        room = await room_of(rooms, scope["path_params"]["id"])
        admit(room, query.get("t"), participant, account, self._services)
        with rooms.lines.one_more(room.place.owner):
            async with rooms.listening(room, after) as listener:
                await come_in(rooms, room, participant)
                line = _Line(self._services, rooms, room, participant, key if account else None, listener)
                scope["palace.is_stream"] = True
                is_clean = False
                try:
                    is_clean = await line.carry(scope, receive, send)
                finally:
                    await asyncio.shield(go(rooms, room, participant, is_clean=is_clean))

    def _refuse_foreign(self, headers: Headers) -> None:
        """A browser does not ask before it opens a WebSocket, as it does for other requests. Raises ForeignOrigin."""
        origin = headers.get(b"origin")
        if origin is None or "*" in self._origins or origin in self._origins:
            return
        own = {headers.get(b"host"), urlsplit(self._services.url).netloc}
        if urlsplit(origin).netloc not in own:
            raise ForeignOrigin


async def room_of(rooms: Rooms, id: str) -> Room:
    """The conversation with this id. Raises NoSuchConversation."""
    place = await rooms.find(id)
    if place is None:
        raise NoSuchConversation
    try:
        return await rooms.room(place)
    except Gone as error:  # One in test mode has never begun.
        raise NoSuchConversation from error


class _Line:
    """One accepted WebSocket: what happens goes out, what the client sends comes in."""

    def __init__(
        self, services: Services, rooms: Rooms, room: Room, participant: str, key: str | None, listener: Listener
    ) -> None:
        self._services = services
        self._rooms = rooms
        self._room = room
        self._participant = participant
        self._key = key
        self._listener = listener
        self._send: Send

    async def carry(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Until it ends; whether the client, or this server, ended it on purpose."""
        self._send = send
        telling = asyncio.create_task(self._open_and_tell())
        hearing = asyncio.create_task(self._hear(receive))
        try:
            done, _ = await asyncio.wait((telling, hearing), return_when=asyncio.FIRST_COMPLETED)
            if hearing in done:
                return hearing.result()
            code, reason = telling.result()
            async with asyncio.timeout(SLOWEST_SECONDS):
                await self._send({"type": "websocket.close", "code": code, "reason": reason[:LONGEST_REASON]})
            return code == GOOD_BYE
        except TimeoutError:
            scope["extensions"]["palace.drop"]["now"]()
            return False
        except OSError:  # The connection is gone; what the client sent before is still taken.
            await asyncio.wait((hearing,), timeout=LAST_SECONDS)
            return hearing.done() and hearing.result()
        finally:
            for task in (telling, hearing):
                task.cancel()
            with suppress(asyncio.CancelledError, OSError, TimeoutError):
                await asyncio.gather(telling, hearing, return_exceptions=True)

    # --- Out ----------------------------------------------------------------------------------------------------------

    async def _open_and_tell(self) -> tuple[int, str]:
        """Tell what happens, until there is nothing to be told any more: with which code and reason to close."""
        loop, listener = asyncio.get_running_loop(), self._listener
        await self._send({"type": "websocket.accept", "headers": []})
        await self._tell_presence()
        beat_at = loop.time() + HEARTBEAT_SECONDS
        while True:
            messages = await listener.next(max(0.0, beat_at - loop.time()))
            if messages:
                await self._say(*(copy for message in messages for copy in copies(message)))
            if not messages and listener.is_over:
                return CLOSED.get(listener.why) or (GOOD_BYE, self._room.state.shutdown_reason)
            if loop.time() >= beat_at:
                if not await self._is_still_allowed():
                    return NOT_ALLOWED, "the API key was revoked"
                await self._tell_presence()
                beat_at = loop.time() + HEARTBEAT_SECONDS

    async def _is_still_allowed(self) -> bool:
        try:
            if self._key is not None:
                await authenticate(self._key, self._services.store.reading)
            await still_there(self._rooms, self._room, self._participant)
        except (StorageFailure, Gone):
            """Nobody can tell, or somebody else does."""
        except ClientError:
            return False
        return True

    async def _tell_presence(self) -> None:
        """That the PAL is there: not a part of what happens, so without a number (contract 3.4)."""
        if not self._room.state.is_over:
            await self._say(*(self._system(f"{who}_present") for who in ("replica", "pal")))

    def _system(self, what: str) -> dict[str, Any]:
        return {
            "message_type": "system",
            "event_type": f"system.{what}",
            "conversation_id": self._room.place.id,
            "timestamp": self._rooms.now(),
        }

    async def _say(self, *messages: Any) -> None:
        """Raises TimeoutError when the client does not take them."""
        async with asyncio.timeout(SLOWEST_SECONDS):
            for message in messages:
                await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})

    # --- In -----------------------------------------------------------------------------------------------------------

    async def _hear(self, receive: Receive) -> bool:
        """Take what the client sends, until it is gone; whether it said good-bye."""
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                code = message.get("code")
                # Who closes without a code says so in a frame that has a reason, an empty one; a broken line has none.
                return code in (GOOD_BYE, GOING_AWAY) or (code == NO_STATUS and "reason" in message)
            if message["type"] == "websocket.receive":
                await self._take(message.get("text"))

    async def _take(self, text: str | None) -> None:
        """One message. What means nothing, or is lost, is told to this client alone."""
        try:
            if text is None:
                raise NotUnderstood("Send each app message as one text frame; this one was binary.")
            events = heard(read_json(text.encode(), self._services.limits))
            if events:
                await self._rooms.happen(self._room, *events)
        except InvalidJson as error:
            await self._complain("malformed_json", error.problem.replace("The body", "The message"))
        except NotUnderstood as error:
            await self._complain("invalid_message", str(error))
        except Gone:
            self._listener.end("gone")
        except StorageFailure as error:
            log.error("could not take a message", id=self._room.place.id, problem=str(error))
            await self._complain("store_unavailable", "The server cannot store it right now; send it again.")

    async def _complain(self, code: str, problem: str) -> None:
        with suppress(OSError):
            await self._say({**self._system("error"), "properties": {"code": code, "problem": problem}})


def socket_route(services: Services, origins: Sequence[str]) -> BaseRoute:
    """Where conversations are held over WebSockets."""
    return named_route(PATH, _Sockets(services, origins))
