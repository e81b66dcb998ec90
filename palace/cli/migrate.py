"""`palace migrate`: which schema the database has, and bringing it up to date by hand."""

from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import typer

from palace.cli.flags import with_flags
from palace.cli.opening import FOLDER, on_folder
from palace.folder import DATABASE, held
from palace.settings import Settings
from palace.storage import StorageFailure
from palace.storage.migrate import migrate, migrations, newest_schema, present_schema, refuse_newer

schema = typer.Typer(help="See which schema the database has, and bring it up to date.", no_args_is_help=True)


@schema.command("status")
@with_flags(FOLDER)
def status(flags: dict[str, Any]) -> None:
    """Show the schema of the database, the newest one, and what is missing. The exit code is 1 when something is."""

    async def look(settings: Settings) -> int:
        with closing(_opened(settings.data / DATABASE)) as connection:
            return present_schema(connection)

    present = on_folder(flags, look)
    print(f"present: {present}\nnewest:  {newest_schema()}")
    missing = [(number, script) for number, script in migrations() if number > present]
    for number, script in missing:
        print(f"missing: {number}  {_first_line(script)}")
    if missing:
        print("A server with --migrate auto applies these when it starts; else run `palace migrate up`.")
    if present != newest_schema():
        raise typer.Exit(1)


@schema.command("up")
@with_flags(FOLDER)
def up(flags: dict[str, Any]) -> None:
    """Bring the database up to date, all or nothing. The server must be stopped; make a backup first."""

    async def apply(settings: Settings) -> tuple[int, int]:
        with held(settings.data), closing(_opened(settings.data / DATABASE)) as connection:
            present = present_schema(connection)
            refuse_newer(present)
            try:
                return present, migrate(connection)
            except apsw.Error as error:
                raise StorageFailure(f"The database could not be brought up to date: {error}.") from error

    present, newest = on_folder(flags, apply, may_create=True)
    print(f"Schema {present} became {newest}." if present != newest else f"Nothing to do: schema {newest}.")


def _first_line(script: str) -> str:
    return script.split("\n", 1)[0].removeprefix("-- ")


def _opened(path: Path) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(10_000)
        connection.pragma("foreign_keys", True)
    except apsw.Error as error:
        raise StorageFailure(f"{path} cannot be opened as a database: {error}.") from error
    return connection
