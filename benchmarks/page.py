"""Writes docs/explanation/performance.md and its plots from the newest results: `python -m benchmarks.page`.

What stays the same from run to run stands in `performance.md.template`, and why an aim is missed in `reasons.md`.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import tables
from benchmarks.cells import CURVE
from benchmarks.plots import Axis, Line, bar_plot, line_plot
from benchmarks.targets import BUSY, Results, targets

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "explanation"
PLOTTED = (
    "raw-asgi",
    "palace",
    "pocketbase",
    "conventional-history",
    "palace-postgres",
    "conventional-postgres-history",
    "kinto",
)
"""Those that a plot of all servers shows; the tables show everybody."""


@cache
def newest() -> Results:
    """The newest results that are kept, by the date in the name of the file."""
    found: Results = json.loads(max(RESULTS.glob("*.json")).read_text())
    return found


def page() -> str:
    """The whole page as Markdown."""
    return _filled((HERE / "performance.md.template").read_text(), newest())


def _filled(template: str, results: Results) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: PARTS[found[1]](results), template)


def reasons(results: Results) -> str:
    """What `reasons.md` says of every aim that the run misses, in the order of the aims."""
    texts = dict(re.findall(r"^## (.+)\n\n((?:.+\n)+)", (HERE / "reasons.md").read_text(), re.MULTILINE))
    lines = []
    for target in targets(results):
        if target.is_met is False:
            text = texts.get(target.name, "No reason is written down yet.").strip()
            lines.append(f"* **{target.name}**: {target.measured}, not {target.aim}. {text}")
    return "\n".join(lines) or "None is missed."


PARTS: dict[str, Callable[[Results], str]] = {
    "warning": tables.warning,
    "conditions": tables.conditions,
    "targets": tables.targets_table,
    "reasons": reasons,
    "patch_load": lambda results: tables.load_table(results, "PATCH"),
    "get_load": lambda results: tables.load_table(results, "GET"),
    "patch_connections": lambda results: tables.connections_table(results, "PATCH"),
    "get_connections": lambda results: tables.connections_table(results, "GET"),
    "refusals": tables.refusals,
    "limits": tables.limits_table,
    "nodes": tables.nodes_table,
    "patch_sizes": lambda results: tables.sizes_table(results, "PATCH"),
    "get_sizes": lambda results: tables.sizes_table(results, "GET"),
    "counts": tables.counts_table,
    "revisions": tables.revisions_table,
    "dictionary": tables.dictionary_table,
    "servers": tables.servers_table,
}
"""What stands for each name in braces in the template."""


# --- Plots ------------------------------------------------------------------------------------------------------------


def _connections_plot(kind: str) -> str:
    results = newest()
    cells = [cell for cell in _cells(results, "throughput") if cell["request"] == kind and cell["server"] in PLOTTED]
    lines = _lines(results, cells, "connections", "per_second")
    marks = sorted({cell["connections"] for cell in cells})
    across = Axis("connections", is_logarithmic=True, marks=marks)
    return line_plot(f"{kind}: answers per second", across, Axis("answers per second", is_logarithmic=True), lines)


def _latency_plot() -> str:
    results = newest()
    lines = [
        Line(results["titles"][cell["server"]], list(enumerate(cell["curve_ms"])))
        for cell in _cells(results, "throughput")
        if (cell["request"], cell["connections"]) == ("PATCH", BUSY) and cell["server"] in PLOTTED
    ]
    names = [f"{percent:g}" for percent in CURVE]
    across = Axis("% of requests answered within", marks=range(len(CURVE)), names=names)
    title = f"PATCH at {BUSY} connections: distribution of latency"
    return line_plot(title, across, Axis("milliseconds", is_logarithmic=True), lines)


def _cost_plot() -> str:
    results = newest()
    cells = [
        cell for cell in _cells(results, "throughput") if (cell["request"], cell["connections"]) == ("PATCH", BUSY)
    ]
    bars = [
        (results["titles"][cell["server"]], (cell["server_cpu_us"], cell["database_cpu_us"]))
        for cell in cells
        if cell["server"] in PLOTTED
    ]
    title = f"PATCH at {BUSY} connections: processor time for each"
    return bar_plot(title, "microseconds", bars, ["server", "database server"])


def _nodes_plot() -> str:
    results = newest()
    bars = [
        (f"{results['titles'][cell['server']]}, {cell['connections']}", (cell["per_second"],))
        for cell in _cells(results, "nodes")
        if cell["request"] == "PATCH"
    ]
    return bar_plot("PATCH: nodes on one PostgreSQL, by connections", "answers per second", bars, ["PATCH"])


def _sizes_plot() -> str:
    results = newest()
    cells = [cell for cell in _cells(results, "sizes") if cell["request"] == "PATCH"]
    lines = _lines(results, cells, "document_bytes", "per_second")
    marks = sorted({cell["document_bytes"] for cell in cells})
    across = Axis("size of the document", True, marks, [f"{mark // 1000} KB" for mark in marks])
    return line_plot("PATCH: the size of the document", across, Axis("answers per second", True), lines)


def _counts_plot() -> str:
    results, lines = newest(), []
    alone = [cell for cell in _cells(results, "counts") if cell["connections"] == 1]
    for kind in ("PATCH", "GET"):
        mine = [cell for cell in alone if cell["request"] == kind]
        lines += [Line(f"{line.name}: {kind}", line.points) for line in _lines(results, mine, "pals", "p50_ms")]
    lists = [row for row in results.get("counts", {}).get("lists", []) if row["page"] == "first"]
    found = _lines(results, lists, "pals", "median_ms")
    lines += [Line(f"{line.name}: list, first page", line.points) for line in found]
    marks = sorted({row["pals"] for row in lists})
    across = Axis("PALs in the store", True, marks, [f"{mark:,}" for mark in marks])
    return line_plot("Time of a request, by the number of PALs", across, Axis("median milliseconds", True), lines)


def _revisions_plot() -> str:
    results = newest()
    cells = [cell for cell in _cells(results, "revisions") if cell["request"] == "PATCH"]
    looks = results.get("revisions", {}).get("looks", [])
    lines = [Line(f"{line.name}: PATCH", line.points) for line in _lines(results, cells, "revisions", "p50_ms")]
    for action in dict.fromkeys(row["action"] for row in looks):
        found = _lines(results, [row for row in looks if row["action"] == action], "revisions", "median_ms")
        lines += [Line(f"{line.name}: {action}", line.points) for line in found]
    marks = sorted({row["revisions"] for row in looks})
    across = Axis("revisions of the PAL", True, marks, [f"{mark:,}" for mark in marks])
    return line_plot(
        "Time of a request, by the length of the history", across, Axis("median milliseconds", True), lines
    )


def _lines(results: Results, rows: Sequence[dict[str, Any]], across: str, up: str) -> list[Line]:
    """One line for each server, through the values of two members of its rows."""
    names = dict.fromkeys(row["server"] for row in rows)
    return [
        Line(results["titles"][name], [(row[across], row[up]) for row in rows if row["server"] == name])
        for name in names
    ]


def _cells(results: Results, question: str) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = results.get(question, {}).get("cells", [])
    return cells


FILES: dict[str, Callable[[], str]] = {
    "performance.md": page,
    "performance/patch.svg": lambda: _connections_plot("PATCH"),
    "performance/get.svg": lambda: _connections_plot("GET"),
    "performance/latency.svg": _latency_plot,
    "performance/cost.svg": _cost_plot,
    "performance/nodes.svg": _nodes_plot,
    "performance/sizes.svg": _sizes_plot,
    "performance/counts.svg": _counts_plot,
    "performance/revisions.svg": _revisions_plot,
}
"""Path below docs/explanation, and what makes its text."""


def main() -> None:
    """Write every file."""
    for path, make in FILES.items():
        (PAGE / path).parent.mkdir(exist_ok=True)
        (PAGE / path).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
