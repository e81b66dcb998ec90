"""A proxy that breaks the lines of conversations, after so many bytes as it is told to."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

RESET = struct.pack("ii", 1, 0)
CHUNK = 1 << 16


class Cuts:
    """Passes everything on. Of the first WebSockets, each is reset when the server has sent `after` bytes on it."""

    def __init__(self, port: int, after: Sequence[int]) -> None:
        self._to = port
        self._after = list(after)
        self.lines = 0
        """how many WebSockets there were"""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        first = near.recv(CHUNK)
        far = socket.create_connection(("127.0.0.1", self._to))
        far.sendall(first)
        left = None
        if first.startswith(b"GET /c/"):
            self.lines += 1
            left = self._after.pop(0) if self._after else None
        threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()
        with suppress(OSError):
            while part := far.recv(CHUNK):
                near.sendall(part if left is None else part[:left])
                if left is not None and len(part) >= left:
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
                left = None if left is None else left - len(part)
        for end in (near, far):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while part := near.recv(CHUNK):
                far.sendall(part)
            far.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)


@contextmanager
def cutting(url: str, after: Sequence[int]) -> Iterator[Cuts]:
    """A proxy in front of a server, for as long as the block lasts."""
    proxy = Cuts(int(url.rpartition(":")[2]), after)
    try:
        yield proxy
    finally:
        proxy.stop()
