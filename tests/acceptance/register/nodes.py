"""The servers under test, each behind a proxy of its own, so that its address stays the same when it comes back."""

import asyncio
import os
import signal
from pathlib import Path
from random import Random

from tests.acceptance.register.proxy import Proxy, Streams
from tests.acceptance.register.told import Told
from tests.serving import Palace, start_palace

MASTER_KEY = "00112233445566778899aabbccddeeff" * 2
SECONDS_TO_COME_BACK = 60


class Node:
    """One server, which is killed, stopped for a while, and started again."""

    def __init__(self, number: int, data: Path, told: Told, random: Random, **variables: str) -> None:
        self.number = number
        self.data = data
        self.told = told
        self.proxy = Proxy(self._dial, random)
        self.palace: Palace | None = None
        self.ended_by_itself: list[int] = []
        self.variables = {"PALACE_MASTER_KEY": MASTER_KEY, **variables}

    async def start(self) -> None:
        """Start it, and again where it cannot: its database may be on its way back, too."""
        async with asyncio.timeout(SECONDS_TO_COME_BACK):
            while True:
                try:
                    self.palace = await asyncio.to_thread(
                        start_palace,
                        self.data,
                        PALACE_LOG_REQUESTS="false",
                        **self.variables,
                        **self.told.environment,
                    )
                except AssertionError:
                    await asyncio.sleep(0.2)
                else:
                    return

    async def kill(self) -> None:
        """`kill -9`."""
        palace = self._alive()
        if palace is not None:
            await asyncio.to_thread(palace.kill)
            self._forget()

    async def stop(self) -> int | None:
        """SIGTERM, and the exit code."""
        palace = self._alive()
        if palace is None:
            return None
        code = await asyncio.to_thread(palace.stop)
        self._forget()
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP, to the server and its workers."""
        if (palace := self._alive()) is not None:
            os.killpg(palace.process.pid, number)

    async def start_if_it_ended(self) -> None:
        """Start it where it ended without being told to, which is noted."""
        if self._alive() is None:
            await self.start()

    def _alive(self) -> Palace | None:
        if self.palace is not None and (code := self.palace.process.poll()) is not None:
            self.ended_by_itself.append(code)
            self._forget()
        return self.palace

    def _forget(self) -> None:
        assert self.palace is not None
        assert self.palace.process.stdout is not None
        self.palace.process.stdout.close()
        self.palace = None

    async def _dial(self) -> Streams:
        if self.palace is None:
            raise ConnectionRefusedError
        return await asyncio.open_connection("127.0.0.1", int(self.palace.url.rpartition(":")[2]))
