"""Pictures that the server made: anybody may read one who knows its name, which nobody can guess."""

from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from palace.api.endpoints import READ_METHODS, named_route, not_allowed
from palace.errors import NoSuchFile
from palace.resource import Services

HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
}
"""A name never stands for another content. Whatever it is, no browser runs it."""


class _Media:
    """Files by their names."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One file. Raises NoSuchFile."""
        if scope["method"] not in READ_METHODS:
            raise not_allowed(scope["method"], READ_METHODS)
        found = await self._services.store.reading.files.get(scope["path_params"]["name"])
        if found is None:
            raise NoSuchFile
        media_type, body = found
        await Response(body, media_type=media_type, headers=HEADERS)(scope, receive, send)


def media_route(prefix: str, services: Services) -> BaseRoute:
    """Where files are read."""
    return named_route(f"{prefix}/media/{{name}}", _Media(services))
