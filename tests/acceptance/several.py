"""Several servers on one PostgreSQL, and a look past them into the database."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.serving import STOCK_FACE, Palace, start_palace

MASTER_KEY = "5e" * 32


def start_node(folder: Path, database: str, *flags: str, **environment: str) -> Palace:
    """A server with a data folder of its own on a database that others may share."""
    known = {"PALACE_DATABASE": database, "PALACE_MASTER_KEY": MASTER_KEY, "PALACE_LOG_REQUESTS": "false"}
    return start_palace(folder, *flags, **(known | environment))


@contextmanager
def nodes(folder: Path, database: str, count: int, *flags: str) -> Iterator[list[Palace]]:
    """Servers that are started at the same moment."""
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        started = pool.map(lambda n: start_node(folder / f"node-{n}", database, *flags), range(count))
        yield [stack.enter_context(node) for node in list(started)]


def rows(database: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What the database says itself."""

    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(database)
        try:
            return [tuple(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def new_pal(client: httpx.Client, **members: Any) -> str:
    """The id of a new PAL."""
    body = {"pal_name": "Night Desk", "system_prompt": "Answer.", "default_face_id": STOCK_FACE} | members
    answer = client.post("/v2/pals", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["pal_id"])
