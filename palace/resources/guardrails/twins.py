"""An item of an older set is a guardrail of its own too: the two are twins and always say the same (contract 9).

Whoever stores the one stores the other in the same transaction, whichever way the change came: by an edit, a rollback,
a deletion or a restoration. The functions here stand where others have `store_change` and `New.store`, and beside what
deletes and restores.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import orjson

from palace.call import Call
from palace.ids import Ids
from palace.json_patch import equal
from palace.resource import Document, Problem, Resource, Services
from palace.storage import Record, Transaction
from palace.verbs import create_at, take_away
from palace.verbs.writing import New, Outcome, Wanted, store_change, store_side_effect

GUARDRAIL_KIND = "guardrail"
SET_KIND = "guardrails"

Effects = list[Mapping[str, Any]]


# --- A set, and its items as guardrails -------------------------------------------------------------------------------


async def store_new_set(new: New, tx: Transaction, services: Services) -> Outcome:
    """`New.store` of a set, and a twin for each item."""
    fields, _ = with_uuids(new.fields, (), services.ids, new.resource.names.id_digits)
    outcome = await replace(new, fields=fields).store(tx, services)
    outcome.effects = await change_twins("create", tx, new.call, outcome, services)
    return outcome


async def store_set(
    resource: Resource,
    tx: Transaction,
    call: Call,
    record: Record,
    before: Document,
    wanted: Wanted,
    services: Services,
) -> Outcome:
    """`store_change` of a set, and the same change of the twins.

    An item keeps its twin by its uuid, which is one that the document had where it comes from; without one it gets a
    new twin.
    """
    known = _twins(wanted.origin or before)
    document, found = with_uuids(wanted.document, known, services.ids, resource.names.id_digits)
    wanted = replace(wanted, document=document, found=(*wanted.found, *found))
    outcome = await store_change(resource, tx, call, record, before, wanted, services)
    if outcome.changed:
        outcome.effects = await change_twins(wanted.action, tx, call, outcome, services)
    return outcome


def with_uuids(document: Any, known: Collection[str], ids: Ids, digits: int) -> tuple[Any, list[Problem]]:
    """The document of a set with a uuid in every item, and a problem for each uuid that is none of the `known` ones.

    Of several items with the same one, as a copy makes them, the first keeps it.
    """
    items = document.get("data") if isinstance(document, dict) else None
    if not isinstance(items, list):
        return document, []
    numbered: list[Any] = list(items)
    found: list[Problem] = []
    taken: set[str] = set()
    for index, item in enumerate(items):
        uuid = item.get("uuid") if isinstance(item, dict) else 0
        if uuid is None or (isinstance(uuid, str) and uuid in taken):
            numbered[index] = {**item, "uuid": ids.new("g", digits)}
        elif isinstance(uuid, str):  # What is no text, the model has words for.
            taken.add(uuid)
            if uuid not in known:
                text = "No item of the set has this uuid. Leave it out for a new one."
                found.append(Problem(("data", index, "uuid"), "unknown_reference", text))
    return {**document, "data": numbered}, found


def _twins(document: Document) -> dict[str, Document]:
    """What the twin of each item says, by its uuid."""
    return {
        item["uuid"]: {name: value for name, value in item.items() if name != "uuid"}
        for item in document.get("data", ())
    }


async def change_twins(action: str, tx: Transaction, call: Call, outcome: Outcome, services: Services) -> Effects:
    """Do to the twins what an action did to the items of a set, and tell what that was."""
    because = {"kind": SET_KIND, "id": outcome.record.id, "action": action}
    before, after = _twins(outcome.before), _twins(outcome.document)
    effects: Effects = []
    for uuid in before:
        if uuid not in after:
            effects += await _part(tx, call, uuid, services)
    for uuid, fields in after.items():
        effects += await _bring(tx, call, uuid, fields, because, services)
    return effects


async def _part(tx: Transaction, call: Call, uuid: str, services: Services) -> Effects:
    """Delete a twin whose item is gone."""
    record = await tx.get(GUARDRAIL_KIND, uuid, call.account.id)
    if record is None:
        return []
    outcome = await take_away(tx, call, record, services)
    return [_effect(GUARDRAIL_KIND, uuid, "deleted"), *outcome.effects]


async def _bring(
    tx: Transaction, call: Call, uuid: str, fields: Document, because: Mapping[str, Any], services: Services
) -> Effects:
    """Make a twin say what its item says, whether it is there, was deleted or is to be made. The item was judged."""
    resource = services.kinds[GUARDRAIL_KIND]
    found = await tx.get_with_deleted(GUARDRAIL_KIND, uuid, call.account.id)
    if found is None:
        await create_at(resource, tx, call, uuid, fields, services)
        return [_effect(GUARDRAIL_KIND, uuid, "created")]
    record, deleted_at = found
    before = orjson.loads(record.body)
    if deleted_at is not None:
        document = {name: before[name] for name in resource.read_only} | fields
        wanted = Wanted(document, "restore", about={"because": because}, even_if_same=True)
        await store_change(resource, tx, call, record, before, wanted, services)
        return [_effect(GUARDRAIL_KIND, uuid, "restored")]
    if equal(resource.written_in(before), fields):
        return []
    await store_side_effect(resource, tx, call, record, fields, because, services)
    return [_effect(GUARDRAIL_KIND, uuid, "changed")]


# --- A guardrail, and the item that it is -----------------------------------------------------------------------------


async def store_guardrail(
    resource: Resource,
    tx: Transaction,
    call: Call,
    record: Record,
    before: Document,
    wanted: Wanted,
    services: Services,
) -> Outcome:
    """`store_change` of a guardrail, and the same change of the item whose twin it is."""
    outcome = await store_change(resource, tx, call, record, before, wanted, services)
    if outcome.changed:
        because = {"kind": GUARDRAIL_KIND, "id": record.id, "action": wanted.action}
        for user in await tx.links.users(GUARDRAIL_KIND, record.id, record.owner):
            if user.kind == SET_KIND:
                effects = await _put_item(tx, call, user.id, outcome.document, because, services)
                outcome.effects = [*outcome.effects, *effects]
    return outcome


async def _put_item(
    tx: Transaction, call: Call, id: str, guardrail: Document, because: Mapping[str, Any], services: Services
) -> Effects:
    """Make the item say what its twin says, wherever it is now: another server may have moved it, or taken it away."""
    record = await tx.get(SET_KIND, id, call.account.id)
    resource = services.kinds[SET_KIND]
    fields = resource.written_in(orjson.loads(record.body)) if record else {"data": []}
    places = [index for index, item in enumerate(fields["data"]) if item["uuid"] == guardrail["uuid"]]
    if record is None or not places:
        return []
    [index] = places
    fields["data"][index] = {**services.kinds[GUARDRAIL_KIND].written_in(guardrail), "uuid": guardrail["uuid"]}
    await store_side_effect(resource, tx, call, record, fields, because, services)
    return [_effect(SET_KIND, id, f"/data/{index} changed")]


def _effect(kind: str, id: str, what: str) -> Mapping[str, Any]:
    return {"kind": kind, "id": id, "what": what}
