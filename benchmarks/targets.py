"""The aims of the project, and what a run has to say about each."""

import statistics
from dataclasses import dataclass
from typing import Any

Results = dict[str, Any]
BUSY = 32
MANY = 1_000_000
FEW = 100


@dataclass(frozen=True)
class Target:
    """One aim and the figure measured for it; both None where the run does not speak of it."""

    name: str
    aim: str
    measured: str | None
    is_met: bool | None

    def __str__(self) -> str:
        verdict = {True: "met", False: "MISSED", None: "not measured"}[self.is_met]
        return f"{self.name}: {self.aim}; measured {self.measured or '-'}: {verdict}"


def targets(results: Results) -> list[Target]:
    """Every aim, in the order of the table."""
    return [
        _ratio(results, "PATCH", "palace", "conventional-history", 25),
        _ratio(results, "PATCH", "palace", "conventional", 25),
        _ratio(results, "PATCH", "palace", "pocketbase", 1.8),
        _ratio(results, "PATCH", "palace-postgres", "conventional-postgres-history", 9),
        _ratio(results, "PATCH", "palace-postgres", "conventional-postgres", 9),
        _ratio(results, "PATCH", "palace-postgres", "kinto", 25),
        _ratio(results, "GET", "palace", "conventional", 25),
        _ratio(results, "GET", "palace", "pocketbase", 2.5),
        _ratio(results, "GET", "palace-postgres", "conventional-postgres", 6),
        _cpu(results),
        *(_tail(results, name) for name in ("palace", "palace-postgres")),
        *(_many(results, name, kind) for name in ("palace", "palace-postgres") for kind in ("PATCH", "GET")),
        *(_list(results, name) for name in ("palace", "palace-postgres")),
        *(_nodes(results, name) for name in ("palace-two-nodes", "palace-two-workers")),
    ]


def cell(results: Results, question: str, **wanted: Any) -> dict[str, Any] | None:
    """The first cell of a question with these values."""
    cells = results.get(question, {}).get("cells", [])
    return next((found for found in cells if wanted.items() <= found.items()), None)


def ratio(results: Results, kind: str, ours: str, theirs: str, connections: int = BUSY) -> list[float] | None:
    """Our rate over theirs in each round; None when one of the two was not measured or did not answer."""
    found = [cell(results, "throughput", server=name, request=kind, connections=connections) for name in (ours, theirs)]
    if found[0] is None or found[1] is None or 0 in found[1]["per_second_by_round"]:
        return None
    pairs = zip(found[0]["per_second_by_round"], found[1]["per_second_by_round"], strict=True)
    return [one / other for one, other in pairs]


def _ratio(results: Results, kind: str, ours: str, theirs: str, aim: float) -> Target:
    name = f"{kind}: {_title(results, ours)} beside {_title(results, theirs)}"
    rounds = ratio(results, kind, ours, theirs)
    if rounds is None:
        return Target(name, f"≥ {aim:g} ×", None, None)
    value = statistics.median(rounds)
    measured = f"{value:.1f} × ({min(rounds):.1f}–{max(rounds):.1f})"
    return Target(name, f"≥ {aim:g} ×", measured, value >= aim)


def _title(results: Results, name: str) -> str:
    return str(results["titles"].get(name, name))


def _at_most(name: str, value: float | None, aim: float, unit: str) -> Target:
    if value is None:
        return Target(name, f"≤ {aim:g} {unit}", None, None)
    text = f"{value:.0f}" if value >= 100 else f"{value:.2f}"
    return Target(name, f"≤ {aim:g} {unit}", f"{text} {unit}", value <= aim)


def _cpu(results: Results) -> Target:
    found = cell(results, "throughput", server="palace", request="PATCH", connections=BUSY)
    return _at_most("CPU of the server for a PATCH, SQLite", found["server_cpu_us"] if found else None, 300, "µs")


def _tail(results: Results, server: str) -> Target:
    found = cell(results, "throughput", server=server, request="PATCH", connections=BUSY)
    value = found["p99_ms"] / found["p50_ms"] if found and found["p50_ms"] else None
    return _at_most(f"PATCH: p99 over p50, {_title(results, server)}", value, 5, "×")


def _many(results: Results, server: str, kind: str) -> Target:
    """By the median time of a lone client, which waits for nobody else."""
    few, many = (cell(results, "counts", server=server, request=kind, connections=1, pals=pals) for pals in (FEW, MANY))
    value = many["p50_ms"] / few["p50_ms"] if few and many else None
    return _at_most(f"{kind} with {MANY:,} PALs over {FEW}, {_title(results, server)}", value, 1.3, "×")


def _list(results: Results, server: str) -> Target:
    lists = results.get("counts", {}).get("lists", [])
    times = {row["pals"]: row["median_ms"] for row in lists if row["server"] == server and row["page"] == "first"}
    value = times[MANY] / times[FEW] if {FEW, MANY} <= times.keys() else None
    return _at_most(f"list page with {MANY:,} PALs over {FEW}, {_title(results, server)}", value, 2, "×")


def _nodes(results: Results, server: str) -> Target:
    one, two = (
        cell(results, "nodes", server=name, request="PATCH", connections=BUSY) for name in ("palace-postgres", server)
    )
    name = f"PATCH: {_title(results, server)}, over one node"
    if one is None or two is None:
        return Target(name, "≥ 1 ×", None, None)
    rounds = [
        ours / theirs for ours, theirs in zip(two["per_second_by_round"], one["per_second_by_round"], strict=True)
    ]
    value = statistics.median(rounds)
    return Target(name, "≥ 1 ×", f"{value:.2f} × ({min(rounds):.2f}–{max(rounds):.2f})", value >= 1)
