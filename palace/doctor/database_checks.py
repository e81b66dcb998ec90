"""Checks of what the database holds; those of one kind of database say nothing about the other."""

import json
from collections.abc import Sequence
from datetime import timedelta

from palace.audit_log import last_rows
from palace.clock import Clock, parse_moment
from palace.doctor.checks import Finding, Patient, note, ok, problem
from palace.links import labels_of, uses_of
from palace.resources import RESOURCES
from palace.sealed import refuse_what_does_not_open
from palace.vault import VaultError

RESTORE = "Stop the server, and restore a backup: palace restore FILE --force"
SAMPLE = 200
"""documents, newest first, whose entries in the indexes are compared"""
MAY_BE_AHEAD = timedelta(seconds=2)
BY_KIND = {resource.kind: resource for resource in RESOURCES}


async def check_schema(patient: Patient) -> Sequence[Finding]:
    """It is the newest one."""
    if await patient.database.is_unfinished():
        return problem("schema", "An import into the database is not finished.", "Run the same `palace import` again.")
    present, newest = await patient.database.schema()
    if present > newest:
        said = f"The database has schema {present}, this version knows schemas up to {newest}."
        return problem("schema", said, "Run the version of Palace that wrote it, or a newer one.")
    if present < newest:
        said = f"The database has schema {present}, the newest one is {newest}."
        return problem("schema", said, "Run: palace migrate up (or start the server with --migrate auto)")
    return ok("schema", f"{present}, the newest one.")


async def check_secrets(patient: Patient) -> Sequence[Finding]:
    """The master key opens everything."""
    try:
        await refuse_what_does_not_open(patient.opened)
    except VaultError as error:
        return problem("secrets", str(error), "Put back the master key that sealed it.")
    return ok("secrets", f"Each of the {len(await patient.opened.store.reading.all_secrets())} opens.")


async def check_audit(patient: Patient) -> Sequence[Finding]:
    """The log ends where it should."""
    rows = await last_rows(patient.opened)
    if rows is None:
        return problem("audit log", "Its end is not as it was written.", "See: palace audit verify")
    if patient.opened.audit is None:
        return note("audit log", "It is switched off (--no-audit).", "Changes are not logged until it is on again.")
    ends = ", ".join(str(row.seq) for row in rows)
    return ok("audit log", f"It ends with row {ends}, as it should; `palace audit verify` checks every row.")


NEWEST = (
    "SELECT at FROM audit_heads JOIN audit ON audit.chain = audit_heads.chain AND audit.seq = audit_heads.seq",
    "SELECT updated_at FROM (SELECT updated_at, deleted_at FROM documents "
    f"ORDER BY seq DESC LIMIT {SAMPLE}) AS newest WHERE deleted_at IS NULL",
)
"""The last row of each chain of the audit log, and the documents that were made last: found by their keys, however many
there are. Times have no index, as nothing else asks for the latest one.
"""


async def check_clock(patient: Patient) -> Sequence[Finding]:
    """Nothing was written later than now, as far as the newest rows tell."""
    rows = [row for query in NEWEST for row in await patient.database.select(query)]
    newest = max((row[0] for row in rows if row[0]), default=None)
    if newest is None:
        return []
    ahead = parse_moment(newest) - Clock().now()
    if ahead > MAY_BE_AHEAD:
        said = f"The newest row is from {newest}, which is to come."
        return problem("clock", said, "Set the clock of this machine; keep it right with NTP.")
    return ok("clock", f"The newest row is from {newest}.")


async def check_indexes(patient: Patient) -> Sequence[Finding]:
    """A sample of documents has the entries in both indexes that follow from it."""
    rows = await patient.database.select(f"SELECT seq, kind, id, body FROM documents ORDER BY seq DESC LIMIT {SAMPLE}")
    numbers = ", ".join(str(row[0]) for row in rows) or "0"
    found = set(await _entries(patient, f"SELECT document, kind, id, pointer FROM uses WHERE document IN ({numbers})"))
    found |= set(await _entries(patient, f"SELECT document, label, value FROM labels WHERE document IN ({numbers})"))
    for seq, kind, id, body in rows:
        resource, document = BY_KIND[kind], json.loads(body)
        wanted: set[tuple[object, ...]] = {(seq, *use) for use in uses_of(resource.references, document)}
        wanted |= {(seq, *label) for label in labels_of(resource.labels.items(), document)}
        if wanted != {entry for entry in found if entry[0] == seq}:
            said = f"What is indexed of {kind} {id} does not follow from it: lists and references may be wrong."
            return problem("indexes", said, f"This is a bug or damage: please report it. {RESTORE}")
    return ok("indexes", f"Those of {len(rows)} objects agree with them.")


async def _entries(patient: Patient, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await patient.database.select(sql)]
