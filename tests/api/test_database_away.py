"""While the database is away: what cannot be answered says so, what needs no database is answered at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.acceptance.register.proxy import Mode, Proxy, Streams
from tests.api.within import Within, within
from tests.postgres import new_database
from tests.serving import STOCK_FACE

QUICKLY = 2.5
"""seconds, on a busy machine"""
CANNOT_READ = "The server cannot read its database right now. Nothing was changed; try again."
CANNOT_STORE = "The server cannot store changes right now. Nothing was changed; try again."


@asynccontextmanager
async def on_postgres(folder: Path) -> AsyncIterator[tuple[Within, Proxy]]:
    """A server, and what lies between it and its database."""
    parts = urlsplit(await asyncio.to_thread(new_database))
    host = parse_qs(parts.query).get("host", [""])[0]

    async def dial() -> Streams:
        if host:
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{parts.port or 5432}")
        return await asyncio.open_connection(parts.hostname, parts.port or 5432)

    proxy = Proxy(dial, Random(0))
    await proxy.start()
    login = parts.netloc.rpartition("@")[0]
    try:
        async with within(folder, PALACE_DATABASE=f"postgresql://{login}@127.0.0.1:{proxy.port}{parts.path}") as server:
            yield server, proxy
    finally:
        proxy.stop()


@pytest.mark.parametrize("mode", ["refuse", "silent"])
def test_health_and_figures_are_told_at_once_and_what_cannot_be_read_is_told_as_that(
    tmp_path: Path, mode: Mode
) -> None:
    async def scene() -> None:
        async with on_postgres(tmp_path) as (server, proxy):
            server.services.store.pool.patience_seconds = 4.0  # type: ignore[attr-defined]
            assert "palace_jobs_waiting" in await metrics(server)
            proxy.mode = mode
            if mode == "refuse":
                proxy.reset()
            reading = server.send("GET", "/v2/pals")
            async with asyncio.timeout(QUICKLY):
                for path in ("/healthz", "/readyz"):
                    assert (await server.ask("GET", path)).status == 200
                told = await metrics(server)
            assert "palace_jobs_waiting" not in told
            assert "palace_requests_in_flight 2" in told
            if mode == "refuse":
                answer = await reading.answered()
                assert (answer.status, answer.body["message"]) == (503, CANNOT_READ)
                assert answer.headers["retry-after"]
            proxy.mode = "pass"
            await reading.answered()
            assert (await server.ask("GET", "/v2/pals")).status == 200

    asyncio.run(scene())


def test_a_change_that_cannot_be_stored_is_told_as_that(tmp_path: Path) -> None:
    async def scene() -> None:
        async with on_postgres(tmp_path) as (server, proxy):
            server.services.store.pool.patience_seconds = 0.5  # type: ignore[attr-defined]
            assert (await server.ask("GET", "/v2/pals")).status == 200  # So the key is known for a moment.
            proxy.mode = "refuse"
            proxy.reset()
            body: dict[str, Any] = {"system_prompt": "a", "default_face_id": STOCK_FACE}
            answer = await server.ask("POST", "/v2/pals", body)
            assert (answer.status, answer.body["message"]) == (503, CANNOT_STORE)
            proxy.mode = "pass"

    asyncio.run(scene())


async def metrics(server: Within) -> str:
    exchange = await server.ask("GET", "/metrics")
    text: bytes = exchange.messages[-1]["body"]
    return text.decode()
