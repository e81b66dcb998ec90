"""Several processes that serve on one listening socket: a parent that serves nothing looks after them.

They are forked, so what the parent has loaded is in memory once. One that ends is started again, after a pause that
grows while it keeps ending soon. What ends the parent ends its children: a signal it passes on; when it is killed, a
pipe that only the parent can write to is at its end, which each child notices.
"""

import mmap
import os
import select
import signal
import socket
import sys
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

import structlog

from palace.clock import Clock

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""Who has lived so long is started again at once, and its next pause is the first."""
ENDS = (signal.SIGTERM, signal.SIGINT)
PASSED_ON = signal.SIGTERM
HURRY = signal.SIGQUIT
"""What a child gets for every further signal. SIGTERM may reach it twice: from its parent, and with its whole group."""

BYTES_OF_A_NUMBER = 8
NOT_SERVING = (1 << 64) - 1

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace")


class WorkersFailed(Exception):
    """No worker can serve, or one did not end in good order."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What a child knows of its parent: `lifeline` can be read when the parent is gone."""

    number: int
    lifeline: int
    ready: int
    connections: "memoryview[int]"
    """how many each worker has; NOT_SERVING for one that is gone"""

    def tell_ready(self) -> None:
        """From now on it serves."""
        os.write(self.ready, bytes([self.number]))

    def has_most(self, connections: int) -> bool:
        """Whether one of the others has fewer than this worker, which has so many."""
        self.connections[self.number] = connections
        return min(self.connections) < connections


@dataclass(slots=True)
class _Child:
    number: int
    started: float
    is_ready: bool = False


def pause_after(pause: float, lived: float) -> float:
    """How many seconds to wait before a child is started again that has lived so long; `pause` was the last one."""
    if lived >= HEALTHY_SECONDS:
        return 0.0
    return min(max(FIRST_PAUSE_SECONDS, 2 * pause), LONGEST_PAUSE_SECONDS)


def supervise(
    count: int,
    work: Callable[[Worker], None],
    started: Callable[[], None],
    ending: Callable[[], None],
    patience_seconds: float,
) -> None:
    """Run `work` in `count` processes until SIGTERM or SIGINT.

    `started` is called when all serve, `ending` when all are told to end.
    Raises WorkersFailed when all end before any serves, and when one does not end well in `patience_seconds` after it
    was told to.
    """
    _Parent(count, work, started, ending, patience_seconds).run()


class _Parent:
    def __init__(
        self,
        count: int,
        work: Callable[[Worker], None],
        started: Callable[[], None],
        ending: Callable[[], None],
        patience_seconds: float,
    ) -> None:
        self._count = count
        self._work = work
        self._started = started
        self._ending = ending
        self._patience_seconds = patience_seconds
        self._clock = Clock()
        self._connections = memoryview(mmap.mmap(-1, BYTES_OF_A_NUMBER * count)).cast("Q")
        self._children: dict[int, _Child] = {}
        self._due: dict[int, float] = {}
        self._pauses: dict[int, float] = {}
        self._failures = 0
        """children that ended before they served, since one did"""
        self._has_started = False
        self._is_ending = False
        self._ends_at = float("inf")
        self._problem = ""
        self._signals = 0
        self._passed_on = 0

    def run(self) -> None:
        """See `supervise`."""
        self._ready, self._ready_end = os.pipe()
        self._lifeline, self._lifeline_end = os.pipe()
        os.set_blocking(self._ready, False)
        with self._awake_on_signals() as waking:
            self._connections[:] = memoryview(array("Q", [NOT_SERVING] * self._count))
            self._due = dict.fromkeys(range(self._count), 0.0)
            while self._children or (self._due and not self._is_ending):
                self._start_due()
                self._wait(waking)
                self._hear_ready()
                self._reap()
                self._pass_signals_on()
        if self._problem:
            raise WorkersFailed(self._problem)

    @contextmanager
    def _awake_on_signals(self) -> Iterator[socket.socket]:
        """A socket that can be read when a signal came."""
        waking, end = socket.socketpair()
        waking.setblocking(False)
        end.setblocking(False)
        for number in (*ENDS, signal.SIGCHLD):
            signal.signal(number, self._note_signal)
        signal.set_wakeup_fd(end.fileno(), warn_on_full_buffer=False)
        with waking, end:
            yield waking
            signal.set_wakeup_fd(-1)

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._signals += number in ENDS

    def _wait(self, waking: socket.socket) -> None:
        next_time = self._ends_at if self._is_ending else min([*self._due.values(), self._ends_at])
        seconds = max(0.0, min(next_time - self._clock.monotonic(), LONGEST_PAUSE_SECONDS))
        select.select([waking.fileno(), self._ready], [], [], seconds)
        with suppress(BlockingIOError):
            waking.recv(4096)

    # --- Children -----------------------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        for number in [number for number, at in self._due.items() if at <= now and not self._is_ending]:
            del self._due[number]
            self._fork(number)

    def _fork(self, number: int) -> None:
        """Start a child. No signal may come while it still has the parent's handlers."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
        process = os.fork()
        if process == 0:
            self._be_child(number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
        self._children[process] = _Child(number, self._clock.monotonic())

    def _be_child(self, number: int) -> None:
        """Do the work, and end without doing what is left for the parent to do."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for one in (*ENDS, signal.SIGCHLD):
                signal.signal(one, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)
            os.close(self._lifeline_end)
            os.close(self._ready)
            self._work(Worker(number, self._lifeline, self._ready_end, self._connections))
            code = 0
        except Exception as error:
            log.exception("a worker failed", worker=number, problem=str(error))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _hear_ready(self) -> None:
        with suppress(BlockingIOError):
            numbers = os.read(self._ready, 4096)
            for child in self._children.values():
                child.is_ready |= child.number in numbers
            self._failures = 0
        if not self._has_started and sum(child.is_ready for child in self._children.values()) == self._count:
            self._has_started = True
            self._started()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                process, status = ended
                self._bury(self._children.pop(process), process, os.waitstatus_to_exitcode(status))

    def _bury(self, child: _Child, process: int, code: int) -> None:
        self._connections[child.number] = NOT_SERVING
        if self._is_ending:
            if code not in (0, -PASSED_ON):
                self._problem = self._problem or f"A worker did not end in good order: {_told(code)}."
            return
        lived = self._clock.monotonic() - child.started
        pause = self._pauses[child.number] = pause_after(self._pauses.get(child.number, 0.0), lived)
        self._due[child.number] = self._clock.monotonic() + pause
        self._failures += not child.is_ready
        told = {"worker": child.number, "process": process, "how": _told(code), "pause_seconds": pause}
        log.error("a worker ended and is started again", **told)
        if self._failures >= self._count and not any(child.is_ready for child in self._children.values()):
            self._problem = "No worker can serve; the log tells why."
            self._end()

    # --- The end ------------------------------------------------------------------------------------------------------

    def _pass_signals_on(self) -> None:
        while self._passed_on < self._signals:
            self._passed_on += 1
            if not self._is_ending:
                self._end()
            else:
                self._tell_all(HURRY)
        if self._is_ending and self._clock.monotonic() >= self._ends_at:
            self._problem = self._problem or "A worker did not end in time."
            self._tell_all(signal.SIGKILL)
            self._ends_at = float("inf")

    def _end(self) -> None:
        self._is_ending = True
        self._ending()
        self._ends_at = self._clock.monotonic() + self._patience_seconds
        self._tell_all(PASSED_ON)

    def _tell_all(self, number: int) -> None:
        for process in self._children:
            os.kill(process, number)


def _told(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
