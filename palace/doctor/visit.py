"""All checks, in order, and opening what they look at."""

from dataclasses import replace

from palace.app import open_services
from palace.doctor.checks import Check, Finding, Patient, note, problem
from palace.doctor.database_checks import RESTORE, check_audit, check_clock, check_indexes, check_secrets
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
from palace.folder import DATABASE
from palace.sealed import AUDIT_KEY
from palace.settings import Settings
from palace.storage import StorageFailure
from palace.transfer import TransferFailure
from palace.transfer.sqlite import SqliteSide
from palace.vault import VaultError

FIRST: tuple[Check, ...] = (check_folder, check_files, check_master_key, check_disk)
OF_KIND: dict[str, tuple[Check, ...]] = {
    "sqlite": (check_schema, check_integrity, check_durability),
    "postgresql": (check_version, check_schema, check_commits, check_connections, check_latency, check_database_clock),
}
WITH_SCHEMA: tuple[Check, ...] = (check_clock,)
OPENED: tuple[Check, ...] = (check_secrets, check_audit, check_indexes)
LAST: tuple[Check, ...] = (check_server,)
