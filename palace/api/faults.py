"""The fault lab: requests fail on purpose, so that clients can be tested. Absent where it is switched off."""

import asyncio

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palace.api.bodies import header, send_json
from palace.api.connections import DROP
from palace.api.mistakes import send_error
from palace.errors import BadRequest, Detail
from palace.faults import Fault, InvalidFault, Plan, read_fault

HEADER = b"x-palace-fault"
API = "/v2/"
"""What lies elsewhere never fails on purpose: health, the reference, the lab's own operations."""


class FaultLab:
    """Wraps the API: a request fails as its own header says, or as the plan says."""

    def __init__(self, app: ASGIApp, plan: Plan) -> None:
        self._app = app
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or let it fail."""
        if scope["type"] != "http" or not scope["path"].startswith(API):
            await self._app(scope, receive, send)
            return
        told = header(scope, HEADER)
        try:
            fault = read_fault(told) if told is not None else self._plan.next_for(scope["method"], scope["path"])
        except InvalidFault as error:
            problem = f"x-palace-fault cannot be read: {error.problem}"
            await send_error(BadRequest(problem, [Detail("invalid_fault", problem)]), scope, send)
            return
        if fault is None or fault.what == "pass":
            await self._app(scope, receive, send)
        elif fault.what == "slow":
            await self._slowly(fault, scope, receive, send)
        else:
            if fault.is_after:
                await self._app(scope, receive, _nowhere)
            elif fault.what == "drop":
                await _whole_body(receive)
            scope.pop("palace.route", None)  # What is answered now, the log must not take for the operation's answer.
            await (_drop(scope, receive) if fault.what == "drop" else _answer(fault, send))

    async def _slowly(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        async def late(message: Message) -> None:
            if message["type"] == "http.response.start":
                if fault.is_after:
                    await asyncio.sleep(fault.seconds)
                message["headers"] = [*message["headers"], (HEADER, fault.text.encode("ascii"))]
            await send(message)

        if not fault.is_after:
            await asyncio.sleep(fault.seconds)
        await self._app(scope, receive, late)


async def _nowhere(message: Message) -> None:
    """Where an answer goes that is lost."""
    del message


async def _whole_body(receive: Receive) -> None:
    """Wait until all of the request came: a connection that ends earlier is reset, which is another failure."""
    while (await receive()).get("more_body"):
        """It means nothing."""


async def _drop(scope: Scope, receive: Receive) -> None:
    scope["extensions"][DROP]["now"]()
    while (await receive())["type"] != "http.disconnect":
        """What the client has sent already."""


async def _answer(fault: Fault, send: Send) -> None:
    headers = {**fault.headers, HEADER.decode(): fault.text}
    await send_json(fault.status, orjson.dumps(dict(fault.body)), headers, send)
