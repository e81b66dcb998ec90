"""All checks, in order, and opening what they look at."""

from dataclasses import replace

from palace.app import open_services
from palace.doctor.checks import Check, Finding, Patient, note, problem
from palace.doctor.database_checks import check_audit, check_clock, check_indexes, check_schema, check_secrets
from palace.doctor.folder_checks import check_disk, check_files, check_folder, check_master_key
from palace.doctor.postgres_checks import (
    check_commits,
    check_connections,
    check_database_clock,
    check_latency,
    check_version,
)
from palace.doctor.server_checks import check_server
from palace.doctor.sqlite_checks import check_durability, check_integrity
from palace.folder import FolderInUse
from palace.sealed import AUDIT_KEY, CHAINS
from palace.settings import Settings
from palace.storage import StorageFailure
from palace.transfer import TransferFailure
from palace.transfer.opening import glance
from palace.vault import VaultError

FIRST: tuple[Check, ...] = (check_folder, check_files, check_master_key, check_disk)
OF_KIND: dict[str, tuple[Check, ...]] = {
    "sqlite": (check_schema, check_integrity, check_durability),
    "postgresql": (check_version, check_schema, check_commits, check_connections, check_latency, check_database_clock),
}
WITH_SCHEMA: tuple[Check, ...] = (check_clock,)
OPENED: tuple[Check, ...] = (check_secrets, check_audit, check_indexes)
LAST: tuple[Check, ...] = (check_server,)
VITAL = ("master key", "schema", "database", "integrity", "PostgreSQL")
"""After a problem with one of these the database is not opened: that would fail, or make or change something."""


async def examine(settings: Settings, url: str = "", key: str = "") -> list[Finding]:
    """What all checks find. Nothing is made, changed or brought up to date."""
    patient = Patient(settings, url, key)
    found = [Finding("settings", "ok", "Each can be used."), *await _carry_out(FIRST, patient)]
    try:
        found += await _look_at_database(patient)
        if patient.side is not None and not any(it.state == "problem" and it.name in VITAL for it in found):
            found += await _carry_out(WITH_SCHEMA, patient)
            found += await _open_services(patient)
        if patient.services is not None:
            found += await _carry_out(OPENED, patient)
    finally:
        if patient.services is not None:
            await patient.services.store.close()
        if patient.side is not None:
            await patient.side.close()
    return found + await _carry_out(LAST, patient)


async def _carry_out(checks: tuple[Check, ...], patient: Patient) -> list[Finding]:
    found: list[Finding] = []
    for check in checks:
        try:
            found += await check(patient)
        except (TransferFailure, StorageFailure, OSError) as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            found += problem(name, str(error), "See whether the disk, or the connection, is in order.")
    return found


async def _look_at_database(patient: Patient) -> list[Finding]:
    try:
        patient.side = await glance(patient.settings)
    except TransferFailure as error:
        where = "--database" if patient.settings.database else "--data"
        return problem("database", str(error), f"Name the right one with {where}; start it, or restore a backup.")
    except FolderInUse as error:
        return problem("database", str(error), "Do that; the database from before is kept beside.")
    return await _carry_out(OF_KIND[patient.side.kind], patient)


async def _open_services(patient: Patient) -> list[Finding]:
    has_key = await patient.database.select(f"SELECT name FROM server_secrets WHERE name = '{AUDIT_KEY}'")
    chains = await patient.database.select("SELECT chain FROM audit_heads")
    if not has_key or len(chains) < (CHAINS if patient.settings.database else 1):  # Opening it would begin them.
        return note("audit log", "It has not begun.", "Start a server: it begins then.")
    try:
        patient.services = await open_services(replace(patient.settings, migrate="manual"))  # Writes nothing then.
    except (VaultError, StorageFailure, OSError) as error:
        return problem("secrets", str(error), "Put back the master key that belongs to this database.")
    return []
