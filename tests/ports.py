"""Ports that nobody else is given, for servers that begin to listen later, once more, or at two addresses."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_port() -> Iterator[int]:
    """A port at every address, while the context lasts. It is taken, but nobody listens: who knows it may."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("", 0))
        yield taken.getsockname()[1]
