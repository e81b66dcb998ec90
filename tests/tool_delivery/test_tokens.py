"""Access tokens: asked for once, kept while they last, asked for again when they are refused."""

import asyncio
import json
from base64 import b64encode
from dataclasses import asdict
from typing import Any

import pytest

from palace.clock import Clock
from palace.tool_delivery import Delivered, Tokens, deliver
from palace.tool_delivery.outcomes import verdict
from tests.tool_delivery.tool_server import FACTS, OK, Answer, Asked, Handler, ToolServer, echo

SECRET = "sesame+open"
NOT_BEARER = "The server of the tokens sent one that is not of the type bearer."


class Watch(Clock):
    """A clock whose seconds are told."""

    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


def answer(handler: Handler, status: int, said: Any) -> None:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    handler.send_response(status)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def numbered(**more: Any) -> Answer:
    """Tokens one after the other: token-1, token-2."""
    count = iter(range(1, 100))

    def give(handler: Handler, _asked: Asked) -> None:
        answer(handler, 200, {"access_token": f"token-{next(count)}", "token_type": "Bearer", **more})

    return give


def only_in_the_body(handler: Handler, asked: Asked) -> None:
    if b"client_secret=" not in asked.body:
        answer(handler, 401, {"error": "invalid_client"})
    else:
        answer(handler, 200, {"access_token": "token-1", "expires_in": 3600})


def tool(server: ToolServer, **auth: Any) -> dict[str, Any]:
    client = {"token_url": server.url("/token"), "client_id": "palace id", "client_secret": SECRET}
    return server.tool(auth={"type": "oauth2_client_credentials", **client, "scope": None, **auth})


def calls(server: ToolServer, tools: list[dict[str, Any]], pause: float = 0.0) -> list[Delivered]:
    """Calls one after the other, with the same tokens and some seconds between them."""
    clock = Watch()
    tokens = Tokens(clock)

    async def run() -> list[Delivered]:
        done = []
        for one in tools:
            done.append(await deliver(one, {}, FACTS, server.fetcher(), clock, tokens))
            clock.seconds += pause
        return done

    return asyncio.run(run())


def shown(server: ToolServer) -> list[str]:
    """The tokens that the tool's server was shown."""
    return [asked.headers["authorization"].removeprefix("Bearer ") for asked in server.asked if asked.path == "/rate"]


def times_asked(server: ToolServer) -> int:
    return sum(asked.path == "/token" for asked in server.asked)


def test_a_token_is_asked_for_as_the_standard_says(server: ToolServer) -> None:
    server.by_path["/token"] = numbered(expires_in=3600)
    [done] = calls(server, [tool(server, scope="rooms read")])
    assert (done.status, done.attempts) == ("success", 1)
    asked, _ = server.asked
    assert (asked.method, asked.body) == ("POST", b"grant_type=client_credentials&scope=rooms%20read")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["authorization"] == "Basic " + b64encode(b"palace%20id:sesame%2Bopen").decode()
    assert shown(server) == ["token-1"]


def test_a_server_that_wants_the_client_in_the_body_gets_it_there(server: ToolServer) -> None:
    server.by_path["/token"] = only_in_the_body
    [done] = calls(server, [tool(server)])
    assert done.status == "success"
    assert [asked.path for asked in server.asked] == ["/token", "/token", "/rate"]
    assert server.asked[1].body == b"grant_type=client_credentials&client_id=palace%20id&client_secret=sesame%2Bopen"
    assert "authorization" not in server.asked[1].headers


@pytest.mark.parametrize(
    ("expires_in", "pause", "times"),
    [
        pytest.param({"expires_in": 3600}, 1000, 1, id="an hour"),
        pytest.param({"expires_in": 3600}, 1786, 2, id="half a minute before its end"),
        pytest.param({"expires_in": "3600"}, 1000, 1, id="as a text"),
        pytest.param({"expires_in": 30}, 0, 3, id="too short to be kept"),
        pytest.param({"expires_in": -1}, 0, 3, id="in the past"),
        pytest.param({}, 100, 1, id="not said"),
        pytest.param({}, 300, 3, id="not said, after five minutes"),
        pytest.param({"expires_in": "soon"}, 100, 1, id="not a number"),
        pytest.param({"expires_in": 1e300}, 12 * 3600, 2, id="for ever is a day"),
    ],
)
def test_a_token_is_kept_until_shortly_before_its_end(
    server: ToolServer, expires_in: dict[str, Any], pause: float, times: int
) -> None:
    server.by_path["/token"] = numbered(**expires_in)
    calls(server, [tool(server)] * 3, pause)
    assert times_asked(server) == times


