"""The PostgreSQL of the tests does not outlive them for long, however they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.postgres import end_orphans

RUN = "from tests.postgres import new_database; print(new_database(), flush=True); input()"


@pytest.mark.skipif("PALACE_TEST_POSTGRES" in os.environ, reason="PALACE_TEST_POSTGRES names another server")
def test_the_server_of_a_run_that_was_killed_is_ended_by_the_next_one() -> None:
    root = Path(__file__).parents[2]
    run = subprocess.Popen(
        [sys.executable, "-c", RUN], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    url = run.stdout.readline().strip()
    folder = Path(url.partition("?host=")[2])
    postmaster = int((folder / "postmaster.pid").read_text().split()[0])
    end_orphans()
    assert folder.exists(), "it is left alone while its run goes on"
    run.send_signal(signal.SIGKILL)
    run.wait(timeout=10)
    end_orphans()
    assert not folder.exists()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{postmaster}/status").exists() and time.monotonic() < deadline:
        if "State:\tZ" in Path(f"/proc/{postmaster}/status").read_text():
            break
        time.sleep(0.05)
    else:
        assert time.monotonic() < deadline, "the server goes on"
    run.communicate()
