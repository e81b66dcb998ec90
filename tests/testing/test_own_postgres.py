"""The PostgreSQL of the tests does not outlive them for long, however they end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import connected, end_orphans

RUN = "from tests.postgres import new_database; print(new_database(), flush=True); input()"


def test_the_server_of_a_run_that_was_killed_is_ended_by_the_next_one() -> None:
    command, root = [sys.executable, "-c", RUN], Path(__file__).parents[2]
    own = {name: value for name, value in os.environ.items() if name != "PALACE_TEST_POSTGRES"}
    with subprocess.Popen(command, cwd=root, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        url = run.stdout.readline().strip()
        folder = Path(url.partition("?host=")[2])
        end_orphans()
        assert folder.exists(), "it is left alone while its run goes on"
        run.kill()
    end_orphans()
    assert not folder.exists()
    with pytest.raises(OSError, match="No such file"):
        connected(url, lambda it: it.fetchval("SELECT 1"))
