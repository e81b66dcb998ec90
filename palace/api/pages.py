"""The pages about the server itself: health, OpenAPI, the interactive reference, llms.txt."""

from collections.abc import Callable, Sequence
from importlib.resources import files

import orjson
import yaml
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from palace.api.endpoints import not_allowed
from palace.api.openapi import build_openapi
from palace.api.reference import LLMS_TEXT, REFERENCE_PAGE
from palace.resource import Resource
from palace.settings import Settings

READ_METHODS = ("GET", "HEAD")


class _Page:
    """One resource of the server that can only be read."""

    def __init__(self, answer: Callable[[], Response]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in READ_METHODS:
            raise not_allowed(scope["method"], READ_METHODS)
        await self._answer()(scope, receive, send)


def page_routes(resources: Sequence[Resource], settings: Settings, is_ready: Callable[[], bool]) -> list[BaseRoute]:
    """The routes of all pages. The OpenAPI document is made once, at start-up."""
    openapi = build_openapi(resources, settings)
    as_json = orjson.dumps(openapi, option=orjson.OPT_INDENT_2)
    as_yaml = yaml.safe_dump(openapi, sort_keys=False, allow_unicode=True, width=120)

    def ready() -> Response:
        return Response(b'{"status":"ok"}' if is_ready() else b'{"status":"stopping"}', 200 if is_ready() else 503)

    pages: dict[str, Callable[[], Response]] = {
        "/healthz": lambda: Response(b'{"status":"ok"}', media_type="application/json"),
        "/readyz": ready,
        "/openapi.json": lambda: Response(as_json, media_type="application/json"),
        "/openapi.yaml": lambda: Response(as_yaml, media_type="application/yaml"),
        "/docs": lambda: Response(REFERENCE_PAGE, media_type="text/html"),
        "/llms.txt": lambda: PlainTextResponse(LLMS_TEXT),
    }
    static: ASGIApp = StaticFiles(directory=str(files("palace.api").joinpath("static")))
    return [*(Route(path, _Page(answer)) for path, answer in pages.items()), Mount("/static", static)]
