"""A server under test: how it is started, asked, weighed, killed and started again on what it left behind."""

import http.client
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

from benchmarks.postgres import Database
from benchmarks.processes import HOST, end, free_port, kill_group, launch, memory_mib
from benchmarks.wires import Wire, as_bytes

REPOSITORY = Path(__file__).resolve().parent.parent
START_SECONDS = 60
OK = (200, 201)


class ServerError(Exception):
    """A server did not start, did not answer or answered something else; the text says which and quotes its log."""


@dataclass(frozen=True)
class Place:
    """Where a server lives: its folder, its port, its database if it has one of its own, and the key it accepts."""

    data: Path
    port: int
    api_key: str = field(repr=False)
    database: Database | None = None


def _nothing(place: Place) -> None:
    """Most servers need no preparation."""


@dataclass(frozen=True)
class Contender:
    """A kind of server: how to start it and how to ask it. `name` stands in results, `title` in tables."""

    name: str
    title: str
    command: Callable[[Place], Sequence[str]]
    wire: Callable[[Place], Wire]
    """Called once the server answers; may log in and create what the PALs are kept in."""
    environment: Callable[[Place], Mapping[str, str]] = lambda place: {}
    prepare: Callable[[Place], None] = _nothing
    """Called once on a new folder, before the first start."""
    health: str = "/healthz"
    on_postgres: bool = False
    nodes: int = 1
    """Processes started side by side, each on a port and in a folder of its own, and on one database."""
    is_foreign: bool = False
    """Whether it needs the virtual environment of the rivals."""
    keeps: bool = True
    """Whether it keeps what it is told, so that this can be verified."""
    may_refuse: Sequence[str] = ()
    """Statuses with which it may refuse a write that a client has to send again; those are counted, and no failure."""


@dataclass
class Server:
    """A contender that runs; `start_seconds` is the time from the start of the process to its first answer."""

    contender: Contender
    places: Sequence[Place]
    processes: list[Popen[bytes]]
    start_seconds: float
    wire: Wire

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def ports(self) -> list[int]:
        return [place.port for place in self.places]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    @property
    def database_pids(self) -> list[int]:
        database = self.places[0].database
        return [database.pid] if database else []

    def request(self, method: str, path: str, body: Any = None, node: int = 0) -> Any:
        """The JSON of a 200 or 201 on a connection of its own. Raises ServerError for any other status."""
        place = self.places[node]
        headers = {**self.wire.headers, "content-type": "application/json"}
        return ask(place, self.name, method, path, body, headers)

    def create(self, pal: dict[str, Any]) -> str:
        """Create the PAL and return its id."""
        return self.wire.id_of(self.request("POST", self.wire.collection, self.wire.wrap(pal)))

    def read(self, pal_id: str) -> dict[str, Any]:
        """The PAL as it is stored."""
        found: dict[str, Any] = self.wire.unwrap(self.request("GET", f"{self.wire.collection}/{pal_id}"))
        return found

    def memory_mib(self) -> float:
        return memory_mib(self.pids)

    def stop(self) -> None:
        """Ask every process to end. Raises ServerError when one does not in time."""
        stopped = [end(process) for process in self.processes]
        if not all(stopped):
            raise ServerError(f"{self.name} did not stop after SIGTERM\n{log_end(self.places[0])}")

    def kill(self) -> None:
        """End every process with SIGKILL."""
        for process in self.processes:
            kill_group(process)

    def start_again(self) -> "Server":
        """The same server on the same data, after `stop` or `kill`, on new ports."""
        return _run(self.contender, [moved(place) for place in self.places])


def start(contender: Contender, data: Path, api_key: str, database: Database | None = None) -> Server:
    """Start the contender on new data and wait for its first answer. Raises ServerError when none comes."""
    folders = [data, *(data.with_name(f"{data.name}-node-{node}") for node in range(2, contender.nodes + 1))]
    for folder in folders:
        folder.mkdir(parents=True)
    places = [Place(folder, free_port(), api_key, database) for folder in folders]
    contender.prepare(places[0])
    return _run(contender, places)


def moved(place: Place) -> Place:
    """The same place on a port that nobody waits to be free again."""
    return Place(place.data, free_port(), place.api_key, place.database)


def _run(contender: Contender, places: Sequence[Place]) -> Server:
    processes: list[Popen[bytes]] = []
    begun = time.perf_counter()
    try:
        for place in places:
            command, environment = list(contender.command(place)), dict(contender.environment(place))
            processes.append(launch(command, environment, log_file(place), REPOSITORY))
            _wait(contender, place, processes[-1])
        seconds = (time.perf_counter() - begun) / len(places)
        return Server(contender, places, processes, seconds, contender.wire(places[0]))
    except BaseException:
        for process in processes:
            kill_group(process)
        raise


def _wait(contender: Contender, place: Place, process: Popen[bytes]) -> None:
    begun = time.perf_counter()
    while not _is_healthy(place.port, contender.health):
        if process.poll() is not None or time.perf_counter() - begun > START_SECONDS:
            raise ServerError(f"{contender.name} does not answer on {contender.health}\n{log_end(place)}")
        time.sleep(0.002)


def ask(place: Place, name: str, method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}) -> Any:
    """The JSON of a 200 or 201 on a connection of its own. Raises ServerError for any other status."""
    connection = http.client.HTTPConnection(HOST, place.port, timeout=60)
    try:
        connection.request(method, path, as_bytes(body), {"content-type": "application/json", **headers})
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServerError(f"{name}: {method} {path}: {error}\n{log_end(place)}") from error
    finally:
        connection.close()
    if response.status not in OK:
        raise ServerError(f"{name}: {method} {path} answered {response.status}: {text[:500]!r}")
    return json.loads(text)


def _is_healthy(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def log_file(place: Place) -> Path:
    return place.data.with_suffix(".log")


def log_end(place: Place) -> str:
    """The last lines of what the server printed."""
    return log_file(place).read_text(errors="replace")[-2000:]


def python(*arguments: str) -> list[str]:
    """A command of the interpreter that runs the benchmark."""
    return [sys.executable, "-m", *arguments]
