"""`GET /c/{id}`: the page on which a conversation is held in writing, and what it asks the server about it."""

import html
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import orjson
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from palace.api.auth import authenticate
from palace.api.bodies import Headers, send_json
from palace.api.endpoints import READ_METHODS, named_route, not_allowed
from palace.api.sockets import PATH as SOCKET_PATH
from palace.api.sockets import NoSuchConversation, room_of
from palace.resource import Document, Services
from palace.talking import Room, Rooms
from palace.talking.visiting import admit, participant_of, refuse_where_full

PATH, ABOUT = "/c/{id}", "/c/{id}/about"
PATHS = (PATH, ABOUT, SOCKET_PATH)
FOLDER = Path(__file__).parent / "static" / "chat"
HOST = re.compile(r"[A-Za-z0-9.\-_:\[\]]+")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: {images}; "
    "connect-src 'self' {lines}; base-uri 'none'; form-action 'none'; frame-ancestors *"
)
"""Nothing from elsewhere, and every page may show it inside itself (contract 20)."""
UNKNOWN = (
    "There is no such conversation",
    "It may have been deleted, or the address is not complete. Ask whoever sent it to you for another one.",
)
STRANGER = (
    "You are not allowed to join this meeting.",
    "The conversation is private, and the address has no valid token: it may have expired. Ask for another one.",
)


@cache
def _template(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


class _Page:
    """The page of a conversation; where there is none, a page that says so."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._root = urlsplit(services.url).path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page, whatever the conversation is at; 404 or 403 for people, too."""
        if scope["method"] not in READ_METHODS:
            raise not_allowed(scope["method"], READ_METHODS)
        status, text = await self._answer(scope["path_params"]["id"], _query(scope))
        page = Response(text, status, self._headers(Headers(scope)), media_type="text/html")
        await page(scope, receive, send)

    async def _answer(self, id: str, query: Mapping[str, str]) -> tuple[int, str]:
        """Whether a token opens the door is told later: the page alone knows who comes back with it."""
        rooms = self._services.talks
        assert isinstance(rooms, Rooms)
        try:
            room = await room_of(rooms, id)
        except NoSuchConversation:
            return 404, self._filled("problem.html", title=UNKNOWN[0], text=UNKNOWN[1])
        if room.given.is_private and not query.get("t"):
            return 403, self._filled("problem.html", title=STRANGER[0], text=STRANGER[1])
        return 200, self._filled("chat.html", id=id)

    def _filled(self, name: str, **values: str) -> str:
        text = _template(name)
        for member, value in {"root": quote(self._root), **values}.items():
            text = text.replace(f"{{{member}}}", html.escape(value))
        return text

    def _headers(self, headers: Headers) -> Mapping[str, str]:
        host = headers.get(b"host") or ""
        lines = f"ws://{host} wss://{host}" if HOST.fullmatch(host) else ""  # Not 'self' to older browsers.
        images = "{0.scheme}://{0.netloc}".format(urlsplit(self._services.url))
        return {
            "content-security-policy": POLICY.format(images=images, lines=lines),
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }


class _About:
    """What the page shows of a conversation besides what is said in it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """200 with who is to be met. Raises NoSuchConversation, NotAllowedIn, Full."""
        del receive
        if scope["method"] not in READ_METHODS:
            raise not_allowed(scope["method"], READ_METHODS)
        room = await self._admitted(Headers(scope), scope["path_params"]["id"], _query(scope))
        said = orjson.dumps(await self._about(room))
        await send_json(200, said, {"cache-control": "no-store"}, send)

    async def _admitted(self, headers: Headers, id: str, query: Mapping[str, str]) -> Room:
        rooms, services = self._services.talks, self._services
        assert isinstance(rooms, Rooms)
        key = headers.get(b"x-api-key")
        account = await authenticate(key, services.store.reading) if key else None
        room = await room_of(rooms, id)
        participant = participant_of(query.get("participant"), services.ids)
        admit(room, query.get("t"), participant, account, services)
        refuse_where_full(room, participant)
        return room

    async def _about(self, room: Room) -> Document:
        thumbnail = None
        if room.script.face_id is not None:
            face = await self._services.store.reading.get("face", room.script.face_id, room.place.owner)
            thumbnail = orjson.loads(face.body).get("thumbnail_image_url") if face else None
        return {
            "conversation_id": room.place.id,
            "status": room.state.status,
            "shutdown_reason": room.state.shutdown_reason or None,
            "pal_name": room.given.pal.document["pal_name"],
            "thumbnail_url": thumbnail,
        }


def _query(scope: Scope) -> Mapping[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1")))


def room_routes(services: Services) -> list[BaseRoute]:
    """The page of each conversation."""
    return [named_route(PATH, _Page(services)), named_route(ABOUT, _About(services))]
