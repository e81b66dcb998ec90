"""A real Palace in a process of its own, on a free port of the loopback interface."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from tests import recording

KEY = "a-key-for-tests"
SECONDS_TO_START = 30
STOCK_FACE = "r4067604db72"
BACKENDS: dict[str, tuple[str, ...]] = {"file": (), "memory": ("--ephemeral",)}
"""Every kind of store that a server may keep its objects in, with the flags that ask for it."""


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
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_START, check=True)
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


def start_palace(data: Path, *flags: str, key: str = KEY, **environment: str) -> Palace:
    """Start `palace serve` on `data` and wait until it listens."""
    log = data.parent / f"{data.name}.log"
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PALACE_")}
    variables |= {"PYTHONUNBUFFERED": "1", **environment, **recording.settings()}
    recording.logs.add(log)
    if key:
        variables["PALACE_API_KEY"] = key
    command = [sys.executable, "-m", "palace", "serve", "--port", "0", "--data", str(data), *flags]
    process = subprocess.Popen(
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
