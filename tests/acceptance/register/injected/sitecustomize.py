"""Python runs this at the start of a server under test: its clock jumps, and its disk is slow or full, as it is told.

What it is told stands in a small file that the test maps into its memory, too: seconds to add to the time, seconds
that each write to the disk takes longer, and whether writes fail. How often the server did each of it is written behind
them, so that the test knows that it is not told to deaf ears. Nothing in the server knows of it. SQLite lets its
system calls be exchanged, and that is where its disk is: an error from further up, as from a VFS in Python, would be
reported also where SQLite knows better (a checkpoint that fails after a commit is no failed commit).
"""

import atexit
import ctypes
import errno
import mmap
import os
import time
from datetime import timedelta
from pathlib import Path

import apsw

from palace.clock import Clock

C_LIBRARY = ctypes.CDLL(None, use_errno=True)
BUFFER = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
CALLS = {
    "write": ctypes.CFUNCTYPE(ctypes.c_ssize_t, *BUFFER, use_errno=True),
    "pwrite": ctypes.CFUNCTYPE(ctypes.c_ssize_t, *BUFFER, ctypes.c_long, use_errno=True),
    "pwrite64": ctypes.CFUNCTYPE(ctypes.c_ssize_t, *BUFFER, ctypes.c_int64, use_errno=True),
}

with Path(os.environ["REGISTER_TOLD"]).open("r+b") as file:
    told = memoryview(mmap.mmap(file.fileno(), 0)).cast("d")


def jumping(now):
    def jumped(clock):
        offset = told[0]
        told[3] += offset != 0
        return now(clock) + timedelta(seconds=offset)

    return jumped


def troubled(call):
    def write(*arguments):
        _, delay, is_full = told[:3]
        if delay:
            told[4] += 1
            time.sleep(delay)
        if is_full:
            told[5] += 1
            ctypes.set_errno(errno.ENOSPC)
            return -1
        return call(*arguments)

    return write


class Disk(apsw.VFS):
    def __init__(self):
        super().__init__("disk", "unix")


Clock.now = jumping(Clock.now)
disk = Disk()
callbacks = {name: kind(troubled(kind((name, C_LIBRARY)))) for name, kind in CALLS.items() if disk.xGetSystemCall(name)}
for name, callback in callbacks.items():
    disk.xSetSystemCall(name, ctypes.cast(callback, ctypes.c_void_p).value)
    atexit.register(disk.xSetSystemCall, name, 0)
