"""The parent of workers: pauses, giving up, and signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import pytest

from palace.workers import HEALTHY_SECONDS, LONGEST_PAUSE_SECONDS, pause_after

SCRIPT = """
import os, sys, time
from palace.workers import supervise

def work(worker):
    {work}

try:
    supervise(2, work, lambda: print("started", flush=True), lambda: print("ending", flush=True), {patience})
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}", flush=True)
    sys.exit(1)
"""
SERVES = "worker.tell_ready(); import signal; signal.sigwait({signal.SIGTERM})"


@contextmanager
def begun(work: str, patience: float = 5) -> Iterator[subprocess.Popen[str]]:
    """A parent and its workers; after a minute, or at the end, those that are left are killed."""
    if "sigwait" in work:
        work = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); " + work
    command = [sys.executable, "-c", SCRIPT.format(work=work, patience=patience)]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, start_new_session=True, **pipes) as parent:
        end = Timer(60, os.killpg, (parent.pid, signal.SIGKILL))
        end.start()
        try:
            yield parent
        finally:
            end.cancel()
            if parent.poll() is None:
                os.killpg(parent.pid, signal.SIGKILL)


def test_pauses_grow_while_a_worker_keeps_ending_soon_and_begin_anew_when_it_lived():
    pauses = [0.0]
    for _ in range(10):
        pauses.append(pause_after(pauses[-1], 1.0))
    assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, *[LONGEST_PAUSE_SECONDS] * 4]
    assert pause_after(LONGEST_PAUSE_SECONDS, HEALTHY_SECONDS) == 0.0


def test_when_all_end_before_they_serve_the_parent_gives_up():
    began = time.monotonic()
    with begun("raise ValueError('no')") as parent:
        out, _ = parent.communicate(timeout=20)
    assert parent.returncode == 1
    assert out.endswith("ending\nWorkersFailed: No worker can serve; the log tells why.\n")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_all_in_good_order(number):
    with begun(SERVES) as parent:
        assert parent.stdout.readline() == "started\n"
        os.kill(parent.pid, number)
        out, _ = parent.communicate(timeout=20)
    assert (parent.returncode, out) == (0, "ending\n")


def test_one_that_does_not_end_is_killed_and_that_is_told():
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); worker.tell_ready(); time.sleep(60)"
    with begun(deaf, patience=0.5) as parent:
        assert parent.stdout.readline() == "started\n"
        parent.terminate()
        out, _ = parent.communicate(timeout=20)
    assert (parent.returncode, out) == (1, "ending\nWorkersFailed: A worker did not end in time.\n")


def test_one_that_ends_is_started_again():
    with begun(r"os.write(1, b'%d\n' % os.getpid()); " + SERVES) as parent:
        one, other, told = (parent.stdout.readline() for _ in range(3))
        assert told == "started\n"
        os.kill(int(one), signal.SIGKILL)
        log, again = parent.stdout.readline(), parent.stdout.readline()
        assert "started again" in log
        assert again.strip().isdecimal()
        assert again not in {one, other}
        parent.terminate()
        out, _ = parent.communicate(timeout=20)
    assert (parent.returncode, out) == (0, "ending\n")
