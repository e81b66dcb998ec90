"""The audit log as it lies in the store: checked from one and the same state of the database, and read in order."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

from palace.audit import Check, Expected, Finding, Row
from palace.resource import Services
from palace.sealed import AUDIT, BEGIN, CHAIN_PREFIX

NOTHING_EXPECTED: Mapping[int, Expected] = {}
BEGUN = re.compile(re.escape(CHAIN_PREFIX) + "([0-9]{1,18})")


async def check_log(
    services: Services, expected: Mapping[int, Expected] = NOTHING_EXPECTED
) -> tuple[list[Check], list[Finding]]:
    """Every row of every chain checked: how far that came in each, and everything that is wrong.

    Which chains there must be is told by rows of the log. So a chain is missed that was taken away as a whole, with its
    head; also when a server has begun it anew since, as its beginning is then told twice. `expected` are rows that an
    earlier check printed, by their chains.
    """
    checks: list[Check] = []
    findings: list[Finding] = []
    async with services.store.reading.snapshot() as tx:
        heads = {head.chain: head for head in await tx.audit_heads()}
        others = {*heads, *await tx.audit_chains(), *expected} - {0}
        numbers, told = [0, *sorted(others)], set[int]()
        for number in numbers:  # It grows meanwhile.
            check = Check(services.chain, heads.get(number), expected.get(number), number)
            found: list[Finding] = []
            async for row in tx.audit_rows(number):
                found += check.feed(row)
                begun = _begun(row)
                if begun is None:
                    continue
                if begun in told:
                    found.append(_begun_twice(row.seq, begun))
                told.add(begun)
                if begun not in numbers:
                    numbers.append(begun)
            findings += [_of_chain(number, finding) for finding in found + check.finish()]
            checks.append(check)
    return checks, findings


def _begun(row: Row) -> int | None:
    """The chain whose beginning the row tells of."""
    deed = row.deed
    found = BEGUN.fullmatch(deed.id) if (deed.action, deed.kind) == (BEGIN, AUDIT) else None
    return int(found[1]) if found else None


def _begun_twice(seq: int, number: int) -> Finding:
    return Finding(seq, "missing", f"Row {seq} begins chain {number} a second time: what it was before is missing.")


def _of_chain(number: int, finding: Finding) -> Finding:
    return replace(finding, text=f"Chain {number}: {finding.text}") if number else finding


async def last_rows(services: Services) -> list[Row] | None:
    """The rows that the heads prove to be the last ones of their chains; None when one of them proves nothing."""
    found = []
    async with services.store.reading.snapshot() as tx:
        heads = {head.chain: head for head in await tx.audit_heads()}
        for number in {*heads, *await tx.audit_chains()}:
            head = heads.get(number)
            rows = [row async for row in tx.audit_rows(number, head.seq if head else 1)]
            if head is not None and head.seq == 0 and not rows:
                continue
            if not rows or services.chain.head(rows[0].seq, rows[0].mac, number) != head:
                return None
            found.append(rows[0])
    return sorted(found, key=lambda row: row.chain) or None


async def rows_by_time(services: Services) -> AsyncIterator[Row]:
    """All rows of all chains, oldest first; at no time more than a page of each chain is in memory."""
    reading = services.store.reading
    chains = {number: reading.audit_rows(number) for number in await reading.audit_chains()}
    first = {number: row for number, rows in chains.items() if (row := await anext(rows, None)) is not None}
    while first:
        number, row = min(first.items(), key=lambda item: (item[1].deed.at, item[0]))
        yield row
        following = await anext(chains[number], None)
        if following is None:
            del first[number]
        else:
            first[number] = following
