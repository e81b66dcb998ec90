"""`palace serve --workers 2`: one address, several processes, and what happens when one of them ends."""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.acceptance.several import new_pal, rows, start_node
from tests.cli.test_commands import palace as run
from tests.postgres import new_database
from tests.serving import KEY, Palace
from tests.waiting import wait_until

WRITERS = 12


@pytest.fixture
def database() -> str:
    return new_database()


def children(server: Palace) -> list[int]:
    """The processes of the workers."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


@dataclass
class Load:
    """What clients were told while they wrote."""

    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


@contextmanager
def load(server: Palace, pals: list[str]) -> Iterator[Load]:
    """Clients that go on writing until the end of the block, each to a PAL of its own."""
    said, ends = Load(), threading.Event()

    def write(writer: int) -> None:
        number = 0
        while not ends.is_set():
            with httpx.Client(base_url=server.url, headers={"x-api-key": KEY}, timeout=30) as client:
                try:
                    while not ends.is_set():
                        number += 1
                        value = f"{writer}/{number}"
                        step = [{"op": "add", "path": "/memories/-", "value": value}]
                        answer = client.patch(f"/v2/pals/{pals[writer]}", json=step)
                        (said.acknowledged if answer.status_code == 200 else said.refused).append(value)
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
                    said.broken.append(f"{value} {error!r}")
                    time.sleep(0.02)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield said
    finally:
        ends.set()
        for thread in threads:
            thread.join()


def memories(client: httpx.Client, pals: list[str]) -> list[str]:
    return [memory for pal in pals for memory in client.get(f"/v2/pals/{pal}").json()["memories"]]


def test_two_workers_serve_on_one_address_and_share_the_work(tmp_path: Path, database: str) -> None:
    with start_node(tmp_path / "a", database, "--workers", "2", PALACE_LOG_REQUESTS="true") as server:
        assert server.greeting.count("Palace is ready") == 1
        with ExitStack() as lines:

            def both_have_served() -> bool:
                client = lines.enter_context(server.client())
                assert client.get("/v2/pals").status_code == 200
                return set(re.findall(r"route=/v2/pals .*worker=(\d)", server.log.read_text())) == {"0", "1"}

            wait_until(both_have_served, 20)
        assert server.stop() == 0
    assert rows(database, "SELECT count(*) FROM audit WHERE action = 'start'") == [(1,)]


def test_under_load_sigterm_breaks_no_answer_and_loses_nothing(tmp_path: Path, database: str) -> None:
    with start_node(tmp_path / "a", database, "--workers", "2") as server, server.client() as client:
        pals = [new_pal(client) for _ in range(WRITERS)]
        with load(server, pals) as said:
            wait_until(lambda: len(said.acknowledged) > 200)
            assert server.stop() == 0
        assert said.refused == []
    with start_node(tmp_path / "a", database) as server, server.client() as client:
        stored = memories(client, pals)
    assert set(said.acknowledged) <= set(stored)
    assert len(stored) == len(set(stored)) <= len(said.acknowledged) + WRITERS


def test_under_load_a_worker_that_is_killed_loses_nothing_and_is_replaced(tmp_path: Path, database: str) -> None:
    with start_node(tmp_path / "a", database, "--workers", "2") as server, server.client() as client:
        pals = [new_pal(client) for _ in range(WRITERS)]
        before = children(server)
        with load(server, pals) as said:
            wait_until(lambda: len(said.acknowledged) > 100)
            os.kill(before[0], signal.SIGKILL)
            wait_until(lambda: len(children(server)) == 2 and set(children(server)) != set(before))
            known = len(said.acknowledged)
            wait_until(lambda: len(said.acknowledged) > known + 100)
        assert said.refused == []
        with server.client() as other:
            assert set(said.acknowledged) <= set(memories(other, pals))
        assert server.stop() == 0
    assert "a worker ended and is started again" in server.log.read_text()


def test_when_the_parent_is_killed_the_workers_end(tmp_path: Path, database: str) -> None:
    with start_node(tmp_path / "a", database, "--workers", "2") as server:
        workers = children(server)
        server.kill()
        wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in workers))


def test_metrics_of_all_workers_are_added_up(tmp_path: Path, database: str) -> None:
    with start_node(tmp_path / "a", database, "--workers", "2") as server:
        for _ in range(30):
            with server.client() as client:
                client.get("/v2/pals")
        counted = 'palace_requests_total{method="GET",route="/v2/pals",status="200"} 30.0'
        with server.client() as client:
            wait_until(lambda: counted in client.get("/metrics").text.splitlines())


@pytest.mark.parametrize(
    ("flags", "environment", "told"),
    [
        pytest.param(("--workers", "2"), {}, "one process owns the file", id="on SQLite"),
        pytest.param(
            ("--workers", "2", "--fault-lab"),
            {"PALACE_DATABASE": "postgresql://nowhere.invalid/x"},
            "only with one worker",
            id="with faults",
        ),
        pytest.param(("--workers", "0"), {}, "at least 1", id="none"),
    ],
)
def test_what_workers_do_not_go_with_is_refused(
    tmp_path: Path, flags: tuple[str, ...], environment: dict[str, str], told: str
) -> None:
    done = run("serve", "--port", "0", "--data", tmp_path / "d", *flags, **environment)
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr
