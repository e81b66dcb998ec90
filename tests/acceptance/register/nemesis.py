"""What goes wrong while clients work: one fault after another, each mended before the next."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from tests.acceptance.register.database import OwnDatabase
from tests.acceptance.register.disk import SmallDisk
from tests.acceptance.register.history import Trouble
from tests.acceptance.register.nodes import Node
from tests.acceptance.register.proxy import Mode, Proxy
from tests.acceptance.register.wire import seconds

Fault = Callable[[], Awaitable[None]]

LONGEST_CLOCK_JUMP_SECONDS = 5 * 3600
"""Two of them apart are less than the 24 hours for which answers under an idempotency key are kept."""

LEAST_FAULTS = 4
"""in a run, however slow the machine is"""


class Nemesis:
    """Does every fault there is, in an order and for as long as chance has it; `done` is what it did, and when."""

    def __init__(self, random: Random, faults: dict[str, Fault]) -> None:
        self.done: list[Trouble] = []
        self._random = random
        self._faults = faults

    async def rage(self, until: asyncio.Event) -> None:
        """All kinds, then all again, until it is told to stop and has done the least; what is broken then is mended."""
        while True:
            for name in self._random.sample(sorted(self._faults), len(self._faults)):
                if until.is_set() and len(self.done) >= LEAST_FAULTS:
                    return
                began = seconds()
                await self._faults[name]()
                self.done.append(Trouble(name, began, seconds()))
                await asyncio.sleep(self._random.random() * 0.6)


def node_faults(random: Random, nodes: Sequence[Node]) -> dict[str, Fault]:
    """What happens to servers, their connections to clients, and their clocks."""

    def length(least: float = 0.3, most: float = 1.2) -> float:
        return least + random.random() * (most - least)

    async def kill() -> None:
        node = random.choice(nodes)
        await node.kill()
        await asyncio.sleep(random.random() * 0.3)
        await node.start()

    async def kill_in_midst_of_start() -> None:
        node = random.choice(nodes)
        await node.kill()
        starting = asyncio.create_task(node.start())
        await asyncio.wait([starting], timeout=random.random() * 0.8)
        await starting
        await node.kill()
        await node.start()

    async def pause() -> None:
        node = random.choice(nodes)
        node.signal(signal.SIGSTOP)
        await asyncio.sleep(length())
        node.signal(signal.SIGCONT)

    async def jump() -> None:
        node = random.choice(nodes)
        await node.told.tell_and_see("clock_offset", random.uniform(-1, 1) * LONGEST_CLOCK_JUMP_SECONDS)
        await asyncio.sleep(length())

    async def reset() -> None:
        for _ in range(random.randint(1, 8)):
            random.choice(nodes).proxy.reset()
            await asyncio.sleep(random.random() * 0.1)

    return {
        "server killed": kill,
        "server killed twice": kill_in_midst_of_start,
        "server paused": pause,
        "clock jumped": jump,
        "client connections reset": reset,
        **proxy_faults(random, "client", [node.proxy for node in nodes]),
    }


def proxy_faults(random: Random, whose: str, proxies: Sequence[Proxy]) -> dict[str, Fault]:
    """What happens to connections."""

    def misbehaving(mode: Mode, most: float) -> Fault:
        async def fault() -> None:
            proxy = random.choice(proxies)
            proxy.mode = mode
            await asyncio.sleep(0.3 + random.random() * most)
            proxy.mode = "pass"
            if mode == "silent":
                proxy.reset()

        return fault

    extra = {"database commits cut": misbehaving("cut_commit", 1)} if whose == "database" else {}
    return {
        **extra,
        f"{whose} requests cut": misbehaving("cut_request", 1),
        f"{whose} answers cut": misbehaving("cut_answer", 1),
        f"{whose} connections silent": misbehaving("silent", 1),
        f"{whose} connections slow": misbehaving("slow", 1),
        f"{whose} connections refused": misbehaving("refuse", 0.5),
    }


def disk_faults(random: Random, node: Node, disk: SmallDisk) -> dict[str, Fault]:
    """What happens to the disk of a server that keeps its data itself."""

    async def slow() -> None:
        await node.told.tell_and_see("write_delay", random.uniform(0.001, 0.03))
        await asyncio.sleep(0.5 + random.random())
        node.told.tell("write_delay", 0)

    async def failing_writes() -> None:
        await node.told.tell_and_see("writes_fail", True)
        await asyncio.sleep(0.1 + random.random() * 0.7)
        node.told.tell("writes_fail", False)

    async def full() -> None:
        disk.fill()
        await asyncio.sleep(1 + random.random() * 2)
        disk.free()

    async def killed_while_full() -> None:
        disk.fill()
        await asyncio.sleep(random.random())
        await node.kill()
        disk.free()
        await node.start()

    faults: dict[str, Fault] = {"disk slow": slow, "disk full, by a hook": failing_writes}
    if disk.is_there:
        faults |= {"disk full": full, "server killed while the disk is full": killed_while_full}
    return faults


def database_faults(random: Random, database: OwnDatabase) -> dict[str, Fault]:
    """What happens to PostgreSQL and its disk."""

    async def kill() -> None:
        await database.kill()
        await asyncio.sleep(random.random())
        await database.start()

    async def kill_one() -> None:
        await database.kill_one(random.randrange(100))
        await database.start()

    async def pause() -> None:
        database.signal(signal.SIGSTOP)
        await asyncio.sleep(0.3 + random.random())
        database.signal(signal.SIGCONT)

    async def end_sessions() -> None:
        for _ in range(random.randint(1, 4)):
            await database.end_sessions()
            await asyncio.sleep(random.random() * 0.2)

    async def slow() -> None:
        await database.delay_commits(random.randint(5_000, 100_000))
        await asyncio.sleep(0.5 + random.random())
        await database.delay_commits(0)

    async def limited() -> None:
        database.limit_files(random.choice([1 << 16, 1 << 20, 1 << 23]))
        await asyncio.sleep(0.3 + random.random())
        for _ in range(2):  # A process may have been born with the limit just now.
            database.limit_files(None)
            await asyncio.sleep(0.05)
        await database.start()

    async def full() -> None:
        database.disk.fill()
        await asyncio.sleep(0.5 + random.random() * 2)
        database.disk.free()
        await database.start()

    faults: dict[str, Fault] = {
        "database killed": kill,
        "process of the database killed": kill_one,
        "database paused": pause,
        "database sessions ended": end_sessions,
        "commits slow": slow,
        "database files limited": limited,
    }
    return {**faults, "database disk full": full} if database.disk.is_there else faults
