"""What a document refers to, and what lists find it by: both stand in indexes beside the documents.

So "who uses this?" is one look into an index, and what is deleted leaves no member behind that leads nowhere.
"""

from collections.abc import Collection, Iterable, Sequence

from palace.json_patch import Operation, format_pointer, parse_pointer
from palace.resource import EACH, Document, Problem, Reference, Resource, values_at
from palace.storage import Label, Transaction, Use
from palace.validation import refuse

Tokens = tuple[str, ...]

SETS = frozenset(["objectives", "guardrails"])
"""Kinds of objects that hold several of what they are called by."""


def uses_of(references: Iterable[Reference], document: Document) -> dict[Use, Reference]:
    """Every id that a document has at the places of `references`, and the declaration that tells what it is."""
    return {
        Use(reference.kind, value, pointer): reference
        for reference in references
        for pointer, value in values_at(document, reference.pointer)
        if value and isinstance(value, str)
    }


LONGEST_LABEL = 1000
"""characters of a value that lists find a document by; what is longer is found by its beginning"""


def labels_of(places: Iterable[tuple[str, tuple[str, ...]]], document: Document) -> set[Label]:
    """What lists find a document by, at these places of labels."""
    return {
        Label(label, value[:LONGEST_LABEL])
        for label, pointer in places
        for _, value in values_at(document, pointer)
        if isinstance(value, str)
    }


async def check_references(
    resource: Resource,
    tx: Transaction,
    account: int,
    before: Document,
    after: Document,
    places: Collection[Tokens],
    operations: Sequence[Operation] = (),
) -> None:
    """Every id that `after` names and `before` did not must exist for the account, but for those of its own parts.

    The two differ at no other `places` than these. Raises a ClientError.
    """
    changed = [reference for reference in resource.references if _is_among(reference.pointer, places)]
    if not changed:
        return
    known = {(use.kind, use.id) for use in uses_of(resource.references, before)}
    problems = []
    for use, reference in uses_of(changed, after).items():
        if reference.is_part or (use.kind, use.id) in known or await tx.exists(use.kind, use.id, account):
            continue
        others = [other for other in resource.references if other.kind != use.kind]
        meant = [other for other in others if await tx.exists(other.kind, use.id, account)]
        problems.append(leads_nowhere(parse_pointer(use.pointer), use.kind, use.id, reference.problem, meant))
    if problems:
        raise refuse(problems, operations)


def leads_nowhere(
    place: tuple[str | int, ...], kind: str, id: str, text: str, meant: Sequence[Reference] = ()
) -> Problem:
    """What is wrong with an id of something that is not there; `meant` are the places of what does have this id."""
    explained = f"No {_called(kind)} has this id, or it is not yours. An id is needed, not a name."
    if meant:
        belongs = format_pointer([token for token in meant[0].pointer if token != EACH])
        explained = f"This is the id of a {_called(meant[0].kind)}, which belongs into {belongs}."
    return Problem(place, "unknown_reference", text, form="bare", facts={"kind": kind, "id": id}, explained=explained)


def _called(kind: str) -> str:
    return f"set of {kind}" if kind in SETS else kind.replace("_", " ")


async def keep_index(
    resource: Resource,
    tx: Transaction,
    document: int,
    before: Document,
    after: Document,
    places: Collection[Tokens],
) -> None:
    """Bring the indexes up to date with what became of a document, which has this number in the store.

    It has become another one at no other `places` than these.
    """
    references = [reference for reference in resource.references if _is_among(reference.pointer, places)]
    if references:
        used, uses = uses_of(references, before).keys(), uses_of(references, after).keys()
        await tx.links.put_uses(document, gone=used - uses, new=uses - used)
    labelled = [(label, pointer) for label, pointer in resource.labels.items() if _is_among(pointer, places)]
    if labelled:
        known, labels = labels_of(labelled, before), labels_of(labelled, after)
        await tx.links.put_labels(document, gone=known - labels, new=labels - known)


def _is_among(pointer: Tokens, places: Collection[Tokens]) -> bool:
    """Whether one of the places lies at, above or below this one, which may have `*` in it."""
    root = pointer[0]
    for tokens in places:
        if tokens[0] == root:  # Told by this alone most of the time, which takes a tenth of comparing the documents.
            above = pointer[: pointer.index(EACH)] if EACH in pointer else pointer
            if above[: len(tokens)] == tokens[: len(above)]:
                return True
    return False
