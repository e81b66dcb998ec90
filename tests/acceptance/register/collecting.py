"""Asks the servers, after the storm, for all that they remember."""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from palace.app import open_services
from palace.audit import Check, Finding
from palace.settings import load_settings
from tests.acceptance.register.clients import Client, document_state
from tests.acceptance.register.history import Pal, Revision
from tests.acceptance.register.wire import Connection
from tests.serving import KEY

AT_ONCE = 8
SEEN_BY_NOBODY_YET = 1 << 30


class Asking:
    """Questions on a few connections to one port."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in connections:
            self._free.put_nowait(connection)

    async def get(self, path: str) -> Any:
        """The body of a 200."""
        connection = await self._free.get()
        try:
            answer = await connection.request("GET", path, {"x-api-key": KEY})
        finally:
            self._free.put_nowait(connection)
        assert answer.status == 200, answer
        return json.loads(answer.body)


async def remembered(port: int, client: Client, known: Iterable[str]) -> dict[str, Pal]:
    """Every PAL that is known or listed, with all of its revisions; the sample PAL is not one of them."""
    asking = Asking([await Connection.to(port, -1 - number) for number in range(AT_ONCE)])
    ids = dict.fromkeys(known)
    for page in count(1):
        listed = (await asking.get(f"/v2/pals?pal_type=user&limit=100&page={page}"))["data"]
        ids |= dict.fromkeys(pal["pal_id"] for pal in listed)
        if not listed:
            break
    pals = {}
    for id in ids:
        revisions = await _revisions(asking, id)
        if revisions[0].token is not None:
            pals[id] = Pal(id, revisions, await client.read(id))
    return pals


async def _revisions(asking: Asking, id: str) -> list[Revision]:
    summaries: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = await asking.get(f"/v2/pals/{id}/revisions?limit=100{cursor and '&cursor=' + cursor}")
        summaries += page["data"]
        cursor = page["next_cursor"]
    whole = await asyncio.gather(*(asking.get(f"/v2/pals/{id}/revisions/{one['revision']}") for one in summaries))
    found = []
    for one, shown in zip(summaries, whole, strict=True):
        state = document_state(shown["document"], is_deleted=one["action"] == "delete")
        told = one["revision"], one["action"], one["comment"], one["etag"], one["etag_before"]
        found.append(Revision(*told, state))
    return found[::-1]


async def audit_log(data: Path, variables: Mapping[str, str]) -> tuple[list[tuple[str, int]], list[str]]:
    """PAL and revision of each row about what clients did, and what is wrong with the chains of the log."""
    services = await open_services(load_settings({**variables, "PALACE_DATA": str(data)}))
    rows: list[tuple[str, int]] = []
    findings: list[Finding] = []
    try:
        async with services.store.reading.snapshot() as tx:
            for head in await tx.audit_heads():
                chain = Check(services.chain, head, number=head.chain)
                async for row in tx.audit_rows(head.chain):
                    findings += chain.feed(row)
                    deed = row.deed
                    if deed.kind == "pal" and deed.revision is not None and deed.key_id is not None:
                        rows.append((deed.id, deed.revision))
                findings += chain.finish()
    finally:
        await services.store.close()
    return rows, [finding.text for finding in findings]
