"""The data folder: what lies in it, that one server at a time works on it, and which master keys belong to it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from palace.ids import Ids
from palace.settings import Settings
from palace.vault import KEY_BYTES, VaultError, load_master_keys, parse_master_keys, read_master_keys

DATABASE = "palace.db"
MASTER_KEY = "master.key"
FIRST_KEY = "first-api.key"
LOCK = "palace.lock"
PRIVATE = 0o077
"""Files that the server makes are readable by its own user only."""


class FolderInUse(Exception):
    """A server works on the data folder, or its master key is being rotated."""


def make_private_folder(folder: Path) -> None:
    """Make sure that the folder exists; it and whatever this process makes is readable by its owner only."""
    os.umask(PRIVATE)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep the data folder for this process until the end of the block; a crash gives it back. Raises FolderInUse."""
    make_private_folder(folder)
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(f"The folder {folder} is in use by a server: stop that one first.") from error
        yield


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
