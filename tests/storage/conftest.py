"""Every kind of store there is, one after the other, for the same tests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from palace.storage import SqliteStore, Store
from palace.storage.postgres import open_postgres
from tests.postgres import new_database

Scene = Callable[[Any], Awaitable[Any]]


async def in_memory(_: Path) -> Store:
    return SqliteStore(None)


async def in_a_file(folder: Path) -> Store:
    return SqliteStore(folder / "test.db")


async def on_postgres(folder: Path) -> Store:
    named = folder / "url"
    if not named.exists():
        named.write_text(await asyncio.to_thread(new_database))
    return await open_postgres(named.read_text(), most_connections=4, statement_seconds=10)


async def plain_sql(store: Any, statement: str) -> None:
    """What somebody does who has the database, past the server."""
    if isinstance(store, SqliteStore):
        store._writing.execute(statement)
    else:
        await store.pool.pool.execute(statement)


STORES: dict[str, Callable[[Path], Awaitable[Store]]] = {
    "memory": in_memory,
    "sqlite": in_a_file,
    "postgres": on_postgres,
}
LOSES_ALL_AT_ITS_END = {"memory"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Everything runs on every store but those of which the file says why not."""
    if "play" in metafunc.fixturenames:
        names = sorted(STORES.keys() - getattr(metafunc.module, "NOT_ON", set()))
        metafunc.parametrize("play", names, indirect=True)


@pytest.fixture
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Scene], Any]]:
    """Runs a scene, given an empty store; a second scene of the same test finds what the first one left."""
    opened: list[Any] = []

    def run(scene: Scene) -> Any:
        async def act() -> Any:
            if not opened:
                opened.append(await STORES[request.param](tmp_path))
            try:
                return await scene(opened[0])
            finally:
                if request.param not in LOSES_ALL_AT_ITS_END:
                    await opened.pop().close()
                else:
                    await opened[0].settle()

        return asyncio.run(act())

    yield run
    for store in opened:
        asyncio.run(store.close())
