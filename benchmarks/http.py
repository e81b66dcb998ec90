"""Durable PATCH and GET of one PAL: Palace side by side with a conventional FastAPI and SQLAlchemy server, in one run.

`python -m benchmarks.http` takes about two minutes; `--quick` a few seconds. Both servers run on this
machine, and each measurement of one is followed by the same measurement of the other, so that a noisy neighbour
disturbs both. Ends with 1 when a request failed or an acknowledged write is not stored; a missed target only counts
with `--enforce`.
"""

import sys
from pathlib import Path

if not __package__:  # Run as a file, Python looks in this folder first, where this module hides the library's `http`.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import argparse
import json
import os
import platform
import secrets
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any, get_args

from benchmarks.load import Job, Measurement
from benchmarks.report import Cell, Results, ServerFigures, table
from benchmarks.servers import REPOSITORY, Name, Server, ServerError, on_processors, start
from benchmarks.workload import Kind, differences, new_pal

KINDS: tuple[Kind, ...] = get_args(Kind)
NAMES: tuple[Name, ...] = ("conventional", "palace")
NUMBERS_PER_JOB = 100_000_000
SETTLE_SECONDS = 1.0
NEEDED_MODULES = {"conventional": ("fastapi", "sqlalchemy", "aiosqlite", "jsonpatch")}


