"""Changing the master key: everything sealed is sealed anew (docs/decisions/0010-rotation.md)."""

from dataclasses import dataclass, replace

from palace.app import open_services
from palace.folder import MasterKeys, held, master_keys
from palace.ids import Ids
from palace.resource import Services
from palace.sealed import refuse_what_does_not_open, reseal
from palace.settings import Settings
from palace.vault import KEY_BYTES, Vault, VaultError, write_master_keys


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a rotation of the master key went. `unfinished` tells that an earlier one was completed."""

    secrets: int
    source: str
    is_file: bool
    unfinished: bool
    is_shared: bool


async def rotate_master(settings: Settings, *, no_server_runs: bool = False) -> Rotation:
    """Make a new master key, seal everything anew with it and drop the old one; finish a rotation that was broken off.

    Whenever it is broken off, the key file holds a key that opens everything. Where the keys come with the settings,
    everything is sealed with the first of them. Raises FolderInUse, VaultError, OSError and StorageFailure.

    No server may run meanwhile: it would go on to seal with the old key. Where the database cannot tell, the word of
    who says `no_server_runs` counts.
    """
    ids = Ids()
    with held(settings.data):
        found = master_keys(settings, ids)
        unfinished = found.file is not None and len(found.keys) > 1
        if found.file is None and len(found.keys) == 1:
            problem = "PALACE_MASTER_KEY holds one key only, so there is none to change to."
            raise VaultError(f"{problem} Put a new one before it, with a comma between, and run this again.")
        # Nothing may be lost with the old key: what was sealed anew must be on disk before.
        services = await open_services(replace(settings, durability="full"))
        try:
            async with services.store.alone(unproven=no_server_runs):
                count = await _reseal(services, found, ids, may_make=not unfinished)
        finally:
            await services.store.close()
    return Rotation(count, found.source, found.file is not None, unfinished, bool(settings.database))


async def _reseal(services: Services, found: MasterKeys, ids: Ids, *, may_make: bool) -> int:
    await refuse_what_does_not_open(services)
    keys = found.keys
    if found.file and may_make:
        keys = (ids.random_bytes(KEY_BYTES), *keys)
        write_master_keys(found.file, keys)
    count = await reseal(replace(services, vault=Vault(keys, ids)))
    if found.file:
        write_master_keys(found.file, keys[:1])
    return count
