"""What a document refers to, and what lists find it by: both stand in indexes beside the documents.

So "who uses this?" is one look into an index, and what is deleted leaves no member behind that leads nowhere.
"""

from collections.abc import Sequence

from palace.json_patch import Operation, parse_pointer
from palace.resource import Document, Problem, Reference, Resource, values_at
from palace.storage import Label, Transaction, Use
from palace.validation import refuse


def uses_of(resource: Resource, document: Document) -> dict[Use, Reference]:
    """Every id that a document names, with its place, and the declaration that tells what it is."""
    return {
        Use(reference.kind, value, pointer): reference
        for reference in resource.references
        for pointer, value in values_at(document, reference.pointer)
        if value and isinstance(value, str)
    }


def labels_of(resource: Resource, document: Document) -> set[Label]:
    """What lists find a document by."""
    return {
        Label(label, value)
        for label, pointer in resource.labels.items()
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
    if not resource.references:
        return
    known = {(use.kind, use.id) for use in uses_of(resource, before)}
    problems = []
    for use, reference in uses_of(resource, after).items():
        if reference.is_part or (use.kind, use.id) in known or await tx.exists(use.kind, use.id, account):
            continue
        facts = {"kind": use.kind, "id": use.id}
        place = parse_pointer(use.pointer)
        problems.append(Problem(place, "unknown_reference", reference.problem, form="bare", facts=facts))
    if problems:
        raise refuse(problems, operations)


async def keep_index(resource: Resource, tx: Transaction, document: int, before: Document, after: Document) -> None:
    """Bring the indexes up to date with what became of a document, which has this number in the store."""
    used, uses = uses_of(resource, before).keys(), uses_of(resource, after).keys()
    if used != uses:
        await tx.links.put_uses(document, gone=used - uses, new=uses - used)
    known, labels = labels_of(resource, before), labels_of(resource, after)
    if known != labels:
        await tx.links.put_labels(document, gone=known - labels, new=labels - known)
