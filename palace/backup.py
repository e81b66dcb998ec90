"""Copies of a live SQLite database, and putting one back (docs/decisions/0019-backup.md).

A copy is made page by page inside one read transaction: it is the database as it was at one moment, and writers neither
wait for it nor make it begin anew.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import apsw

from palace import __version__
from palace.app import open_services
from palace.audit import Deed
from palace.audit_log import check_log
from palace.clock import Clock, timestamp
from palace.files import appearing, sync_file
from palace.folder import (
    DATABASE,
    MasterKeys,
    finish_restores,
    held,
    known_master_keys,
    new_restored,
    refuse_unfinished_restore,
)
from palace.resource import Services
from palace.sealed import refuse_what_does_not_open
from palace.settings import Settings
from palace.storage import StorageFailure
from palace.storage.damages import damages
from palace.storage.migrate import newest_schema, present_schema, refuse_newer
from palace.vault import VaultError

PAGES_AT_ONCE = 256
BUSY_MILLISECONDS = 10_000
STAGING = "restoring"
"""Folder in the data folder in which a backup is checked before it takes the place of the database."""

Tell = Callable[[int, int], None]
"""Is told how much is done, and of how much."""


class UnusableBackup(Exception):
    """The file is no backup, or one that is damaged or not of this installation."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back. `kept` is where the database is that was there before; `schema` that of the backup."""

    schema: int
    newest: int
    secrets: int
    audit_rows: int
    kept: Path | None


# --- Backing up -------------------------------------------------------------------------------------------------------


def back_up(database: Path, target: Path, tell: Tell, *, may_replace: bool = False) -> int:
    """Write the database, as it is at one moment, into one file; return its size in bytes. A server may be writing.

    Raises UnusableName, FolderInUse while a restore is not finished, OSError, and StorageFailure when the database
    cannot be read or is damaged.
    """
    refuse_unfinished_restore(database.parent)
    with appearing(target, may_replace=may_replace) as beside:
        with (
            _translated(f"{database} cannot be copied"),
            closing(_open(database, apsw.SQLITE_OPEN_READWRITE)) as source,
        ):
            _copy(source, beside, tell)
        _refuse_damaged(beside, StorageFailure)
        return beside.stat().st_size


def _copy(source: apsw.Connection, target: Path, tell: Tell) -> None:
    with closing(_open(target, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)) as copy:
        copy.pragma("synchronous", "off")  # The whole file is synced at its end.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # From here on it is one state.
        with copy.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(PAGES_AT_ONCE)
                tell(backup.page_count - backup.remaining, backup.page_count)
        source.execute("COMMIT")
        copy.pragma("journal_mode", "delete")  # One file, with nothing beside it.


# --- Putting back -----------------------------------------------------------------------------------------------------


async def restore(file: Path, settings: Settings, tell: Tell, *, may_replace: bool = False) -> Restored:
    """Make a backup the database of a data folder, brought up to the newest schema, when everything about it is right.

    It is checked first: that it is whole, of a schema that is known, that the master key opens every secret in it, and
    that its audit log is genuine. What was there is kept beside it. Raises UnusableBackup, FolderInUse, VaultError,
    StorageFailure and OSError; nothing is changed then, unless the disk fails while the two are exchanged: whoever
    holds the folder next finishes that.
    """
    if not file.is_file():
        raise UnusableBackup(f"There is no file {file}.")
    database = settings.data / DATABASE
    with held(settings.data) as has_finished_another:
        if database.exists() and not may_replace:
            raise _in_the_way(settings.data, has_finished_another=has_finished_another)
        keys = known_master_keys(settings)
        staging = settings.data / STAGING
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        try:
            schema = _stage(file, staging / DATABASE, tell)
            inside = replace(settings, data=staging, durability="full", migrate="auto")
            if keys.file:
                inside = replace(inside, master_key_file=str(keys.file))
            secrets, rows = await _check(inside, keys)
            kept = _exchange(staging / DATABASE, settings.data)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return Restored(schema, newest_schema(), secrets, rows, kept)


def _in_the_way(folder: Path, *, has_finished_another: bool) -> UnusableBackup:
    if has_finished_another:
        problem = f"A restore into {folder} was broken off; it is finished now, and its database is there."
        return UnusableBackup(f"{problem} To put this file there instead, add --force: what is there is kept.")
    problem = f"There is a database in {folder} already."
    return UnusableBackup(f"{problem} Name another folder with --data, or add --force: what is there is kept.")


def _stage(file: Path, staged: Path, tell: Tell) -> int:
    with (
        _translated(f"{file} is no backup of Palace", UnusableBackup),
        closing(_open(file, apsw.SQLITE_OPEN_READONLY)) as source,
    ):
        schema = present_schema(source)
        if schema == 0:
            raise UnusableBackup(f"{file} is no backup of Palace: it has no schema.")
        refuse_newer(schema)
        _copy(source, staged, tell)
    _refuse_damaged(staged, UnusableBackup)
    return schema


async def _check(settings: Settings, keys: MasterKeys) -> tuple[int, int]:
    """How many secrets there are, each of which opens, and how many rows the log has, each of which is genuine."""
    try:
        services = await open_services(settings)
    except VaultError as error:
        problem = f"{keys.source} is not the key that sealed the secrets in the backup. Nothing was changed."
        raise VaultError(f"{problem} Put the key that belongs to the backup in its place.") from error
    try:
        await refuse_what_does_not_open(services)
        checks, findings = await check_log(services)
        if findings:
            raise UnusableBackup(f"The audit log in the backup is not genuine: {findings[0].text}")
        await _log_restore(services)
        return len(await services.store.reading.all_secrets()), sum(check.count for check in checks)
    finally:
        await services.store.close()


async def _log_restore(services: Services) -> None:
    deed = Deed(timestamp(Clock().now()), 0, None, "restore", "server", __version__)
    await services.store.transact(lambda tx: tx.add_audit(deed, services.audit))


def _exchange(staged: Path, folder: Path) -> Path | None:
    sync_file(staged)
    staged.rename(new_restored(folder))  # From here on the restore is finished, by this process or by the next.
    (kept,) = finish_restores(folder)
    return kept


# --- Opening ----------------------------------------------------------------------------------------------------------


def _open(path: Path, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    return connection


def _refuse_damaged(path: Path, failure: type[Exception]) -> None:
    with _translated("The copy cannot be read", failure), closing(_open(path, apsw.SQLITE_OPEN_READONLY)) as copy:
        found = damages(copy)
    if found:
        raise failure(f"The database is damaged ({found[0]}). Nothing was written; restore an earlier backup.")


@contextmanager
def _translated(problem: str, failure: type[Exception] = StorageFailure) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise failure(f"{problem}: {error}.") from error
