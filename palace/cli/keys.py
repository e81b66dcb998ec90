"""`palace keys`: make, list and revoke API keys, also while a server runs on the data folder; change the master key."""

from typing import Annotated, Any

import typer
from rich.table import Table

from palace.accounts import FIRST_ACCOUNT, add_key, ensure_account, revoke_key
from palace.cli.flags import with_flags
from palace.cli.opening import FOLDER, complain, on_folder, with_services
from palace.cli.remote import console, printable
from palace.resource import Services
from palace.rotation import Rotation, rotate_master

keys = typer.Typer(help="Make, list and revoke API keys; change the master key.", no_args_is_help=True)


@keys.command("create")
@with_flags(FOLDER)
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

    print(with_services(flags, make, may_create=True))


@keys.command("list")
@with_flags(FOLDER)
def list_keys(flags: dict[str, Any]) -> None:
    """List all keys: their ids, never the keys themselves."""
    rows = with_services(flags, lambda services: services.store.reading.list_keys())
    table = Table("id", "key", "account", "label", "created", "revoked", box=None)
    for row in rows:
        shown = (row.key_id, row.hint, row.account_name, row.label, row.created_at, row.revoked_at or "")
        table.add_row(*map(printable, shown))
    console().print(table)


@keys.command("revoke")
@with_flags(FOLDER)
def revoke(flags: dict[str, Any], key_id: Annotated[str, typer.Argument(help="An id of `palace keys list`.")]) -> None:
    """End a key: from now on it opens nothing."""
    if not with_services(flags, lambda services: revoke_key(key_id, services)):
        complain(f"there is no working key with the id {key_id}; see `palace keys list`.")
    print(f"Revoked {key_id}.")


@keys.command("rotate-master")
@with_flags(FOLDER)
def rotate(
    flags: dict[str, Any],
    no_server_runs: Annotated[
        bool,
        typer.Option("--no-server-runs", help="You know that none does, where the database cannot tell (CockroachDB)."),
    ] = False,
) -> None:
    """Make a new master key and seal every secret anew with it. No server may run.

    Broken off, it leaves everything working; run it again to finish.
    """
    rotated = on_folder(flags, lambda settings: rotate_master(settings, no_server_runs=no_server_runs))
    print(_told(rotated))
    if rotated.is_shared:
        print("Other servers on this database need the same: change their keys before you start them.")


def _told(rotation: Rotation) -> str:
    secrets = "1 secret was" if rotation.secrets == 1 else f"{rotation.secrets} secrets were"
    if not rotation.is_file:
        return (
            f"{secrets} sealed anew with the first key of {rotation.source}; the others can be removed from it now.\n"
            "Backups from before need the old keys: keep those with them, or make a new backup."
        )
    how = "A rotation that was broken off is finished" if rotation.unfinished else "The master key is a new one"
    return (
        f"{how}: {secrets} sealed anew, and {rotation.source} holds the new key only.\n"
        "Backups from before need the key from before: keep it with them, or make a new backup."
    )
