"""Measures everything in one go and keeps the results: `python -m benchmarks`, or `make bench`.

`--quick` is a sanity run of less than a minute, whose figures are rough and are not kept. Ends with 1 when a request
failed or an acknowledged write is not stored; a missed aim only counts with `--enforce`.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.bench import Bench, note
from benchmarks.contenders import CONTENDERS
from benchmarks.questions import counts, dictionary, limits, nodes, revisions, sizes, throughput
from benchmarks.rivals import environment
from benchmarks.servers import ServerError
from benchmarks.targets import targets
from palace.settings import Settings

RESULTS = Path(__file__).parent / "results"
QUESTIONS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "limits": limits.ask,
    "throughput": throughput.ask,
    "nodes": nodes.ask,
    "sizes": sizes.ask,
    "counts": counts.ask,
    "revisions": revisions.ask,
    "dictionary": dictionary.ask,
}
FULL = {
    "seconds": 2.0,
    "warm_up": 0.5,
    "rounds": 5,
    "connections": [1, 8, 32, 128],
    "busy": [32, 128],
    "alone_and_busy": [1, 32],
    "sizes": [3_000, 30_000, 300_000],
    "counts": [100, 10_000, 1_000_000],
    "revisions": [1, 100, 10_000],
}
QUICK = {
    "seconds": 0.2,
    "warm_up": 0.05,
    "rounds": 1,
    "connections": [8],
    "busy": [8],
    "alone_and_busy": [8],
    "sizes": [30_000],
    "counts": [1_000],
    "revisions": [100],
}
IN_QUICK = ("raw-asgi", "palace", "conventional-history", "palace-postgres", "conventional-postgres-history")
ONLY_NODES = ("palace-two-nodes", "palace-two-workers")


def available() -> list[str]:
    """The contenders that can be started: rivals only when they are installed, and only what Palace can do."""
    knobs = {knob.name for knob in fields(Settings)}
    found = []
    for name, contender in CONTENDERS.items():
        is_palace = name.startswith("palace")
        if contender.is_foreign and not environment.is_installed():
            continue
        if is_palace and contender.on_postgres and "database" not in knobs:
            continue
        if name == "palace-two-workers" and "workers" not in knobs:
            continue
        found.append(name)
    return found


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, with those of a full or a quick run where nothing else is said."""
    can = available()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sanity run of less than a minute, without the rivals")
    parser.add_argument("--only", nargs="+", choices=QUESTIONS, default=list(QUESTIONS), metavar="QUESTION")
    parser.add_argument("--contenders", nargs="+", choices=can, metavar="NAME", help=f"some of: {', '.join(can)}")
    parser.add_argument("--rounds", type=int, help="times the servers take turns (5, with --quick 1)")
    parser.add_argument("--seconds", type=float, help="length of one measurement (2, with --quick 0.2)")
    parser.add_argument("--connections", type=int, nargs="+", metavar="N", help="1 8 32 128")
    parser.add_argument("--counts", type=int, nargs="+", metavar="N", help="PALs in the store: 100 10000 1000000")
    parser.add_argument("--dir", type=Path, help="folder on a real disk for the databases (the temporary folder)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the results go (benchmarks/results/)")
    parser.add_argument("--enforce", action="store_true", help="end with 1 when an aim is missed")
    options = parser.parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    options.available = [name for name in can if name in (options.contenders or (IN_QUICK if options.quick else can))]
    options.contenders = [name for name in options.available if name not in ONLY_NODES]
    return options


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The results of every question, as JSON data. Raises ServerError when a server does not do what it was asked."""
    bench = Bench(options, folder)
    results: dict[str, Any] = {
        "made_on": datetime.now(UTC).date().isoformat(),
        "quick": options.quick,
        "plan": {name: getattr(options, name) for name in FULL},
        "machine": machine.describe(folder),
        "titles": {name: contender.title for name, contender in CONTENDERS.items()},
    }
    if environment.is_installed():
        results["machine"]["rivals"] = environment.versions()
    begun = time.monotonic()
    try:
        for name in options.only:
            results[name] = QUESTIONS[name](bench)
            results[name]["busy_afterwards"] = round(machine.busy_share(), 2)
        if bench.postgres is not None:
            results["machine"]["postgres"] = bench.postgres.settings()
    finally:
        bench.end()
    return results | {"minutes": round((time.monotonic() - begun) / 60, 1), "problems": bench.problems}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, keep; 0 when everything was answered, stored and, with --enforce, fast enough."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the servers are ended too
    try:
        with tempfile.TemporaryDirectory(prefix="palace-bench-", dir=options.dir) as folder:
            results = run(options, Path(folder).resolve())
    except ServerError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(summary(results))
    if options.output or not options.quick:
        file = options.output or RESULTS / f"{results['made_on']}-{machine.kind()}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(results, indent=1) + "\n")
        note(f"kept in {file}; python -m benchmarks.page writes the page")
    is_missed = any(target.is_met is False for target in targets(results))
    return int(bool(results["problems"] or (options.enforce and is_missed)))


def summary(results: dict[str, Any]) -> str:
    """What a person at the terminal wants to see: every cell in a line, the aims, the problems."""
    lines = []
    head = f"{'':36}{'request':>8}{'conn':>5}{'per s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>8}{'DB us':>8}"
    for name in QUESTIONS:
        found = results.get(name, {})
        lines += ["", f"{name} ({found['busy_afterwards']:.0%} busy afterwards)"] if found else []
        lines += [head] if found.get("cells") else []
        for cell in found.get("cells", []):
            more = " ".join(f"{cell[key]:,}" for key in ("document_bytes", "pals", "revisions") if key in cell)
            figures = f"{cell['per_second']:9,.0f}{cell['p50_ms']:9.2f}{cell['p99_ms']:9.2f}"
            cpu = f"{cell['server_cpu_us']:8,.0f}{cell['database_cpu_us']:8,.0f}"
            lines.append(f"{cell['server'] + ' ' + more:36}{cell['request']:>8}{cell['connections']:>5}{figures}{cpu}")
        for key in ("rows", "lists", "looks"):
            lines += [", ".join(f"{name} {value}" for name, value in row.items()) for row in found.get(key, [])]
        lines += [f"{kind}: {times}" for kind, times in found.get("changes", {}).items()]
    lines += ["", *map(str, targets(results))]
    lines += ["", "FAILED:", *results["problems"][:20]] if results["problems"] else []
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
