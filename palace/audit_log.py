"""The audit log as it lies in the store, read from one and the same state of the database, and checked."""

from palace.audit import Check, Expected, Finding, Row
from palace.resource import Services
from palace.sealed import AUDIT, BEGIN, CHAIN_PREFIX


async def check_log(services: Services, expected: Expected | None = None) -> tuple[list[Check], list[Finding]]:
    """Every row of every chain checked: how far that came in each, and everything that is wrong.

    The first chain tells which others there must be.
    """
    checks: list[Check] = []
    findings: list[Finding] = []
    async with services.store.reading.snapshot() as tx:
        heads = {head.chain: head for head in await tx.audit_heads()}
        numbers = [0, *sorted(heads.keys() - {0})]
        for number in numbers:
            check = Check(services.chain, heads.get(number), None if number else expected, number)
            async for row in tx.audit_rows(number):
                findings += check.feed(row)
                begun = None if number else _begun(row)
                if begun is not None and begun not in numbers:
                    numbers.append(begun)
            findings += check.finish()
            checks.append(check)
    return checks, findings


def _begun(row: Row) -> int | None:
    """The chain whose beginning the row tells of."""
    deed = row.deed
    if (deed.action, deed.kind) == (BEGIN, AUDIT) and deed.id.startswith(CHAIN_PREFIX):
        return int(deed.id.removeprefix(CHAIN_PREFIX))
    return None


async def last_rows(services: Services) -> list[Row] | None:
    """The rows that the heads prove to be the last ones of their chains; None when one of them proves nothing."""
    found = []
    async with services.store.reading.snapshot() as tx:
        heads = await tx.audit_heads()
        for head in heads:
            rows = [row async for row in tx.audit_rows(head.chain, head.seq)]
            if head.seq == 0 and not rows:
                continue
            if not rows or services.chain.head(rows[0].seq, rows[0].mac, head.chain) != head:
                return None
            found.append(rows[0])
    return found or None
