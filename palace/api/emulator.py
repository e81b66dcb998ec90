"""What a server for tests offers besides the API, under `/_palace`: start over, set the clock, plan faults.

These paths are not in the OpenAPI document: that describes what clients of the API are written for.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from palace.api.auth import authenticate
from palace.api.bodies import DOCUMENT_TYPES, Headers, media_type, parse_document, read_body
from palace.api.endpoints import named_route, not_allowed, send_reply
from palace.call import Account, Reply
from palace.clock import checked_moment, parse_moment, timestamp
from palace.errors import BadRequest, Detail, NoSuchRoute
from palace.faults import InvalidFault, Plan, read_plan
from palace.forgetting import forget
from palace.resource import Services
from palace.starting_over import Start, start_over
from palace.vocabulary import Words

PREFIX = "/_palace"
SWITCHES = {
    "/reset": "--ephemeral or --allow-reset",
    "/clock": "--ephemeral --fixed-time 2026-01-01T00:00:00Z",
    "/faults": "--ephemeral or --fault-lab",
}
"""What switches each path on."""


@dataclass(frozen=True, slots=True)
class Emulator:
    """What is switched on: a start to go back to, faults that come."""

    start: Start | None = None
    faults: Plan | None = None


class _Request(NamedTuple):
    account: Account
    body: Any
    id: str


Handler = Callable[[_Request], Awaitable[Any]]
"""What it returns is the JSON of the answer; nothing makes it 204."""


class _Operations:
    """All methods of one path. Those with a `True` beside them read a JSON body."""

    def __init__(self, methods: Mapping[str, tuple[Handler, bool]], services: Services) -> None:
        self._methods = methods
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method not in self._methods:
            raise not_allowed(scope["method"], self._methods)
        handler, takes_body = self._methods[method]
        headers, body = Headers(scope), None
        account = await authenticate(headers.get(b"x-api-key"), self._services.store.reading)
        if takes_body:
            media_type(headers, DOCUMENT_TYPES)
            sent = await read_body(headers, receive, self._services.settings.max_body_bytes)
            body = parse_document(sent, self._services.limits)
        said = await handler(_Request(account, body, scope["palace.request_id"]))
        await send_reply(Reply(204) if said is None else Reply(200, orjson.dumps(said)), Words(), send)


def emulator_routes(emulator: Emulator, services: Services) -> list[BaseRoute]:
    """The routes of what is switched on; those of the rest say so."""
    paths: dict[str, dict[str, tuple[Handler, bool]]] = {}
    if emulator.start is not None:
        paths["/reset"] = {"POST": (_resetting(emulator.start, emulator.faults, services), False)}
        if services.clock.is_fixed:
            paths["/clock"] = {
                "GET": (_telling(lambda: _time(services)), False),
                "POST": (_clock_setting(services), True),
            }
    if (plan := emulator.faults) is not None:
        paths["/faults"] = {
            "GET": (_telling(plan.as_json), False),
            "POST": (_planning(plan), True),
            "DELETE": (_telling(plan.clear), False),
        }
    routes: list[BaseRoute] = [named_route(PREFIX + path, _Operations(on, services)) for path, on in paths.items()]
    return routes + [
        named_route(PREFIX + path, _SwitchedOff(how)) for path, how in SWITCHES.items() if path not in paths
    ]


class _SwitchedOff:
    """What is switched off: 404, and how to switch it on."""

    def __init__(self, how: str) -> None:
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        raise NoSuchRoute(f"{scope['path']} is switched off on this server: start it with {self._how}.")


def _telling(tell: Callable[[], Any]) -> Handler:
    async def handle(request: _Request) -> Any:
        del request
        return tell()

    return handle


# --- Start over, and the clock ----------------------------------------------------------------------------------------


def _resetting(start: Start, plan: Plan | None, services: Services) -> Handler:
    async def reset(request: _Request) -> None:
        def rewind() -> None:
            if services.talks is not None:
                services.talks.forget_all()
            if plan is not None:
                plan.rewind()

        await start_over(start, services, request.account, request.id, rewind)

    return reset


def _clock_setting(services: Services) -> Handler:
    async def set_clock(request: _Request) -> dict[str, str]:
        """Set the clock; what is remembered for a time only is forgotten, and callbacks are due, when it is time."""
        services.clock.set(_wanted_time(request.body, services))
        await forget(services)
        services.changes.callbacks.set()
        return _time(services)

    return set_clock


def _wanted_time(body: Any, services: Services) -> datetime:
    if not isinstance(body, dict) or len(body) != 1 or not body.keys() <= {"advance_seconds", "now"}:
        raise _refusal("invalid_clock", 'Send {"advance_seconds": 60} or {"now": "2026-01-01T00:00:00Z"}.', "")
    [(name, value)] = body.items()
    try:
        if name == "now":
            return parse_moment(value if isinstance(value, str) else "")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("it must be a number of seconds")
        return checked_moment(services.clock.now() + timedelta(seconds=value))
    except (ValueError, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is too large"
        raise _refusal("invalid_clock", f"{name} cannot be used: {reason}.", f"/{name}") from error


def _time(services: Services) -> dict[str, str]:
    return {"now": timestamp(services.clock.now())}


# --- Faults -----------------------------------------------------------------------------------------------------------


def _planning(plan: Plan) -> Handler:
    async def add_faults(request: _Request) -> dict[str, Any]:
        try:
            plan.add(read_plan(request.body))
        except InvalidFault as error:
            raise _refusal("invalid_fault", error.problem, error.pointer) from error
        return plan.as_json()

    return add_faults


def _refusal(code: str, problem: str, pointer: str) -> BadRequest:
    where = f"{pointer}: " if pointer else ""
    return BadRequest(f"Bad Request. {where}{problem}", [Detail(code, problem, pointer)])
