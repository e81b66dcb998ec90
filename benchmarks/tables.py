"""The tables of the page: one function for each question, from results to Markdown."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchmarks.targets import BUSY, Results, ratio, targets

Row = Sequence[object]
MARKS = {True: "met", False: "**missed**", None: "not measured"}
MOST_BUSY = 0.25
NOT_MEASURED = "*This run did not measure it.*"


def table(head: Sequence[str], rows: Iterable[Row]) -> str:
    """A Markdown table; the first column is text, the others stand to the right."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(lines) if len(lines) > 2 else NOT_MEASURED


def targets_table(results: Results) -> str:
    """Every aim, what was measured, and whether that meets it."""
    rows = [(one.name, one.aim, one.measured or "", MARKS[one.is_met]) for one in targets(results)]
    return table(["measure", "aim", "measured", ""], rows)


def conditions(results: Results) -> str:
    """What the run was made with, as a list."""
    machine = results["machine"]
    versions = {"Python": machine["python"], **machine["packages"], **machine.get("rivals", {})}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items() if version != "not installed")
    plan = results["plan"]
    lines = [
        f"{results['made_on']}, {results['minutes']} minutes, {plan['rounds']} rounds of {plan['seconds']:g} s at "
        f"{BUSY} connections and half as many elsewhere",
        f"{machine['processors']} processors ({machine['model']}) for everything, {machine['memory_gib']} GiB",
        f"one fsync of 4 KB takes {machine['fsync_ms']:.2f} ms on {machine['file_system']}",
        f"PostgreSQL: {machine.get('postgres', 'not used')}",
        listed,
        f"before the run {machine['busy_before']:.0%} of the processors were busy with something else{_noise(results)}",
    ]
    return "\n".join(f"* {line}" for line in lines)


def warning(results: Results) -> str:
    """One sentence when somebody else was at work during the run, so that nobody trusts its figures."""
    most = max([results["machine"]["busy_before"], *_shares(results)])
    if most <= MOST_BUSY:
        return ""
    return (
        f"**Provisional: up to {most:.0%} of the processors were busy with something else during this run.** Rates and "
        "latencies are far from what the machine can do, and ratios are distorted; only CPU times mean something."
    )


def _noise(results: Results) -> str:
    shares = _shares(results)
    return f", after its parts {min(shares):.0%} to {max(shares):.0%}" if shares else ""


def _shares(results: Results) -> list[float]:
    """How busy the processors were after each part, when nothing of ours ran."""
    parts = [found for found in results.values() if isinstance(found, dict)]
    return [found["busy_afterwards"] for found in parts if "busy_afterwards" in found]


def load_table(results: Results, kind: str) -> str:
    """Everybody at 32 connections: rate, latency and cost."""
    rows = []
    for cell in _cells(results, "throughput", request=kind, connections=BUSY):
        name = cell["server"]
        ours = "palace-postgres" if "postgres" in name or name == "kinto" else "palace"
        rounds = ratio(results, kind, ours, name) if not name.startswith(("palace", "raw")) else None
        factor = f"{sorted(rounds)[len(rounds) // 2]:.1f}" if rounds else ""
        times = [f"{cell[key]:.2f}" for key in ("p50_ms", "p90_ms", "p99_ms", "p99_9_ms")]
        rows.append([_title(results, name), f"{cell['per_second']:,.0f}", factor, *times, *_cpu(cell)])
    head = ["server", "per s", "Palace is × faster", "p50 ms", "p90", "p99", "p99.9"]
    return table([*head, "CPU of the server, µs", "CPU of the database, µs"], rows)


def connections_table(results: Results, kind: str) -> str:
    """Answers a second at each number of connections."""
    cells = list(_cells(results, "throughput", request=kind))
    counts = sorted({cell["connections"] for cell in cells})
    names = list(dict.fromkeys(cell["server"] for cell in cells))
    rates = {(cell["server"], cell["connections"]): f"{cell['per_second']:,.0f}" for cell in cells}
    rows = [[_title(results, name), *(rates.get((name, count), "") for count in counts)] for name in names]
    return table(["server, answers per s", *(f"{count} conn." for count in counts)], rows)


def limits_table(results: Results) -> str:
    """Raw transactions beside what Palace reaches over HTTP."""
    rows: list[Row] = [
        [
            f"{row['database']}, {row['connections']} connection(s), {row['group']} write(s) in a commit",
            f"{row['per_second']:,.0f}",
            f"{row['client_cpu_us']:,.0f}",
            _or_none(row["database_cpu_us"]),
        ]
        for row in results.get("limits", {}).get("rows", [])
    ]
    return table(["raw transactions", "per s", "CPU of the client, µs", "CPU of the database, µs"], rows)


def nodes_table(results: Results) -> str:
    """One node and two, at each load."""
    rows = []
    for cell in _cells(results, "nodes"):
        what = [_title(results, cell["server"]), cell["request"], cell["connections"], f"{cell['per_second']:,.0f}"]
        rows.append([*what, f"{cell['p50_ms']:.2f}", f"{cell['p99_ms']:.2f}", *_cpu(cell)])
    head = ["server", "request", "conn.", "per s", "p50 ms", "p99 ms"]
    return table([*head, "CPU of the nodes, µs", "CPU of the database, µs"], rows)


