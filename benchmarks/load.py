"""The load generator: a process of its own that keeps one request in flight on each of its connections.

`python -m benchmarks.load` reads one Job as JSON from standard input and writes one Measurement as JSON to standard
output. It shares the machine with the server it measures, so it does as little as it can: a bare protocol on uvloop,
requests joined from prepared bytes, and of each response only the status and the content-length.
"""

import asyncio
import gc
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast

import uvloop

from benchmarks.processes import HOST, cpu_seconds
from benchmarks.workload import ID, NUMBER, Kind, patch_number

ERROR_LIMIT = 100
DRAIN_SECONDS = 60


@dataclass(frozen=True)
class Job:
    """What to do: requests of one kind on `connections` connections, each with PALs of its own."""

    kind: Kind
    connections: int
    warm_up_seconds: float
    seconds: float
    pals: Sequence[str]
    first_number: int
    """Patches are numbered from here, so that two jobs never write the same values."""
    ports: Sequence[int]
    """The nodes; the connections are dealt out to them in turn."""
    request: str
    """The whole HTTP request, with ID and NUMBER where those belong."""
    may_refuse: Sequence[str]
    """Statuses that are counted as refusals, not as errors."""
    server_pids: Sequence[int]
    database_pids: Sequence[int]


@dataclass(frozen=True)
class Measurement:
    """What happened between the end of the warm-up and the end of the window."""

    completed: int
    """Answers with the expected status within the window."""
    seconds: float
    latencies_us: list[int]
    """Of every request sent within the window, also when its answer came later; in microseconds."""
    server_cpu_seconds: float
    """Of the server and all its workers."""
    database_cpu_seconds: float
    """Of the database server and all its processes; 0 when the database is a library."""
    generator_cpu_seconds: float
    acknowledged: dict[str, int]
    """PAL id to the number of the last patch answered with 200, warm-up included."""
    refused: int
    """Answers within the window with a status of `may_refuse`: nothing was written."""
    errors: dict[str, int]


