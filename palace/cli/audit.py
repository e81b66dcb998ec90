"""`palace audit`: check the audit log and hand it out, also while a server runs on the data folder."""

import csv
import json
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

import typer

from palace.audit import Expected
from palace.audit_log import check_log, last_rows, rows_by_time
from palace.cli.flags import with_flags
from palace.cli.opening import FOLDER, complain, with_services
from palace.clock import timestamp
from palace.resource import Services

audit = typer.Typer(help="Check and export the audit log: who did what to which object.", no_args_is_help=True)

MOST_FINDINGS_SHOWN = 20
HEAD = re.compile(r"(?:([0-9]{1,18})/)?([0-9]{1,18}):([0-9a-fA-F]{64})")
"""The first chain, the only one on SQLite, is not named."""
COLUMNS = (
    *("seq", "at", "account", "account_name", "key_id", "action", "kind", "id", "revision", "request_id", "mac"),
    "chain",
)


# --- Verify -----------------------------------------------------------------------------------------------------------


@audit.command("verify")
@with_flags(FOLDER)
def verify(
    flags: dict[str, Any],
    expect: Annotated[
        str, typer.Option(metavar="HEAD", help="What `palace audit head` printed earlier: these rows must be there.")
    ] = "",
) -> None:
    """Check every row of the log.

    Rows that were altered, removed, inserted or moved are named, and the exit code is 1.
    """
    expected = _expected(expect)
    checks, findings = with_services(flags, lambda services: check_log(services, expected))
    if findings:
        for finding in findings[:MOST_FINDINGS_SHOWN]:
            print(finding.text)
        if len(findings) > MOST_FINDINGS_SHOWN:
            print(f"… and {len(findings) - MOST_FINDINGS_SHOWN} more.")
        complain("the audit log was tampered with, or damaged.")
    count = sum(check.count for check in checks)
    print(f"The audit log is whole: {count} {'row' if count == 1 else 'rows'}.")
    for row in [check.last for check in checks if check.last]:
        print(f"Head{f' of chain {row.chain}' if row.chain else ''}: seq {row.seq}, mac {row.mac.hex()}")


def _expected(text: str) -> dict[int, Expected]:
    """The rows that a text names, by their chains: one, or several with white space between."""
    expected = {}
    for word in text.split():
        found = HEAD.fullmatch(word)
        if found is None:
            complain("--expect takes what `palace audit head` prints: a number, a colon and 64 hexadecimal digits.")
        expected[int(found[1] or 0)] = Expected(int(found[2]), bytes.fromhex(found[3]))
    return expected


@audit.command("head")
@with_flags(FOLDER)
def head(flags: dict[str, Any]) -> None:
    """Print number and MAC of the last row.

    On PostgreSQL, where the log has several chains, there is a line for each. Kept elsewhere, they are what `palace
    audit verify --expect` checks the log against.
    """
    rows = with_services(flags, last_rows)
    if rows is None:
        complain("the end of the audit log is not as it was written; see `palace audit verify`.")
    for row in rows:
        print(f"{f'{row.chain}/' if row.chain else ''}{row.seq}:{row.mac.hex()}")


# --- Export -----------------------------------------------------------------------------------------------------------


@audit.command("export")
@with_flags(FOLDER)
def export(
    flags: dict[str, Any],
    since: Annotated[str, typer.Option(metavar="TIME", help="Only rows from this time on, as in 2026-01-31.")] = "",
    account: Annotated[str, typer.Option(metavar="NAME", help="Only rows of this account.")] = "",
    format: Annotated[
        Literal["jsonl", "csv"], typer.Option(help="One JSON object a line, or a table with commas.")
    ] = "jsonl",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to this file, not to the terminal.")] = None,
) -> None:
    """Write the log out, oldest row first. It holds no secret and nothing of what objects say."""
    from_time = _moment(since)

    async def write(services: Services) -> None:
        names = await services.store.reading.account_names()
        if account and account not in names.values():
            complain(f"there is no account {account!r}; see `palace keys list`.")
        with out.open("w", encoding="utf-8", newline="") if out else nullcontext(sys.stdout) as file:
            put = _writer(format, file)
            async for row in _rows(services, names, from_time, account):
                put(row)

    with_services(flags, write)


async def _rows(services: Services, names: dict[int, str], since: str, account: str) -> AsyncIterator[dict[str, Any]]:
    async for row in rows_by_time(services):
        name = names.get(row.deed.account)
        if row.deed.at >= since and account in ("", name):
            yield {
                "seq": row.seq,
                **row.deed._asdict(),
                "account_name": name,
                "mac": row.mac.hex(),
                "chain": row.chain,
            }


def _writer(format: str, file: TextIO) -> Callable[[dict[str, Any]], None]:
    if format == "csv":
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        return table.writerow

    def put(row: dict[str, Any]) -> None:
        file.write(json.dumps({name: row[name] for name in COLUMNS}, ensure_ascii=False) + "\n")

    return put


def _moment(text: str) -> str:
    """A time as it stands in the log; UTC where it names no other zone."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        complain("--since takes a date or a time such as 2026-01-31 or 2026-01-31T08:00:00Z.")
    return timestamp((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC))
