"""HTTP/1.1 on a connection that one can name, so that it is known what was sent on which, and what may have arrived."""

import asyncio
import re
import time
from contextlib import suppress
from typing import NamedTuple

LONGEST_WAIT_SECONDS = 10
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
STARTED = time.monotonic()


def seconds() -> float:
    """On one clock for all that is taken down."""
    return time.monotonic() - STARTED


class NotSent(Exception):
    """There is no connection, so nothing was sent."""


class NoAnswer(Exception):
    """The request may have arrived, wholly or in part, or not at all."""


class Answer(NamedTuple):
    """One answer; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection to a port of the loopback interface, for one request at a time."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.is_open = True
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int, number: int) -> "Connection":
        """Raises NotSent."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                return cls(number, *await asyncio.open_connection("127.0.0.1", port, limit=1 << 24))
        except OSError as error:
            raise NotSent(str(error)) from error

    async def request(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Send a request and wait for the answer. Raises NoAnswer; the connection is closed then."""
        lines = [f"{method} {path} HTTP/1.1", "host: palace", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, f"content-length: {len(body)}", "", ""])
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                self._writer.write(head.encode() + body)
                await self._writer.drain()
                return await self._answer()
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise NoAnswer(str(error) or type(error).__name__) from error
        except asyncio.CancelledError:
            self.close()
            raise

    async def _answer(self) -> Answer:
        raw = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = raw[:-4].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status, length = int(first.split()[1]), LENGTH.search(raw)
        body = await self._reader.readexactly(int(length[1])) if length and status not in (204, 304) else b""
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body)

    def close(self) -> None:
        """At once; what is on its way is given up."""
        self.is_open = False
        with suppress(OSError):
            self._writer.close()