class Run:
    """What the connections of one job share: the window, the counters, and whether to go on."""

    def __init__(self, job: Job) -> None:
        self.numbers = itertools.count(job.first_number)
        self.window_open = False
        self.window_start = self.window_end = float("inf")
        self.stopping = asyncio.Event()
        self.drained = asyncio.Event()
        self.busy = job.connections
        self.completed = self.refused = 0
        self.latencies: list[float] = []
        self.acknowledged: dict[str, int] = {}
        self.errors: Counter[str] = Counter()

    def open_window(self) -> float:
        self.window_start = time.perf_counter()
        self.window_open = True
        return self.window_start

    def close_window(self) -> float:
        self.window_open = False
        self.window_end = time.perf_counter()
        self.stopping.set()
        return self.window_end

    def succeed(self, sent_at: float) -> None:
        if self.window_open:
            self.completed += 1
        if self.window_start <= sent_at < self.window_end:
            self.latencies.append(time.perf_counter() - sent_at)

    def fail(self, problem: str) -> None:
        """Count the problem; more than ERROR_LIMIT of them end the job, there is nothing left to measure."""
        self.errors[problem] += 1
        if self.errors.total() > ERROR_LIMIT:
            self.stopping.set()

    def leave(self) -> None:
        """Called once by every connection when it is closed, for whatever reason."""
        self.busy -= 1
        if self.busy == 0:
            self.stopping.set()
            self.drained.set()


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends its next request as soon as the last one has been answered."""

    def __init__(self, run: Run, job: Job, pals: Sequence[str]) -> None:
        self.run = run
        self.transport: asyncio.Transport | None = None
        self.finished = False
        self.received = b""
        self.sent_at = 0.0
        self.number = 0
        self.pal_id = ""
        self.is_patch = job.kind == "PATCH"
        self.may_refuse = {status.encode() for status in job.may_refuse}
        pieces = [(pal_id, job.request.replace(ID, pal_id).encode().split(NUMBER.encode())) for pal_id in pals]
        self.prepared = itertools.cycle(pieces)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are not subclasses of asyncio's

    def send_next(self) -> None:
        assert self.transport is not None
        if self.run.stopping.is_set():
            self.finished = True
            self.transport.close()
            return
        self.pal_id, pieces = next(self.prepared)
        if self.is_patch:
            self.number = next(self.run.numbers)
        request = patch_number(self.number).join(pieces)
        self.sent_at = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.received:
            data = self.received + data
        head_end = data.find(b"\r\n\r\n")
        if head_end < 0 or not _is_whole(data, head_end):
            self.received = data
            return
        self.received = b""
        if data[9:12] == b"200":
            self.run.succeed(self.sent_at)
            if self.is_patch:
                self.run.acknowledged[self.pal_id] = self.number
        elif data[9:12] in self.may_refuse:
            self.run.refused += self.run.window_open
        else:
            self.run.fail(f"{data[9:12].decode()} {data[head_end + 4 : head_end + 84].decode(errors='replace')}")
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.finished:
            self.run.fail(f"connection lost: {exc or 'closed by the server'}")
        self.run.leave()


def _is_whole(data: bytes, head_end: int) -> bool:
    """Whether the answer has come to its end. Only one is in flight, so the last chunk ends all that was received."""
    head = data[:head_end].lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        return data.endswith(b"\r\n0\r\n\r\n")
    return len(data) >= head_end + 4 + _content_length(head)


def _content_length(head: bytes) -> int:
    """The length of the body; 0 without the header, which is how 204 and 304 come."""
    start = head.find(b"\r\ncontent-length:")
    if start < 0:
        return 0
    end = head.find(b"\r\n", start + 17)
    return int(head[start + 17 : end] if end >= 0 else head[start + 17 :])


async def measure(job: Job) -> Measurement:
    """Connect, warm up, measure for `job.seconds`, and let the requests in flight finish."""
    loop = asyncio.get_running_loop()
    run = Run(job)
    connections = []
    for offset in range(job.connections):
        factory = partial(Connection, run, job, job.pals[offset :: job.connections])
        connections.append((await loop.create_connection(factory, HOST, job.ports[offset % len(job.ports)]))[1])
    for connection in connections:
        connection.send_next()
    await _sleep_unless_stopped(job.warm_up_seconds, run)
    before, window_start = _cpu(job), run.open_window()
    await _sleep_unless_stopped(job.seconds, run)
    window_end, after = run.close_window(), _cpu(job)
    try:
        await asyncio.wait_for(run.drained.wait(), DRAIN_SECONDS)
    except TimeoutError:
        run.errors[f"no answer within {DRAIN_SECONDS} s"] += run.busy
    return Measurement(
        completed=run.completed,
        seconds=window_end - window_start,
        latencies_us=[round(latency * 1_000_000) for latency in run.latencies],
        server_cpu_seconds=after[0] - before[0],
        database_cpu_seconds=after[1] - before[1],
        generator_cpu_seconds=after[2] - before[2],
        refused=run.refused,
        acknowledged=run.acknowledged,
        errors=dict(run.errors),
    )


def _cpu(job: Job) -> tuple[float, float, float]:
    """Seconds used so far by the server, by the database, and by this process."""
    return cpu_seconds(job.server_pids), cpu_seconds(job.database_pids), time.process_time()


async def _sleep_unless_stopped(seconds: float, run: Run) -> None:
    try:
        await asyncio.wait_for(run.stopping.wait(), seconds)
    except TimeoutError:
        return


def main() -> None:
    """Read a Job, measure, write the Measurement; the collector is off, for nothing here makes cycles that matter."""
    job = Job(**json.load(sys.stdin))
    gc.disable()
    json.dump(asdict(uvloop.run(measure(job))), sys.stdout)


if __name__ == "__main__":
    main()
