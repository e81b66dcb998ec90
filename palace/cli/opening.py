"""What commands on a data folder have in common: they open it, do one thing, and tell a problem in one line."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import typer

from palace.app import open_services, settings_from
from palace.folder import FolderInUse, has_database
from palace.resource import Services
from palace.settings import InvalidSetting, Settings
from palace.storage import StorageFailure
from palace.storage.migrate import NewerSchema, OlderSchema
from palace.vault import VaultError

T = TypeVar("T")
FOLDER = ("data", "master_key_file", "database")
"""The settings that say where the database and its master key are."""


def complain(problem: str) -> NoReturn:
    """End the command with this problem and exit code 1."""
    typer.echo(f"palace: {problem}", err=True)
    raise typer.Exit(1)


def on_folder(flags: dict[str, Any], work: Callable[[Settings], Awaitable[T]], *, may_create: bool = False) -> T:
    """What `work` makes of the data folder that the flags or the environment name. Problems end the command."""

    async def run() -> T:
        settings = settings_from(flags)
        if settings.ephemeral:
            problem = "PALACE_EPHEMERAL is set, so there is no data folder to work on."
            raise StorageFailure(f"{problem} Unset it to work on the one that --data names.")
        if not may_create and not settings.database and not has_database(settings.data):
            raise StorageFailure(f"There is no database in {settings.data}; name its folder with --data.")
        return await work(settings)

    try:
        return asyncio.run(run())
    except BrokenPipeError:  # Whoever read the output has seen enough: no problem of the folder.
        raise
    except (InvalidSetting, FolderInUse, StorageFailure, NewerSchema, OlderSchema, VaultError) as error:
        complain(str(error))
    except OSError as error:
        complain(f"{error.filename} cannot be used: {error.strerror}." if error.filename else str(error))


def with_services(flags: dict[str, Any], work: Callable[[Services], Awaitable[T]], *, may_create: bool = False) -> T:
    """What `work` makes of the opened data folder, also while a server runs on it. Problems end the command."""

    async def opened(settings: Settings) -> T:
        services = await open_services(settings)
        try:
            return await work(services)
        finally:
            await services.store.close()

    return on_folder(flags, opened, may_create=may_create)
