"""What the verbs of a store stand on: named statements, carried out by some database."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol


class Statements(Protocol):
    """Carries out statements of `sqlite.sql` or `postgres.sql` by their names; values are bound by theirs."""

    async def rows(self, statement: str, /, **values: Any) -> Sequence[Any]:
        """All rows of the result, each a tuple or something like it."""

    async def row(self, statement: str, /, **values: Any) -> Any:
        """The first row of the result, or None."""

    async def change(self, statement: str, /, **values: Any) -> int:
        """Carry it out and tell how many rows it changed."""

    async def many(self, statement: str, lines: Sequence[Mapping[str, Any]], /) -> None:
        """Carry it out once for each of the `lines`."""

    def rehearsal(self) -> AbstractAsyncContextManager[None]:
        """Whatever is written inside is seen inside, and undone at its end."""

    def snapshot(self) -> AbstractAsyncContextManager["Statements"]:
        """Statements that all read one and the same state of the database."""
