"""The servers under test, on either database, with all that can go wrong with them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.acceptance.register.database import NAME, GivenDatabase, OwnDatabase, database
from tests.acceptance.register.disk import SmallDisk
from tests.acceptance.register.nemesis import Fault, database_faults, disk_faults, node_faults, proxy_faults
from tests.acceptance.register.nodes import Node
from tests.acceptance.register.proxy import Proxy
from tests.acceptance.register.told import Told

NODES = 3


@dataclass
class World:
    """The servers, what can go wrong with them, and how to look into their store when they are stopped."""

    name: str
    nodes: list[Node]
    proxies: list[Proxy]
    faults: dict[str, Fault]
    files: list[Path] = field(default_factory=list)
    """databases whose integrity SQLite itself can check"""


@asynccontextmanager
async def on_sqlite(folder: Path, seed: str) -> AsyncIterator[World]:
    """One server with a file."""
    random = Random(f"{seed} world")
    disk = SmallDisk(folder / "palace")
    node = Node(1, disk.path, Told(folder / "told"), random)
    try:
        await node.proxy.start()
        await node.start()
        faults = {**node_faults(random, [node]), **disk_faults(random, node, disk)}
        yield World("SQLite", [node], [node.proxy], faults, files=[node.data / "palace.db"])
    finally:
        node.proxy.stop()
        await node.kill()
        disk.close()


@asynccontextmanager
async def on_postgres(folder: Path, seed: str) -> AsyncIterator[World]:
    """Three servers with one database, each with a connection of its own to it, and a clock of its own."""
    random = Random(f"{seed} world")
    there = await asyncio.to_thread(database, folder / "postgres.log")
    ways = [Proxy(there.dial, random) for _ in range(NODES)]
    nodes: list[Node] = []
    try:
        await there.start()
        await there.create()
        for number, way in enumerate(ways, start=1):
            await way.start()
            url = f"postgresql://{there.login}@127.0.0.1:{way.port}/{NAME}"
            told = Told(folder / f"told-{number}")
            nodes.append(Node(number, folder / f"palace-{number}", told, random, PALACE_DATABASE=url))
            await nodes[-1].proxy.start()
        await asyncio.gather(*(node.start() for node in nodes))
        proxies = [*ways, *(node.proxy for node in nodes)]
        yield World("PostgreSQL", nodes, proxies, _faults(random, nodes, ways, there))
    finally:
        for node in nodes:
            node.proxy.stop()
            await node.kill()
        for way in ways:
            way.stop()
        await asyncio.to_thread(there.close)


def _faults(
    random: Random, nodes: list[Node], ways: list[Proxy], there: OwnDatabase | GivenDatabase
) -> dict[str, Fault]:
    faults = {**node_faults(random, nodes), **proxy_faults(random, "database", ways)}
    return {**faults, **database_faults(random, there)} if isinstance(there, OwnDatabase) else faults
