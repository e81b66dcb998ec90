"""What remembering every change costs: PATCH with history and without, side by side, and a PAL with 10,000 revisions.

`python -m benchmarks.history` takes about a minute; `--quick` a few seconds. Ends with 1 when a request failed, an
acknowledged write is not stored, or, with `--enforce`, when a target is missed.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.http import Bench, note
from benchmarks.load import Measurement
from benchmarks.report import Cell
from benchmarks.servers import HOST, Name, Server, ServerError
from benchmarks.workload import new_pal

WITH: Name = "palace"
WITHOUT: Name = "palace-without-history"
CONNECTIONS = 32
MOST_LOST = 0.25
"""the share of PATCH throughput that history may cost"""
SLOWEST_MS = 20
SAMPLES = 40


class Client:
    """One keep-alive connection to a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = HTTPConnection(HOST, server.port, timeout=30)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of an answer with 200 or 201. Raises ServerError for any other status."""
        headers = {"x-api-key": self._server.api_key, "content-type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise ServerError(f"{method} {path} answered {answer.status}: {text[:300]!r}")
        return json.loads(text)


def cost_of_history(options: argparse.Namespace, folder: Path) -> tuple[list[str], bool]:
    """Lines of a table and whether history costs no more than it may; the servers take turns in each round."""
    bench = Bench(options, folder)
    try:
        for name in options.servers:
            bench.set_up(name)
        rounds: dict[Name, list[Measurement]] = {name: [] for name in options.servers}
        for _ in range(options.rounds):
            for name in options.servers:
                rounds[name].append(bench.measure_once(name, "PATCH", CONNECTIONS))
        for name in options.servers:
            bench.verify(name)
        bench.stop_all()
    except BaseException:
        for server in bench.servers.values():
            server.kill()
        raise
    if bench.problems:
        raise ServerError("\n".join(bench.problems[:20]))
    cells = {name: Cell(name, "PATCH", CONNECTIONS, found) for name, found in rounds.items()}
    shares = [1 - ours / theirs for ours, theirs in zip(cells[WITH].rates, cells[WITHOUT].rates, strict=True)]
    lost = 1 - cells[WITH].per_second / cells[WITHOUT].per_second
    lines = [f"{'PATCH at 32 connections':<28} {'per s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>7}"]
    for name, cell in cells.items():
        figures = f"{cell.per_second:8,.0f} {cell.percentile_ms(50):8.2f} {cell.percentile_ms(99):8.2f}"
        lines.append(f"{name:<28} {figures} {cell.server_cpu_us:7,.0f}")
    spread = f"{min(shares):.0%} to {max(shares):.0%} in single rounds"
    lines.append(
        f"history costs {lost:.0%} of the throughput ({spread}); at most {MOST_LOST:.0%} {_met(lost <= MOST_LOST)}"
    )
    return lines, lost <= MOST_LOST


def long_history(revisions: int, folder: Path) -> tuple[list[str], bool]:
    """Times of looking into the history of one PAL, and what it takes on disk."""
    bench = Bench(argparse.Namespace(servers=[WITH], starts=1, pals=1, pin=False), folder)
    try:
        bench.set_up(WITH)
        client, pal = Client(bench.servers[WITH]), bench.pals[WITH][0]
        note(f"writing {revisions:,} revisions")
        before = _bytes_on_disk(bench.servers[WITH])
        for number in range(revisions - 1):
            client.request("PATCH", f"/v2/pals/{pal}", _edit(number))
        grown = _bytes_on_disk(bench.servers[WITH]) - before
        times = _times(client, f"/v2/pals/{pal}", revisions)
        bench.stop_all()
    except BaseException:
        for server in bench.servers.values():
            server.kill()
        raise
    lines = [f"{f'one PAL with {revisions:,} revisions':<34} {'median ms':>10} {'slowest ms':>11}"]
    slowest = 0.0
    for title, taken in times.items():
        lines.append(f"{title:<34} {statistics.median(taken):10.2f} {max(taken):11.2f}")
        slowest = max(slowest, statistics.median(taken))
    lines.append(f"each within {SLOWEST_MS} ms (median) {_met(slowest <= SLOWEST_MS)}")
    size = len(json.dumps(new_pal(0)))
    lines.append(
        f"on disk: {grown / revisions:,.0f} bytes for each revision of a PAL of {size:,} bytes, everything counted"
    )
    return lines, slowest <= SLOWEST_MS


def _edit(number: int) -> list[dict[str, Any]]:
    """An edit as people make them: the greeting, a word, a number."""
    return [
        {"op": "replace", "path": "/greeting", "value": f"Good evening, line {number}. How can I help?"},
        {"op": "replace", "path": "/layers/stt/hotwords", "value": f"Wren House, harbour ferry, room {number}"},
        {"op": "add", "path": "/layers/llm/extra_body/temperature", "value": number % 100 / 100},
    ]


def _times(client: Client, pal: str, revisions: int) -> dict[str, list[float]]:
    chosen = random.Random(7).sample(range(2, revisions), min(SAMPLES, revisions - 2))
    cursor = client.request("GET", f"{pal}/revisions?limit=100")["next_cursor"]
    actions: dict[str, Callable[[int], Any]] = {
        "list the newest page": lambda _: client.request("GET", f"{pal}/revisions"),
        "list the next page of 100": lambda _: client.request("GET", f"{pal}/revisions?limit=100&cursor={cursor}"),
        "read a revision": lambda number: client.request("GET", f"{pal}/revisions/{number}"),
        "compare with the newest": lambda number: client.request("GET", f"{pal}/diff?from={number}"),
        "roll back": lambda number: client.request("POST", f"{pal}/rollback", {"to": number}),
    }
    times: dict[str, list[float]] = {title: [] for title in actions}
    for title, act in actions.items():
        for number in chosen:
            begun = time.perf_counter()
            act(number)
            times[title].append((time.perf_counter() - begun) * 1000)
    return times


def _bytes_on_disk(server: Server) -> int:
    return sum(path.stat().st_size for path in server.data.iterdir() if path.is_file() and "-" not in path.suffix)


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both parts and print them; 0 when nothing failed and, with --enforce, nothing was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sanity run: one round of 0.5 s, 300 revisions")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5)
    parser.add_argument("--revisions", type=int, default=10_000)
    parser.add_argument("--enforce", action="store_true", help="end with 1 when a target is missed")
    parser.set_defaults(servers=[WITH, WITHOUT], starts=1, pals=128, warm_up=0.5, pin=False)
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.revisions = 1, 0.5, 300
    try:
        with tempfile.TemporaryDirectory(prefix="palace-bench-") as folder:
            cost, is_cheap = cost_of_history(options, Path(folder).resolve())
        with tempfile.TemporaryDirectory(prefix="palace-bench-") as folder:
            looks, is_quick = long_history(options.revisions, Path(folder).resolve())
    except ServerError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print("\n".join([*cost, "", *looks]))
    return int(options.enforce and not (is_cheap and is_quick))


if __name__ == "__main__":
    sys.exit(main())
