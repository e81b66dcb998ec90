"""One run: the servers, what each was asked, what it acknowledged, and the proof that it kept it."""

import argparse
import json
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cells import Cell
from benchmarks.contenders import CONTENDERS
from benchmarks.load import Job, Measurement
from benchmarks.postgres import Database, Postgres
from benchmarks.servers import REPOSITORY, Server, ServerError, start
from benchmarks.wires import request_text
from benchmarks.workload import Kind, differences, new_pal

NUMBERS_PER_JOB = 10_000_000
SETTLE_SECONDS = 0.5


@dataclass(frozen=True)
class Pals:
    """Ids of PALs of one kind on one server, and what they look like."""

    ids: Sequence[str]
    body: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Load:
    """How one measurement is made."""

    kind: Kind
    connections: int


class Bench:
    """Starts servers in `folder`, measures them in turn, and checks afterwards what they keep."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.api_key = secrets.token_urlsafe(24)
        self.servers: dict[str, Server] = {}
        self.acknowledged: dict[str, dict[str, int]] = {}
        self.problems: list[str] = []
        self.postgres: Postgres | None = None
        self._killed: set[str] = set()
        self._made = 0
        self._jobs = 0

    # --- Servers ------------------------------------------------------------------------------------------------------

    def open(self, name: str, label: str = "") -> Server:
        """Start a contender on new data under `label`, which is its name unless told otherwise."""
        label = label or name
        note(f"starting {label}")
        contender = CONTENDERS[name]
        self._made += 1
        database = self.database(name) if contender.on_postgres else None
        self.servers[label] = start(contender, self.folder / f"{self._made}-{label}", self.api_key, database)
        self.acknowledged[label] = {}
        return self.servers[label]

    def database(self, name: str) -> Database:
        """A new PostgreSQL database; the one server of the run is started when the first is asked for."""
        if self.postgres is None:
            self.postgres = Postgres(self.folder / "postgres")
        return self.postgres.create(name)

    def close(self, label: str) -> None:
        """Stop a server and take its database away."""
        server = self.servers.pop(label)
        server.stop()
        self.drop(server)

    def drop(self, server: Server) -> None:
        """Take away what a stopped server kept in PostgreSQL."""
        database = server.places[0].database
        if database is not None and self.postgres is not None:
            self.postgres.drop(database)

    def end(self) -> None:
        """End everything that still runs, whatever state it is in."""
        for server in self.servers.values():
            server.kill()
        if self.postgres is not None:
            self.postgres.stop()

    def create(self, label: str, count: int, body: dict[str, Any] | None = None) -> Pals:
        """So many PALs that differ in their number, or that all look like `body`."""
        server = self.servers[label]
        return Pals([server.create(body or new_pal(number)) for number in range(count)], body or new_pal(0))

    # --- Measuring ----------------------------------------------------------------------------------------------------

    def in_turns(self, pals: dict[str, Pals], loads: Iterable[Load], rounds: int) -> list[dict[str, Any]]:
        """The figures of every server under every load; the servers take turns within each round."""
        cells = []
        for load in loads:
            found = {label: Cell(label, load.kind, load.connections) for label in pals}
            for _ in range(rounds):
                for label, cell in found.items():
                    cell.rounds.append(self.measure(label, load, pals[label]))
            cells += [cell.figures() for cell in found.values()]
        return cells

    def measure(self, label: str, load: Load, pals: Pals) -> Measurement:
        """One job in a load generator of its own; its errors become problems of the run."""
        server = self.servers[label]
        self._jobs += 1
        job = Job(
            kind=load.kind,
            connections=load.connections,
            warm_up_seconds=self.options.warm_up,
            seconds=self.options.seconds,
            pals=pals.ids,
            first_number=self._jobs * NUMBERS_PER_JOB,
            ports=server.ports,
            request=request_text(server.wire, load.kind, server.ports[0], pals.body),
            may_refuse=server.contender.may_refuse,
            server_pids=server.pids,
            database_pids=server.database_pids,
        )
        note(f"{load.kind} at {load.connections} on {label}")
        command = [sys.executable, "-m", "benchmarks.load"]
        done = subprocess.run(
            command, cwd=REPOSITORY, input=json.dumps(asdict(job)), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ServerError(f"{label}: the load generator ended with {done.returncode}\n{done.stderr[-2000:]}")
        measurement = Measurement(**json.loads(done.stdout))
        self.acknowledged[label] |= measurement.acknowledged
        said = f"{label}: {load.kind} at {load.connections}"
        self.problems += [f"{said}: {count} x {problem}" for problem, count in measurement.errors.items()]
        return measurement

    # --- Proof --------------------------------------------------------------------------------------------------------

    def verify(self, label: str) -> int:
        """How many PALs kept their last acknowledged patch, while the server runs and after it was killed.

        Each is read, the server is ended with SIGKILL and started again, and each is read once more. A quick run kills
        each contender only once.
        """
        server = self.servers[label]
        if not server.contender.keeps:
            return 0
        note(f"verifying {label}")
        problems = self._lost(label, "")
        if not self.options.quick or server.name not in self._killed:
            self._killed.add(server.name)
            server.kill()
            self.servers[label] = server.start_again()
            problems += self._lost(label, " after SIGKILL")
        self.problems += problems
        return 0 if problems else len(self.acknowledged[label])

    def _lost(self, label: str, when: str) -> list[str]:
        """One sentence for each PAL that is not, or not as a whole, what its last acknowledged patch made of it."""
        lost = []
        for pal_id, number in self.acknowledged[label].items():
            try:
                found = differences(self.servers[label].read(pal_id), number)
            except ServerError as error:
                found = [str(error).partition("\n")[0]]
            if found:
                lost.append(f"{label}: {pal_id}{when}: {'; '.join(found)}")
        return lost


def weigh(server: Server) -> dict[str, float]:
    """What a server that has just started needs."""
    time.sleep(SETTLE_SECONDS)
    return {"start_seconds": round(server.start_seconds, 3), "idle_memory_mib": round(server.memory_mib(), 1)}


def milliseconds(times: Sequence[float]) -> dict[str, float]:
    """Median and slowest of some times in seconds, as milliseconds."""
    return {"median_ms": round(statistics.median(times) * 1000, 3), "slowest_ms": round(max(times) * 1000, 3)}


def note(text: str) -> None:
    """Say on standard error what is going on, so that standard output holds nothing but the tables."""
    print(f"... {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
