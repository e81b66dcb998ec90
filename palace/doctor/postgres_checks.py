"""Checks of a database on PostgreSQL, or on what speaks its protocol."""

import statistics
from collections.abc import Sequence

from palace.clock import Clock
from palace.doctor.checks import Finding, Patient, note, ok, problem
from palace.transfer import Side

OLDEST_VERSION = 130_000
ROUND_TRIPS = 21
SLOW_MILLISECONDS = 5
MAY_BE_APART = 2.0
"""seconds between the clock of the database and that of this machine"""


async def check_version(patient: Patient) -> Sequence[Finding]:
    """It is one that this server was made for, and keeps texts as UTF-8."""
    side = patient.database
    number, text, encoding = [
        await _setting(side, f) for f in ("server_version_num", "server_version", "server_encoding")
    ]
    if int(number) < OLDEST_VERSION:
        return problem("PostgreSQL", f"Its version is {text}.", "Use version 13 or newer.")
    if encoding.upper() != "UTF8":
        said = f"The encoding of the database is {encoding}."
        return problem("PostgreSQL", said, "Make another one: createdb --encoding UTF8 --template template0 NAME")
    return ok("PostgreSQL", f"Version {text}: {side.name}.")


async def check_commits(patient: Patient) -> Sequence[Finding]:
    """What is acknowledged survives a power cut."""
    side = patient.database
    if await _setting(side, "fsync") == "off":
        return problem("durability", "fsync is off: a power cut may destroy the database.", "Set fsync = on.")
    mode = await _setting(side, "synchronous_commit")
    if mode == "off":
        said = "synchronous_commit is off: a power cut may take what was acknowledged."
        return note("durability", said, "Set synchronous_commit = on where that must not be.")
    return ok("durability", f"What was acknowledged survives a power cut (synchronous_commit is {mode}).")


async def check_connections(patient: Patient) -> Sequence[Finding]:
    """There are connections for every worker of this server."""
    side = patient.database
    most = int(await _setting(side, "max_connections"))
    workers, each = patient.settings.workers, patient.settings.database_connections + 1  # One of them listens.
    wanted = workers * each
    said = f"max_connections is {most}; a server with {workers} worker{'s' * (workers > 1)} takes up to {wanted}."
    if wanted > most - 5:
        return problem("connections", said, "Raise max_connections, or give each worker fewer.")
    return ok("connections", f"{said} Count every server that works on this database.")


async def check_latency(patient: Patient) -> Sequence[Finding]:
    """A question is answered quickly."""
    side, clock = patient.database, Clock()
    took = []
    for _ in range(ROUND_TRIPS):
        began = clock.monotonic()
        await side.select("SELECT 1")
        took.append(1000 * (clock.monotonic() - began))
    said = f"A question takes {statistics.median(took):.1f} ms."
    if statistics.median(took) > SLOW_MILLISECONDS:
        return note("latency", said, "Each write asks several: put the server nearer to its database.")
    return ok("latency", said)


async def check_database_clock(patient: Patient) -> Sequence[Finding]:
    """Its clock and that of this machine agree, so that leases mean the same on every server."""
    before = Clock().now().timestamp()
    ((there,),) = await patient.database.select("SELECT extract(epoch FROM clock_timestamp())::float8")
    after = Clock().now().timestamp()
    apart = max(before - there, there - after, 0.0)  # It was read at some moment between the two.
    if apart > MAY_BE_APART:
        said = f"The clocks of the database and of this machine are {apart:.0f} seconds apart."
        return problem("clocks", said, "Keep both right with NTP.")
    return ok("clocks", f"The clocks of the database and of this machine are {apart:.1f} seconds apart.")


async def _setting(side: Side, name: str) -> str:
    return str((await side.select(f"SHOW {name}"))[0][0])
