"""The ASGI application: every path of every resource, the pages about the server, CORS, and the gateway around it."""

from collections.abc import Callable, Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from palace.api.changes import PATH as CHANGES_PATH
from palace.api.changes import changes_route
from palace.api.emulator import PREFIX, SWITCHES, Emulator, emulator_routes
from palace.api.endpoints import ResourcePath
from palace.api.faults import FaultLab
from palace.api.gateway import VERSION_PREFIX, Gateway, no_such_route
from palace.api.media import media_route
from palace.api.metrics import METRICS_PATH, metrics_route
from palace.api.mistakes import Mistakes
from palace.api.pages import PAGES, page_routes
from palace.api.rooms import PATHS as ROOM_PATHS
from palace.api.rooms import room_routes
from palace.api.sockets import socket_route
from palace.resource import Endpoint, Resource, Services
from palace.settings import Settings
from palace.tracing import Tracing
from palace.vocabulary import Words

CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CORS_EXPOSED = (
    "accept-patch",
    "etag",
    "idempotency-replayed",
    "preference-applied",
    "retry-after",
    "x-mended",
    "x-message",
    "x-palace-fault",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-request-id",
    "x-revision",
    "x-stored-differently",
)
CORS_SECONDS = 600
NO_CORS = "none"


def build_application(
    resources: Sequence[Resource],
    services: Services,
    settings: Settings,
    is_ready: Callable[[], bool],
    emulator: Emulator,
    tracing: Tracing | None = None,
) -> ASGIApp:
    """The whole server as one ASGI application."""
    routes = [route for resource in resources for route in _resource_routes(resource, services, settings)]
    routes.append(media_route(VERSION_PREFIX, services))
    routes.append(changes_route(services))
    routes.append(metrics_route(settings, services))
    routes.append(socket_route(services, _origins(settings)))
    routes += room_routes(services)
    routes += page_routes(resources, settings, is_ready)
    routes += emulator_routes(emulator, services)
    application: ASGIApp = Mistakes(
        Router(routes, redirect_slashes=False, default=no_such_route),
        services.meter,
        most_requests=settings.most_requests,
        seconds=settings.request_seconds,
    )
    if emulator.faults is not None:
        application = FaultLab(application, emulator.faults)
    if origins := _origins(settings):
        application = CORSMiddleware(
            application,
            allow_origins=origins,
            allow_methods=CORS_METHODS,
            allow_headers=("*",),
            expose_headers=CORS_EXPOSED,
            max_age=CORS_SECONDS,
        )
    collections = frozenset(name for resource in resources for name in _collections(resource))
    return Gateway(
        application,
        services.clock,
        services.ids,
        collections,
        services.meter,
        is_ready,
        tracing,
        log_requests=settings.log_requests,
    )


def _origins(settings: Settings) -> list[str]:
    """Whose pages may call the API."""
    if settings.cors_origins == NO_CORS:
        return []
    return [origin.strip() for origin in settings.cors_origins.split(",")]


def counted_routes(resources: Sequence[Resource]) -> list[str]:
    """The paths under which requests are counted: those of all operations, and those of the server itself."""
    own = [METRICS_PATH, CHANGES_PATH, *ROOM_PATHS, *PAGES, *(PREFIX + path for path in SWITCHES)]
    return [path for resource in resources for _, path, _ in _paths(resource)] + own


def _collections(resource: Resource) -> list[str]:
    """The names under which a resource is served, the newer one first."""
    legacy = resource.names.legacy
    return [resource.collection, *([legacy.collection] if legacy else [])]


def _paths(resource: Resource) -> list[tuple[bool, str, dict[str, Endpoint]]]:
    """Both families of paths, each with its methods; `/pals/check-username` comes before `/pals/{id}`."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in resource.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [
        (bool(is_legacy), f"{VERSION_PREFIX}/{collection}{path}", paths[path])
        for is_legacy, collection in enumerate(_collections(resource))
        for path in sorted(paths, key=lambda path: "{" in path)
    ]


def _resource_routes(resource: Resource, services: Services, settings: Settings) -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    for is_legacy, path, methods in _paths(resource):
        words = Words(is_legacy, resource.aliases)
        routes.append(Route(path, ResourcePath(path, resource, methods, words, services, settings.max_body_bytes)))
    return routes
