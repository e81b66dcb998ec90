"""The data folder: what lies in it, that one server at a time works on it, and which master keys belong to it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from palace.clock import Clock, timestamp
from palace.files import sync_folder
from palace.ids import Ids
from palace.settings import Settings
from palace.vault import KEY_BYTES, VaultError, load_master_keys, parse_master_keys, read_master_keys

DATABASE = "palace.db"
MASTER_KEY = "master.key"
FIRST_KEY = "first-api.key"
LOCK = "palace.lock"

RESTORED = "palace.db.restored-"
"""How the name of a checked database begins that is to take the place of the one that is there; a moment follows."""

REPLACED = "palace.db.replaced-"
"""How the name of the one begins that was there before; the same moment follows."""

BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a database; it must not meet another database than its own."""

PRIVATE = 0o077
"""Files that the server makes are readable by its own user only."""


class FolderInUse(Exception):
    """A server works on the data folder, its master key is being rotated, or a restore into it is not finished."""


def make_private_folder(folder: Path) -> None:
    """Make sure that the folder exists; it and whatever this process makes is readable by its owner only."""
    os.umask(PRIVATE)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Keep the data folder for this process until the end of the block; a crash gives it back.

    A restore that was broken off is finished first; inside the block it is known whether there was one. Raises
    FolderInUse and OSError.
    """
    make_private_folder(folder)
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(f"The folder {folder} is in use by a server: stop that one first.") from error
        yield bool(finish_restores(folder))


# --- Restores that were broken off ------------------------------------------------------------------------------------


def unfinished_restores(folder: Path) -> list[Path]:
    """Databases that are to take the place of the one in this folder, the oldest first."""
    return sorted(folder.glob(f"{RESTORED}*Z"))


def has_database(folder: Path) -> bool:
    """Whether there is a database in the folder, or there will be once its restore is finished."""
    return (folder / DATABASE).exists() or bool(unfinished_restores(folder))


def refuse_unfinished_restore(folder: Path) -> None:
    """For whoever opens the database without holding the folder. Raises FolderInUse."""
    if unfinished_restores(folder):
        problem = f"A restore into {folder} is not finished."
        raise FolderInUse(f"{problem} Start the server on it, or run the restore again: either finishes it first.")


def new_restored(folder: Path) -> Path:
    """A free name for a database that is to take the place of the one in the folder."""
    while True:
        moment = timestamp(Clock().now()).replace("-", "").replace(":", "")
        if not any((folder / (start + moment)).exists() for start in (RESTORED, REPLACED)):
            return folder / (RESTORED + moment)


def finish_restores(folder: Path) -> list[Path | None]:
    """Put each restored database in its place; tells for each where the one is that was there before, if there was.

    Only for who holds the folder. Broken off at any point, the next one goes on from there. Raises OSError.
    """
    return [_put_in_place(restored) for restored in unfinished_restores(folder)]


def _put_in_place(restored: Path) -> Path | None:
    folder = restored.parent
    sync_folder(folder)  # Nothing is moved away before the restored one has its name for good.
    kept = folder / restored.name.replace(RESTORED, REPLACED)
    moves = [(folder / (DATABASE + end), kept.with_name(kept.name + end)) for end in ("", *BESIDE)]
    if any(present.exists() and before.exists() for present, before in moves):
        # Somebody made a database since it was broken off: that one is kept, too, under a moment of its own.
        return _put_in_place(restored.rename(new_restored(folder)))
    for present, before in moves:
        if present.exists():
            present.rename(before)
    sync_folder(folder)  # The restored one must not meet what belongs to the one before.
    restored.rename(folder / DATABASE)
    sync_folder(folder)
    return kept if kept.exists() else None


# --- Master keys ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The master keys, newest first, and where they come from: `file` is None when they are in no file of ours.

    `is_new` tells that there was none, and the file was made just now.
    """

    keys: tuple[bytes, ...]
    file: Path | None
    is_new: bool = False

    @property
    def source(self) -> str:
        """What to name to a person."""
        return str(self.file) if self.file else "PALACE_MASTER_KEY"


def master_keys(settings: Settings, ids: Ids) -> MasterKeys:
    """The master keys of the settings, else of the key file, which is made at the first start. Raises VaultError.

    Where nothing is to be written, a key that is nowhere else takes the place of the file.
    """
    if settings.master_key:
        return MasterKeys(parse_master_keys(settings.master_key), None)
    if settings.ephemeral and settings.master_key_file:
        return MasterKeys(read_master_keys(Path(settings.master_key_file)), None)
    if settings.ephemeral:
        return MasterKeys((ids.random_bytes(KEY_BYTES),), None)
    file = master_key_file(settings)
    database = settings.data / DATABASE
    if not settings.database and database.exists() and not file.exists():
        raise VaultError(f"{file} is missing. Only it opens the secrets in {database}: put it back.")
    is_new = not file.exists()
    return MasterKeys(load_master_keys(file, ids), file, is_new)


def master_key_file(settings: Settings) -> Path:
    """Where the master key is when it does not come with the settings."""
    return Path(settings.master_key_file) if settings.master_key_file else settings.data / MASTER_KEY


def known_master_keys(settings: Settings) -> MasterKeys:
    """The master keys that are there; none is ever made. Raises VaultError."""
    if settings.master_key:
        return MasterKeys(parse_master_keys(settings.master_key), None)
    file = master_key_file(settings)
    if not file.exists():
        problem = f"{file} is missing: the master key is in no backup and no export."
        raise VaultError(f"{problem} Put the one there that belongs to them, readable by you only, and try again.")
    return MasterKeys(read_master_keys(file), file)
