"""How the audit log is written: at the end of a transaction, one row after the other, bound to the rows before."""

from collections.abc import Sequence
from typing import Any

from palace.audit import Chain, Deed, Row
from palace.storage.statements import Statements


async def write_deeds(run: Statements, deeds: Sequence[Deed], chain: Chain) -> None:
    """Add rows to one of the chains of the log. Its head is read anew each time: others write, too.

    Where several nodes write, each transaction takes a chain that no other one writes to just now, so that none has to
    wait; the chain stays taken until the commit (docs/decisions/0018-audit-chains.md).
    """
    number, last, tag = await run.row("end_of_audit")
    lines: list[dict[str, Any]] = []
    mac = b""
    for seq, deed in enumerate(deeds, last + 1):
        mac = chain.mac(tag, seq, deed)
        tag = chain.head(seq, mac, number).tag
        lines.append({"chain": number, "seq": seq, **deed._asdict(), "mac": mac})
    await run.many("insert_audit", lines)
    await run.change("put_audit_head", **chain.head(lines[-1]["seq"], mac, number)._asdict())


def row_of(stored: Sequence[Any]) -> Row:
    """A row of the log as it is stored. Texts may be bytes: somebody may have put there what is no UTF-8."""
    number, seq, at, account, key_id, action, kind, id, revision, request_id, mac = stored
    said = (_text(at), account, _text(key_id), _text(action), _text(kind), _text(id))
    return Row(seq, Deed(*said, revision, _text(request_id)), mac, number)


def _text(stored: Any) -> Any:
    return stored.decode("utf-8", "backslashreplace") if isinstance(stored, bytes) else stored
