"""The ASGI application: every path of every resource, the pages about the server, CORS, and the gateway around it."""

from collections.abc import Callable, Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp

from palace.api.endpoints import ResourcePath
from palace.api.gateway import Gateway, Mistakes, no_such_route
from palace.api.pages import page_routes
from palace.resource import Endpoint, Resource, Services
from palace.settings import Settings
from palace.vocabulary import Words

VERSION_PREFIX = "/v2"
CORS_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CORS_EXPOSED = (
    "accept-patch",
    "etag",
    "idempotency-replayed",
    "preference-applied",
    "retry-after",
    "x-mended",
    "x-message",
    "x-request-id",
    "x-revision",
    "x-stored-differently",
)
CORS_SECONDS = 600
NO_CORS = "none"


def build_application(
    resources: Sequence[Resource], services: Services, settings: Settings, is_ready: Callable[[], bool]
) -> ASGIApp:
    """The whole server as one ASGI application."""
    paths = [path for resource in resources for path in _resource_paths(resource, services, settings)]
    routes: list[BaseRoute] = [Route(VERSION_PREFIX + path, application) for path, application in paths]
    routes += page_routes(resources, settings, is_ready)
    # The official command line wants the version in TAVUS_PUBLIC_API_BASE_URL, others add it: both forms are served.
    routes += [Route(path, application) for path, application in paths]
    application: ASGIApp = Mistakes(Router(routes, redirect_slashes=False, default=no_such_route))
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
    return Gateway(application, services.clock, services.ids, log_requests=settings.log_requests)


def _resource_paths(resource: Resource, services: Services, settings: Settings) -> list[tuple[str, ASGIApp]]:
    """Both families of paths, without the version; `/pals/check-username` comes before `/pals/{id}`."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in resource.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    found: list[tuple[str, ASGIApp]] = []
    legacy = resource.names.legacy
    for is_legacy, collection in ((False, resource.collection), *([(True, legacy.collection)] if legacy else ())):
        words = Words(is_legacy, resource.aliases)
        for path in sorted(paths, key=lambda path: "{" in path):
            full, largest_body = f"/{collection}{path}", settings.max_body_bytes
            application = ResourcePath(VERSION_PREFIX + full, resource, paths[path], words, services, largest_body)
            found.append((full, application))
    return found
