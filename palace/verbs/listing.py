"""Lists: pages, filters, orders. The API's lists differ in all of these (contract 1.5), so each tells its style."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from palace.call import Call, Reply
from palace.errors import BadRequest, Detail
from palace.resource import Parameter, Resource, Services
from palace.storage import Listing, Owned, Page
from palace.verbs.queries import one_of, page_number, page_size

OWNED: Mapping[str, Owned] = {"user": "own", "system": "stock", "all": "all"}
MOST_VALUES = 100
"""of one parameter of a list"""
SORTS = ("asc", "desc", "ascending", "descending", "recommended")
BACKWARDS: Mapping[str, Literal["oldest", "newest", "name", "name_backwards"]] = {
    "oldest": "newest",
    "newest": "oldest",
    "name": "name_backwards",
}


@dataclass(frozen=True, slots=True)
class ListStyle:
    """How one list of the API works.

    `owned_by`, `search`, `ids` and the keys of `labels` are query parameters: whose objects, a part of the name or the
    whole id, ids, and values of a label, where several have commas between. `first_page` is the number of the first
    page. `stock_first`: whatever the order is. `tells_page`: the envelope repeats page and limit.
    """

    page_size: int = 10
    first_page: Literal[0, 1] = 1
    default_sort: Literal["asc", "desc", "ascending", "descending"] = "asc"
    order: Literal["oldest", "name"] = "oldest"
    owned_by: str = ""
    owned: Literal["all", "user", "system"] = "all"
    stock_first: bool = False
    search: str = ""
    ids: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    tells_page: bool = False
    left_out: tuple[str, ...] = ()
    """members that items of the list do not have"""


PLAIN = ListStyle()


async def list_page(resource: Resource, call: Call, services: Services, *, style: ListStyle = PLAIN) -> Reply:
    """`{data, total_count}`: stock objects and the account's own. Raises BadRequest."""
    query = call.query
    limit = page_size(query, style.page_size)
    page = page_number(query, style.first_page)
    sort = one_of(query, "sort", SORTS, style.default_sort)
    owned = OWNED[one_of(query, style.owned_by, tuple(OWNED), style.owned) if style.owned_by else style.owned]
    listing = Listing(
        owned,
        BACKWARDS[style.order] if sort.startswith("desc") else style.order,
        limit,
        (page - style.first_page) * limit,
        query.get(style.search, "") if style.search else "",
        tuple(listed(query, style.ids)) if style.ids and query.get(style.ids) else None,
        {label: listed(query, name) for name, label in style.labels.items() if query.get(name)},
        style.stock_first and owned == "all",
    )
    found = await _found(resource, call, services, listing)
    told = b',"page":%d,"limit":%d' % (page, limit) if style.tells_page else b""
    items = found.bodies if not style.left_out else [_shortened(body, style.left_out) for body in found.bodies]
    return Reply(200, b'{"data":[%b],"total_count":%d%b}' % (b",".join(items), found.total_count, told))


async def _found(resource: Resource, call: Call, services: Services, listing: Listing) -> Page:
    account, is_backwards = call.account.id, listing.order == "newest"
    async with services.store.reading.snapshot() as tx:  # The page and its total are of one moment.
        if not listing.is_plain:
            return await tx.links.search(resource.kind, account, listing)
        place = {"limit": listing.limit, "offset": listing.offset}
        return await tx.page(resource.kind, account, owned=listing.owned, newest_first=is_backwards, **place)


def listed(query: Mapping[str, str], name: str) -> list[str]:
    """The values of a parameter that have commas between. Raises BadRequest when they are too many to look for."""
    values = list(dict.fromkeys(value.strip() for value in query[name].split(",") if value.strip()))
    if len(values) > MOST_VALUES:
        problem = f"{name} has {len(values)} values; at most {MOST_VALUES} are looked for."
        facts = {"parameter": name, "maximum": MOST_VALUES, "actual": len(values)}
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_query", problem, facts=facts)])
    return values


def _shortened(body: bytes, left_out: tuple[str, ...]) -> bytes:
    return orjson.dumps({name: value for name, value in orjson.loads(body).items() if name not in left_out})


def page_schema(item: Mapping[str, Any], style: ListStyle = PLAIN) -> dict[str, Any]:
    """What `list_page` answers with where an item of the list is not the whole document."""
    numbers = ("total_count", "page", "limit") if style.tells_page else ("total_count",)
    members = {"data": {"type": "array", "items": dict(item)}, **{name: {"type": "integer"} for name in numbers}}
    return {"type": "object", "required": list(members), "properties": members}


def list_parameters(style: ListStyle = PLAIN) -> tuple[Parameter, ...]:
    """The query parameters that `list_page` reads, for the reference."""
    text: dict[str, Any] = {"type": "string"}
    by = "name" if style.order == "name" else "time of creation"
    first = style.first_page
    words = ["ascending", "descending"] if style.default_sort in ("ascending", "descending") else ["asc", "desc"]
    found = [
        Parameter("limit", {"type": "integer", "default": style.page_size}, "Objects on a page, at most 100."),
        Parameter("page", {"type": "integer", "default": first}, f"The number of the page, from {first} on."),
        Parameter("sort", {"enum": words, "default": style.default_sort}, f"By {by}: upwards or downwards."),
    ]
    if style.owned_by:
        sentence = "`user`: only your own; `system`: only stock objects."
        found.append(Parameter(style.owned_by, {"enum": ["user", "system", "all"], "default": style.owned}, sentence))
    if style.search:
        found.append(Parameter(style.search, text, "A part of the name, or the whole id."))
    if style.ids:
        found.append(Parameter(style.ids, text, "Only these ids, with commas between."))
    for name, label in style.labels.items():
        found.append(Parameter(name, text, f"Only objects with this {label}, or one of several, with commas between."))
    return tuple(found)
