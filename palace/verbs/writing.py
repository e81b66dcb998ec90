"""Create, and the one way in which every write is checked, stored, remembered and answered."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import orjson

from palace.call import Call, Reply
from palace.clock import timestamp
from palace.errors import BadRequest, ClientError, Detail
from palace.etags import content_etag
from palace.json_patch import Operation
from palace.judging import framed, judge, move_claims, writable
from palace.links import check_references, keep_index
from palace.masks import Refs, Sealer, Settled, dump_refs, load_refs, settle_secrets
from palace.mending import with_nearest
from palace.resource import Document, Problem, Resource, Services
from palace.revisions.history import Delta, base_of_next, baseline_of, deed_of, delta_between, revision_of
from palace.storage import Answer, IdTaken, Record, Transaction
from palace.validation import as_object
from palace.verbs.normalised import stored_differently
from palace.verbs.queries import is_dry_run
from palace.verbs.reading import version_headers
from palace.verbs.rebasing import Live, draft_deed, draft_to_meet, meet_draft

NO_FACTS: Mapping[str, Any] = {}


@dataclass
class Outcome:
    """What a write made of one object: its state before and after, which are the same when nothing changed.

    `record` is what is stored now, `previous` what was stored before: None for a new object.
    """

    record: Record
    before: Document
    document: Document
    previous: Record | None = None
    refs_before: Refs = field(default_factory=dict)
    refs: Refs = field(default_factory=dict)
    changed: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    effects: Sequence[Mapping[str, Any]] = ()
    """what happened to other objects: `kind`, `id`, `what`"""
    said: Mapping[str, Any] = field(default_factory=dict)
    """what the answer says besides the document"""

    @cached_property
    def delta(self) -> Delta:
        """What differs between before and after."""
        return delta_between(self.before, self.document, self.refs_before, self.refs)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document that is to become the next state of an object, and how it came about.

    Masks in it stand for `refs` where they stand in `origin`: the stored document and its secrets unless told
    otherwise. `operations` are those that problems are blamed on.
    """

    document: Any
    action: str
    operations: Sequence[Operation] = ()
    origin: Document | None = None
    refs: Refs | None = None
    about: Mapping[str, Any] | None = None
    found: Sequence[Problem] = ()
    """problems known before it is judged"""
    even_if_same: bool = False
    keeps_draft: bool = False
    """whether an open draft is carried over whatever it says, as it is for what is not the client's own edit"""
    to_the_letter: bool = False
    """whether an absent member differs from one that says its default, as it does for an undo and not for a patch"""


# --- The way of every write -------------------------------------------------------------------------------------------


async def carry_out(
    call: Call,
    services: Services,
    work: Callable[[Transaction], Awaitable[Outcome]],
    answer: Callable[[Outcome], Reply],
) -> Reply:
    """Run `work` in a transaction and answer; with `?dry_run=true` undo it and answer with what it would have done.

    The first answer to an idempotency key is stored in the same transaction.
    """
    is_rehearsal = is_dry_run(call.query)

    async def inside(tx: Transaction) -> Reply:
        if is_rehearsal:
            async with tx.rehearsal():
                return preview(await work(tx), call)
        reply = answer(await work(tx))
        await keep_answer(tx, call, reply, services)
        return reply

    started = services.clock.monotonic()
    try:
        return await services.store.transact(inside)
    finally:
        call.took("store.transact", started, services.clock.monotonic())


async def keep_answer(tx: Transaction, call: Call, reply: Reply, services: Services) -> None:
    """Store the first answer to an idempotency key, where the call has one, with what it answers for."""
    if call.idempotency is not None:
        kept = Answer(
            call.idempotency.fingerprint,
            reply.status,
            orjson.dumps(dict(reply.headers)),
            reply.document,
            reply.is_spelled,
        )
        key, since = call.idempotency.key, call.idempotency.since
        await tx.add_answer(call.account.id, key, timestamp(services.clock.now()), kept, since)


def preview(outcome: Outcome, call: Call) -> Reply:
    """What a write would do. The tag is that of the object as it is, to guard the real write with."""
    words, document, previous = call.words, outcome.document, outcome.previous
    headers = dict(outcome.headers)
    if previous is None:
        document = dict(list(document.items())[1:])  # The id comes first; this one was made up, and so is the tag.
        headers = {name: value for name, value in headers.items() if name not in version_headers("", 0)}
    else:
        headers |= version_headers(previous.etag, previous.revision)
    touched: list[str] = [""]
    patch: list[dict[str, Any]] = []
    inverse: list[dict[str, Any]] = []
    if previous is not None and document:  # Else it is created or deleted, which no patch does.
        delta = outcome.delta
        touched, patch, inverse = delta.touched, delta.patch, delta.inverse
    said = {
        "dry_run": True,
        "changed": outcome.changed,
        "document": words.document(document) if document else None,
        "touched": [words.pointer(pointer) for pointer in touched],
        "patch": words.patch(patch),
        "inverse": words.patch(inverse),
        "effects": list(outcome.effects),
    }
    return Reply(200, orjson.dumps(said), headers, is_spelled=True)


