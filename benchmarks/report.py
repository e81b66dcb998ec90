"""From measurements to figures: rates, percentiles and ratios, whether each target is met, and the table."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load import Measurement
from benchmarks.servers import Name
from benchmarks.workload import Kind

PATCH_RATIO = 20
GET_RATIO = 25
PATCH_P99_MS = 50
IDLE_MEMORY_MIB = 80
START_SECONDS = 1
PROBLEMS_SHOWN = 20
TARGET_CONNECTIONS = 32
"""The number of connections the targets for rates and latency speak of."""


@dataclass(frozen=True)
class Cell:
    """All rounds of one server at one kind of request and one number of connections."""

    server: Name
    kind: Kind
    connections: int
    rounds: Sequence[Measurement]

    @property
    def rates(self) -> list[float]:
        """Answers per second, one figure for each round."""
        return [measurement.completed / measurement.seconds for measurement in self.rounds]

    @property
    def per_second(self) -> float:
        return statistics.mean(self.rates)

    @property
    def server_cpu_us(self) -> float:
        """Processor time of the server for each answer, in microseconds."""
        return self._per_answer(sum(measurement.server_cpu_seconds for measurement in self.rounds))

    @property
    def generator_cpu_us(self) -> float:
        """Processor time of the load generator for each answer, in microseconds."""
        return self._per_answer(sum(measurement.generator_cpu_seconds for measurement in self.rounds))

    @property
    def errors(self) -> int:
        return sum(sum(measurement.errors.values()) for measurement in self.rounds)

    def percentile_ms(self, percent: float) -> float:
        """The latency `percent` of all requests stayed within, all rounds together; nearest rank; 0 without any."""
        latencies = sorted(latency for measurement in self.rounds for latency in measurement.latencies_us)
        if not latencies:
            return 0.0
        rank = max(1, -(-len(latencies) * percent // 100))
        return latencies[int(rank) - 1] / 1000

    def figures(self) -> dict[str, Any]:
        """The cell as JSON data."""
        return {
            "server": self.server,
            "request": self.kind,
            "connections": self.connections,
            "per_second": round(self.per_second, 1),
            "per_second_by_round": [round(rate, 1) for rate in self.rates],
            "p50_ms": self.percentile_ms(50),
            "p99_ms": self.percentile_ms(99),
            "server_cpu_us": round(self.server_cpu_us, 1),
            "generator_cpu_us": round(self.generator_cpu_us, 1),
            "answers": sum(measurement.completed for measurement in self.rounds),
            "errors": self.errors,
        }

    def _per_answer(self, seconds: float) -> float:
        return seconds * 1_000_000 / max(1, sum(measurement.completed for measurement in self.rounds))


@dataclass(frozen=True)
class Ratio:
    """How many times faster Palace is: of the mean rates, and the smallest and largest of single rounds."""

    value: float
    smallest: float
    largest: float

    def __str__(self) -> str:
        return f"{self.value:.1f}x ({self.smallest:.1f}-{self.largest:.1f})"


@dataclass
class ServerFigures:
    """What was measured once per server: several starts, and memory before the first request and after the last."""

    start_seconds: list[float] = field(default_factory=list)
    idle_memory_mib: float = 0.0
    memory_after_load_mib: float = 0.0
    restart_seconds: float = 0.0
    """Start to first answer on the data left behind by SIGKILL."""
    verified_pals: int = 0
    """PALs whose last acknowledged patch was read back, from the running server and again after SIGKILL."""

    @property
    def start(self) -> float:
        return statistics.median(self.start_seconds)


@dataclass(frozen=True)
class Target:
    """One aim of the project, the figure measured for it, and whether it is met."""

    name: str
    aim: str
    measured: float
    is_met: bool

    def __str__(self) -> str:
        return f"{self.aim} {'met' if self.is_met else 'MISSED'}"


@dataclass(frozen=True)
class Results:
    """Everything one run has found out."""

    conditions: Mapping[str, Any]
    cells: Sequence[Cell]
    servers: Mapping[Name, ServerFigures]
    problems: Sequence[str]
    """Errors of any request and any acknowledged write that is not stored: with one of these the run has failed."""

    def cell(self, server: Name, kind: Kind, connections: int) -> Cell | None:
        wanted = (server, kind, connections)
        return next((cell for cell in self.cells if (cell.server, cell.kind, cell.connections) == wanted), None)

    def ratio(self, kind: Kind, connections: int) -> Ratio | None:
        """Palace over conventional; None when one of the two was not measured or never answered."""
        palace, conventional = self.cell("palace", kind, connections), self.cell("conventional", kind, connections)
        if palace is None or conventional is None or 0 in conventional.rates:
            return None
        by_round = [ours / theirs for ours, theirs in zip(palace.rates, conventional.rates, strict=True)]
        return Ratio(palace.per_second / conventional.per_second, min(by_round), max(by_round))

    def targets(self) -> list[Target]:
        """The targets this run can speak of; those of a server or a number of connections left out are missing."""
        found: list[Target] = []
        aims: tuple[tuple[Kind, int], ...] = (("PATCH", PATCH_RATIO), ("GET", GET_RATIO))
        for kind, aim in aims:
            if (ratio := self.ratio(kind, TARGET_CONNECTIONS)) is not None:
                found.append(Target(f"{kind} ratio", f">= {aim}x", ratio.value, ratio.value >= aim))
        if (cell := self.cell("palace", "PATCH", TARGET_CONNECTIONS)) is not None:
            p99 = cell.percentile_ms(99)
            found.append(Target("PATCH p99", f"p99 < {PATCH_P99_MS} ms", p99, 0 < p99 < PATCH_P99_MS))
        if (figures := self.servers.get("palace")) is not None:
            memory = figures.idle_memory_mib
            found.append(Target("idle memory", f"< {IDLE_MEMORY_MIB} MiB", memory, memory < IDLE_MEMORY_MIB))
            found.append(Target("start", f"< {START_SECONDS} s", figures.start, figures.start < START_SECONDS))
        return found

    def as_json(self) -> dict[str, Any]:
        """The whole run as JSON data, without the single latencies."""
        ratios = [
            {"request": kind, "connections": connections, **vars(ratio)}
            for kind, connections in _rows(self.cells)
            if (ratio := self.ratio(kind, connections)) is not None
        ]
        return {
            "conditions": dict(self.conditions),
            "cells": [cell.figures() for cell in self.cells],
            "ratios": ratios,
            "servers": {name: vars(figures) for name, figures in self.servers.items()},
            "targets": [vars(target) for target in self.targets()],
            "problems": list(self.problems),
        }


def table(results: Results) -> str:
    """The figures of a run as plain text of at most 120 columns, conditions first, problems last."""
    targets: dict[str, list[Target]] = {}
    for target in results.targets():
        targets.setdefault(target.name.split()[0], []).append(target)
    lines = [f"{name}: {value}" for name, value in results.conditions.items()]
    group = f"{'per s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>7}"
    lines += [
        "",
        f"{'':12} | {'conventional':^34} | {'Palace':^34} |",
        f"{'request':<7}{'conn':>5} | {group} | {group} | ratio (of rounds)  | target",
    ]
    for kind, connections in _rows(results.cells):
        columns = [_cell_text(results.cell(name, kind, connections)) for name in ("conventional", "palace")]
        ratio = str(results.ratio(kind, connections) or "-")
        met = targets.get(kind, []) if connections == TARGET_CONNECTIONS else []
        row = (f"{kind:<7}{connections:>5}", *columns, f"{ratio:<18}", ", ".join(map(str, met)))
        lines.append(" | ".join(row).rstrip())
    lines += ["", *_server_lines(results, targets)]
    if results.problems:
        lines += ["", "FAILED:", *(f"  {problem}" for problem in results.problems[:PROBLEMS_SHOWN])]
        if (more := len(results.problems) - PROBLEMS_SHOWN) > 0:
            lines.append(f"  and {more} more")
    return "\n".join(lines)


def _cell_text(cell: Cell | None) -> str:
    if cell is None:
        return f"{'-':>8} {'-':>8} {'-':>8} {'-':>7}"
    p50, p99 = cell.percentile_ms(50), cell.percentile_ms(99)
    return f"{cell.per_second:8,.0f} {p50:8.2f} {p99:8.2f} {cell.server_cpu_us:7,.0f}"


def _server_lines(results: Results, targets: Mapping[str, Sequence[Target]]) -> list[str]:
    rows: tuple[tuple[str, str, Callable[[ServerFigures], str]], ...] = (
        ("start to first answer, s", "start", lambda figures: f"{figures.start:.2f}"),
        ("the same after SIGKILL, s", "", lambda figures: f"{figures.restart_seconds:.2f}"),
        ("idle memory, MiB", "idle", lambda figures: f"{figures.idle_memory_mib:.1f}"),
        ("memory after the load, MiB", "", lambda figures: f"{figures.memory_after_load_mib:.1f}"),
        ("PALs verified twice", "", lambda figures: str(figures.verified_pals)),
    )
    lines = [f"{'':27} {'conventional':>12} {'Palace':>12}   target"]
    for title, target, text in rows:
        values = [text(found) if (found := results.servers.get(name)) else "-" for name in ("conventional", "palace")]
        met = ", ".join(map(str, targets.get(target, [])))
        lines.append(f"{title:<27} {values[0]:>12} {values[1]:>12}   {met}".rstrip())
    return lines


def _rows(cells: Sequence[Cell]) -> list[tuple[Kind, int]]:
    return list(dict.fromkeys((cell.kind, cell.connections) for cell in cells))
