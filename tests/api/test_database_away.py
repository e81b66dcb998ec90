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
from tests.serving import KEY, STOCK_FACE

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
def test_health_and_figures_are_told_without_the_database(tmp_path: Path, mode: Mode) -> None:
    async def scene() -> None:
        async with on_postgres(tmp_path) as (server, proxy):
            server.services.store.pool.patience_seconds = 60.0  # type: ignore[attr-defined]
            assert "palace_jobs_waiting" in await metrics(server)
            proxy.mode = mode
            if mode == "refuse":
                proxy.reset()
            reading = server.send("GET", "/v2/pals")
            for path in ("/healthz", "/readyz"):
                assert (await server.ask("GET", path)).status == 200
            told = await metrics(server)
            assert "palace_jobs_waiting" not in told
            assert "palace_requests_in_flight 2" in told
            proxy.mode = "pass"
            assert (await reading.answered()).status == 200

    asyncio.run(scene())


PAL = {"system_prompt": "a", "default_face_id": STOCK_FACE}


@pytest.mark.parametrize(
    ("method", "key", "body", "message"),
    [
        pytest.param("GET", "another-key", None, CANNOT_READ, id="a key that is looked up"),
        pytest.param("GET", KEY, None, CANNOT_READ, id="what is read"),
        pytest.param("POST", KEY, PAL, CANNOT_STORE, id="what is stored"),
    ],
)
def test_what_cannot_be_read_or_stored_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, key: str, body: Any, message: str
) -> None:
    monkeypatch.setattr("palace.storage.postgres_reading.KEY_SECONDS", 60)

    async def scene() -> None:
        async with on_postgres(tmp_path) as (server, proxy):
            assert (await server.ask("GET", "/v2/pals")).status == 200  # So the key is known.
            server.services.store.pool.patience_seconds = 0.5  # type: ignore[attr-defined]
            proxy.mode = "refuse"
            proxy.reset()
            answer = await server.ask(method, "/v2/pals", body, **{"x-api-key": key})
            assert (answer.status, answer.body["message"]) == (503, message)
            assert answer.headers["retry-after"]
            proxy.mode = "pass"

    asyncio.run(scene())


async def metrics(server: Within) -> str:
    exchange = await server.ask("GET", "/metrics")
    text: bytes = exchange.messages[-1]["body"]
    return text.decode()
