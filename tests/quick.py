"""Processes of Palace that begin at once: they are forked from one that has loaded the code already.

Loading takes a second of CPU, a fork some milliseconds, and the tests begin hundreds of processes. One that is forked
is like one that `python -m PROGRAM` begins: its own arguments, environment, folder, files, session and exit code. Where
the system cannot fork, or something is asked for that is decided when an interpreter begins, an interpreter begins.
"""

import atexit
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOADED = ("palace.app", "palace.cli", "prometheus_client", "rich.console", "asyncpg", "websockets.sync.client")
"""what every process gets without loading it"""
DECIDED_AT_THE_START = {"PYTHONIOENCODING", "PYTHONUTF8", "PYTHONHASHSEED", "LANG", "LC_ALL", "LC_CTYPE"}
UNUSUAL = ("executable", "preexec_fn", "shell", "pass_fds", "gid", "gids", "uid")
PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
LARGEST_REQUEST = 1 << 20
LONGEST_NUMBER = 16
LEFT_BY_CTRL_C = 128 + signal.SIGINT


class Quick(subprocess.Popen):  # type: ignore[type-arg]
    """A process of `python -m PROGRAM`, forked where that is possible."""

    _end: int | None = None
    """where it is told how it has ended"""

    def _execute_child(self, *arguments: Any) -> None:
        names = list(inspect.signature(subprocess.Popen._execute_child).parameters)[1:]  # type: ignore[attr-defined]
        given = dict(zip(names, arguments, strict=True))
        if not _can_be_forked(given):
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        self._end, tell = os.pipe()
        wanted = {
            "program": given["args"][2],
            "words": given["args"][3:],
            "env": dict(os.environ if given["env"] is None else given["env"]),
            "cwd": os.fspath(given["cwd"] or os.getcwd()),
            "is_apart": bool(given["start_new_session"]),
        }
        own = [given["p2cread"], given["c2pwrite"], given["errwrite"]]
        self.pid = _ask(wanted, [*(number if file == -1 else file for number, file in enumerate(own)), tell])
        os.close(tell)
        self._child_created = True
        self._close_pipe_fds(*(given[name] for name in PIPES))  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._end is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc,no-any-return]
        if wait_flags & os.WNOHANG and not select.select([self._end], [], [], 0)[0]:
            return 0, 0
        said = os.read(self._end, LONGEST_NUMBER)
        os.close(self._end)
        return self.pid, int(said or signal.SIGKILL)

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        if self._end is None:
            return super()._internal_poll(*arguments, **options)  # type: ignore[misc,no-any-return]
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                if self.returncode is None and (found := self._try_wait(os.WNOHANG))[0]:
                    self._handle_exitstatus(found[1])  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


def run(
    command: list[str], *, stdin: str = "", timeout: float = 60, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """`subprocess.run` with texts, all of whose output is kept."""
    files = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Quick(command, text=True, **files, **options) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _can_be_forked(given: dict[str, Any]) -> bool:
    args, env = given["args"], given["env"]
    is_program = isinstance(args, list) and args[:2] == [sys.executable, "-m"] and len(args) > 2
    is_plain = all(given.get(name) in (None, (), False, -1) for name in UNUSUAL)
    own, theirs = (
        {name: value for name, value in one.items() if name in DECIDED_AT_THE_START}
        for one in (os.environ, os.environ if env is None else env)
    )
    is_own_code = not {*(env or {}).get("PYTHONPATH", "").split(os.pathsep)} - {"", str(ROOT)}
    is_like_ours = is_own_code and theirs == own
    return hasattr(os, "fork") and hasattr(socket, "SOCK_SEQPACKET") and is_program and is_plain and is_like_ours


@cache
def _source() -> socket.socket:
    """The line to the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for line in (ours, theirs):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST_REQUEST)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.quick", str(theirs.fileno())]
    process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], env=environment)
    theirs.close()
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


_asking = threading.Lock()


def _ask(wanted: dict[str, Any], files: list[int]) -> int:
    """The id of a new process with these files: 0, 1, 2, and where to tell how it has ended."""
    with _asking:
        line = _source()
        socket.send_fds(line, [json.dumps(wanted).encode()], files)
        return int(line.recv(LONGEST_NUMBER))


# --- The process that forks -------------------------------------------------------------------------------------------


def _serve(line: socket.socket) -> None:
    """Fork whatever is asked for, until nobody can ask any more."""
    for module in LOADED:
        importlib.import_module(module)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    while True:
        said, files, _, _ = socket.recv_fds(line, LARGEST_REQUEST, 4)
        if not said:
            return
        if (between := os.fork()) == 0:
            _look_after(line, said, files)
        for file in files:
            os.close(file)
        _reap(between)


_between: set[int] = set()


def _reap(new: int) -> None:
    _between.add(new)
    for process in list(_between):
        if os.waitpid(process, os.WNOHANG)[0]:
            _between.discard(process)


def _look_after(line: socket.socket, said: bytes, files: list[int]) -> None:
    """Begin the process, tell its id at once, and how it has ended when it has."""
    if (child := os.fork()) == 0:
        line.close()
        os.close(files.pop())
        _become(json.loads(said), files)
    line.send(str(child).encode())
    line.close()
    for file in files[:3]:
        os.close(file)
    for number in (0, 1, 2):  # Whoever reads to the end of an output waits for no one else than its process.
        os.close(number)
    os.write(files[3], str(os.waitpid(child, 0)[1]).encode())
    os._exit(0)


def _become(wanted: dict[str, Any], files: list[int]) -> None:
    """Be the program that is asked for, to its end."""
    code = 1
    try:
        if wanted["is_apart"]:
            os.setsid()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(wanted["env"])
        os.chdir(wanted["cwd"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
        sys.stdout.reconfigure(line_buffering=at_once or os.isatty(1))  # type: ignore[union-attr]
        sys.argv = ["", *wanted["words"]]
        runpy.run_module(wanted["program"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except KeyboardInterrupt:
        code = LEFT_BY_CTRL_C
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        _leave(code)


def _leave(code: int) -> None:
    """End as an interpreter does."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 120
    if code == LEFT_BY_CTRL_C:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
