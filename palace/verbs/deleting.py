"""Delete an object, with what that does to those that refer to it; and tell who they are."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import orjson

from palace.call import Call, Reply
from palace.clock import timestamp
from palace.errors import Detail, InUse
from palace.json_patch import parse_pointer
from palace.links import uses_of
from palace.resource import EACH, Document, Parameter, Reference, Resource, Services
from palace.revisions.history import base_of_next, deed_of, revision_of
from palace.storage import Record, Transaction, Use, User
from palace.verbs.guards import refuse_stale
from palace.verbs.queries import flag, page_number, page_size
from palace.verbs.reading import own_record
from palace.verbs.writing import Outcome, carry_out, store_side_effect

MOST_USERS_NAMED = 50
USERS_ON_A_PAGE = 25
CASCADE = Parameter("cascade", {"type": "boolean"}, "`true`: delete it even if something needs it.")


Also = Callable[[Transaction, Call, Outcome, Services], Awaitable[Sequence[Mapping[str, Any]]]]
"""What is done besides, in the same transaction, given the outcome; it tells what became of other objects."""


async def nothing_else(
    _tx: Transaction, _call: Call, _outcome: Outcome, _services: Services
) -> Sequence[Mapping[str, Any]]:
    """No other object is concerned."""
    return ()


async def delete(resource: Resource, call: Call, services: Services, *, also: Also = nothing_else) -> Reply:
    """Delete the object: 204. It can be restored for some days. `also` takes away what belongs to it.

    Raises InvalidId, ReadOnlyObject for a stock object, InUse when something else needs it.
    """

    async def remove(tx: Transaction) -> Outcome:
        await lock_users(tx, resource.kind, call)
        record = await own_record(resource, tx, call, "delete")
        await refuse_stale(tx, record, call, services)
        outcome = await take_away(tx, call, record, services)
        outcome.effects = [*outcome.effects, *await also(tx, call, outcome, services)]
        return outcome

    return await carry_out(call, services, remove, lambda _outcome: Reply(204))


async def take_away(
    tx: Transaction, call: Call, record: Record, services: Services, *, for_good: bool = False
) -> Outcome:
    """Delete a record inside a transaction, and its id wherever it stands. Raises InUse."""
    effects = await _let_go(tx, call, record, services)
    if for_good:
        return await erase(tx, call, record, services, effects)
    now, document = timestamp(services.clock.now()), orjson.loads(record.body)
    base = base_of_next(record, 0, len(record.body)) if services.settings.history else 0
    gone = replace(record, revision=record.revision + 1, updated_at=now, base=base)
    await tx.add_audit(deed_of(gone, call, "delete"), services.audit)
    if not base:
        await tx.delete(record)
        return Outcome(record, document, {}, previous=record, effects=effects)
    await tx.hide(record, now, base)
    await tx.add_revision(revision_of(gone, call, "delete", [""], b"[]", None))
    return Outcome(gone, document, {}, previous=record, effects=effects)


async def erase(
    tx: Transaction, call: Call, record: Record, services: Services, effects: Sequence[Mapping[str, Any]] = ()
) -> Outcome:
    """Delete a record with its history, its secrets and its files, so that nothing brings it back."""
    now = timestamp(services.clock.now())
    await tx.add_audit(deed_of(replace(record, updated_at=now), call, "erase"), services.audit)
    await tx.delete(record)
    return Outcome(record, orjson.loads(record.body), {}, previous=record, effects=effects)


# --- What it does to others -------------------------------------------------------------------------------------------


async def lock_users(tx: Transaction, kind: str, call: Call) -> None:
    """Lock what refers to the object of a call, oldest first, before the object itself is locked to be deleted.

    Who begins to refer to an object locks in this order, too. Otherwise each could wait for the other until the
    database notices, which takes PostgreSQL a second. What begins to refer to it meanwhile is found by `take_away`.
    """
    users = await tx.links.users(kind, call.ids["id"], call.account.id)
    for user_kind, id in dict.fromkeys((user.kind, user.id) for user in users):
        await tx.get(user_kind, id, call.account.id)


async def _let_go(tx: Transaction, call: Call, record: Record, services: Services) -> Sequence[Mapping[str, Any]]:
    """Take the id of a record out of every document that has it (contract 11), and tell which. Raises InUse."""
    is_forced = flag(call.query, "cascade")
    users = await tx.links.users(record.kind, record.id, record.owner)
    others = [user for user in users if (user.kind, user.id) != (record.kind, record.id)]
    needed = {user: None for user in others if _is_needed(services.kinds[user.kind], record.kind, user)}
    if needed and not is_forced:
        raise InUse([_in_use(user) for user in islice(needed, MOST_USERS_NAMED)])
    effects: list[Mapping[str, Any]]
    effects = [{"kind": user.kind, "id": user.id, "what": f"{user.pointer} leads nowhere"} for user in needed]
    for kind, id in dict.fromkeys((user.kind, user.id) for user in others if user not in needed):
        effects += await release(services.kinds[kind], tx, call, id, record, services)
    return effects


def _is_needed(resource: Resource, kind: str, user: User) -> bool:
    """Whether an object of this kind must not vanish from the member in which the user has its id."""
    return any(
        reference.kind == kind and reference.on_delete == "refuse" and _is_at(reference, parse_pointer(user.pointer))
        for reference in resource.references
    )


def _is_at(reference: Reference, place: Sequence[str]) -> bool:
    """Whether this is a place of which the declaration tells."""
    return len(place) == len(reference.pointer) and all(
        token == declared or declared == EACH for token, declared in zip(place, reference.pointer, strict=True)
    )


def _in_use(user: User) -> Detail:
    facts = {"kind": user.kind, "id": user.id}
    return Detail("in_use", f"Used by {user.kind} {user.id} at {user.pointer}.", facts=facts)


async def release(
    resource: Resource, tx: Transaction, call: Call, id: str, gone: Record, services: Services
) -> list[Mapping[str, Any]]:
    """Store a document without the id of an object that goes away, as a revision of its own; and tell about it.

    Where the object is needed its id stays. The document is not judged: what a rule says today must not keep it from
    losing what is gone. Nothing is stored where another server was faster, and took away the id or the document.
    """
    record = await tx.get(resource.kind, id, gone.owner)
    before = orjson.loads(record.body) if record else {}
    declared = uses_of(resource.references, before)
    places = [use for use in _may_vanish(declared) if (use.kind, use.id) == (gone.kind, gone.id)]
    if record is None or not places:
        return []
    without = _without(resource.written_in(before), places, declared)
    because = {"kind": gone.kind, "id": gone.id, "action": "delete"}
    await store_side_effect(resource, tx, call, record, without, because, services)
    return [_removed(record, place) for place in places]


async def without_vanished(
    resource: Resource, tx: Transaction, record: Record, document: Document, live: Document | None = None
) -> tuple[Document, list[Mapping[str, Any]]]:
    """A document that comes back, without the ids of what was deleted since, where they may be missing; and which.

    What is `live` may keep naming what it names.
    """
    declared = uses_of(resource.references, document)
    known = {(use.kind, use.id) for use in uses_of(resource.references, live or {})}
    vanished = [
        use
        for use in _may_vanish(declared)
        if not (declared[use].is_part or (use.kind, use.id) in known)
        and not await tx.exists(use.kind, use.id, record.owner)
    ]
    if not vanished:
        return document, []
    return _without(document, vanished, declared), [_removed(record, use) for use in vanished]


def _removed(record: Record, use: Use) -> Mapping[str, Any]:
    return {"kind": record.kind, "id": record.id, "what": f"{use.id} removed from {use.pointer}"}


def _may_vanish(declared: Mapping[Use, Reference]) -> list[Use]:
    """Those ids that a document can do without."""
    return [use for use, reference in declared.items() if reference.on_delete != "refuse"]


def _without(document: Document, places: Iterable[Use], declared: Mapping[Use, Reference]) -> Document:
    """A copy of the document with members cleared and elements of arrays removed, from the last one on.

    What has the id of its twin goes as a whole.
    """
    copy: Document = orjson.loads(orjson.dumps(document))
    for use in sorted(places, key=lambda use: [token.zfill(9) for token in parse_pointer(use.pointer)], reverse=True):
        place = parse_pointer(use.pointer)
        *parents, last = place[:-1] if declared[use].is_part else place
        holder: Any = copy
        for token in parents:
            holder = holder[int(token)] if isinstance(holder, list) else holder[token]
        if isinstance(holder, list):
            del holder[int(last)]
        elif declared[use].on_delete == "remove":
            del holder[last]
        else:
            holder[last] = None
    return copy


# --- Who uses this? ---------------------------------------------------------------------------------------------------


async def list_references(resource: Resource, call: Call, services: Services) -> Reply:
    """`{data, total_count}`: the caller's objects that refer to this one, and where. Raises InvalidId."""
    limit, page = page_size(call.query, USERS_ON_A_PAGE), page_number(call.query)
    tx = services.store.reading
    if await tx.read(resource.kind, call.ids["id"], call.account.id) is None:
        raise resource.unknown()
    users = await tx.links.users(resource.kind, call.ids["id"], call.account.id)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for user in users:
        entry: dict[str, Any] = {"kind": user.kind, "id": user.id, "name": user.name, "pointers": []}
        found.setdefault((user.kind, user.id), entry)["pointers"].append(user.pointer)
    listed = list(found.values())[(page - 1) * limit : page * limit]
    return Reply(200, orjson.dumps({"data": listed, "total_count": len(found)}), is_spelled=True)
