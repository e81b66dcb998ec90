"""The side that the settings name: PostgreSQL where there is a URL, else the file in the data folder."""

from palace.folder import DATABASE, make_private_folder, refuse_unfinished_restore
from palace.settings import Settings
from palace.transfer.sides import Side, TransferFailure
from palace.transfer.sqlite import SqliteSide


async def glance(settings: Settings) -> Side:
    """An existing database, only to look at it, whatever its schema. Raises TransferFailure and FolderInUse."""
    if settings.database:
        from palace.transfer.postgres import PostgresSide  # Who has no PostgreSQL need not wait for it to load.

        return await PostgresSide.open(settings.database)
    refuse_unfinished_restore(settings.data)
    path = settings.data / DATABASE
    if not path.exists():
        raise TransferFailure(f"There is no database in {settings.data}; name its folder with --data.")
    return SqliteSide.glance(path)


async def source(settings: Settings) -> Side:
    """An existing database with the newest schema. Raises TransferFailure and FolderInUse."""
    side = await glance(settings)
    if await side.is_unfinished():
        await side.close()
        raise unfinished(side)
    present, newest = await side.schema()
    if present != newest:
        await side.close()
        problem = f"{side.name} has schema {present}, and this version needs {newest}."
        raise TransferFailure(f"{problem} " + ("Run `palace migrate up` first." if present < newest else ""))
    return side


def unfinished(side: Side) -> TransferFailure:
    """What to say of a database that an import did not fill to its end."""
    return TransferFailure(f"An import into {side.name} is not finished: run the same `palace import` again.")


async def target(settings: Settings) -> Side:
    """A new database, or one that an import began to fill. Raises TransferFailure and NewerSchema."""
    if settings.database:
        from palace.transfer.postgres import PostgresSide

        side = await PostgresSide.open(settings.database)
        await side.bring_up_to_date()
        return side
    return SqliteSide.target(settings.data / DATABASE)


async def writable(settings: Settings) -> Side:
    """A database, made if it is a file that is not there, to bring it up to date. Raises TransferFailure."""
    if settings.database:
        return await glance(settings)
    make_private_folder(settings.data)
    return SqliteSide.writable(settings.data / DATABASE)
