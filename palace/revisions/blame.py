"""Which revision made a member what it is: the last one after which its place said something else than before."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from palace.json_patch import parse_pointer
from palace.revisions.changes import Tokens
from palace.revisions.history import UNBOUNDED, delta_between, state_at
from palace.storage import Transaction

MOST_COMPARED = 50
"""Restored states that are compared with what was deleted, newest first; nearly always there is no difference."""


class Since(NamedTuple):
    """A revision, and when it was made."""

    number: int
    at: str


@dataclass(slots=True)
class Blame:
    """For every place, the last revision that touched it.

    `first` is the oldest one that is remembered: what none has touched since comes from it.
    """

    first: Since | None = None
    at: dict[Tokens, Since] = field(default_factory=dict)
    at_or_below: dict[Tokens, Since] = field(default_factory=dict)

    def note(self, pointer: str, since: Since) -> None:
        """A revision touched a place."""
        tokens = parse_pointer(pointer, UNBOUNDED)
        self.at[tokens] = max(since, self.at.get(tokens, since))
        for depth in range(1, len(tokens) + 1):
            above = tokens[:depth]
            self.at_or_below[above] = max(since, self.at_or_below.get(above, since))

    def of(self, place: Tokens) -> Since | None:
        """The revision that made the member at a place what it is; None where nothing is remembered."""
        above = (self.at.get(place[:depth]) for depth in range(1, len(place)))
        found: Iterable[Since | None] = (self.first, self.at_or_below.get(place), *above)
        return max((since for since in found if since is not None), default=None)


async def blame_of(tx: Transaction, document: int) -> Blame:
    """What the history of a document says of every place in it, in one pass over what revisions touched."""
    blame = Blame()
    for pointer, number, at in await tx.traces.last_touched(document):
        blame.note(pointer, Since(number, at))
    whole = await tx.traces.without_places(document)
    if whole:
        blame.first = Since(*whole[-1][:2])
    for number, at, before in whole[:MOST_COMPARED]:
        if before is None:
            continue
        old, new = await state_at(tx, document, before), await state_at(tx, document, number)
        for pointer in delta_between(old.document, new.document, old.refs, new.refs).touched:
            blame.note(pointer, Since(number, at))
    return blame
