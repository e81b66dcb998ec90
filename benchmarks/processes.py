"""Processes under test as the kernel sees them: CPU time and memory of whole trees, free ports, the end of each."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
PATIENCE_SECONDS = 15
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def tree(pids: Iterable[int]) -> Iterator[int]:
    """Each process and all its descendants that live."""
    for pid in pids:
        yield pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:  # It ended while we looked.
            continue
        yield from tree(map(int, children))


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time that the processes and their descendants have used so far, also of those that ended."""
    return sum(map(_ticks, tree(pids))) / _TICKS_PER_SECOND


def _ticks(pid: int) -> int:
    """Fields 14 to 17 of stat: all threads of the process, and its children that were waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def memory_mib(pids: Iterable[int]) -> float:
    """Resident memory (VmRSS) of the processes and their descendants in MiB; pages that they share count for each."""
    return sum(map(_resident_kib, tree(pids))) / 1024


def _resident_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def launch(command: list[str], environment: dict[str, str], log: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a process as the leader of a group of its own, so that `kill_group` ends its workers too."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and its workers with SIGKILL, harmless once they have ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end(process: subprocess.Popen[bytes]) -> bool:
    """Ask the process to end with SIGTERM and tell whether it did in time; otherwise it is killed."""
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        kill_group(process)
        return False
    return True
