"""What the server writes on its own: stock objects, and members that tell what it did."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from palace.call import STOCK_OWNER, Account, Call
from palace.clock import timestamp
from palace.judging import framed
from palace.masks import load_refs
from palace.resource import Document, Resource, Services
from palace.storage import IdTaken, Record, Transaction
from palace.verbs.writing import NO_FACTS, New, Outcome, Wanted, judged_new, keep
from palace.vocabulary import Words


@dataclass(frozen=True, slots=True)
class Planted:
    """A stock object: what a client could write of it."""

    resource: Resource
    id: str
    document: Document


def own_call(owner: int, body: Document | None = None) -> Call:
    """A call that nobody made: the server acts by itself, for this account."""
    return Call(Account(owner, ""), Words(), body=body)


def planted_facts(resource: Resource) -> dict[str, Any]:
    """What the server tells of an object of its own making."""
    return {stamp.name: stamp.planted for stamp in resource.stamps if stamp.planted is not None}


async def plant(
    resource: Resource, id: str, owner: int, body: Document, services: Services, facts: Mapping[str, Any] = NO_FACTS
) -> None:
    """Store an object of the server's own making, about which it knows `facts`. Raises IdTaken when the id exists."""
    new = judged_new(resource, own_call(owner, body), id, facts={**planted_facts(resource), **facts})
    await services.store.transact(lambda tx: new.store(tx, services))


async def plant_all(stock: Sequence[Planted], services: Services) -> None:
    """Make sure that all of these stock objects exist and say what this version has them say, in one transaction."""
    while changed := [one for one in stock if not await _is_planted(one, services)]:
        with suppress(IdTaken):  # By another server that starts just now: see what is left to do.
            await _plant_changed(changed, services)
            return


async def _plant_changed(changed: Sequence[Planted], services: Services) -> None:
    async def store(tx: Transaction) -> None:
        for one in changed:
            record = await tx.get(one.resource.kind, one.id, STOCK_OWNER)
            new = _judged(one)
            if record is None:
                await new.store(tx, services)
            else:
                facts = {stamp.name: stamp.initial for stamp in one.resource.stamps} | planted_facts(one.resource)
                await _rewrite(one.resource, tx, record, {**new.fields, **facts}, "plant", services)

    await services.store.transact(store)


def _judged(one: Planted) -> New:
    return judged_new(one.resource, own_call(STOCK_OWNER, one.document), one.id, facts=planted_facts(one.resource))


async def _is_planted(one: Planted, services: Services) -> bool:
    """Whether the object says what it should."""
    shown = await services.store.reading.read(one.resource.kind, one.id, STOCK_OWNER)
    if shown is None:
        return False
    stored = orjson.loads(shown.body)
    new = _judged(one)
    told = {
        **planted_facts(one.resource),
        **{name: stored[name] for name in (one.resource.id_member, "created_at", "updated_at")},
    }
    return bool(stored == framed(one.resource, new.fields, STOCK_OWNER, told))


async def put_facts(
    resource: Resource, tx: Transaction, record: Record, facts: Mapping[str, Any], action: str, services: Services
) -> None:
    """Write members of an object that only the server writes, as a revision of its own, unless it says so already."""
    known = orjson.loads(record.body)
    if any(known[name] != fact for name, fact in facts.items()):
        await _rewrite(resource, tx, record, facts, action, services)


async def _rewrite(
    resource: Resource, tx: Transaction, record: Record, members: Mapping[str, Any], action: str, services: Services
) -> None:
    """Store other values of some members, whoever may write them. They are not judged: they are the server's."""
    before = orjson.loads(record.body)
    fields = resource.written_in({**before, **members})
    told = {**before, **members, "updated_at": timestamp(services.clock.now())}
    document = framed(resource, fields, record.owner, told)
    refs = load_refs(record.secrets)
    outcome = Outcome(record, before, document, record, refs, refs)
    await keep(resource, tx, own_call(record.owner), outcome, Wanted(fields, action, keeps_draft=True), services)
