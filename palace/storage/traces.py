"""Which revision of a document touched a place last: summaries of the whole history."""

from palace.storage.statements import Statements


class Traces:
    """Part of a transaction: what the history says of places, in one pass and without reading a document."""

    def __init__(self, run: Statements) -> None:
        self._run = run

    async def last_touched(self, document: int) -> list[tuple[str, int, str]]:
        """For every JSON Pointer that revisions touched: the pointer, the number of the last one, and its time."""
        return [tuple(row) for row in await self._run.rows("last_revisions_that_touched", document=document)]

    async def without_places(self, document: int) -> list[tuple[int, str, int | None]]:
        """Revisions that do not tell what they touched, newest first: number, time, number of the one before.

        They are those that created, deleted or restored the document, and where history was switched on again.
        """
        return [tuple(row) for row in await self._run.rows("revisions_without_places", document=document)]
