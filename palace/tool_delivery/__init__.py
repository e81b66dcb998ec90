"""Tools that are carried out by an HTTPS request (runtime contract 5): one call in, one result out, and a record of it.

`requests` makes the request, `proofs` show who sends, `outcomes` judge the answer: all pure. This file awaits.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from palace.clock import Clock
from palace.fetching import (
    LONGEST_FILLED_URL,
    Answer,
    Bounds,
    Fetcher,
    FetchFailed,
    NotReached,
    Request,
    TookTooLong,
    send,
)
from palace.resource import Document
from palace.tool_delivery.outcomes import MOST_BYTES, output_of, phrase, reason_for, reason_of, verdict
from palace.tool_delivery.placeholders import Undeliverable
from palace.tool_delivery.proofs import proven, secrets_of, shown, written_secrets
from palace.tool_delivery.requests import Facts, auth_type, make_request, settings_of
from palace.tool_delivery.schema import BadArguments, read_arguments
from palace.tool_delivery.tokens import Tokens

__all__ = ["BadArguments", "Delivered", "Facts", "Tokens", "deliver", "read_arguments"]

OAUTH2 = "oauth2_client_credentials"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one call. No secret is in it, not even one that the tool's server sent back.

    `output` is for the model, `problem` (None after a success) for the tool's owner. `request` has `method`, `url`,
    `headers` and `body` as they were sent, with masks. `attempts` counts requests to the tool's server.
    """

    status: Literal["success", "error"]
    output: str
    request: Mapping[str, Any]
    response_status: int | None
    attempts: int
    ms: float
    problem: str | None


@dataclass(slots=True)
class _Call:
    """One call while it is carried out."""

    tool: Document
    request: Request
    secrets: list[str]
    attempts: int = 0
    status: int | None = None
    chances: set[str] = field(default_factory=lambda: {"again", "new_token"})
    """kinds of further tries, one of each"""

    def takes(self, chance: str) -> bool:
        """Whether there is another try of this kind; there is one."""
        if chance not in self.chances:
            return False
        self.chances.remove(chance)
        return True


async def deliver(
    tool: Document, arguments: Mapping[str, Any], facts: Facts, fetcher: Fetcher, clock: Clock, tokens: Tokens
) -> Delivered:
    """Carry out one call of a tool whose secrets are open; its `timeout` is for all of it, further tries included.

    Never raises for what the tool, its arguments or its server have wrong: that is in what it returns.
    """
    began = clock.monotonic()
    api = settings_of(tool)
    secrets = [*secrets_of(api.get("auth")), *written_secrets(api)]
    call = _Call(tool, Request(api["method"], api["url"]), secrets)
    try:
        call.request = make_request(tool, arguments, facts)
        async with asyncio.timeout(api["timeout"]):
            answer = await _answer(call, api, fetcher, tokens)
        output, problem = _judged(call, answer)
    except Undeliverable as error:
        output = problem = error.text
    except TimeoutError:
        output, problem = _failed(TookTooLong(""), api)
    except FetchFailed as error:
        output, problem = _failed(error, api)
    return Delivered(
        status="success" if problem is None else "error",
        output=output,
        request=shown(call.request, api.get("auth"), call.secrets),
        response_status=call.status,
        attempts=call.attempts,
        ms=round((clock.monotonic() - began) * 1000, 1),
        problem=problem,
    )


async def _answer(call: _Call, api: Document, fetcher: Fetcher, tokens: Tokens) -> Answer:
    """The last answer to the call. Raises FetchFailed."""
    auth: Document = api.get("auth", {"type": "none"})
    bounds = Bounds(MOST_BYTES, api["timeout"], https_only=True, longest_url=LONGEST_FILLED_URL)
    while True:
        token = ""
        if auth_type(api) == OAUTH2:
            token = await tokens.token(call.tool, auth, api["timeout"], fetcher)
            call.secrets.append(token)
        call.attempts += 1
        call.status = None
        call.request = proven(call.request, auth, token)
        try:
            answer = await send(call.request, bounds, fetcher)
        except NotReached:
            if call.takes("again"):
                continue
            raise
        call.status = answer.status
        meaning = verdict(answer.status, auth_type(api))
        if meaning == "new_token":
            tokens.forget(call.tool, auth)
        if meaning in ("result", "failure") or not call.takes(meaning):
            return answer


def _judged(call: _Call, answer: Answer) -> tuple[str, str | None]:
    """What the model and the owner are told of an answer."""
    if verdict(answer.status, "none") == "result":
        return output_of(answer, call.secrets), None
    return reason_of(answer, call.secrets), f"The server answered {phrase(answer.status)}."


def _failed(error: FetchFailed, api: Document) -> tuple[str, str]:
    """What the model and the owner are told when no answer came."""
    slow = isinstance(error, TookTooLong)
    return reason_for(error), f"The server took longer than {api['timeout']:g} seconds." if slow else error.text
