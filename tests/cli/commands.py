"""Running the command `palace` against a running server, as a person does."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog
from typer.testing import CliRunner

from palace.cli import app
from tests import quick
from tests.serving import KEY, Palace

Done = subprocess.CompletedProcess[str]
RUNNER = CliRunner()


def variables(server: Palace, **environment: str) -> dict[str, str]:
    """The environment of a person who uses this server, and has no editor."""
    ours = ("PALACE_", "TAVUS_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    for name in ("EDITOR", "VISUAL", "FORCE_COLOR"):
        clean.pop(name, None)
    return clean | {"TAVUS_PUBLIC_API_BASE_URL": server.url, "TAVUS_API_KEY": KEY} | environment


def invoked(*arguments: Any, stdin: str = "", environment: Mapping[str, str | None]) -> Any:
    """`palace` in this process. What it told the log goes with its output, and not the log of later tests."""
    try:
        return RUNNER.invoke(app, [str(argument) for argument in arguments], input=stdin, env=environment)
    finally:
        structlog.reset_defaults()


def run(server: Palace, *arguments: Any, stdin: str = "", **environment: str) -> Done:
    """Run `palace` to its end, in this process, which saves most of the time of a start.

    The guides run the same commands as processes, and so does `run_process`.
    """
    wanted = variables(server, **environment)
    absent = dict.fromkeys(name for name in os.environ if name not in wanted)
    result = invoked(*arguments, stdin=stdin, environment={**absent, **wanted})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done([], result.exit_code, result.stdout, result.stderr)


def run_process(server: Palace, *arguments: Any, stdin: str = "", **environment: str) -> Done:
    """Run `palace` to its end, as a process of its own."""
    command = [sys.executable, "-m", "palace", *map(str, arguments)]
    return quick.run(command, stdin=stdin, env=variables(server, **environment))


def ok(server: Palace, *arguments: Any, stdin: str = "", **environment: str) -> str:
    """What a command prints that must succeed."""
    done = run(server, *arguments, stdin=stdin, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(server: Palace, *arguments: Any, stdin: str = "", **environment: str) -> str:
    """What a command says on standard error that must fail with 1."""
    done = run(server, *arguments, stdin=stdin, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "palace: " in done.stderr
    return done.stderr


def editor(folder: Path, *scripts: str) -> str:
    """An editor for EDITOR: a shell script that does one thing to the file `$1` each time it is opened."""
    path = folder / "editor.sh"
    cases = "\n".join(f"{number}) {script} ;;" for number, script in enumerate(scripts, start=1))
    counter = folder / "opened"
    path.write_text(
        f'#!/bin/sh\nset -e\necho x >> "{counter}"\ncase $(wc -l < "{counter}" | tr -d " ") in\n{cases}\nesac\n'
    )
    path.chmod(0o755)
    return str(path)
