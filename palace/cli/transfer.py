"""`palace export` and `palace import`: everything as one file, and such a file as a new database of either kind."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from palace.cli.flags import with_flags
from palace.cli.opening import FOLDER, complain, on_folder
from palace.cli.progress import progress
from palace.clock import Clock
from palace.files import UnusableName
from palace.folder import held, known_master_keys
from palace.ids import Ids
from palace.settings import Settings
from palace.transfer import Imported, TransferFailure, UnusableExport, export, import_file
from palace.transfer.opening import source, target
from palace.vault import Vault

T = TypeVar("T")
File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="The export.")]


@with_flags(FOLDER)
def export_command(
    flags: dict[str, Any],
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write everything into one file, while servers work.

    The file has lines of JSON, in gzip. Secrets stay sealed in it, and the master key is not in it. The file is
    readable by you only.
    """

    async def write(settings: Settings) -> str:
        side = await source(settings)
        try:
            with progress() as begin:
                header = await export(side, file, begin("Exporting"), Clock(), may_replace=force)
        finally:
            await side.close()
        return f"{file}: {header.total} rows, {header.counts['documents']} of them objects."

    print(_told(flags, write))
    print("The master key is not in it: take that along, too, by another way.")


@with_flags(FOLDER)
def import_command(flags: dict[str, Any], file: File) -> None:
    """Make an export a new database.

    Broken off, it goes on when the same command is run again. The master key of the database that was exported must
    be in its place first.
    """

    async def bring(settings: Settings) -> Imported:
        with held(settings.data):
            vault = Vault(known_master_keys(settings).keys, Ids())
            side = await target(settings)
            try:
                with progress() as begin:
                    tells = begin("Checking"), begin("Importing"), begin("Comparing")
                    return await import_file(file, side, vault, tells)
            finally:
                await side.close()

    done = _told(flags, bring, may_create=True)
    if done.resumed_at:
        print(f"Went on behind {done.resumed_at} rows that were there already.")
    print(f"Imported {done.rows} rows and compared each of them; {done.secrets} secrets open with the master key.")


def _told(flags: dict[str, Any], work: Callable[[Settings], Awaitable[T]], *, may_create: bool = False) -> T:
    try:
        return on_folder(flags, work, may_create=may_create)
    except (UnusableName, TransferFailure, UnusableExport) as error:
        complain(str(error))
