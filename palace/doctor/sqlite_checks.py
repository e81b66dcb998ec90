"""Checks of a SQLite file."""

from collections.abc import Sequence

from palace.doctor.checks import Finding, Patient, note, ok, problem
from palace.doctor.database_checks import RESTORE


async def check_integrity(patient: Patient) -> Sequence[Finding]:
    """SQLite finds the file whole, and every reference leads somewhere."""
    found = await patient.database.damages()
    if found:
        return problem("integrity", f"The file is damaged: {found[0]}.", RESTORE)
    return ok("integrity", "The file is whole, and no row refers to nothing.")


async def check_durability(patient: Patient) -> Sequence[Finding]:
    """What is acknowledged survives a power cut."""
    ((mode,),) = await patient.database.select("PRAGMA journal_mode")
    if mode != "wal":
        return problem("durability", f"The journal mode is {mode}.", "Start the server once: it makes it wal.")
    if patient.settings.durability != "full":
        said = "--durability normal: a power cut may take the last seconds."
        return note("durability", said, "Use --durability full where that must not be.")
    return ok("durability", "What was acknowledged survives a power cut.")
