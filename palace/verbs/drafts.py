"""Changes that wait: read, change, discard and bring back the draft of an object; publish it (contract 2.6, 2.8)."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from palace.call import Call, Reply
from palace.clock import timestamp
from palace.errors import BadRequest, Detail, DraftInTheWay, MovedSince, NoSuchDraft, PreconditionFailed
from palace.etags import is_matched, tags_in
from palace.json_patch import equal, format_pointer
from palace.judging import judge, writable
from palace.links import check_references
from palace.masks import Sealer, load_refs, settle_secrets
from palace.resource import Document, Problem, Resource, Services, value_at
from palace.revisions.changes import changes
from palace.shown import STAMPED
from palace.storage import Draft, Record, Transaction
from palace.verbs.deleting import without_vanished
from palace.verbs.guards import is_stale, refuse_stale
from palace.verbs.normalised import stored_differently
from palace.verbs.patching import Editor, Prepare, as_sent, guarded, unchanged
from palace.verbs.queries import AFTER_ALL, as_number, cursor_at, number_before, page_size
from palace.verbs.reading import own_record, version_headers
from palace.verbs.rebasing import Live, delta_of, draft_deed, drafted, effect, rebased
from palace.verbs.writing import Outcome, Store, Wanted, carry_out, encoded, store_change

DRAFTS_ON_A_PAGE = 20


# --- Look -------------------------------------------------------------------------------------------------------------


async def read_draft(resource: Resource, call: Call, services: Services) -> Reply:
    """The open draft: the document with its changes, and what they are. Raises NoSuchDraft."""
    tx = services.store.reading
    draft = await _open_draft(tx, await own_record(resource, tx, call))
    headers = version_headers(draft.etag, draft.base_revision)
    if call.if_none_match is not None and is_matched(tags_in(call.if_none_match, "If-None-Match"), draft.etag):
        return Reply(304, headers=headers)
    return _spelled(_described(resource, draft, call), headers)


async def list_drafts(resource: Resource, call: Call, services: Services) -> Reply:
    """`{data, next_cursor}`: every draft there was, newest first, without the documents."""
    limit = page_size(call.query, DRAFTS_ON_A_PAGE)
    before = number_before(call.query.get("cursor", ""))
    tx = services.store.reading
    record = await own_record(resource, tx, call)
    found = await tx.drafts(record.seq, before=before, limit=limit + 1)
    cursor = cursor_at(found[limit - 1].number) if len(found) > limit else None
    return _spelled({"data": [_summary(draft, call) for draft in found[:limit]], "next_cursor": cursor}, {})


async def _open_draft(tx: Transaction, record: Record) -> Draft:
    draft = await tx.open_draft(record.seq)
    if draft is None:
        raise NoSuchDraft("There are no changes that wait to be published.")
    return draft


def _summary(draft: Draft, call: Call) -> dict[str, Any]:
    return {
        "draft": draft.number,
        "state": draft.state,
        "base_revision": draft.base_revision,
        "changed_by": draft.key_id or None,
        "created_at": draft.created_at,
        "updated_at": draft.updated_at,
        "touched": [call.words.pointer(pointer) for pointer in delta_of(draft).touched],
    }


def _described(resource: Resource, draft: Draft, call: Call) -> dict[str, Any]:
    """The draft with its patch and its document, in the words of the route.

    A draft that was discarded shows what is live.
    """
    words, document = call.words, orjson.loads(draft.body)
    return {
        **words.document({resource.id_member: document[resource.id_member]}),
        **_summary(draft, call),
        "patch": words.patch(delta_of(draft).patch),
        "document": words.document(document),
    }


def _spelled(said: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
    return Reply(200, orjson.dumps(said), headers, is_spelled=True)


# --- Change -----------------------------------------------------------------------------------------------------------


async def patch_draft(resource: Resource, call: Call, services: Services, *, prepare: Prepare = as_sent) -> Reply:
    """Change parts of the draft, which begins as the live document: 200 with the draft, 304 when nothing changes.

    It is judged like a live document, only names are not taken yet. A draft that comes to say what is live is discarded
    as it was before. Raises what `patch` raises.
    """

    async def change(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        draft = await tx.open_draft(record.seq)
        standing = _standing(record, draft)
        before = orjson.loads(standing.body)
        keep = partial(_keep, resource, tx, call, record, draft)
        editor = Editor(resource, tx, call, standing, before, prepare, keep, services)
        outcome = await guarded(tx, call, standing, editor.change, services, refusal=_moved_on)
        if not outcome.changed and draft:
            outcome.said = _described(resource, draft, call)
        return outcome

    return await carry_out(call, services, change, partial(_answer, call))


def _standing(record: Record, draft: Draft | None) -> Record:
    """The draft in the form of the record that it would replace; the record itself where there is none."""
    if draft is None:
        return record
    return replace(
        record,
        revision=draft.base_revision,
        updated_at=draft.updated_at,
        body=draft.body,
        secrets=draft.secrets,
        etag=draft.etag,
    )


async def _moved_on(tx: Transaction, standing: Record, call: Call) -> PreconditionFailed:
    """The 412 for a draft, of which only the newest state is remembered."""
    del tx, call
    problem = "The draft has changed since you read it, or was begun or ended since; read it again."
    return PreconditionFailed([Detail("draft_changed", problem)], version_headers(standing.etag, standing.revision))


def _answer(call: Call, outcome: Outcome) -> Reply:
    """200 with the draft; 304 when nothing changed, unless the client wants 200 and there is one."""
    if outcome.said and (outcome.changed or call.wants_representation):
        return _spelled(outcome.said, outcome.headers)
    return Reply(304, headers={**outcome.headers, "x-message": "No changes were made to the draft"})


async def _keep(
    resource: Resource,
    tx: Transaction,
    call: Call,
    record: Record,
    draft: Draft | None,
    wanted: Wanted,
    services: Services,
) -> Outcome:
    """Judge what the draft is to say, and keep it, unless it says that already."""
    standing = _standing(record, draft)
    before, known = orjson.loads(standing.body), load_refs(standing.secrets)
    fields, problems = writable(resource, before, wanted.document)
    settled = settle_secrets(resource, fields, before=before, refs=known)
    problems += [*settled.problems, *_live_only(resource, before, fields)]
    judged = judge(resource, settled.document, problems, wanted.operations)
    live = Live(record.revision, orjson.loads(record.body), load_refs(record.secrets), record.owner)
    sealer = Sealer(services.vault, services.ids, resource.kind, record.id)
    refs, fresh = await sealer.seal(settled, tx, known, live.refs)
    if refs == known and judged.is_same_as(resource, before):
        return unchanged(standing, before)
    if refs == live.refs and judged.is_same_as(resource, live.document):
        assert draft is not None
        return await _discarded(resource, tx, call, record, draft, services)
    now = timestamp(services.clock.now())
    new = draft or await _new_draft(tx, record, now)
    new = replace(new, key_id=call.account.key_id, updated_at=now)
    new = drafted(resource, new, live, judged.stored, refs)
    document = orjson.loads(new.body)
    encoded(document, services)
    places = [change.tokens for change in changes(before, document)]
    await check_references(resource, tx, record.owner, before, document, places, wanted.operations)
    await tx.put_draft(new)
    await tx.add_audit(draft_deed(record, new, call, "patch" if draft else "create", now), services.audit)
    for ref, (place, sealed) in fresh.items():
        await tx.add_secret(ref, record.seq, place, sealed)
    outcome = _outcome(resource, call, record, draft, new)
    outcome.headers.update(stored_differently(settled.document, judged.stored, call))
    return outcome


def _live_only(resource: Resource, before: Document, after: Document) -> list[Problem]:
    """A problem when what does not wait in a draft would change."""
    assert resource.drafts is not None
    place = resource.drafts.live_only
    if equal(value_at(before, place), value_at(after, place)):
        return []
    text = f"{format_pointer(place)} is not part of a draft: it is changed on the live object, at once. Patch that."
    return [Problem(place, "live_only", text, form="sentence")]


async def _new_draft(tx: Transaction, record: Record, now: str) -> Draft:
    newest = await tx.drafts(record.seq, before=AFTER_ALL, limit=1)
    number = newest[0].number + 1 if newest else 1
    return Draft(record.seq, number, "open", record.revision, "", now, now, "", None, None, b"", b"")


def _outcome(resource: Resource, call: Call, record: Record, before: Draft | None, after: Draft) -> Outcome:
    """What a write made of the draft; `after` may be discarded, and what is live stands in its place."""
    old, new = _standing(record, before), _standing(record, after)
    outcome = Outcome(
        new, orjson.loads(old.body), orjson.loads(new.body), old, load_refs(old.secrets), load_refs(new.secrets)
    )
    outcome.headers, outcome.said = version_headers(new.etag, new.revision), _described(resource, after, call)
    return outcome


async def _discarded(
    resource: Resource, tx: Transaction, call: Call, record: Record, draft: Draft, services: Services
) -> Outcome:
    """The draft discarded: it is kept as it was, and the answer shows what is live."""
    ended = replace(draft, state="discarded")
    await tx.put_draft(ended)
    now = timestamp(services.clock.now())
    await tx.add_audit(draft_deed(record, ended, call, "discard", now), services.audit)
    emptied = replace(ended, body=record.body, secrets=record.secrets, etag=record.etag)
    outcome = _outcome(resource, call, record, draft, emptied)
    outcome.effects = [effect(draft, "discarded")]
    return outcome


async def discard_draft(resource: Resource, call: Call, services: Services) -> Reply:
    """Discard the draft: 204. It is kept, to be brought back. Raises NoSuchDraft."""

    async def discard(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        draft = await _open_draft(tx, record)
        standing = _standing(record, draft)
        if is_stale(standing, call, services):
            raise await _moved_on(tx, standing, call)
        return await _discarded(resource, tx, call, record, draft, services)

    return await carry_out(call, services, discard, lambda _outcome: Reply(204))


async def restore_draft(resource: Resource, call: Call, services: Services) -> Reply:
    """Bring a discarded draft back: its changes are made to what is live now, and wait again.

    Raises NoSuchDraft, BadRequest for one that was published, DraftInTheWay when another one is open, MovedSince when
    its changes no longer fit.
    """
    number = as_number(call.ids["number"], "draft")

    async def bring_back(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        await refuse_stale(tx, record, call, services)
        draft = await tx.get_draft(record.seq, number)
        if draft is None:
            raise NoSuchDraft(f"There is no draft {number} of this object.")
        if draft.state != "open":
            await _refuse_unrestorable(tx, draft)
            draft = _brought_back(resource, record, draft)
        if draft.state == "open" or not delta_of(draft).touched:
            return unchanged(record, orjson.loads(record.body))
        now = timestamp(services.clock.now())
        draft = replace(draft, state="open", key_id=call.account.key_id, updated_at=now)
        await tx.put_draft(draft)
        await tx.add_audit(draft_deed(record, draft, call, "restore", now), services.audit)
        outcome = _outcome(resource, call, record, None, draft)
        outcome.effects = [effect(draft, "restored")]
        return outcome

    return await carry_out(call, services, bring_back, partial(_answer, call))


async def _refuse_unrestorable(tx: Transaction, draft: Draft) -> None:
    if draft.state == "published":
        problem = f"Draft {draft.number} was published. To go back to what it made, use rollback."
        raise BadRequest(f"Bad Request. {problem}", [Detail("draft_published", problem)])
    other = await tx.open_draft(draft.document)
    if other is not None:
        raise DraftInTheWay(f"Draft {other.number} is open, and there is one at a time: publish or discard it first.")


def _brought_back(resource: Resource, record: Record, draft: Draft) -> Draft:
    live = Live(record.revision, orjson.loads(record.body), load_refs(record.secrets), record.owner)
    carried, problems = rebased(resource, draft, live)
    if problems:
        text = f"Draft {draft.number} cannot be brought back: its changes do not fit what is live now."
        raise MovedSince(text, problems)
    return carried


# --- Publish ----------------------------------------------------------------------------------------------------------


async def publish(resource: Resource, call: Call, services: Services, *, store: Store = store_change) -> Reply:
    """Make the draft live, in a new revision: 200 with `status` and the document. Without a draft: what is live.

    `If-Match` takes the tag of the draft that was looked at as well as that of the live object. The draft goes live
    without the ids of what was deleted since it was written.
    """

    async def go_live(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        draft = await tx.open_draft(record.seq)
        if draft is None:
            await refuse_stale(tx, record, call, services)
        elif is_stale(record, call, services) and is_stale(_standing(record, draft), call, services):
            raise await _moved_on(tx, _standing(record, draft), call)
        before = orjson.loads(record.body)
        if draft is None:
            return unchanged(record, before)
        await tx.put_draft(replace(draft, state="published"))
        document = {**orjson.loads(draft.body), STAMPED: before[STAMPED]}
        document, effects = await without_vanished(resource, tx, record, document, before)
        about = {"published_draft": draft.number}
        wanted = Wanted(document, "publish", origin=document, refs=load_refs(draft.secrets), about=about)
        outcome = await store(resource, tx, call, record, before, wanted, services)
        outcome.effects = [effect(draft, "published"), *effects]
        return outcome

    return await carry_out(call, services, go_live, _published)


def _published(outcome: Outcome) -> Reply:
    return Reply(200, orjson.dumps({"status": "success", **outcome.document}), outcome.headers)
