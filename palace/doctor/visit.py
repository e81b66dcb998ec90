"""All checks, in order, and opening what they look at."""

from dataclasses import replace

from palace.app import open_services
from palace.doctor.checks import Check, Finding, Patient, note, problem
from palace.doctor.database_checks import check_audit, check_clock, check_indexes, check_secrets
from palace.doctor.folder_checks import check_disk, check_files, check_folder, check_master_key
from palace.doctor.server_checks import check_server
from palace.doctor.sqlite_checks import check_durability, check_integrity, check_schema
from palace.folder import DATABASE
from palace.sealed import AUDIT_KEY
from palace.settings import Settings
from palace.storage import StorageFailure
from palace.transfer import TransferFailure
from palace.transfer.sqlite import SqliteSide
from palace.vault import VaultError

FIRST: tuple[Check, ...] = (check_folder, check_files, check_master_key, check_disk)
WITH_DATABASE: tuple[Check, ...] = (check_schema, check_integrity, check_durability, check_clock)
OPENED: tuple[Check, ...] = (check_secrets, check_audit, check_indexes)
LAST: tuple[Check, ...] = (check_server,)


async def examine(settings: Settings, url: str = "", key: str = "") -> list[Finding]:
    """What all checks find. Nothing is made, changed or brought up to date."""
    patient = Patient(settings, url, key)
    found = [Finding("settings", "ok", "Each can be used.")]
    found += await _carry_out(FIRST, patient)
    try:
        found += await _open_side(patient)
        found += await _carry_out(WITH_DATABASE, patient)
        if patient.side is not None and not any(finding.state == "problem" for finding in found if _is_vital(finding)):
            found += await _open_services(patient)
            found += await _carry_out(OPENED, patient)
    finally:
        if patient.services is not None:
            await patient.services.store.close()
        if patient.side is not None:
            await patient.side.close()
    return found + await _carry_out(LAST, patient)


def _is_vital(finding: Finding) -> bool:
    """Whether opening the database for real would change or make something, or fail, after a problem with this."""
    return finding.name in ("master key", "schema", "database", "integrity")


async def _carry_out(checks: tuple[Check, ...], patient: Patient) -> list[Finding]:
    found: list[Finding] = []
    for check in checks:
        try:
            found += await check(patient)
        except (TransferFailure, StorageFailure, OSError) as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            found += problem(name, str(error), "See whether the disk is in order.")
    return found


async def _open_side(patient: Patient) -> list[Finding]:
    path = patient.settings.data / DATABASE
    if not path.exists():
        return problem(
            "database", f"There is no database at {path}.", "Start the server, or name its folder with --data."
        )
    try:
        patient.side = SqliteSide.glance(path)
    except TransferFailure as error:
        return problem("database", str(error), "Stop the server, and restore a backup: palace restore FILE --force")
    return []


async def _open_services(patient: Patient) -> list[Finding]:
    assert patient.side is not None
    if not await patient.side.select(f"SELECT name FROM server_secrets WHERE name = '{AUDIT_KEY}'"):
        return note("audit log", "It has not begun.", "Start the server: it begins then.")  # As opening it would, too.
    try:
        patient.services = await open_services(replace(patient.settings, migrate="manual"))  # Writes nothing then.
    except (VaultError, StorageFailure, OSError) as error:
        return problem("secrets", str(error), "Put back the master key that belongs to this database.")
    return []