def sizes_table(results: Results, kind: str) -> str:
    """The rate and the cost at each size of the document."""
    return _by(results, "sizes", "document_bytes", kind, lambda size: f"{size // 1000} KB")


def _by(results: Results, question: str, key: str, kind: str, name: Callable[[int], str]) -> str:
    cells = list(_cells(results, question, request=kind))
    values = sorted({cell[key] for cell in cells})
    servers = list(dict.fromkeys(cell["server"] for cell in cells))
    found = {(cell["server"], cell[key]): cell for cell in cells}
    rows = []
    for server in servers:
        mine = [found[server, value] for value in values if (server, value) in found]
        rates = [f"{cell['per_second']:,.0f}" for cell in mine]
        costs = [f"{cell['server_cpu_us'] + cell['database_cpu_us']:,.0f}" for cell in mine]
        rows.append([_title(results, server), *rates, *costs])
    names = [name(value) for value in values]
    return table([kind, *(f"{name}, per s" for name in names), *(f"{name}, CPU µs" for name in names)], rows)


def counts_table(results: Results) -> str:
    """Times of a lone client, rates of many, and pages of the list, at each number of PALs."""
    cells = list(_cells(results, "counts"))
    lists = results.get("counts", {}).get("lists", [])
    values = sorted({cell["pals"] for cell in cells})
    rows = []
    for server in dict.fromkeys(cell["server"] for cell in cells):
        for kind, connections in dict.fromkeys((cell["request"], cell["connections"]) for cell in cells):
            wanted = {"server": server, "request": kind, "connections": connections}
            mine = [cell for cell in cells if wanted.items() <= cell.items()]
            times = [f"{cell['p50_ms']:.2f} ms, {cell['per_second']:,.0f}/s" for cell in mine]
            rows.append([f"{_title(results, server)}: {kind}, {connections} conn.", *times])
        for page in ("first", "middle"):
            mine = [row for row in lists if row["server"] == server and row["page"] == page]
            rows.append(
                [
                    f"{_title(results, server)}: list, {page} page of ten",
                    *(f"{row['median_ms']:.2f} ms" for row in mine),
                ]
            )
    return table(["median time, rate", *(f"{value:,} PALs" for value in values)], rows)


def revisions_table(results: Results) -> str:
    """Median times at each length of a history."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for cell in _cells(results, "revisions"):
        found.setdefault((cell["server"], cell["request"]), {})[cell["revisions"]] = cell["p50_ms"]
    for row in results.get("revisions", {}).get("looks", []):
        found.setdefault((row["server"], row["action"]), {})[row["revisions"]] = row["median_ms"]
    values = sorted({value for times in found.values() for value in times})
    rows = [
        [f"{_title(results, server)}: {what}", *(f"{times[value]:.2f}" if value in times else "" for value in values)]
        for (server, what), times in found.items()
    ]
    return table(["median ms, one client", *(f"{value:,} revisions" for value in values)], rows)


def dictionary_table(results: Results) -> str:
    """Median and slowest of each kind of change."""
    changes = results.get("dictionary", {}).get("changes", {})
    rows = [[kind, f"{times['median_ms']:.0f} ms", f"{times['slowest_ms']:.0f} ms"] for kind, times in changes.items()]
    return table(["change", "median", "slowest"], rows)


def servers_table(results: Results) -> str:
    """What each server weighs, and what was proven about it."""
    rows = []
    for name, found in results.get("throughput", {}).get("servers", {}).items():
        weights = [f"{found['idle_memory_mib']:.0f}", f"{found['memory_after_load_mib']:.0f}"]
        rows.append(
            [_title(results, name), f"{found['start_seconds']:.2f}", *weights, _or_none(found["verified_pals"])]
        )
    head = ["server", "start to first answer, s", "idle, MiB", "after the load, MiB", "PALs verified twice"]
    return table(head, rows)


def refusals(results: Results) -> str:
    """One sentence for each server that refused writes which a client has to send again."""
    said = []
    for cell in _cells(results, "throughput", request="PATCH"):
        if cell["refused"]:
            share = cell["refused"] / (cell["refused"] + cell["answers"])
            said.append(f"{_title(results, cell['server'])} refused {share:.1%} at {cell['connections']} connections")
    return f"Writes refused with 409, to be sent again by the client: {'; '.join(said)}." if said else ""


def _cells(results: Results, question: str, **wanted: Any) -> Iterable[dict[str, Any]]:
    return (cell for cell in results.get(question, {}).get("cells", []) if wanted.items() <= cell.items())


def _cpu(cell: dict[str, Any]) -> list[str]:
    return [f"{cell['server_cpu_us']:,.0f}", _or_none(cell["database_cpu_us"])]


def _or_none(value: float) -> str:
    return f"{value:,.0f}" if value else ""


def _title(results: Results, name: str) -> str:
    return str(results["titles"].get(name, name))
