"""The audit log as it lies in the store, read from one and the same state of the database, and checked."""

from palace.audit import Check, Expected, Finding, Row
from palace.resource import Services


async def check_log(services: Services, expected: Expected | None = None) -> tuple[Check, list[Finding]]:
    """Every row checked: how far that came, and everything that is wrong."""
    reading, findings = services.store.reading, []
    async with reading.snapshot():
        check = Check(services.chain, await reading.audit_head(), expected)
        async for row in reading.audit_rows():
            findings += check.feed(row)
    return check, findings + check.finish()


async def last_row(services: Services) -> Row | None:
    """The row that the head proves to be the last one; None when it proves nothing."""
    reading = services.store.reading
    async with reading.snapshot():
        end = await reading.audit_head()
        rows = [row async for row in reading.audit_rows(end.seq)] if end else []
    return rows[0] if rows and services.chain.head(rows[0].seq, rows[0].mac) == end else None
