"""Files that are there whole or not at all, also after a crash or a power cut; readable by their owner only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".part"


class UnusableName(Exception):
    """No file can get this name: one has it already, and nobody said that it may go, or its folder is missing."""


@contextmanager
def appearing(path: Path, *, may_replace: bool = False) -> Iterator[Path]:
    """The name of an empty file to fill; at the end of the block it takes the place of `path`, synced to the disk.

    After a failure nothing is left. Raises UnusableName and OSError.
    """
    _refuse(path, may_replace=may_replace)
    beside = path.with_name(path.name + UNFINISHED)
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield beside
        sync_file(beside)
        _refuse(path, may_replace=may_replace)
        beside.rename(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def _refuse(path: Path, *, may_replace: bool) -> None:
    if not path.parent.is_dir():
        raise UnusableName(f"There is no folder {path.parent}: make it, or name a file in another one.")
    if path.exists() and not may_replace:
        raise UnusableName(f"{path} is there already: choose another name, or add --force to replace it.")


def sync_file(path: Path) -> None:
    """Make what a file holds survive a power cut."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
