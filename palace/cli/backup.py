"""`palace backup` and `palace restore`: one file that holds the database, made while the server runs, and put back."""

from pathlib import Path
from typing import Annotated, Any

import typer

from palace.backup import Restored, UnusableBackup, back_up, restore
from palace.cli.flags import with_flags
from palace.cli.opening import FOLDER, complain, on_folder
from palace.cli.progress import progress
from palace.files import UnusableName
from palace.folder import DATABASE, master_key_file
from palace.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="The backup.")]
MEBIBYTE = 1 << 20


@with_flags(FOLDER)
def backup_command(
    flags: dict[str, Any],
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Copy the database into one file, while the server works.

    The copy is the database as it was at one moment. The master key is not in it: keep a copy of that elsewhere.
    Without it no secret in the backup can be opened.
    """

    async def copy(settings: Settings) -> tuple[int, str]:
        _refuse_postgresql(settings)
        with progress() as begin:
            size = back_up(settings.data / DATABASE, file, begin("Copying"), may_replace=force)
        return size, "PALACE_MASTER_KEY" if settings.master_key else str(master_key_file(settings))

    try:
        size, source = on_folder(flags, copy)
    except UnusableName as error:
        complain(str(error))
    print(f"{file}: {size / MEBIBYTE:.1f} MiB, whole and synced to the disk.")
    print(f"The master key is not in it; without it the secrets do not open. Keep a copy of it elsewhere: {source}")


@with_flags(FOLDER)
def restore_command(
    flags: dict[str, Any],
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Also where a database is; it is kept beside.")] = False,
) -> None:
    """Put a backup back, after checking it.

    It becomes the database of the data folder; the server must be stopped. The master key must be in its place
    first: it is not in the backup.
    """

    async def put_back(settings: Settings) -> Restored:
        _refuse_postgresql(settings)
        with progress() as begin:
            return await restore(file, settings, begin("Copying"), may_replace=force)

    try:
        done = on_folder(flags, put_back, may_create=True)
    except UnusableBackup as error:
        complain(str(error))
    secrets = "1 secret opens" if done.secrets == 1 else f"{done.secrets} secrets open"
    print(f"Restored. The database is whole, {secrets}, the audit log is genuine: {done.audit_rows} rows.")
    if done.schema != done.newest:
        print(f"It was brought up to date: schema {done.schema} became {done.newest}.")
    if done.kept:
        print(f"What was there before is kept: {done.kept}")


def _refuse_postgresql(settings: Settings) -> None:
    if settings.database:
        problem = "This database is on PostgreSQL: use pg_dump, or a base backup with archived WAL"
        complain(f"{problem} (docs/howto/back_up.md). `palace export` works, too.")
