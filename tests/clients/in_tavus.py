"""Runs `tavus` commands, each in a process of its own, without importing it anew each time: most of a second saved.

Run by the Python that has tavus-cli. Each line of the input is a command as JSON: its `words`, `variables`, `folder`,
and the files for what it prints. Each line of the output is the exit code of one.
"""

import json
import os
import sys
from typing import Any, NoReturn

from tavus_mcp.cli.main import app


def become(command: dict[str, Any]) -> NoReturn:
    """Be `tavus`: with nothing but these words, these variables and this folder."""
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(command[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["variables"])
    sys.argv = ["tavus", *command["words"]]
    try:
        app()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else int(done.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Until the input ends."""
    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            become(command)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