def shown(outcome: Outcome) -> Reply:
    """200 with the whole document, and what else there is to say."""
    body = orjson.dumps({**outcome.document, **outcome.said}) if outcome.said else outcome.record.body
    return Reply(200, body, outcome.headers)


async def store_change(
    resource: Resource,
    tx: Transaction,
    call: Call,
    record: Record,
    before: Document,
    wanted: Wanted,
    services: Services,
) -> Outcome:
    """Judge the wanted document, and store and remember it as the next revision of `record`, unless it says the same.

    `before` is the document of `record`. Raises InvalidDocument and its kin, MakerChanges.
    """
    stored = load_refs(record.secrets)
    fields, problems = writable(resource, before, wanted.document)
    origin, refs = wanted.origin or before, stored if wanted.refs is None else wanted.refs
    settled = settle_secrets(resource, fields, before=origin, refs=refs)
    judged = judge(resource, settled.document, [*wanted.found, *problems, *settled.problems], wanted.operations)
    sealer = Sealer(services.vault, services.ids, resource.kind, record.id)
    kept, fresh = await sealer.seal(settled, tx, stored)
    is_same = judged.repeats if wanted.to_the_letter else judged.is_same_as
    if kept == stored and not wanted.even_if_same and is_same(resource, before):
        headers = version_headers(record.etag, record.revision)
        return Outcome(record, before, before, record, stored, stored, changed=False, headers=headers)
    outcome = Outcome(record, before, stamped(resource, record, before, judged.stored, services), record, stored, kept)
    await check_references(
        resource, tx, record.owner, before, outcome.document, outcome.delta.places, wanted.operations
    )
    await keep(resource, tx, call, outcome, wanted, services)
    for ref, (place, sealed) in fresh.items():
        await tx.add_secret(ref, record.seq, place, sealed)
    outcome.headers.update(stored_differently(settled.document, judged.stored, call))
    return outcome


Store = Callable[[Resource, Transaction, Call, Record, Document, Wanted, Services], Awaitable[Outcome]]
"""`store_change`, or what a kind of object does around it."""


async def store_side_effect(
    resource: Resource,
    tx: Transaction,
    call: Call,
    record: Record,
    fields: Document,
    because: Mapping[str, Any],
    services: Services,
) -> None:
    """Store what follows from a change of another object, which `because` tells, as a revision of its own.

    It is not judged: what a rule says today must not keep a document from following.
    """
    before, refs = orjson.loads(record.body), load_refs(record.secrets)
    outcome = Outcome(record, before, stamped(resource, record, before, fields, services), record, refs, refs)
    wanted = Wanted(fields, "side_effect", about={"because": because}, keeps_draft=True)
    await keep(resource, tx, call, outcome, wanted, services)


def stamped(resource: Resource, record: Record, before: Document, fields: Document, services: Services) -> Document:
    """The next document of an object, changed now."""
    return framed(resource, fields, record.owner, {**before, "updated_at": timestamp(services.clock.now())})


async def keep(
    resource: Resource, tx: Transaction, call: Call, outcome: Outcome, wanted: Wanted, services: Services
) -> None:
    """Store and remember the document of `outcome`, which is valid, as the next revision of its record.

    Raises MakerChanges; a ClientError for a name that is taken.
    """
    record, document, now = outcome.record, outcome.document, outcome.document["updated_at"]
    before = {} if wanted.even_if_same else outcome.before
    await move_claims(resource, tx, record.id, record.owner, before, document, wanted.operations)
    draft = await draft_to_meet(tx, call, record.seq) if resource.drafts else None
    if draft is not None:
        live = Live(record.revision + 1, document, outcome.refs, record.owner)
        keeps = wanted.even_if_same or wanted.keeps_draft
        met = await meet_draft(resource, tx, call, draft, live, outcome.delta, keep=keeps)
        outcome.said, outcome.effects = met.said, met.effects
        wanted = replace(wanted, about={**(wanted.about or {}), **met.about})
        if met.about:
            await tx.add_audit(draft_deed(record, draft, call, "discard", now), services.audit)
    await _store(tx, call, outcome, wanted, services)
    await keep_index(resource, tx, record.seq, outcome.before, document, outcome.delta.places)


