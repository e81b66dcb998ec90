"""The servers under test as processes: start, first answer, memory and CPU as the kernel counts them, stop."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Name = Literal["conventional", "palace", "palace-without-history"]

HOST = "127.0.0.1"
REPOSITORY = Path(__file__).resolve().parent.parent

_COMMANDS: Mapping[Name, tuple[str, ...]] = {
    "conventional": ("benchmarks.conventional",),
    "palace": ("palace", "serve"),
    "palace-without-history": ("palace", "serve", "--no-history"),
}
_KEY_VARIABLES: Mapping[Name, str] = {
    "conventional": "CONVENTIONAL_API_KEY",
    "palace": "PALACE_API_KEY",
    "palace-without-history": "PALACE_API_KEY",
}
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ServerError(Exception):
    """A server did not start, did not answer or answered something else; the text says which and quotes its log."""


@dataclass(frozen=True)
class Server:
    """A running server; `start_seconds` is the time from process start to its first answer on /healthz."""

    name: Name
    process: subprocess.Popen[bytes]
    port: int
    api_key: str
    data: Path
    start_seconds: float

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a 200 answer on a connection of its own. Raises ServerError for any other status."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        try:
            content = None if body is None else json.dumps(body).encode()
            headers = {"x-api-key": self.api_key, "content-type": "application/json"}
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            text = response.read()
        except OSError as error:
            raise ServerError(f"{self.name}: {method} {path}: {error}\n{_log_end(self.data)}") from error
        finally:
            connection.close()
        if response.status != 200:
            raise ServerError(f"{self.name}: {method} {path} answered {response.status}: {text[:500]!r}")
        return json.loads(text)

    def memory_mib(self) -> float:
        """Resident memory (VmRSS) in MiB."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise ServerError(f"{self.name} has ended\n{_log_end(self.data)}")

    def stop(self) -> None:
        """Ask the process to end with SIGTERM. Raises ServerError when it has not ended after 15 seconds."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise ServerError(f"{self.name} did not stop within 15 s of SIGTERM\n{_log_end(self.data)}") from error

    def kill(self) -> None:
        """End the process with SIGKILL, in the middle of whatever it does; harmless when it has already ended."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def on_processors(processors: AbstractSet[int]) -> Iterator[None]:
    """Processes started inside run on these processors only; an empty set leaves the choice to the kernel."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(name: Name, data: Path, api_key: str, processors: AbstractSet[int] = frozenset()) -> Server:
    """Start the server on `data` and wait for its first answer. Raises ServerError when none comes in 30 seconds."""
    data.mkdir(exist_ok=True)
    port = _free_port()
    command = [sys.executable, "-m", *_COMMANDS[name], "--host", HOST, "--port", str(port), "--data", str(data)]
    environment = {**os.environ, _KEY_VARIABLES[name]: api_key, "PALACE_LOG_REQUESTS": "false"}
    with _log_file(data).open("ab") as log, on_processors(processors):
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        while not _is_healthy(port):
            if process.poll() is not None or time.perf_counter() - begun > 30:
                raise ServerError(f"{name} does not answer on /healthz\n{_log_end(data)}")
            time.sleep(0.002)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Server(name, process, port, api_key, data, time.perf_counter() - begun)


def cpu_seconds(pid: int) -> float:
    """User and system time the process has used so far, all its threads together (fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def _log_file(data: Path) -> Path:
    return data.with_suffix(".log")


def _log_end(data: Path) -> str:
    return _log_file(data).read_text(errors="replace")[-2000:]
