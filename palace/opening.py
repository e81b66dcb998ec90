"""The store that the settings name, and the vault that opens the secrets in it."""

from palace.audit import Chain
from palace.clock import Clock
from palace.folder import DATABASE, MasterKeys, make_private_folder, master_keys
from palace.ids import Ids
from palace.metrics import Meter
from palace.sealed import open_chain, open_meeting_key
from palace.settings import Settings
from palace.storage import SqliteStore, Store
from palace.vault import Vault, VaultError


async def open_sealed(settings: Settings, meter: Meter, clock: Clock, ids: Ids) -> tuple[Store, Vault, Chain, bytes]:
    """The store, what opens the secrets in it, and the server's own keys that lie in it.

    For a database elsewhere a master key is made once that was reached.
    """
    found = None if settings.database else _keys(settings, ids)
    store = await _open_store(settings, meter)
    try:
        found = found or _keys(settings, ids)
        vault = Vault(found.keys, ids)
        try:
            chain = await open_chain(store, vault, clock, ids)
            return store, vault, chain, await open_meeting_key(store, vault, ids)
        except VaultError as error:
            raise _wrong_key(settings, found) from error
    except BaseException:
        await store.close()
        raise


def _keys(settings: Settings, ids: Ids) -> MasterKeys:
    """The master keys; the folder is made where the database or the keys lie in it, readable by its owner only."""
    lies_elsewhere = settings.database and (settings.master_key or settings.master_key_file)
    if not settings.ephemeral and not lies_elsewhere:
        make_private_folder(settings.data)
    return master_keys(settings, ids)


def _wrong_key(settings: Settings, found: MasterKeys) -> VaultError:
    """What to tell when the keys do not open what is in the database. A key file that was made just now is removed."""
    where = "All servers on one database need the same key." if settings.database else ""
    if found.file and found.is_new:
        found.file.unlink()
        return VaultError(f"{found.file} is missing. Only it opens the secrets in this database: put it there. {where}")
    database = "this database" if settings.database else settings.data / DATABASE
    problem = f"{found.source} is not the key that sealed the secrets in {database}."
    return VaultError(f"{problem} Put that key back, or the database that belongs to this one. {where}".strip())


async def _open_store(settings: Settings, meter: Meter) -> Store:
    most = settings.most_waiting_writes
    if not settings.database:
        path = None if settings.ephemeral else settings.data / DATABASE
        migrations = settings.migrate
        return SqliteStore(path, durability=settings.durability, migrations=migrations, most_waiting=most, meter=meter)
    from palace.storage.postgres import open_postgres  # Who has no PostgreSQL need not wait for its client to load.

    return await open_postgres(
        settings.database,
        most_connections=settings.database_connections,
        statement_seconds=settings.database_seconds,
        most_waiting=most,
        meter=meter,
        migrations=settings.migrate,
    )
