"""A TCP proxy that misbehaves when it is told to: between clients and a node, and between a node and its database."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Literal

Mode = Literal["pass", "slow", "cut_request", "cut_answer", "cut_commit", "silent", "refuse"]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Ends = tuple[asyncio.StreamWriter, asyncio.StreamWriter]
COMMIT = b"COMMIT\0"
RESET = struct.pack("ii", 1, 0)
CHUNK = 1 << 16


class Proxy:
    """Passes everything on to whatever `dial` opens.

    `slow` delays; `cut_request` passes a part of a request on and resets both connections; `cut_answer` passes the
    request on and resets them when the answer comes, `cut_commit` only that to a COMMIT of PostgreSQL; `silent` keeps
    everything to itself; `refuse` resets at once.
    """

    def __init__(self, dial: Callable[[], Awaitable[Streams]], random: Random) -> None:
        self.mode: Mode = "pass"
        self.port = 0
        self.resets = 0
        self._dial = dial
        self._random = random
        self._open: set[asyncio.StreamWriter] = set()
        self._unheard: set[Ends] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Listen no more, and reset what is open."""
        if self._server is not None:
            self._server.close()
        self.reset()

    def reset(self) -> None:
        """Reset every connection, whatever is on its way."""
        for writer in list(self._open):
            self._abort(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            self._abort(writer)
            return
        try:
            far_reader, far_writer = await self._dial()
        except OSError:
            self._abort(writer)
            return
        both = (writer, far_writer)
        self._open |= {*both}
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer, both, is_request=True)),
            asyncio.create_task(self._pump(far_reader, writer, both, is_request=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._open -= {*both}
            self._unheard.discard(both)
            for end in both:
                end.close()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        both: Ends,
        *,
        is_request: bool,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK):
                mode = self.mode
                if mode == "slow":
                    await asyncio.sleep(self._random.expovariate(20))
                while self.mode == "silent":
                    await asyncio.sleep(0.02)
                if mode == ("cut_request" if is_request else "cut_answer") and self._random.random() < 0.3:
                    target.write(data[: self._random.randrange(len(data))])
                    await asyncio.sleep(self._random.random() * 0.01)
                    self._cut(both)
                    return
                if is_request and mode == "cut_commit" and COMMIT in data and self._random.random() < 0.5:
                    self._unheard.add(both)
                    target.write(data)
                    await asyncio.sleep(self._random.random() * 0.03)
                    self._cut(both)
                    return
                if both not in self._unheard or is_request:
                    target.write(data)
                    await target.drain()

    def _cut(self, both: Ends) -> None:
        for end in both:
            self._abort(end)

    def _abort(self, writer: asyncio.StreamWriter) -> None:
        """Close with a reset instead of a farewell."""
        self.resets += 1
        with suppress(OSError, AttributeError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
