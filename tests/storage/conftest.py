"""Every kind of store there is, one after the other, for the same tests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from palace.storage import SqliteStore

STORES: dict[str, Callable[[Path], SqliteStore]] = {"sqlite": lambda folder: SqliteStore(folder / "test.db")}

Scene = Callable[[SqliteStore], Awaitable[Any]]


@pytest.fixture(params=sorted(STORES))
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Scene], Any]]:
    """Runs a scene, given an empty store; a second scene of the same test finds what the first one left."""

    def run(scene: Scene) -> Any:
        async def act() -> Any:
            store = STORES[request.param](tmp_path)
            try:
                return await scene(store)
            finally:
                await store.close()

        return asyncio.run(act())

    yield run
