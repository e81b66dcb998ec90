"""The socket, and uvicorn as this server needs it: it tells when it listens, drains, and ends in good order."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog
import uvicorn

from palace.workers import HURRY, Worker

COURTESY_SECONDS = 0.002
PAUSE_SECONDS = 1.0

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace")


class CannotListen(Exception):
    """The address is in use, or not one of this machine."""


class Server(uvicorn.Server):
    """Uvicorn, telling when it listens, and ending in good order: it would send itself the signal again instead.

    After the first signal it goes on for `drain_seconds`, with `is_draining` true, so that those who send it requests
    can go elsewhere; then it stops to listen and finishes what it has begun.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_start: Callable[[], None],
        on_drain: Callable[[], None],
        drain_seconds: int,
        worker: Worker | None,
    ) -> None:
        super().__init__(config)
        self._worker = worker
        self._on_start = on_start
        self._on_drain = on_drain
        self._drain_seconds = drain_seconds
        self.is_draining = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._worker is None or not sockets:
            await super().startup(sockets)
        else:
            kind, state = self.config.http_protocol_class, self.server_state

            def protocol() -> asyncio.Protocol:
                return kind(config=self.config, server_state=state, app_state={})  # type: ignore[call-arg]

            self.servers = [_InTurn(one, protocol, self._has_most) for one in sockets]  # type: ignore[misc]
            self._has_most()
            self.started = True
        if self.started:
            self._on_start()

    def _has_most(self) -> bool:
        return self._worker is not None and self._worker.has_most(len(self.server_state.connections))

    async def on_tick(self, counter: int) -> bool:
        self._has_most()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the server; a second one ends the draining, a third one the requests in flight.

        A worker begins to end with the first of them, or when its parent is gone, and goes on with the parent's word.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit if self._worker is None else self._drain, number, None)
        if self._worker is not None:
            loop.add_signal_handler(HURRY, self.handle_exit, HURRY, None)
            loop.add_reader(self._worker.lifeline, self._lose_parent, self._worker.lifeline)
        yield

    def _drain(self, sig: int, frame: FrameType | None) -> None:
        if not self.is_draining:
            self.handle_exit(sig, frame)

    def _lose_parent(self, lifeline: int) -> None:
        asyncio.get_running_loop().remove_reader(lifeline)
        self._drain(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        if self.should_exit:
            self.force_exit = True
        elif self.is_draining or not self._drain_seconds:
            self._stop_listening()
        else:
            asyncio.get_running_loop().call_later(self._drain_seconds, self._stop_listening)
        if not self.is_draining:
            self.is_draining = True
            self._on_drain()

    def _stop_listening(self) -> None:
        self.should_exit = True


class _InTurn:
    """Takes one connection after the other from a socket on which several processes listen.

    Who `has_most` leaves the others some time to take it. Without that, of 32 connections one of two workers took 30;
    uvloop's own server, which takes all that wait, 32.
    """

    def __init__(
        self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol], has_most: Callable[[], bool]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._protocol = protocol
        self._has_most = has_most
        self._opening: set[asyncio.Task[object]] = set()
        listening.setblocking(False)
        self._watch()

    def _watch(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening, self._look)

    def _look(self) -> None:
        if self._has_most():
            self._loop.remove_reader(self._listening)
            self._loop.call_later(COURTESY_SECONDS, self._take_and_watch)
        else:
            self._take()

    def _take_and_watch(self) -> None:
        if self._listening.fileno() >= 0 and self._take():
            self._watch()

    def _take(self) -> bool:
        """Take one, if there is still one. False when that has to wait."""
        try:
            taken, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return True
        except OSError as error:  # Too many files are open, for instance.
            log.error("cannot take a connection", problem=str(error))
            self._loop.remove_reader(self._listening)
            self._loop.call_later(PAUSE_SECONDS, self._watch)
            return False
        taken.setblocking(False)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task: asyncio.Task[object] = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, taken))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return True

    def close(self) -> None:
        """Take no more."""
        self._loop.remove_reader(self._listening)
        self._listening.close()

    async def wait_closed(self) -> None:
        """See asyncio.Server."""


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CannotListen(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    return listening


def shown_host(host: str) -> str:
    """The host as it stands in a URL that people can follow."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - shown to a person, not listened on
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
