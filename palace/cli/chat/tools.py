"""Commands that answer the calls of a PAL: the arguments go to their input, what they print is the result."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence

from palace.cli.remote import fail

SECONDS_TO_RUN = 60
LONGEST_OUTPUT = 60_000
"""characters; a message to the server has 64 KiB at least"""

Commands = Mapping[str, Sequence[str]]
"""Words of a command, by the name of the tool."""


def commands_of(given: Sequence[str]) -> Commands:
    """The commands of NAME=COMMAND. Raises typer.Exit for what is none."""
    found: dict[str, Sequence[str]] = {}
    for text in given:
        name, mark, command = text.partition("=")
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise fail(f"--tool {name}: the command has an open quote.") from error
        if not mark or not name or not words:
            raise fail(f"--tool takes NAME=COMMAND, such as free_rooms='python rooms.py'; it is {text!r}.")
        found[name] = words
    return found


def outcome(words: Sequence[str], arguments: str) -> tuple[str, str]:
    """The `output` and the `status` of a call (contract 3.3). No shell comes between: nothing in them is a command."""
    try:
        done = subprocess.run(
            words,
            input=arguments,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS_TO_RUN,
            check=False,
        )
    except OSError as error:
        return f"The command {words[0]!r} cannot be started: {error.strerror}.", "error"
    except subprocess.TimeoutExpired:
        return f"The command {words[0]!r} took longer than {SECONDS_TO_RUN} seconds.", "error"
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip() or f"The command ended with {done.returncode}."
        return said[-LONGEST_OUTPUT:], "error"
    return done.stdout.strip()[:LONGEST_OUTPUT], "success"
