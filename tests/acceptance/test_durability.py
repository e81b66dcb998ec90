"""No acknowledged write is lost: not to other writers, not to SIGTERM, not to SIGKILL."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.rows import check_sound, rows
from tests.serving import KEY, STOCK_FACE, Palace, start_palace

WRITERS = 64
APPENDS_EACH = 50
HEADERS = {"x-api-key": KEY}
PAL = {"system_prompt": "Count.", "default_face_id": STOCK_FACE}


@asynccontextmanager
async def client_of(palace: Palace) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=WRITERS, max_keepalive_connections=WRITERS)
    async with httpx.AsyncClient(base_url=palace.url, headers=HEADERS, limits=limits, timeout=60) as client:
        yield client


async def create(client: httpx.AsyncClient) -> str:
    return (await client.post("/v2/pals", json=PAL)).json()["pal_id"]


async def append(client: httpx.AsyncClient, pal_id: str, tag: str) -> None:
    answer = await client.patch(f"/v2/pals/{pal_id}", json=[{"op": "add", "path": "/document_tags/-", "value": tag}])
    assert answer.status_code == 200, answer.text


def test_64_writers_that_append_to_one_list_lose_nothing(palace):
    async def scene():
        async with client_of(palace) as client:
            pal_id = await create(client)

            async def write(writer: int) -> None:
                for count in range(APPENDS_EACH):
                    await append(client, pal_id, f"{writer}-{count}")

            await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
            return (await client.get(f"/v2/pals/{pal_id}")).json()["document_tags"]

    tags = asyncio.run(scene())
    assert sorted(tags) == sorted(f"{w}-{n}" for w in range(WRITERS) for n in range(APPENDS_EACH))
    for writer in range(WRITERS):
        own = [tag for tag in tags if tag.startswith(f"{writer}-")]
        assert own == [f"{writer}-{count}" for count in range(APPENDS_EACH)], "each writer's order is kept"


ENOUGH_WRITES = 100
"""so many are acknowledged before the server ends; fewer would prove little"""


async def write_until_it_dies(palace: Palace, end, seconds: float) -> tuple[dict[str, list[str]], dict[str, str]]:
    """16 writers, each on a PAL of its own, until `end` ends the server. What was acknowledged, and what was not."""
    acknowledged: dict[str, list[str]] = {}
    unanswered: dict[str, str] = {}

    async with client_of(palace) as client:
        pals = [await create(client) for _ in range(16)]

        async def write(pal_id: str) -> None:
            acknowledged[pal_id] = []
            for count in itertools.count():
                unanswered[pal_id] = str(count)
                try:
                    await append(client, pal_id, str(count))
                except httpx.TransportError:
                    return
                acknowledged[pal_id].append(unanswered.pop(pal_id))

        async def strike() -> None:
            await asyncio.sleep(seconds)
            while sum(map(len, acknowledged.values())) <= ENOUGH_WRITES:  # A busy machine takes longer.
                await asyncio.sleep(0.01)
            await asyncio.to_thread(end)

        await asyncio.gather(strike(), *(write(pal_id) for pal_id in pals))
    return acknowledged, unanswered


def check(palace: Palace, acknowledged: dict[str, list[str]], unanswered: dict[str, str]) -> None:
    """Everything acknowledged is there, in order; at most the one unanswered write follows it."""
    assert sum(map(len, acknowledged.values())) > ENOUGH_WRITES
    with palace.client() as client:
        for pal_id, tags in acknowledged.items():
            stored = client.get(f"/v2/pals/{pal_id}").json()["document_tags"]
            assert stored in (tags, [*tags, unanswered.get(pal_id)])


def test_sigkill_in_the_middle_of_writes_loses_no_acknowledged_one(tmp_path):
    data = tmp_path / "data"
    for round_of_death in range(3):
        with start_palace(data) as palace:
            seconds = 0.7 + 0.3 * round_of_death
            acknowledged, unanswered = asyncio.run(write_until_it_dies(palace, palace.kill, seconds))
        check_sound(data)
        for pal_id, tags in acknowledged.items():
            ((body,),) = rows(data, "SELECT body FROM documents WHERE id = ?", pal_id)
            assert json.loads(body)["document_tags"][: len(tags)] == tags
        with start_palace(data) as palace:
            check(palace, acknowledged, unanswered)


def test_sigterm_finishes_the_requests_in_flight_and_exits_cleanly(tmp_path):
    data = tmp_path / "data"
    codes = []
    with start_palace(data) as palace:
        acknowledged, unanswered = asyncio.run(write_until_it_dies(palace, lambda: codes.append(palace.stop()), 0.7))
    assert codes == [0]
    with start_palace(data) as palace:
        check(palace, acknowledged, unanswered)


def test_a_server_that_has_started_is_healthy_and_ready(palace):
    with palace.client(key=None) as client:
        for path in ("/healthz", "/readyz"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
