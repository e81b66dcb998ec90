"""The pages about the server itself: health, OpenAPI, the interactive reference, llms.txt."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import orjson
import yaml
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from palace.api.endpoints import READ_METHODS, named_route, not_allowed
from palace.api.openapi import build_openapi
from palace.api.reference import LLMS_TEXT, REFERENCE_PAGE
from palace.resource import Resource
from palace.settings import Settings

Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The same text five times as fast, where PyYAML was built with libyaml."""

STATIC = Path(__file__).parent / "static"
PAGES = ("/healthz", "/readyz", "/openapi.json", "/openapi.yaml", "/docs", "/llms.txt")
"""All but what lies under `/static`."""


class _Page:
    """One resource of the server that can only be read."""

    def __init__(self, answer: Callable[[], Response]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in READ_METHODS:
            raise not_allowed(scope["method"], READ_METHODS)
        await self._answer()(scope, receive, send)


def page_routes(resources: Sequence[Resource], settings: Settings, is_ready: Callable[[], bool]) -> list[BaseRoute]:
    """The routes of all pages. The OpenAPI document is made once, when it is first asked for: no start waits for it."""
    openapi = cache(lambda: build_openapi(resources, settings))
    as_json = cache(lambda: orjson.dumps(openapi(), option=orjson.OPT_INDENT_2))
    as_yaml = cache(lambda: yaml.dump(openapi(), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120))

    def ready() -> Response:
        status = ("ok", 200) if is_ready() else ("stopping", 503)
        return JSONResponse({"status": status[0]}, status[1])

    pages: dict[str, Callable[[], Response]] = {
        "/healthz": lambda: JSONResponse({"status": "ok"}),
        "/readyz": ready,
        "/openapi.json": lambda: Response(as_json(), media_type="application/json"),
        "/openapi.yaml": lambda: Response(as_yaml(), media_type="application/yaml"),
        "/docs": lambda: Response(REFERENCE_PAGE, media_type="text/html"),
        "/llms.txt": lambda: PlainTextResponse(LLMS_TEXT),
    }
    pages |= {
        f"/static/{path.relative_to(STATIC)}": partial(FileResponse, path)
        for path in STATIC.rglob("*.*")
        if path.is_file()
    }
    return [named_route(path, _Page(answer)) for path, answer in pages.items()]