def test_every_tool_and_client_has_a_token_of_its_own(server: ToolServer) -> None:
    server.by_path["/token"] = numbered(expires_in=3600)
    other = {**tool(server), "tool_id": "tother"}
    others = [other, tool(server, client_secret="another"), tool(server, scope="rooms"), tool(server)]
    calls(server, [tool(server), *others])
    assert shown(server) == ["token-1", "token-2", "token-3", "token-4", "token-1"]


def test_tokens_that_were_not_used_longest_are_let_go(server: ToolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palace.tool_delivery.tokens.MOST_TOKENS", 2)
    server.by_path["/token"] = numbered(expires_in=3600)
    a, b, c = ({**tool(server), "tool_id": name} for name in "abc")
    calls(server, [a, b, a, c, a, b])
    assert shown(server) == ["token-1", "token-2", "token-1", "token-3", "token-1", "token-4"]


def test_a_token_that_is_refused_is_replaced_once(server: ToolServer) -> None:
    server.by_path["/token"] = numbered(expires_in=3600)
    server.answers[:] = [OK, (401, {}, b""), OK]
    done = calls(server, [tool(server)] * 3)
    assert [one.status for one in done] == ["success"] * 3
    assert [one.attempts for one in done] == [1, 2, 1]
    assert shown(server) == ["token-1", "token-1", "token-2", "token-2"]


def test_a_token_that_is_refused_again_is_a_failure(server: ToolServer) -> None:
    server.by_path["/token"] = numbered(expires_in=3600)
    server.answers[:] = [(401, {}, b"no")]
    [done] = calls(server, [tool(server)])
    assert (done.status, done.attempts, done.response_status) == ("error", 2, 401)


def test_a_new_token_and_another_try_are_one_each(server: ToolServer) -> None:
    server.by_path["/token"] = numbered(expires_in=3600)
    server.answers[:] = [(500, {}, b""), (401, {}, b""), (502, {}, b""), OK]
    [done] = calls(server, [tool(server)])
    assert (done.status, done.attempts, done.response_status) == ("error", 3, 502)
    assert verdict(401, "bearer") == "failure"


@pytest.mark.parametrize(
    ("status", "said", "problem"),
    [
        (403, {}, "The server of the tokens answered 403."),
        (401, {"error": "invalid_client", "echo": SECRET}, "The server of the tokens answered 401."),
        (500, b"", "The server of the tokens answered 500."),
        (302, b"", "The server of the tokens answered 302."),
        (200, b"not JSON", "The server of the tokens sent none."),
        (200, [], "The server of the tokens sent none."),
        (200, {"access_token": 7}, "The server of the tokens sent none."),
        (200, {"access_token": "a\r\nb: c"}, "The server of the tokens sent none."),
        (
            200,
            {"access_token": "a", "token_type": "mac"},
            NOT_BEARER,
        ),
    ],
)
def test_without_a_token_the_tool_is_not_called(server: ToolServer, status: int, said: Any, problem: str) -> None:
    server.by_path["/token"] = lambda handler, _asked: answer(handler, status, said)
    [done] = calls(server, [tool(server)])
    assert (done.status, done.attempts, done.problem) == ("error", 0, problem)
    assert done.output == "The tool failed: the server was given no token for it."
    assert shown(server) == []


def test_a_token_url_within_is_refused(server: ToolServer) -> None:
    for url in ("https://127.0.0.1:1/token", "https://169.254.169.254/token", "http://tools.example/token"):
        [done] = calls(server, [tool(server, token_url=url)])
        assert (done.status, done.attempts, server.asked, server.names.asked) == ("error", 0, [], [])


def test_neither_the_secret_nor_the_token_is_seen_by_anybody_else(server: ToolServer) -> None:
    server.by_path["/token"] = numbered(expires_in=3600)
    server.answers[:] = [echo]
    [done] = calls(server, [tool(server)])
    assert done.status == "success"
    said = json.dumps(asdict(done)) + repr(done)
    assert [form for form in (SECRET, "sesame", "token-1") if form in said] == []
