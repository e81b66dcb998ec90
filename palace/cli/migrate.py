"""`palace migrate`: which schema the database has, and bringing it up to date by hand."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import typer

from palace.cli.flags import with_flags
from palace.cli.opening import FOLDER, complain, on_folder
from palace.folder import held
from palace.settings import Settings
from palace.storage.migrate import migrations
from palace.transfer import TransferFailure
from palace.transfer.opening import glance, unfinished, writable

T = TypeVar("T")
schema = typer.Typer(help="See which schema the database has, and bring it up to date.", no_args_is_help=True)


@schema.command("status")
@with_flags(FOLDER)
def status(flags: dict[str, Any]) -> None:
    """Show the schema of the database, the newest one, and what is missing. The exit code is 1 when something is."""

    async def look(settings: Settings) -> tuple[int, int, list[str]]:
        side = await glance(settings)
        try:
            present, newest = await side.schema()
        finally:
            await side.close()
        known = migrations("postgres" if side.kind == "postgresql" else "sqlite")
        return present, newest, [f"{number}  {_first_line(text)}" for number, text in known if number > present]

    present, newest, missing = _told(flags, look)
    print(f"present: {present}\nnewest:  {newest}")
    for text in missing:
        print(f"missing: {text}")
    if missing:
        print("A server with --migrate auto applies these when it starts; else run `palace migrate up`.")
    if present != newest:
        raise typer.Exit(1)


@schema.command("up")
@with_flags(FOLDER)
def up(flags: dict[str, Any]) -> None:
    """Bring the database up to date, all or nothing. On SQLite the server must be stopped. Make a backup first."""

    async def apply(settings: Settings) -> tuple[int, int]:
        with nullcontext() if settings.database else held(settings.data):
            side = await writable(settings)
            try:
                if await side.is_unfinished():
                    raise unfinished(side)
                present, newest = await side.schema()
                await side.bring_up_to_date()
                return present, newest
            finally:
                await side.close()

    present, newest = _told(flags, apply)
    print(f"Schema {present} became {newest}." if present != newest else f"Nothing to do: schema {newest}.")


def _first_line(script: str) -> str:
    return script.split("\n", 1)[0].removeprefix("-- ")


def _told(flags: dict[str, Any], work: Callable[[Settings], Awaitable[T]]) -> T:
    try:
        return on_folder(flags, work, may_create=True)
    except TransferFailure as error:
        complain(str(error))
