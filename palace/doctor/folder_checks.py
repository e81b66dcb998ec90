"""Checks of what lies on the disk: the data folder, the master key, free space."""

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from palace.doctor.checks import Finding, Patient, ok, problem
from palace.folder import DATABASE, FIRST_KEY, MASTER_KEY, known_master_keys, master_key_file
from palace.vault import VaultError

OTHERS = 0o077
MEBIBYTE = 1 << 20
LEAST_FREE = 512 * MEBIBYTE


async def check_folder(patient: Patient) -> Sequence[Finding]:
    """It is a folder, ours, and nobody else's."""
    folder = patient.settings.data
    if not folder.is_dir():
        return problem("data folder", f"There is no folder {folder}.", "Name it with --data, or start the server.")
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        return problem("data folder", f"{folder} belongs to user {found.st_uid}.", "Run this as that user.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return problem("data folder", f"{folder} cannot be written.", "Give it to the user of the server.")
    if mode := found.st_mode & OTHERS:
        said = f"Others may use {folder} (mode {stat.S_IMODE(found.st_mode):o}, {mode:o} too much)."
        return problem("data folder", said, f"chmod 700 {folder}")
    return ok("data folder", f"{folder}, readable by its owner only.")


async def check_files(patient: Patient) -> Sequence[Finding]:
    """Nobody else can read the database or a key."""
    folder = patient.settings.data
    candidates = [*(folder / name for name in (DATABASE, FIRST_KEY, MASTER_KEY)), master_key_file(patient.settings)]
    files = sorted({path for path in candidates if path.exists()})
    readable = [str(path) for path in files if path.stat().st_mode & OTHERS]
    if readable:
        said = f"Others may read {', '.join(readable)}."
        return problem("private files", said, f"chmod 600 {' '.join(readable)}")
    return ok("private files", f"{len(files)} of them, readable by their owner only.") if files else []


async def check_master_key(patient: Patient) -> Sequence[Finding]:
    """There is a master key that can be read."""
    try:
        found = known_master_keys(patient.settings)
    except VaultError as error:
        return problem("master key", str(error), "Put it back from where you keep a copy of it.")
    if len(found.keys) > 1:
        said = f"{found.source} holds {len(found.keys)} keys: a rotation was not finished."
        return problem("master key", said, "Stop the server and run: palace keys rotate-master")
    return ok("master key", f"One, from {found.source}. Keep a copy elsewhere: it is in no backup.")


async def check_disk(patient: Patient) -> Sequence[Finding]:
    """There is room for the database to grow, and for a copy of it."""
    folder = patient.settings.data
    if not folder.is_dir() or patient.settings.database:
        return []
    free, size = shutil.disk_usage(folder).free, _size(folder / DATABASE)
    said = f"{free // MEBIBYTE} MiB free; the database has {size // MEBIBYTE} MiB."
    if free < max(LEAST_FREE, size // 4):
        return problem("free disk space", said, "Make room: a full disk makes every write fail with 503.")
    return ok("free disk space", said)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
