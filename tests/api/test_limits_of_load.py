"""Too many requests, too many writes, too much time: a clear answer at once, and nothing done that it does not tell."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from palace.api.mistakes import Mistakes
from palace.metrics import Meter
from tests.api.wire import patch, refused, replace
from tests.api.within import Exchange, Within, within
from tests.serving import KEY, start_palace

PAL = {"system_prompt": "Answer briefly.", "default_face_id": "r4067604db72"}
Scene = Callable[[Within, str], Awaitable[None]]


def play(folder: Path, scene: Scene, **environment: str) -> None:
    """What happens on a server of its own that has one PAL."""

    async def all_of_it() -> None:
        async with within(folder, **environment) as server:
            made = await server.ask("POST", "/v2/pals", PAL)
            await scene(server, f"/v2/pals/{made.body['pal_id']}")

    asyncio.run(all_of_it())


def greeting(text: str) -> list[dict[str, Any]]:
    return [replace("/greeting", text)]


def code_of(exchange: Exchange) -> str:
    [detail] = exchange.body["details"]
    assert exchange.body["message"] == exchange.body["error"] == detail["problem"]
    code: str = detail["code"]
    return code


def counted(server: Within, limit: str) -> float:
    return server.services.meter.value(f"refused/{limit}")


# --- Time -------------------------------------------------------------------------------------------------------------


def test_a_change_that_takes_too_long_is_504_says_that_it_may_be_made_and_is_made(tmp_path):
    async def scene(server: Within, pal: str) -> None:
        async with server.busy_store():
            late = await server.ask("PATCH", pal, greeting("late"))
            assert (late.status, code_of(late)) == (504, "took_too_long")
            assert "may still be made" in late.body["message"]
            assert (await server.ask("GET", pal)).body["greeting"] != "late", "reads do not wait for the writer"
        await late.task
        assert (await server.ask("GET", pal)).body["greeting"] == "late"
        assert len(late.messages) == 2, "one answer, not two"
        assert counted(server, "time") == 1

    play(tmp_path, scene, PALACE_REQUEST_SECONDS="1")


def test_a_repeated_request_under_its_key_is_made_once_though_the_first_answer_was_504(tmp_path):
    async def scene(server: Within, pal: str) -> None:
        send = {"method": "PATCH", "path": pal, "body": greeting("once"), "idempotency_key": "k"}
        async with server.busy_store():
            late = await server.ask(**send)
            assert late.status == 504
            assert (await server.ask(**send)).status == 409, "the first one is still being carried out"
        await late.task
        again = await server.ask(**send)
        assert (again.status, again.headers["idempotency-replayed"]) == (200, "true")
        assert (await server.ask("GET", pal)).headers["x-revision"] == "2"

    play(tmp_path, scene, PALACE_REQUEST_SECONDS="1")


def test_a_body_that_does_not_come_is_408(tmp_path):
    async def scene(server: Within, pal: str) -> None:
        late = await server.ask("PATCH", pal, ..., content_length="100")
        assert (late.status, code_of(late)) == (408, "body_too_slow")
        assert late.headers["connection"] == "close"
        await late.task
        assert counted(server, "body_time") == 1

    play(tmp_path, scene, PALACE_REQUEST_SECONDS="1")


def test_without_a_time_limit_a_request_waits_as_long_as_it_takes(tmp_path):
    async def scene(server: Within, pal: str) -> None:
        async with server.busy_store():
            waiting = server.send("PATCH", pal, greeting("patient"))
            await asyncio.sleep(1.5)
            assert not waiting.messages
        assert (await waiting.answered()).status == 200

    play(tmp_path, scene, PALACE_REQUEST_SECONDS="0")


def test_over_a_socket_a_slow_body_is_408_and_the_connection_ends(tmp_path):
    with start_palace(tmp_path / "data", "--request-seconds", "1") as palace:
        host, _, port = palace.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(
                b"PATCH /v2/pals/pcb7a34da5fe HTTP/1.1\r\nhost: a\r\nx-api-key: " + KEY.encode()
                + b"\r\ncontent-length: 100\r\n\r\n[{"
            )  # fmt: skip
            began = time.monotonic()
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert 0.8 < time.monotonic() - began < 5
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"body_too_slow"' in answer
        with palace.client() as client:
            assert client.get("/v2/pals").status_code == 200


# --- Writes -----------------------------------------------------------------------------------------------------------


def test_when_too_many_writes_wait_the_next_is_503_at_once_and_nothing_of_it_is_done(tmp_path):
    async def scene(server: Within, pal: str) -> None:
        async with server.busy_store():
            waiting = [server.send("PATCH", pal, greeting(str(number))) for number in range(3)]
            await asyncio.sleep(0.05)
            refused_one = await server.ask("PATCH", pal, greeting("refused"))
            assert (refused_one.status, code_of(refused_one)) == (503, "too_busy")
            assert int(refused_one.headers["retry-after"]) >= 1
            assert (await server.ask("GET", pal)).status == 200, "reads go on"
            assert server.services.meter.value("writes_waiting") == 3
        assert [(await one.answered()).status for one in waiting] == [200] * 3
        assert (await server.ask("GET", pal)).body["greeting"] == "2"
        assert (await server.ask("PATCH", pal, greeting("later"))).status == 200
        assert counted(server, "writes") == 1

    play(tmp_path, scene, PALACE_MOST_WAITING_WRITES="3")


def test_a_refused_write_under_an_idempotency_key_may_be_sent_again(tmp_path):
    async def scene(server: Within, pal: str) -> None:
        async with server.busy_store():
            waiting = server.send("PATCH", pal, greeting("first"))
            await asyncio.sleep(0.05)
            assert (await server.ask("PATCH", pal, greeting("second"), idempotency_key="k")).status == 503
        await waiting.answered()
        assert (await server.ask("PATCH", pal, greeting("second"), idempotency_key="k")).status == 200

    play(tmp_path, scene, PALACE_MOST_WAITING_WRITES="1")


# --- Requests ---------------------------------------------------------------------------------------------------------


def test_when_too_many_requests_are_carried_out_the_next_is_503_but_health_and_metrics_are_told(tmp_path):
    async def scene(server: Within, pal: str) -> None:
        async with server.busy_store():
            waiting = [server.send("PATCH", pal, greeting(str(number))) for number in range(2)]
            await asyncio.sleep(0.05)
            refused_one = await server.ask("GET", pal)
            assert (refused_one.status, code_of(refused_one)) == (503, "too_busy")
            assert [(await server.ask("GET", path)).status for path in ("/healthz", "/readyz")] == [200, 200]
        assert [(await one.answered()).status for one in waiting] == [200] * 2
        assert (await server.ask("GET", pal)).status == 200
        assert counted(server, "requests") == 1

    play(tmp_path, scene, PALACE_MOST_REQUESTS="2")


# --- Rates ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    with start_palace(
        tmp_path_factory.mktemp("limited") / "data", "--rate-limit", "60", "--rate-burst", "5"
    ) as running:
        yield running


def until_late(send: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """The answers to requests, one after the other, the last of which came too often."""
    answers: list[httpx.Response] = []
    while not answers or answers[-1].status_code != 429:
        assert len(answers) < 100, "none is refused"
        answers.append(send(len(answers)))
    return answers


def test_a_key_beyond_its_rate_is_429_told_when_to_come_again_and_nothing_is_done(limited):
    with limited.client(limited.new_key("eager")) as client:
        made = client.post("/v2/pals", json=PAL)
        pal = made.json()["pal_id"]
        assert {name: made.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")} == {
            "limit": "60",
            "remaining": "4",
            "reset": "1",
        }
        *taken, late = until_late(lambda number: patch(client, pal, replace("/greeting", str(number))))
        assert [answer.status_code for answer in taken] == [200] * max(4, len(taken))
        [detail] = refused(late, 429)
        assert (detail["code"], detail["limit"], detail["maximum"]) == ("rate_limited", "rate_limit", 60)
        assert late.headers["x-ratelimit-remaining"] == "0"
        time.sleep(int(late.headers["retry-after"]))
        assert client.get(f"/v2/pals/{pal}").json()["greeting"] == str(len(taken) - 1)


def test_keys_do_not_use_up_one_anothers_rate_and_no_key_uses_none(limited):
    keys = [limited.new_key("two keys") for _ in range(2)]
    for key in keys:
        with limited.client(key) as client:
            assert [client.get("/v2/pals").status_code for _ in range(6)].count(200) >= 5
    with limited.client(key=None) as client:
        answers = [client.get("/v2/pals") for _ in range(10)]
        assert {answer.status_code for answer in answers} == {401}
        assert "x-ratelimit-limit" not in answers[0].headers
        assert {client.get("/healthz").status_code for _ in range(20)} == {200}


def test_a_page_of_a_browser_can_read_that_it_asked_too_often(limited):
    with limited.client(limited.new_key("page")) as client:
        client.headers["origin"] = "https://app.example.org"
        late = until_late(lambda _: client.get("/v2/pals"))[-1]
    assert late.headers["access-control-allow-origin"] == "*"
    exposed = {name.strip() for name in late.headers["access-control-expose-headers"].split(",")}
    assert {"retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= exposed


def test_without_a_limit_nothing_is_told_about_one(api):
    assert not [name for name in api.get("/v2/pals").headers if name.startswith("x-ratelimit")]


def test_a_request_does_not_end_before_the_answer_that_it_is_late_is_sent():
    sent = []

    async def send(message) -> None:
        await asyncio.sleep(0.1)
        sent.append(message["type"])

    async def slow(_scope, _receive, _send) -> None:
        await asyncio.sleep(0.05)

    async def act() -> None:
        scope = {"type": "http", "method": "GET", "path": "/v2/pals", "palace.request_id": "r-1"}
        await Mistakes(slow, Meter(), most_requests=1, seconds=0.01)(scope, None, send)

    asyncio.run(act())
    assert sent == ["http.response.start", "http.response.body"]
