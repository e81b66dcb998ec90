"""A real Palace in a process of its own, on a free port of the loopback interface.

Its objects are in a file of its data folder or, with `PALACE_TEST_DATABASE=postgres`, in a database of PostgreSQL that
belongs to that folder: whoever works on the folder works on the same database.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from tests import postgres, recording
from tests.quick import Quick, run

KEY = "a-key-for-tests"
SECONDS_TO_START = 30
STOCK_FACE = "r4067604db72"
BACKENDS = ("file", "postgres", "memory", "twice")
"""Every kind of store that a server may keep its objects in, and a file with which every work is run twice."""
KINDS_OF_STORES = 3
ROOT = Path(__file__).parents[1]
BACKEND = os.environ.get("PALACE_TEST_DATABASE", "file")
"""The one of servers whose test does not choose."""
_urls: dict[Path, str] = {}


def database_of(data: Path, backend: str = BACKEND) -> dict[str, str]:
    """The variables that lead a server or a command to the database of this data folder."""
    if data not in _urls and backend == "postgres":
        _urls[data] = postgres.new_database()
    return {"PALACE_DATABASE": _urls[data]} if data in _urls else {}


def copied(data: Path, to: Path) -> Path:
    """A copy of a data folder, with its database, while nobody works on it."""
    if data in _urls:
        _urls[to] = postgres.new_database(like=_urls[data])
    return Path(shutil.copytree(data, to))


@dataclass
class Palace:
    """A running server and its log. As a context manager it ends the server."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    log: Path
    greeting: str

    def client(self, key: str | None = KEY, **options: Any) -> httpx.Client:
        """A client of this server, with the key of its first account."""
        headers = {"x-api-key": key} if key else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def new_key(self, account: str) -> str:
        """A key of this account, which is made when there is none. Only where others can open the store, too."""
        command = [sys.executable, "-m", "palace", "keys", "create", "--account", account, "--data", str(self.data)]
        environment = os.environ | database_of(self.data)
        done = run(command, env=environment, timeout=SECONDS_TO_START)
        done.check_returncode()
        return done.stdout.strip()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self.process.kill()
        self.process.wait(timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout is not None
        self.process.stdout.close()


def start_palace(
    data: Path, *flags: str, key: str = KEY, backend: str = BACKEND, program: str = "palace", **environment: str
) -> Palace:
    """Start `palace serve`, or that of another `program`, on `data` and wait until it listens."""
    if backend == "memory":
        flags = ("--ephemeral", *flags)
    if "--ephemeral" not in flags:
        environment = database_of(data, backend) | environment
    log = data.parent / f"{data.name}.log"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PALACE_")}
    variables |= {"PYTHONUNBUFFERED": "1", **environment, **recording.settings()}
    recording.logs.add(log)
    if key:
        variables["PALACE_API_KEY"] = key
    program = "tests.twice" if backend == "twice" else program
    variables["PYTHONPATH"] = environment.get("PYTHONPATH", str(ROOT))
    command = [sys.executable, "-m", program, "serve", "--port", "0", "--data", str(data), *flags]
    process = Quick(
        command, env=variables, stdout=subprocess.PIPE, stderr=log.open("a"), text=True, start_new_session=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.strip().startswith("export TAVUS_API_KEY"):
            break
    greeting = "".join(lines)
    found = re.search(r"ready: +(\S+)", greeting)
    if found is None:
        process.wait(timeout=SECONDS_TO_START)
        raise AssertionError(f"The server did not start: {log.read_text()}")
    return Palace(found.group(1), data, process, log, greeting)
