"""What a server counts and measures, as plain numbers in memory that its workers can share; pure.

Everything that can be counted has its place from the start: a row of numbers for each worker, in one piece of memory
that is made before the workers are forked. So any worker can tell the sum of all, a worker that dies takes nothing with
it, and no request can make a new series. Counting a request takes 0.4 µs; prometheus_client's own counters take 2.5 µs.
"""

import math
import mmap
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

BYTES_OF_A_NUMBER = 8
OTHER = "other"
"""Any method, status or path that is not known."""
GONE = "gone"
"""The status of a request whose client went away before it was answered."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER)
STATUSES = (
    *(101, 200, 201, 202, 204, 206, 301, 302, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 412),
    *(413, 415, 416, 422, 425, 426, 428, 429, 431, 500, 501, 502, 503, 504),
)
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
BYTES = tuple(4**power for power in range(3, 13))


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is counted or measured. A histogram has `bounds`: each the largest value of its bucket.

    With a `label` there is one number for each of its `values`, and nothing else is counted.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    sentence: str
    bounds: tuple[float, ...] = ()
    label: str = ""
    values: tuple[str, ...] = ("",)

    @property
    def size(self) -> int:
        """How many numbers one of its values takes: a histogram has one more bucket, and the sum."""
        return len(self.bounds) + 2 if self.bounds else 1


REQUESTS = "requests"
REQUEST_SECONDS = Metric(
    "request_seconds", "histogram", "Time until a request was answered, by route and method.", SECONDS
)
METRICS = (
    Metric("requests_in_flight", "gauge", "Requests that are being carried out."),
    Metric(
        "refused",
        "counter",
        "Requests that a limit refused: of their key, of requests at once, of waiting writes, of time.",
        label="limit",
        values=("rate", "requests", "writes", "time", "body_time"),
    ),
    Metric("patch_operations", "histogram", "Operations of a JSON Patch.", SIZES),
    Metric("patch_bytes", "histogram", "Size of the body of a patch.", BYTES),
    Metric("commit_writes", "histogram", "Writes that shared one commit.", SIZES),
    Metric("commit_seconds", "histogram", "Time that a group of writes took, with its commit.", SECONDS),
    Metric("writes_waiting", "gauge", "Writes that wait for their turn."),
    Metric("store_failures", "counter", "Writes, or groups of them, that the database could not take."),
    Metric("store_retries", "counter", "Writes that were begun again: locks, deadlocks, lost connections. PostgreSQL."),
    Metric(
        "database_connections",
        "gauge",
        "Connections to PostgreSQL, when a write came last.",
        label="state",
        values=("busy", "idle"),
    ),
    Metric("lines_open", "gauge", "WebSockets and event streams of conversations."),
    Metric("jobs_running", "gauge", "Jobs that are being carried out."),
    Metric(
        "jobs",
        "counter",
        "Attempts at jobs, by what became of them; those let go of are begun anew elsewhere.",
        label="outcome",
        values=("done", "failed", "retried", "let_go"),
    ),
    Metric("turns", "counter", "Turns of conversations that are over."),
    Metric(
        "first_token_seconds",
        "histogram",
        "Time from when somebody spoke until the model's first word or call.",
        SECONDS,
    ),
    Metric(
        "model_failures",
        "counter",
        "Answers of language models that did not come, and why.",
        label="reason",
        values=("unreachable", "refused", "rate_limited", "timeout", "broken_stream", "bad_answer"),
    ),
    Metric(
        "tool_calls",
        "counter",
        "Calls of tools that have a result, by what became of them.",
        label="outcome",
        values=("success", "error"),
    ),
    Metric(
        "deliveries",
        "counter",
        "Attempts at callbacks, by what became of them; those let go of are made anew elsewhere.",
        label="outcome",
        values=("delivered", "retried", "parked", "let_go"),
    ),
)
"""Everything that is counted besides requests, each under its name here; the page puts `palace_` before it."""


class Histogram(NamedTuple):
    """How many values lie in each bucket, and the sum of all."""

    buckets: list[float]
    sum: float


class _Layout:
    """Where each number stands in the row of a worker. The first is the id of its process."""

    def __init__(self, routes: Sequence[str]) -> None:
        self.routes = (*routes, OTHER)
        self.places: dict[str, int] = {}
        self.histograms: dict[str, tuple[int, tuple[float, ...], int]] = {}
        self.gauges: list[int] = []
        end = 1
        for metric in METRICS:
            for value in metric.values:
                name = f"{metric.name}/{value}" if value else metric.name
                if metric.kind == "histogram":
                    self.histograms[name] = (end, metric.bounds, end + len(metric.bounds) + 1)
                else:
                    self.places[name] = end
                if metric.kind == "gauge":
                    self.gauges.append(end)
                end += metric.size
        self.statuses = {status: place for place, status in enumerate((*STATUSES, 0))}
        self.first_bucket = len(self.statuses) + 1
        self.requests: dict[tuple[str, str], int] = {}
        for route in self.routes:
            for method in METHODS:
                self.requests[route, method] = end
                end += self.first_bucket + REQUEST_SECONDS.size
        self.size = end


class Meter:
    """The numbers of one worker, which it writes, and those of the others, which it reads."""

    def __init__(self, routes: Sequence[str] = (), workers: int = 1) -> None:
        """Make memory for all workers: this is the meter of the first, `of` gives those of the others."""
        self._layout = _Layout(routes)
        self._workers = workers
        self._memory = memoryview(mmap.mmap(-1, workers * self._layout.size * BYTES_OF_A_NUMBER)).cast("d")
        self._take(0)

    def of(self, worker: int) -> "Meter":
        """The meter of another worker, on the same memory."""
        twin = Meter.__new__(Meter)
        twin._layout, twin._workers, twin._memory = self._layout, self._workers, self._memory  # noqa: SLF001 - its own kind
        twin._take(worker)  # noqa: SLF001
        return twin

    def _take(self, worker: int) -> None:
        first = worker * self._layout.size
        self._mine = self._memory[first : first + self._layout.size]

    def begin(self, process: int) -> None:
        """A process with this id writes from now on. Counters go on; what its predecessor had open is closed."""
        self._mine[0] = process
        for place in self._layout.gauges:
            self._mine[place] = 0

    # --- Writing ------------------------------------------------------------------------------------------------------

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered; status 0 means that nobody waited for the answer."""
        layout, values = self._layout, self._mine
        place = layout.requests.get((route, method)) or self._unusual(route, method)
        values[place + layout.statuses.get(status, len(layout.statuses))] += 1
        place += layout.first_bucket
        values[place + bisect_left(SECONDS, seconds)] += 1
        values[place + len(SECONDS) + 1] += seconds

    def _unusual(self, route: str, method: str) -> int:
        known = route if route in self._layout.routes else OTHER
        return self._layout.requests[known, method if method in METHODS else OTHER]

    def count(self, name: str, by: float = 1) -> None:
        """A counter or a gauge goes up, or a gauge down. One with a label is named as in `refused/rate`."""
        self._mine[self._layout.places[name]] += by

    def set(self, name: str, value: float) -> None:
        """What a gauge says from now on."""
        self._mine[self._layout.places[name]] = value

    def observe(self, name: str, value: float) -> None:
        """One more value of a histogram."""
        place, bounds, sum_place = self._layout.histograms[name]
        self._mine[place + bisect_left(bounds, value)] += 1
        self._mine[sum_place] += value

    def committed(self, writes: int, seconds: float, waiting: int) -> None:
        """A group of writes was carried out and committed; others wait."""
        self.observe("commit_writes", writes)
        self.observe("commit_seconds", seconds)
        self.set("writes_waiting", waiting)

    # --- Reading ------------------------------------------------------------------------------------------------------

    def processes(self) -> dict[int, int]:
        """The id of each worker's process, by the number of the worker."""
        size = self._layout.size
        found = {worker: int(self._memory[worker * size]) for worker in range(self._workers)}
        return {worker: process for worker, process in found.items() if process}

    def value(self, name: str) -> float:
        """A counter or a gauge, of all workers together."""
        [value] = self._row(self._layout.places[name], 1)
        return value

    def histogram(self, name: str) -> Histogram:
        """A histogram, of all workers together."""
        place, bounds, _ = self._layout.histograms[name]
        return self._histogram(place, len(bounds))

    def requests(self) -> Iterator[tuple[str, str, dict[str, float], Histogram]]:
        """Route, method, how often each status was answered, and how long it took; where there was any request."""
        statuses, first_bucket = [*map(str, STATUSES), GONE, OTHER], self._layout.first_bucket
        for (route, method), place in self._layout.requests.items():
            counts = self._row(place, first_bucket)
            if any(counts):
                answered = {status: count for status, count in zip(statuses, counts, strict=True) if count}
                yield route, method, answered, self._histogram(place + first_bucket, len(SECONDS))

    def _histogram(self, place: int, bounds: int) -> Histogram:
        *buckets, total = self._row(place, bounds + 2)
        return Histogram(buckets, total)

    def _row(self, place: int, size: int) -> list[float]:
        """Numbers that stand in a row, each of all workers together."""
        starts = range(place, len(self._memory), self._layout.size)
        rows: list[Any] = [self._memory[at : at + size].tolist() for at in starts]
        return [*rows[0]] if len(rows) == 1 else [math.fsum(of_all) for of_all in zip(*rows, strict=True)]
