"""A request with an `Idempotency-Key` is carried out once: among many at once, after a restart, after a crash."""

import asyncio
import itertools
import os
import re
import signal
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.api.wire import REPLAYED, add, count, document, is_replay, keyed
from tests.rows import change
from tests.serving import KEY, STOCK_FACE, Palace, start_palace

NewPal = Callable[..., str]
NEW_PAL = {"system_prompt": "x", "default_face_id": STOCK_FACE}
AT_ONCE = 12


def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """The status and everything else of one answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    while length and len(body) < int(length.group(1)):
        body += connection.recv(65536)
    return int(head.split()[1]), head + body


def test_while_the_first_request_is_carried_out_the_others_are_told_to_wait(tmp_path: Path) -> None:
    """The server is stopped while the requests arrive, so that it finds all of them at once."""
    body = b'{"system_prompt":"x","default_face_id":"%b","layers":{"conferencing":{"username":"at-once"}}}'
    body %= STOCK_FACE.encode()
    head = f"POST /v2/pals HTTP/1.1\r\nhost: palace\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\n"
    request = f"{head}idempotency-key: at-once\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    with start_palace(tmp_path / "data") as palace, palace.client() as api:
        before, url = count(api), httpx.URL(palace.url)
        connections = [socket.create_connection((url.host, url.port), timeout=30) for _ in range(AT_ONCE)]
        for connection in connections:  # The server has accepted it when it has answered.
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: palace\r\n\r\n")
            assert read_answer(connection)[0] == 200
        os.kill(palace.process.pid, signal.SIGSTOP)
        for connection in connections:
            connection.sendall(request)
        os.kill(palace.process.pid, signal.SIGCONT)
        answers = [read_answer(connection) for connection in connections]
        for connection in connections:
            connection.close()
        assert count(api) == before + 1
        first = [text for status, text in answers if status == 200 and REPLAYED.encode() not in text]
        waiting = [text for status, text in answers if status == 409]
        assert len(first) == 1
        assert len(waiting) > 0
        assert all(b'"idempotency_key_in_use"' in text and b"retry-after: 1" in text for text in waiting)
        assert {status for status, _ in answers} <= {200, 409}
        again = api.post("/v2/pals", content=body, headers=keyed("at-once", **{"content-type": "application/json"}))
        assert (again.status_code, again.headers[REPLAYED]) == (200, "true")


def test_many_clients_with_few_keys_do_each_thing_once(palace: Palace, new_pal: NewPal, api: httpx.Client) -> None:
    pal = new_pal()

    async def insist(client: httpx.AsyncClient, number: int) -> None:
        append = [add("/document_tags/-", str(number))]
        while True:
            headers = keyed(f"{pal}-{number}")
            answer = await client.patch(f"/v2/pals/{pal}", json=append, headers=headers)
            if answer.status_code != 409:
                assert answer.status_code == 200, answer.text
                return

    async def scene() -> None:
        async with httpx.AsyncClient(base_url=palace.url, headers={"x-api-key": KEY}, timeout=60) as client:
            await asyncio.gather(*(insist(client, number % 8) for number in range(64)))

    asyncio.run(scene())
    assert sorted(document(api, pal)["document_tags"]) == [str(number) for number in range(8)]


AGES = [("24", 23, True), ("24", 25, False), ("1", 2, False), ("1000", 900, True)]


@pytest.mark.parametrize(("hours", "age", "is_kept"), AGES)
def test_an_answer_is_kept_for_as_many_hours_as_the_server_is_told(
    tmp_path: Path, hours: str, age: int, is_kept: bool
) -> None:
    data = tmp_path / "data"
    with start_palace(data, PALACE_IDEMPOTENCY_HOURS=hours) as palace, palace.client() as api:
        first = api.post("/v2/pals", json=NEW_PAL, headers=keyed("once"))
    then = (datetime.now(UTC) - timedelta(hours=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert change(data, "UPDATE answers SET created_at = ?", then) == 1
    with start_palace(data, PALACE_IDEMPOTENCY_HOURS=hours) as palace, palace.client() as api:
        second = api.post("/v2/pals", json=NEW_PAL, headers=keyed("once"))
        assert is_replay(first, second) is is_kept
        assert (second.json()["pal_id"] == first.json()["pal_id"]) is is_kept
        if not is_kept:  # The key is free, also for another request, and kept from now on.
            assert is_replay(second, api.post("/v2/pals", json=NEW_PAL, headers=keyed("once")))


def test_after_kill_9_an_answer_is_replayed_exactly_where_the_change_was_made(tmp_path: Path) -> None:
    data = tmp_path / "data"

    async def load(palace: Palace) -> None:
        async def write(client: httpx.AsyncClient, writer: int) -> None:
            for number in itertools.count():
                name = f"{writer}-{number}"
                sent.append(name)
                try:
                    await client.post("/v2/pals", json=NEW_PAL | {"pal_name": name}, headers=keyed(name))
                except httpx.TransportError:
                    return
                answered.append(name)
                if len(answered) == 200:
                    palace.kill()

        async with httpx.AsyncClient(base_url=palace.url, headers={"x-api-key": KEY}, timeout=60) as client:
            await asyncio.gather(*(write(client, writer) for writer in range(16)))

    sent: list[str] = []
    answered: list[str] = []
    with start_palace(data) as palace:
        asyncio.run(load(palace))
    with start_palace(data) as palace, palace.client() as api:
        made = names(api)
        assert set(answered) <= made <= set(sent)
        for name in sent:
            again = api.post("/v2/pals", json=NEW_PAL | {"pal_name": name}, headers=keyed(name))
            assert again.status_code == 200
            assert (REPLAYED in again.headers) is (name in made)
        assert names(api) == set(sent)
        assert count(api) - api.get("/v2/pals?pal_type=system").json()["total_count"] == len(sent) + 1  # The sample.


def names(api: httpx.Client) -> set[str]:
    """The names of the account's PALs that have one like `3-14`."""
    found: set[str] = set()
    for page in itertools.count(1):
        listed = api.get(f"/v2/pals?pal_type=user&limit=100&page={page}").json()["data"]
        found |= {one["pal_name"] for one in listed}
        if not listed:
            return {name for name in found if re.fullmatch(r"\d+-\d+", name)}
    raise AssertionError
