"""Edit by a partial object: members that are sent replace those that are stored, the others stay."""

from collections.abc import Callable, Iterable
from functools import partial

import orjson

from palace.call import Call, Reply
from palace.errors import ClientError
from palace.mending import with_nearest
from palace.resource import Document, Problem, Resource, Services
from palace.storage import Transaction
from palace.validation import as_object
from palace.verbs.patching import guarded
from palace.verbs.reading import own_record
from palace.verbs.writing import Outcome, Wanted, carry_out, shown, store_change

Merge = Callable[[Document, Document], Document]
Find = Callable[[Document, Document], Iterable[Problem]]


def merged(before: Document, sent: Document) -> Document:
    """The document with every member that was sent replaced as a whole."""
    return {**before, **sent}


def nothing(_before: Document, _sent: Document) -> Iterable[Problem]:
    """No problem but those that the rules find."""
    return ()


async def edit(
    resource: Resource,
    call: Call,
    services: Services,
    *,
    merge: Merge = merged,
    find: Find = nothing,
    action: str = "edit",
    answer: Callable[[Outcome], Reply] = shown,
) -> Reply:
    """Change members of an object: 200 with all of it, also when nothing changed.

    `merge` makes the wanted document of the stored one and of what was sent; `find` finds problems that only what was
    sent shows. Raises InvalidId, PreconditionFailed, InvalidDocument and its kin.
    """
    sent = as_object(call.body, resource.some_member)

    async def change(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        before = orjson.loads(record.body)
        wanted = Wanted(merge(before, sent), action, found=tuple(find(before, sent)))
        store = partial(store_change, resource, tx, call, record, before, wanted, services)
        return await guarded(tx, call, record, store, services)

    try:
        return await carry_out(call, services, change, answer)
    except ClientError as error:
        raise with_nearest(error, resource.model) from error
