"""`palace keys`: make, list and revoke API keys in a data folder, also while a server runs on it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from palace.accounts import FIRST_ACCOUNT, add_key, ensure_account
from palace.app import DATABASE, open_services, settings_from
from palace.cli.flags import with_flags
from palace.clock import timestamp
from palace.resource import Services
from palace.settings import InvalidSetting
from palace.storage import StorageFailure
from palace.storage.migrate import NewerSchema
from palace.vault import VaultError

T = TypeVar("T")
AccountName = Annotated[str, typer.Option(help="The account that the key opens; made if it does not exist.")]

keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


def _with_services(flags: dict[str, Any], work: Callable[[Services], Awaitable[T]], *, may_create: bool = False) -> T:
    async def run() -> T:
        settings = settings_from(flags)
        if not may_create and not (settings.data / DATABASE).exists():
            raise StorageFailure(f"There is no database in {settings.data}; name its folder with --data.")
        services = open_services(settings)
        try:
            return await work(services)
        finally:
            await services.store.close()

    try:
        return asyncio.run(run())
    except (InvalidSetting, StorageFailure, NewerSchema, VaultError, OSError) as error:
        typer.echo(f"palace: {error}", err=True)
        raise typer.Exit(1) from error


@keys.command("create")
@with_flags(["data"])
def create(
    flags: dict[str, Any],
    account: Annotated[
        str, typer.Option(help="The account that the key opens; made if it does not exist.")
    ] = FIRST_ACCOUNT,
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
) -> None:
    """Make a key and print it. It is shown this once and cannot be shown again."""

    async def make(services: Services) -> str:
        number, _ = await ensure_account(account, services)
        return await add_key(number, label, services)

    print(_with_services(flags, make, may_create=True))


@keys.command("list")
@with_flags(["data"])
def list_keys(flags: dict[str, Any]) -> None:
    """List all keys: their ids, never the keys themselves."""
    rows = _with_services(flags, lambda services: services.store.reading.list_keys())
    table = Table("id", "key", "account", "label", "created", "revoked", box=None)
    for row in rows:
        table.add_row(row.key_id, row.hint, row.account_name, row.label, row.created_at, row.revoked_at or "")
    Console().print(table)


@keys.command("revoke")
@with_flags(["data"])
def revoke(flags: dict[str, Any], key_id: Annotated[str, typer.Argument(help="An id of `palace keys list`.")]) -> None:
    """End a key: from now on it opens nothing."""

    async def end(services: Services) -> bool:
        now = timestamp(services.clock.now())
        return await services.store.transact(lambda tx: tx.revoke_key(key_id, now))

    if not _with_services(flags, end):
        typer.echo(f"palace: there is no working key with the id {key_id}; see `palace keys list`.", err=True)
        raise typer.Exit(1)
    print(f"Revoked {key_id}.")
