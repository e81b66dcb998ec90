"""Read one object, list many, and find the one that a request is about."""

from collections.abc import Mapping

from palace.call import STOCK_OWNER, Call, Reply
from palace.errors import InvalidId, ReadOnlyObject
from palace.etags import is_matched, quoted, tags_in
from palace.resource import Parameter, Resource, Services
from palace.storage import Owned, Record, Transaction
from palace.verbs.queries import one_of, whole_number

DEFAULT_PAGE_SIZE = 10
LARGEST_PAGE_SIZE = 100
OWNED: Mapping[str, Owned] = {"user": "own", "system": "stock", "all": "all"}
SORTS = ("asc", "desc", "ascending", "descending", "recommended")


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """The stored document, as it is; 304 when the client has it already (`If-None-Match`). Raises InvalidId."""
    shown = await services.store.reading.read(resource.kind, call.ids["id"], call.account.id)
    if shown is None:
        raise InvalidId(resource.id_member)
    headers = version_headers(shown.etag, shown.revision)
    if call.if_none_match is not None and is_matched(tags_in(call.if_none_match, "If-None-Match"), shown.etag):
        return Reply(304, headers=headers)
    return Reply(200, shown.body, headers)


def version_headers(etag: str, revision: int) -> dict[str, str]:
    """Which state of an object an answer speaks of: its tag and the number of its newest revision."""
    return {"etag": quoted(etag), "x-revision": str(revision)}


def page_parameters(page_size: int = DEFAULT_PAGE_SIZE) -> tuple[Parameter, ...]:
    """The query parameters that `list_page` reads."""
    return (
        Parameter("limit", {"type": "integer", "default": page_size}, "Objects on a page, at most 100."),
        Parameter("page", {"type": "integer", "default": 1}, "The number of the page, from 1 on."),
        Parameter("sort", {"enum": ["asc", "desc"], "default": "asc"}, "By time of creation: oldest or newest first."),
    )


async def list_page(resource: Resource, call: Call, services: Services, *, page_size: int = DEFAULT_PAGE_SIZE) -> Reply:
    """`{data, total_count}`: stock objects and the account's own, oldest first, pages from 1 on (contract 1.5)."""
    limit = whole_number(call.query, "limit", page_size)
    limit = min(max(limit, 1), LARGEST_PAGE_SIZE)
    page = max(whole_number(call.query, "page", 1), 1)
    order = one_of(call.query, "sort", SORTS, "asc")
    kind = one_of(call.query, f"{resource.kind}_type", tuple(OWNED), "all")
    found = await services.store.reading.page(
        resource.kind,
        call.account.id,
        owned=OWNED[kind],
        newest_first=order.startswith("desc"),
        limit=limit,
        offset=(page - 1) * limit,
    )
    return Reply(200, b'{"data":[%b],"total_count":%d}' % (b",".join(found.bodies), found.total_count))


async def own_record(resource: Resource, tx: Transaction, call: Call) -> Record:
    """The record that this account may change. Raises InvalidId and ReadOnlyObject."""
    return own(resource, await tx.get(resource.kind, call.ids["id"], call.account.id))


def own(resource: Resource, record: Record | None) -> Record:
    """The record, if there is one and it is no stock object's. Raises InvalidId and ReadOnlyObject."""
    if record is None:
        raise InvalidId(resource.id_member)
    if record.owner == STOCK_OWNER:
        raise ReadOnlyObject(resource.id_member)
    return record
