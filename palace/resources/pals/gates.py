"""The rehearsal gate of a PAL: a suite that must be green before a draft is published or a revision comes back.

It is a document beside the PAL, so that no published document has a member for it; it goes and comes back with its PAL
(docs/decisions/0030-rehearsals.md).
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints

from palace import verbs
from palace.call import Call, Reply
from palace.errors import Detail, NoSuchGate, PreconditionFailed, RehearsalMissing
from palace.etags import is_matched, tags_in
from palace.resource import Document, Endpoint, Names, Reference, Resource, Services
from palace.resources.conversations.casting import parts_of
from palace.resources.rehearsal_suites import OWN, REHEARSAL_SUITE
from palace.resources.rehearsals import KIND as REHEARSAL_KIND
from palace.storage import Listing, Record, Transaction
from palace.validation import Model, as_object
from palace.verbs.deleting import take_away
from palace.verbs.guards import refuse_stale
from palace.verbs.history import bring_back_record
from palace.verbs.patching import guarded
from palace.verbs.reading import own, version_headers
from palace.verbs.writing import Outcome, Wanted, carry_out, shown, store_change

KIND = "rehearsal_gate"
MOST_LOOKED_AT = 20
MOST_NAMED = 10
"""failed visitors that a refusal names"""
TAG_BYTES = 12


class Gate(Model):
    """What must be green."""

    suite_id: Annotated[str, StringConstraints(min_length=1)]
    """An id of /v2/rehearsal-suites."""
    pass_rate: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The part of the talks in which everything must hold."""


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """The gate. Raises InvalidId, NoSuchGate."""
    tx, id, account = services.store.reading, call.ids["id"], call.account.id
    if await tx.read("pal", id, account) is None:
        raise resource.unknown()
    found = await tx.read(KIND, id, account)
    if found is None:
        raise NoSuchGate
    headers = version_headers(found.etag, found.revision)
    known = tags_in(call.if_none_match, "If-None-Match") if call.if_none_match is not None else ()
    return Reply(304, headers=headers) if is_matched(known, found.etag) else Reply(200, found.body, headers)


async def put(resource: Resource, call: Call, services: Services) -> Reply:
    """Set the gate up, or change it: 200 with it. Raises InvalidId, InvalidDocument and its kin."""
    id, account = call.ids["id"], call.account.id
    sent = as_object(call.body, "suite_id")

    async def work(tx: Transaction) -> Outcome:
        own(resource, await tx.get("pal", id, account))
        record = await tx.get(KIND, id, account)
        if record is None:
            if call.if_match is not None:
                problem = "This PAL has no rehearsal gate yet, so there is nothing that an ETag could match."
                raise PreconditionFailed([Detail("unknown_etag", problem)], {})
            return await verbs.create_at(resource, tx, call, id, sent, services)
        before = orjson.loads(record.body)

        async def store() -> Outcome:
            wanted = Wanted({**{name: before[name] for name in resource.read_only}, **sent}, "replace")
            return await store_change(resource, tx, call, record, before, wanted, services)

        return await guarded(tx, call, record, store, services)

    return await carry_out(call, services, work, shown)


async def remove(resource: Resource, call: Call, services: Services) -> Reply:
    """Take the gate away: 204. Raises InvalidId, NoSuchGate."""

    async def work(tx: Transaction) -> Outcome:
        own(resource, await tx.get("pal", call.ids["id"], call.account.id))
        record = await tx.get(KIND, call.ids["id"], call.account.id)
        if record is None:
            raise NoSuchGate
        await refuse_stale(tx, record, call, services)
        return await take_away(tx, call, record, services, for_good=True)

    return await carry_out(call, services, work, lambda _outcome: Reply(204))


# --- What it refuses --------------------------------------------------------------------------------------------------


async def store_if_rehearsed(
    resource: Resource,
    tx: Transaction,
    call: Call,
    record: Record,
    before: Document,
    wanted: Wanted,
    services: Services,
) -> Outcome:
    """`store_change`, refused where the PAL's gate demands a green rehearsal of the result. Raises RehearsalMissing."""
    outcome = await store_change(resource, tx, call, record, before, wanted, services)
    gate = await tx.get(KIND, record.id, record.owner) if outcome.changed else None
    if gate is not None:
        details = await _missing(tx, outcome.record, orjson.loads(gate.body), wanted)
        if details:
            raise RehearsalMissing(details)
    return outcome


def tag_of(said: Mapping[str, Any]) -> str:
    """A short text for what a suite says, as a client could write it; or the parts of a script (`parts_of`)."""
    text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=TAG_BYTES).hexdigest()