class Bench:
    """One run: the servers, the PALs on each of them, and what was acknowledged."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.api_key = secrets.token_urlsafe(24)
        self.servers: dict[Name, Server] = {}
        self.pals: dict[Name, list[str]] = {}
        self.acknowledged: dict[Name, dict[str, int]] = {name: {} for name in options.servers}
        self.figures: dict[Name, ServerFigures] = {name: ServerFigures() for name in options.servers}
        self.problems: list[str] = []
        self.jobs = 0
        self.server_processors, self.generator_processors = processors(options.pin)

    def set_up(self, name: Name) -> None:
        """Start the server on fresh data as often as asked, keep the last one, weigh it, and create the PALs."""
        figures = self.figures[name]
        for attempt in range(self.options.starts):
            if name in self.servers:
                self.servers.pop(name).stop()
            self.servers[name] = self.start(name, self.folder / f"{name}-{attempt}")
            figures.start_seconds.append(self.servers[name].start_seconds)
        time.sleep(SETTLE_SECONDS)
        figures.idle_memory_mib = self.servers[name].memory_mib()
        server = self.servers[name]
        bodies = map(new_pal, range(self.options.pals))
        self.pals[name] = [server.request("POST", "/v2/pals", body)["pal_id"] for body in bodies]

    def start(self, name: Name, data: Path) -> Server:
        return start(name, data, self.api_key, self.server_processors)

    def measure(self) -> list[Cell]:
        """Every kind of request at every number of connections, the servers taking turns in each round."""
        cells = []
        for kind in KINDS:
            for connections in self.options.connections:
                rounds: dict[Name, list[Measurement]] = {name: [] for name in self.options.servers}
                for _ in range(self.options.rounds):
                    for name in self.options.servers:
                        rounds[name].append(self.measure_once(name, kind, connections))
                cells += [Cell(name, kind, connections, found) for name, found in rounds.items()]
        return cells

    def measure_once(self, name: Name, kind: Kind, connections: int) -> Measurement:
        """One job in a load generator of its own; its errors become problems of the run."""
        server = self.servers[name]
        self.jobs += 1
        job = Job(
            kind=kind,
            connections=connections,
            warm_up_seconds=self.options.warm_up,
            seconds=self.options.seconds,
            pals=self.pals[name],
            first_number=self.jobs * NUMBERS_PER_JOB,
            port=server.port,
            api_key=server.api_key,
            server_pid=server.process.pid,
        )
        note(f"{kind} at {connections} on {name}")
        command = [sys.executable, "-m", "benchmarks.load"]
        with on_processors(self.generator_processors):
            done = subprocess.run(
                command, cwd=REPOSITORY, input=json.dumps(asdict(job)), capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise ServerError(f"{name}: the load generator ended with {done.returncode}\n{done.stderr[-2000:]}")
        measurement = Measurement(**json.loads(done.stdout))
        self.acknowledged[name] |= measurement.acknowledged
        self.problems += [
            f"{name}: {kind} at {connections}: {count} x {problem}" for problem, count in measurement.errors.items()
        ]
        return measurement

    def verify(self, name: Name) -> None:
        """Read every acknowledged write back, kill the server without warning, start it again, and read once more."""
        server, figures = self.servers[name], self.figures[name]
        figures.memory_after_load_mib = server.memory_mib()
        note(f"verifying {name}")
        problems = self.lost_writes(server, "")
        server.kill()
        server = self.servers[name] = self.start(name, server.data)
        figures.restart_seconds = server.start_seconds
        problems += self.lost_writes(server, " after SIGKILL")
        self.problems += problems
        figures.verified_pals = 0 if problems else len(self.acknowledged[name])

    def lost_writes(self, server: Server, when: str) -> list[str]:
        """One sentence for each PAL that is not, or not as a whole, what its last acknowledged patch made of it."""
        lost = []
        for pal_id, number in self.acknowledged[server.name].items():
            try:
                found = differences(server.request("GET", f"/v2/pals/{pal_id}"), number)
            except ServerError as error:
                found = [str(error).partition("\n")[0]]
            if found:
                lost.append(f"{server.name}: {pal_id}{when}: {'; '.join(found)}")
        return lost

    def conditions(self) -> dict[str, Any]:
        """What a reader needs to know to judge the figures."""
        sizes = [
            f"{len(json.dumps(server.request('GET', f'/v2/pals/{self.pals[name][0]}'))):,} ({name})"
            for name, server in self.servers.items()
        ]
        options = self.options
        machine = f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
        return {
            "plan": f"{options.rounds} round(s) of {options.seconds:g} s, {options.pals} PALs, 3 operations per PATCH",
            "document": f"{len(json.dumps(new_pal(0))):,} bytes; read back: {', '.join(sizes)}",
            "machine": f"{machine}, {'pinned' if options.pin else 'not pinned'}",
            "disk": f"one fsync takes {fsync_milliseconds(self.folder):.2f} ms (median) on {file_system(self.folder)}",
            "conventional": ", ".join(f"{name} {installed(name)}" for name in ("fastapi", "sqlalchemy", "aiosqlite")),
        }

    def stop_all(self) -> None:
        for server in self.servers.values():
            server.stop()


def fsync_milliseconds(folder: Path, times: int = 40) -> float:
    """The median time of appending 4 KiB to a file in `folder` and forcing it to disk."""
    taken = []
    with (folder / "fsync-probe").open("wb", buffering=0) as file:
        for _ in range(times):
            begun = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`, such as ext4, with a warning when it lives in memory."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(len(point), kind) for _, point, kind, *_ in mounts if folder.resolve().is_relative_to(point)]
    kind = max(holding)[1]
    return f"{kind} (IN MEMORY: nothing is durable there, choose a disk with --dir)" if kind == "tmpfs" else kind


def processors(pin: bool) -> tuple[frozenset[int], frozenset[int]]:
    """The processors of the servers and of the load generator: the first and the others with `pin`, else no choice."""
    first, *others = sorted(os.sched_getaffinity(0))
    return (frozenset({first}), frozenset(others)) if pin else (frozenset(), frozenset())


def installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "(not installed)"


def note(text: str) -> None:
    """Say on standard error what is going on, so that standard output holds nothing but the table."""
    print(f"... {text}", file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked; ends with 2 and a sentence when they do not fit together or something is not installed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sanity run: one round of 0.5 s, one start")
    parser.add_argument("--seconds", type=float, help="length of one measurement (2.5, with --quick 0.5)")
    parser.add_argument("--warm-up", type=float, help="seconds before each measurement (0.5, with --quick 0.2)")
    parser.add_argument("--rounds", type=int, help="times the servers take turns (3, with --quick 1)")
    parser.add_argument("--starts", type=int, help="starts on fresh data; the median counts (3, with --quick 1)")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 32, 128], metavar="N")
    parser.add_argument("--pals", type=int, default=128, metavar="N", help="PALs on each server (128)")
    parser.add_argument("--servers", nargs="+", choices=NAMES, default=list(NAMES), help="which servers (both)")
    parser.add_argument("--dir", type=Path, help="folder on a real disk for the databases (the temporary folder)")
    parser.add_argument("--pin", action="store_true", help="servers on one processor, the load generator on the others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--enforce", action="store_true", help="end with 1 when a target is missed")
    options = parser.parse_args(arguments)
    defaults = (0.5, 0.2, 1, 1) if options.quick else (2.5, 0.5, 3, 3)
    for name, default in zip(("seconds", "warm_up", "rounds", "starts"), defaults, strict=True):
        if getattr(options, name) is None:
            setattr(options, name, default)
    if min(options.connections) < 1 or min(options.rounds, options.starts) < 1 or options.seconds <= 0:
        parser.error("connections, rounds, starts and seconds must be positive")
    if options.pals < max(options.connections):
        parser.error("every connection needs a PAL of its own: --pals must not be smaller than --connections")
    if options.pin and len(os.sched_getaffinity(0)) < 2:
        parser.error("--pin needs two processors")
    missing = [
        module for name in options.servers for module in NEEDED_MODULES.get(name, ()) if not is_importable(module)
    ]
    if missing:
        parser.error(f"{', '.join(missing)} not found; pip install -e '.[bench]' installs what both servers need")
    return options


def is_importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Set up, measure, verify and stop. Raises ServerError when a server does not do what it was asked."""
    bench = Bench(options, folder)
    try:
        for name in options.servers:
            note(f"starting {name}")
            bench.set_up(name)
        conditions = bench.conditions()
        cells = bench.measure()
        for name in options.servers:
            bench.verify(name)
        bench.stop_all()
    except BaseException:
        for server in bench.servers.values():
            server.kill()
        raise
    return Results(conditions, cells, bench.figures, bench.problems)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, write the JSON; 0 when everything was answered, stored and, with --enforce, fast enough."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the servers are ended too
    try:
        with tempfile.TemporaryDirectory(prefix="palace-bench-", dir=options.dir) as folder:
            results = run(options, Path(folder).resolve())
    except ServerError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=2) + "\n")
    missed = [target for target in results.targets() if not target.is_met]
    return int(bool(results.problems or (options.enforce and missed)))


if __name__ == "__main__":
    sys.exit(main())
