"""What documents refer to and what lists find them by: two indexes, over one connection to SQLite."""

from collections.abc import Iterable
from typing import Any

import apsw
import orjson

from palace.call import STOCK_OWNER
from palace.storage.base import Label, Listing, Owned, Page, Use, User
from palace.storage.queries import load_queries

QUERIES = load_queries("sqlite.sql")
NOBODY = -1


def owners(owned: Owned, account: int) -> dict[str, int]:
    """Whose objects a list has, as the queries ask for it."""
    return {"stock": NOBODY if owned == "own" else STOCK_OWNER, "account": NOBODY if owned == "stock" else account}


class Links:
    """Part of a transaction: what refers to what, and lists that filter."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    async def search(self, kind: str, account: int, listing: Listing) -> Page:
        """The documents that a list asks for, and how many there are in all."""
        values = {
            "kind": kind,
            **owners(listing.owned, account),
            "search": listing.search,
            "ids": None if listing.ids is None else orjson.dumps(listing.ids).decode(),
            "labels": orjson.dumps(dict(listing.labels)).decode(),
        }
        order = {"order": listing.order, "stock_first": listing.stock_first}
        place = {"limit": listing.limit, "offset": listing.offset}
        rows = self._execute("search_documents", **values, **order, **place)
        bodies = [row[0] for row in rows]
        return Page(bodies, self._row("count_found_documents", **values)[0])

    async def label_values(
        self, kind: str, account: int, label: str, *, search: str, limit: int, offset: int
    ) -> tuple[list[str], int]:
        """The values of a label among an account's own documents that contain `search`, and how many there are."""
        values = {"kind": kind, "account": account, "label": label, "search": search}
        rows = self._execute("values_of_label", **values, limit=limit, offset=offset).fetchall()
        return [str(row[0]) for row in rows], self._row("count_values_of_label", **values)[0]

    async def put_uses(self, document: int, *, gone: Iterable[Use], new: Iterable[Use]) -> None:
        """Bring the index of references up to date: what this document does not refer to any more, and what it does."""
        for use in gone:
            self._execute("delete_use", document=document, pointer=use.pointer)
        for use in new:
            self._execute("insert_use", document=document, **use._asdict())

    async def put_labels(self, document: int, *, gone: Iterable[Label], new: Iterable[Label]) -> None:
        """Bring the index of labels up to date."""
        for label in gone:
            self._execute("delete_label", document=document, **label._asdict())
        for label in new:
            self._execute("insert_label", document=document, **label._asdict())

    async def users(self, kind: str, id: str, account: int) -> list[User]:
        """The account's documents that refer to an object, oldest first, once for each place."""
        return [User(*row) for row in self._execute("users_of_object", kind=kind, id=id, account=account)]

    def _execute(self, query: str, **values: Any) -> apsw.Cursor:
        return self._connection.execute(QUERIES[query], values)

    def _row(self, query: str, **values: Any) -> Any:
        return self._connection.execute(QUERIES[query], values).fetchone()