async def _store(tx: Transaction, call: Call, outcome: Outcome, wanted: Wanted, services: Services) -> None:
    """Write the document and its revision, and put the new record into the outcome."""
    previous, secrets, now = outcome.record, dump_refs(outcome.refs), outcome.document["updated_at"]
    body = encoded(outcome.document, services)
    etag, base, patch = content_etag(body, secrets), 0, b""
    if services.settings.history:
        patch = orjson.dumps(outcome.delta.patch)
        base = base_of_next(previous, len(patch), len(body))
    await tx.replace(previous, body=body, secrets=secrets, updated_at=now, etag=etag, base=base)
    number = previous.revision + 1
    record = replace(previous, revision=number, updated_at=now, body=body, secrets=secrets, etag=etag, base=base)
    if base and not previous.base:  # History was off until now: begin with what was there.
        await tx.add_revision(baseline_of(previous))
    if base:
        touched = [""] if wanted.even_if_same else outcome.delta.touched
        await tx.add_revision(revision_of(record, call, wanted.action, touched, patch, wanted.about))
    await tx.add_audit(deed_of(record, call, wanted.action), services.audit)
    outcome.record, outcome.headers = record, version_headers(etag, number)


def encoded(document: Document, services: Services) -> bytes:
    """The JSON of a document as it is stored. Raises BadRequest when it is larger than the server keeps."""
    body, most = orjson.dumps(document), services.settings.max_document_bytes
    if len(body) > most:
        problem = f"The document would have {len(body)} bytes; the limit is {most}."
        facts = {"limit": "max_document_bytes", "maximum": most, "actual": len(body)}
        raise BadRequest(f"Bad Request. {problem}", [Detail("document_too_large", problem, facts=facts)])
    return body


# --- Create -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class New:
    """A valid document that is not stored yet."""

    resource: Resource
    call: Call
    id: str
    settled: Settled
    fields: Document
    facts: Mapping[str, Any]

    async def store(self, tx: Transaction, services: Services) -> Outcome:
        """Store it as the first revision. Raises IdTaken; a ClientError for an id that leads nowhere, a taken name."""
        resource, owner = self.resource, self.call.account.id
        sealer = Sealer(services.vault, services.ids, resource.kind, self.id)
        refs, fresh = await sealer.seal(self.settled, tx, {})
        now = timestamp(services.clock.now())
        told = {**self.facts, resource.id_member: self.id, "created_at": now, "updated_at": now}
        document = framed(resource, self.fields, owner, told)
        places = [(name,) for name in document]
        await check_references(resource, tx, owner, {}, document, places)
        body, secrets = encoded(document, services), dump_refs(refs)
        base = 1 if services.settings.history else 0
        record = Record(
            resource.kind, self.id, owner, 1, now, now, body, secrets, etag=content_etag(body, secrets), base=base
        )
        record = replace(record, seq=await tx.insert(record))
        await move_claims(resource, tx, self.id, owner, {}, document)
        await keep_index(resource, tx, record.seq, {}, document, places)
        for ref, (place, sealed) in fresh.items():
            await tx.add_secret(ref, record.seq, place, sealed)
        if base:
            await tx.add_revision(revision_of(record, self.call, "create", [""], b"", None))
        await tx.add_audit(deed_of(record, self.call, "create"), services.audit)
        notes = stored_differently(self.settled.document, self.fields, self.call)
        headers = {**version_headers(record.etag, 1), **notes}
        return Outcome(record, {}, document, refs=refs, headers=headers)


StoreNew = Callable[[New, Transaction, Services], Awaitable[Outcome]]
"""`New.store`, or what a kind of object does around it."""


def judged_new(
    resource: Resource, call: Call, id: str, found: Sequence[Problem] = (), facts: Mapping[str, Any] = NO_FACTS
) -> New:
    """The body of a call as a new document. Raises InvalidDocument and its kin; `found` are problems known before."""
    settled = settle_secrets(resource, as_object(call.body, resource.some_member), before={}, refs={})
    try:
        judged = judge(resource, settled.document, [*found, *settled.problems])
    except ClientError as error:
        raise with_nearest(error, resource.model) from error
    return New(resource, call, id, settled, judged.stored, facts)


async def create(
    resource: Resource,
    call: Call,
    services: Services,
    *,
    found: Sequence[Problem] = (),
    facts: Mapping[str, Any] = NO_FACTS,
    store: StoreNew = New.store,
    answer: Callable[[Outcome], Reply] = shown,
) -> Reply:
    """Store a new document. Raises InvalidDocument and its kin; `found` are problems known before.

    `facts` are members that only the server writes.
    """
    while True:
        id = services.ids.new(resource.names.id_prefix, resource.names.id_digits)
        with suppress(IdTaken):
            new = judged_new(resource, call, id, found, facts)
            return await carry_out(call, services, lambda tx, new=new: store(new, tx, services), answer)  # type: ignore[misc]


async def create_at(
    resource: Resource, tx: Transaction, call: Call, id: str, body: Document, services: Services
) -> Outcome:
    """Store a new document under a certain id, inside a transaction. Raises IdTaken, InvalidDocument and its kin."""
    return await judged_new(resource, replace(call, body=body), id).store(tx, services)
