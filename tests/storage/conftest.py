"""Every kind of store there is, one after the other, for the same tests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from palace.storage import SqliteStore

Scene = Callable[[SqliteStore], Awaitable[Any]]
STORES: dict[str, Callable[[Path], SqliteStore]] = {
    "memory": lambda _: SqliteStore(None),
    "sqlite": lambda folder: SqliteStore(folder / "test.db"),
}
LOSES_ALL_AT_ITS_END = {"memory"}


@pytest.fixture(params=sorted(STORES))
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Scene], Any]]:
    """Runs a scene, given an empty store; a second scene of the same test finds what the first one left."""
    opened: list[SqliteStore] = []

    def run(scene: Scene) -> Any:
        async def act() -> Any:
            if not opened:
                opened.append(STORES[request.param](tmp_path))
            try:
                return await scene(opened[0])
            finally:
                if request.param not in LOSES_ALL_AT_ITS_END:
                    await opened.pop().close()
                elif opened[0]._drain is not None:  # Closing would wait for it, too.
                    await opened[0]._drain

        return asyncio.run(act())

    yield run
    for store in opened:
        asyncio.run(store.close())
