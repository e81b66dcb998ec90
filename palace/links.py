"""What a document refers to, and what lists find it by: both stand in indexes beside the documents.

So "who uses this?" is one look into an index, and what is deleted leaves no member behind that leads nowhere.
"""

from collections.abc import Iterable, Sequence

from palace.json_patch import Operation, parse_pointer
from palace.resource import EACH, Document, Problem, Reference, Resource, value_at, values_at
from palace.storage import Label, Transaction, Use
from palace.validation import refuse


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
    operations: Sequence[Operation] = (),
) -> None:
    """Every id that `after` names and `before` did not must exist for the account, but for those of its own parts.

    Raises a ClientError.
    """
    changed = [reference for reference in resource.references if _differ(reference.pointer, before, after)]
    if not changed:
        return
    known = {(use.kind, use.id) for use in uses_of(resource.references, before)}
    problems = []
    for use, reference in uses_of(changed, after).items():
        if reference.is_part or (use.kind, use.id) in known or await tx.exists(use.kind, use.id, account):
            continue
        facts = {"kind": use.kind, "id": use.id}
        place = parse_pointer(use.pointer)
        problems.append(Problem(place, "unknown_reference", reference.problem, form="bare", facts=facts))
    if problems:
        raise refuse(problems, operations)


async def keep_index(resource: Resource, tx: Transaction, document: int, before: Document, after: Document) -> None:
    """Bring the indexes up to date with what became of a document, which has this number in the store."""
    references = [reference for reference in resource.references if _differ(reference.pointer, before, after)]
    if references:
        used, uses = uses_of(references, before).keys(), uses_of(references, after).keys()
        await tx.links.put_uses(document, gone=used - uses, new=uses - used)
    places = [(label, pointer) for label, pointer in resource.labels.items() if _differ(pointer, before, after)]
    if places:
        known, labels = labels_of(places, before), labels_of(places, after)
        await tx.links.put_labels(document, gone=known - labels, new=labels - known)


def _differ(pointer: tuple[str, ...], before: Document, after: Document) -> bool:
    """Whether what stands at a place, or all that stands at a place with `*`, may have become another."""
    place = pointer[: pointer.index(EACH)] if EACH in pointer else pointer
    return bool(value_at(before, place) != value_at(after, place))
