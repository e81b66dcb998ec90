"""What documents refer to and what lists find them by: two indexes."""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from palace.call import STOCK_OWNER
from palace.storage.base import Label, Listing, Owned, Page, Use, User
from palace.storage.statements import Statements

NOBODY = -1


def owners(owned: Owned, account: int) -> dict[str, int]:
    """Whose objects a list has, as the queries ask for it."""
    return {"stock": NOBODY if owned == "own" else STOCK_OWNER, "account": NOBODY if owned == "stock" else account}


def folded_labels(labels: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """What is looked for, without the case of its letters, as it stands in the index."""
    return {label: _possible(value.casefold() for value in values) for label, values in labels.items()}


def _possible(values: Iterable[str]) -> list[str]:
    """Those that something can have: no stored text has a zero byte, and the JSON of PostgreSQL cannot say one."""
    return [value for value in values if "\0" not in value]


class Links:
    """Part of a transaction: what refers to what, and lists that filter."""

    def __init__(self, run: Statements) -> None:
        self._run = run

    async def search(self, kind: str, account: int, listing: Listing) -> Page:
        """The documents that a list asks for, and how many there are in all."""
        values = {
            "kind": kind,
            **owners(listing.owned, account),
            "search": listing.search,
            "folded": listing.search.casefold(),
            "ids": None if listing.ids is None else orjson.dumps(_possible(listing.ids)).decode(),
            "labels": orjson.dumps(folded_labels(listing.labels)).decode(),
        }
        order = {"order": listing.order, "stock_first": listing.stock_first}
        place = {"limit": listing.limit, "offset": listing.offset}
        rows = await self._run.rows("search_documents", **values, **order, **place)
        [total] = await self._run.row("count_found_documents", **values)
        return Page([row[0] for row in rows], total)

    async def label_values(
        self, kind: str, account: int, label: str, *, search: str, limit: int, offset: int
    ) -> tuple[list[str], int]:
        """The values of a label among an account's own documents that contain `search`, and how many there are."""
        values = {"kind": kind, "account": account, "label": label, "folded": search.casefold()}
        rows = await self._run.rows("values_of_label", **values, limit=limit, offset=offset)
        [total] = await self._run.row("count_values_of_label", **values)
        return [row[0] for row in rows], total

    async def put_uses(self, document: int, *, gone: Iterable[Use], new: Iterable[Use]) -> None:
        """Bring the index of references up to date: what this document does not refer to any more, and what it does."""
        for use in gone:
            await self._run.change("delete_use", document=document, pointer=use.pointer)
        for use in new:
            await self._run.change("insert_use", document=document, **use._asdict())

    async def put_labels(self, document: int, *, gone: Iterable[Label], new: Iterable[Label]) -> None:
        """Bring the index of labels up to date."""
        for label in gone:
            await self._run.change("delete_label", document=document, **label._asdict())
        for label in new:
            await self._run.change("insert_label", document=document, **label._asdict(), folded=label.value.casefold())

    async def users(self, kind: str, id: str, account: int) -> list[User]:
        """The account's documents that refer to an object, oldest first, once for each place."""
        return [User(*row) for row in await self._run.rows("users_of_object", kind=kind, id=id, account=account)]
