"""The ASGI application: every path of every resource, the pages about the server, CORS, and the gateway around it."""

from collections.abc import Callable, Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from palace.api.emulator import Emulator, emulator_routes
from palace.api.endpoints import ResourcePath
from palace.api.faults import FaultLab
from palace.api.gateway import VERSION_PREFIX, Gateway, Mistakes, no_such_route
from palace.api.media import media_route
from palace.api.pages import page_routes
from palace.resource import Endpoint, Resource, Services
from palace.settings import Settings
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
) -> ASGIApp:
    """The whole server as one ASGI application."""
    routes = [route for resource in resources for route in _resource_routes(resource, services, settings)]
    routes.append(media_route(VERSION_PREFIX, services))
    routes += page_routes(resources, settings, is_ready)
    routes += emulator_routes(emulator, services)
    application: ASGIApp = Mistakes(Router(routes, redirect_slashes=False, default=no_such_route))
    if emulator.faults is not None:
        application = FaultLab(application, emulator.faults)
    if settings.cors_origins != NO_CORS:
        origins = [origin.strip() for origin in settings.cors_origins.split(",")]
        application = CORSMiddleware(
            application,
            allow_origins=origins,
            allow_methods=CORS_METHODS,
            allow_headers=("*",),
            expose_headers=CORS_EXPOSED,
            max_age=CORS_SECONDS,
        )
    collections = frozenset(name for resource in resources for name in _collections(resource))
    return Gateway(application, services.clock, services.ids, collections, log_requests=settings.log_requests)


def _collections(resource: Resource) -> list[str]:
    """The names under which a resource is served, the newer one first."""
    legacy = resource.names.legacy
    return [resource.collection, *([legacy.collection] if legacy else [])]


def _resource_routes(resource: Resource, services: Services, settings: Settings) -> list[BaseRoute]:
    """Both families of paths; `/pals/check-username` comes before `/pals/{id}`."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in resource.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    routes: list[BaseRoute] = []
    legacy = resource.names.legacy
    for is_legacy, collection in ((False, resource.collection), *([(True, legacy.collection)] if legacy else ())):
        words = Words(is_legacy, resource.aliases)
        for path in sorted(paths, key=lambda path: "{" in path):
            full, largest_body = f"{VERSION_PREFIX}/{collection}{path}", settings.max_body_bytes
            routes.append(Route(full, ResourcePath(full, resource, paths[path], words, services, largest_body)))
    return routes
