"""Read one object, and find the one that a request is about."""

from typing import Literal

from palace.call import STOCK_OWNER, Call, Reply
from palace.etags import is_matched, quoted, tags_in
from palace.resource import Resource, Services
from palace.storage import Record, Transaction


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """The stored document, as it is; 304 when the client has it already (`If-None-Match`). Raises InvalidId."""
    shown = await services.store.reading.read(resource.kind, call.ids["id"], call.account.id)
    if shown is None:
        raise resource.unknown()
    headers = version_headers(shown.etag, shown.revision)
    if call.if_none_match is not None and is_matched(tags_in(call.if_none_match, "If-None-Match"), shown.etag):
        return Reply(304, headers=headers)
    return Reply(200, shown.body, headers)


def version_headers(etag: str, revision: int) -> dict[str, str]:
    """Which state of an object an answer speaks of: its tag and the number of its newest revision."""
    return {"etag": quoted(etag), "x-revision": str(revision)}


async def own_record(
    resource: Resource, tx: Transaction, call: Call, verb: Literal["update", "delete"] = "update"
) -> Record:
    """The record that this account may change. Raises InvalidId and ReadOnlyObject."""
    return own(resource, await tx.get(resource.kind, call.ids["id"], call.account.id), verb)


def own(resource: Resource, record: Record | None, verb: Literal["update", "delete"] = "update") -> Record:
    """The record, if there is one and it is no stock object's. Raises InvalidId and ReadOnlyObject."""
    if record is None:
        raise resource.unknown()
    if record.owner == STOCK_OWNER:
        raise resource.read_only_object(verb)
    return record
