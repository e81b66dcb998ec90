"""`palace` in a terminal of its own, with a person at its keyboard."""

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cli.commands import variables
from tests.serving import Palace

SECONDS_TO_SHOW = 30
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """What is shown, and keys to press."""

    def __init__(self, process: subprocess.Popen[bytes], handle: int) -> None:
        self.process = process
        self._handle = handle
        self.shown = ""
        self._seen = 0

    def type(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def until(self, pattern: str) -> str:
        """Wait until this is shown, behind all that was waited for before; what was shown up to there."""
        while (found := re.compile(pattern, re.DOTALL).search(self.shown, self._seen)) is None:
            ready, _, _ = select.select([self._handle], [], [], SECONDS_TO_SHOW)
            assert ready, f"{pattern!r} is not shown: {self.shown!r}"
            part = self._read()
            assert part, f"It ended without {pattern!r}: {self.shown!r}"
            self.shown += part
        before, self._seen = self._seen, found.end()
        return self.shown[before : self._seen]

    def ended(self) -> int:
        """The exit code."""
        while part := self._read():
            self.shown += part
        return self.process.wait(timeout=SECONDS_TO_SHOW)

    def _read(self) -> str:
        try:
            return os.read(self._handle, 1 << 16).decode(errors="replace")
        except OSError:  # The end of a terminal that nobody has open any more.
            return ""


@contextmanager
def terminal(server: Palace, *arguments: Any, **environment: str) -> Iterator[Terminal]:
    """A command in a terminal; it must have ended with the block."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "palace", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        env=variables(server, TERM="dumb", **environment),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # So that Ctrl-C reaches it.
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
        assert process.poll() is not None, "It goes on."
    finally:
        process.kill()
        process.wait()
        os.close(ours)
