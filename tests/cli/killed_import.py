"""`palace import` that is killed at the worst moment: rows are written, and that they are there is not noted down yet.

`python -m tests.cli.killed_import ROWS import …` is `palace import …`, killed when it writes more than ROWS rows.
"""

import os
import signal
import sys
from typing import Any

from palace.cli import main
from palace.transfer.postgres import PostgresSide
from palace.transfer.sides import Progress
from palace.transfer.sqlite import SqliteSide
from tests import quick
from tests.serving import ROOT


def kill_import(rows: int, *words: object) -> None:
    """Begin an import, or go on with it, and let it be killed when it writes more than so many rows."""
    command = [sys.executable, "-m", "tests.cli.killed_import", str(rows), "import", *map(str, words)]
    done = quick.run(command, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, f"It ended by itself: {done.stderr}"


class Deadly:
    """Progress that kills whoever notes it down."""

    @property
    def rows(self) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives this")


def make_deadly(side: Any, last: int) -> None:
    """Replace the progress behind so many rows."""
    put = side.put

    async def put_or_die(self: Any, table: Any, rows: Any, progress: Progress) -> None:
        await put(self, table, rows, progress if progress.rows <= last else Deadly())

    side.put = put_or_die


if __name__ == "__main__":
    rows_kept = int(sys.argv.pop(1))
    make_deadly(SqliteSide, rows_kept)
    make_deadly(PostgresSide, rows_kept)
    main()