async def _missing(tx: Transaction, pal: Record, gate: Document, wanted: Wanted) -> list[Detail]:
    """What is missing, and how to make it good; nothing when a rehearsal of this very content is green, with the tools,
    objectives and guardrails as they are."""
    suite = await tx.get(REHEARSAL_SUITE.kind, gate["suite_id"], pal.owner)
    if suite is None:
        text = f"The suite {gate['suite_id']} of the gate is deleted: restore it, name another one, or remove the gate."
        return [Detail("rehearsal_missing", text, facts={"suite_id": gate["suite_id"]})]
    written = REHEARSAL_SUITE.written_in(orjson.loads(suite.body))
    tag = tag_of(written)
    labels = {"pal": [pal.id], "pal_etag": [pal.etag], "suite_tag": [tag]}
    listing = Listing("own", "newest", MOST_LOOKED_AT, labels=labels)
    of_any_parts = [orjson.loads(body) for body in (await tx.links.search(REHEARSAL_KIND, pal.owner, listing)).bodies]
    _, parts = await parts_of(orjson.loads(pal.body), tx, pal.owner)
    of_any_runs = [one for one in of_any_parts if one.get("parts_tag") == tag_of(parts)]
    found = [one for one in of_any_runs if one["runs"] >= written["runs"]]
    if any(one["status"] == "completed" and one["pass_rate"] >= gate["pass_rate"] for one in found):
        return []
    facts = {"suite_id": suite.id, "pass_rate": gate["pass_rate"], "pal_etag": pal.etag}
    run = _how_to_run(pal.id, suite.id, wanted)
    if of_any_runs and not found:
        runs = written["runs"]
        text = f"What is to go live was rehearsed with fewer runs than the {runs} of the suite {suite.id}. {run}"
        return [Detail("rehearsal_missing", text, facts={**facts, "runs": runs})]
    if not found:
        since = ", nor since a tool, objective or guardrail that it names was edited" if of_any_parts else ""
        text = f"What is to go live has not been rehearsed with the suite {suite.id} as it is now{since}. {run}"
        return [Detail("rehearsal_missing", text, facts=facts)]
    return [_not_green(found[0], gate, facts, run)]


def _not_green(rehearsal: Document, gate: Document, facts: Mapping[str, Any], run: str) -> Detail:
    """Why the newest rehearsal does not do."""
    id = rehearsal["rehearsal_id"]
    facts = {**facts, "rehearsal_id": id}
    if rehearsal["status"] == "running":
        return Detail("rehearsal_running", f"The rehearsal {id} goes on ({rehearsal['progress']}): wait.", facts=facts)
    if rehearsal["status"] == "error":
        text = f"The rehearsal {id} came to nothing: {rehearsal['error_message']} {run}"
        return Detail("rehearsal_failed", text, facts=facts)
    failed = [one["name"] for one in rehearsal["report"]["visitors"] if one["passed"] < one["runs"]]
    rate, needed = rehearsal["pass_rate"], gate["pass_rate"]
    named = ", ".join(failed[:MOST_NAMED]) + (" and others" if len(failed) > MOST_NAMED else "")
    text = f"The rehearsal {id} passed {rate:.2%} of its talks, and {needed:.2%} are needed. Failed: {named}."
    return Detail("rehearsal_failed", text, facts={**facts, "failed": failed[:MOST_NAMED], "actual": rate})


def _how_to_run(pal: str, suite: str, wanted: Wanted) -> str:
    """The request that would make it good."""
    about = wanted.about or {}
    if wanted.action == "publish":
        which = {"draft": True}
    elif "to" in about:
        which = {"revision": about["to"]}
    else:
        return "Make the change in a draft, rehearse that, and publish it."
    body = orjson.dumps({"suite_id": suite, **which}).decode()
    return f"Run: POST /v2/pals/{pal}/rehearsals {body}"


# --- With their PAL ---------------------------------------------------------------------------------------------------


async def delete_gate(tx: Transaction, call: Call, services: Services) -> Sequence[Mapping[str, Any]]:
    """Delete the gate of a PAL that is deleted."""
    record = await tx.get(KIND, call.ids["id"], call.account.id)
    if record is None:
        return ()
    await take_away(tx, call, record, services)
    return [{"kind": KIND, "id": record.id, "what": "deleted"}]


async def restore_gate(tx: Transaction, call: Call, services: Services) -> Sequence[Mapping[str, Any]]:
    """Bring back the gate that was deleted with its PAL."""
    found = await tx.get_with_deleted(KIND, call.ids["id"], call.account.id)
    if found is None or found[1] is None:
        return ()
    await bring_back_record(REHEARSAL_GATE, tx, call, found[0], services)
    return [{"kind": KIND, "id": found[0].id, "what": "restored"}]


# --- The resource -----------------------------------------------------------------------------------------------------

NO_PAL = "`Invalid pal_id`: unknown, or not yours"
NO_GATE = "This PAL has no rehearsal gate."

REHEARSAL_GATE = Resource(
    kind=KIND,
    names=Names("pals", "Rehearsals", "a rehearsal gate", "pal_id", "p", "pcb7a34da5fe"),
    model=Gate,
    example={"suite_id": "rs0a1b2c3d4e5", "pass_rate": 1.0},
    references=(Reference(("suite_id",), REHEARSAL_SUITE.kind, "Invalid suite_id", "refuse"),),
    endpoints=(
        Endpoint(
            "GET",
            "/{id}/rehearsal-gate",
            "getRehearsalGate",
            "Get the rehearsal gate of a PAL",
            "The suite that must be green, and how much of it.",
            read,
            answers={200: "The gate.", 400: f"{NO_PAL}.", 404: NO_GATE},
            differs=OWN,
        ),
        Endpoint(
            "PUT",
            "/{id}/rehearsal-gate",
            "putRehearsalGate",
            "Set up the rehearsal gate of a PAL",
            "From now on publishing a draft, rolling back and reverting are refused with 409 unless a rehearsal of "
            "that very content, with the suite and all tools, objectives and guardrails as they are then, and with as "
            "many runs as the suite says, is green. A patch of the live PAL is not held up.",
            put,
            answers={200: "The gate.", 400: f"{NO_PAL}; or there is no such suite."},
            body="document",
        ),
        Endpoint(
            "DELETE",
            "/{id}/rehearsal-gate",
            "deleteRehearsalGate",
            "Remove the rehearsal gate of a PAL",
            "Nothing is demanded any more.",
            remove,
            answers={204: "Removed.", 400: f"{NO_PAL}.", 404: NO_GATE},
        ),
    ),
)
