"""What a live write does to an open draft: it is refused, discards the draft, or carries it over (contract 2.6, 2.7).

While a draft is open, its base is the live document: every live write that leaves it open rebases it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from palace.audit import Deed
from palace.call import Call
from palace.errors import ClientError, Detail, MakerChanges
from palace.etags import content_etag
from palace.json_patch import parse_pointer
from palace.judging import framed, judge
from palace.masks import Refs, carried_refs, dump_refs, load_refs, readdressed_secrets, settle_secrets
from palace.resource import Document, Resource
from palace.revisions.changes import ABSENT, Change, changes, make, overlap, value_of
from palace.revisions.history import Delta, deed_of, delta_between
from palace.shown import STAMPED
from palace.storage import Draft, Record, Transaction
from palace.verbs.queries import flag, one_of

ON_DRAFT = ("refuse", "rebase")


@dataclass(frozen=True, slots=True)
class Live:
    """A document that is live, or about to be, and the secrets behind its masks."""

    revision: int
    document: Document
    refs: Refs
    owner: int


@dataclass(frozen=True, slots=True)
class Met:
    """What became of a draft: for the history, for the answer, and for a preview."""

    effects: Sequence[Mapping[str, Any]]
    about: Mapping[str, Any] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)


async def draft_to_meet(tx: Transaction, call: Call, document: int) -> Draft | None:
    """The open draft that a live write meets. Raises BadRequest when it is not plain what is to become of it."""
    _wishes(call)
    return await tx.open_draft(document)


def _wishes(call: Call) -> tuple[bool, bool]:
    """Whether the client wants a draft that is in the way carried over, and whether it wants it discarded."""
    wants_rebase = one_of(call.query, "on_draft", ON_DRAFT, "refuse") == "rebase"
    return wants_rebase, flag(call.query, "force")


async def meet_draft(
    resource: Resource, tx: Transaction, call: Call, draft: Draft, live: Live, edit: Delta, *, keep: bool
) -> Met:
    """Settle with an open draft what is about to go live.

    What changes nothing but `live_only` members carries the draft over in any case, as does everything with `keep`;
    else `?on_draft=rebase` does where the two do not overlap, or `?force=true` discards it. Raises MakerChanges.
    """
    drafted = delta_of(draft)
    overlapping = [pointer for pointer in drafted.touched if _is_touched(pointer, edit)]
    problems: Sequence[Detail]
    problems = [Detail("overlap", "Changed in the draft and by this request.", pointer) for pointer in overlapping]
    keep = keep or not is_drafted(resource, edit.touched)
    wants_rebase, wants_force = _wishes(call)
    if keep or (wants_rebase and not overlapping):
        carried, problems = rebased(resource, draft, live)
        if keep or not problems:
            await tx.put_draft(carried)
            return Met([effect(draft, "rebased")])
    if wants_force:
        await tx.put_draft(replace(draft, state="discarded"))
        told = {"discarded_draft": draft.number}
        return Met([effect(draft, "discarded")], about=told, said={"discarded_maker_changes": True})
    said = {"number": draft.number, "changed_by": draft.key_id or None, "updated_at": draft.updated_at}
    raise MakerChanges(said, drafted.touched, overlapping, problems if wants_rebase else ())


def delta_of(draft: Draft) -> Delta:
    """What a draft changes."""
    refs_before, refs = load_refs(draft.base_secrets), load_refs(draft.secrets)
    return delta_between(orjson.loads(draft.base), orjson.loads(draft.body), refs_before, refs)


def effect(draft: Draft, what: str) -> Mapping[str, Any]:
    """The entry of a preview that tells what became of a draft."""
    return {"kind": "draft", "id": str(draft.number), "what": what}


def draft_deed(record: Record, draft: Draft, call: Call, action: str, at: str) -> Deed:
    """The row of the audit log about a draft: the id is that of its object, the revision its number."""
    return deed_of(replace(record, kind="draft", revision=draft.number, updated_at=at), call, action)


def is_drafted(resource: Resource, touched: Sequence[str]) -> bool:
    """Whether one of the places is one whose changes wait in a draft."""
    owned = resource.drafts.live_only if resource.drafts else ()
    return any(parse_pointer(pointer)[: len(owned)] != owned for pointer in touched)


def _is_touched(pointer: str, edit: Delta) -> bool:
    place = parse_pointer(pointer)
    return any(overlap(place, parse_pointer(touched)) for touched in edit.touched)


def rebased(resource: Resource, draft: Draft, live: Live) -> tuple[Draft, Sequence[Detail]]:
    """The draft with its changes made to another live document, and what is wrong with it there.

    A change whose place is gone is left out, and a secret that would go to another address is forgotten; both count as
    wrong.
    """
    base, body = orjson.loads(draft.base), orjson.loads(draft.body)
    refs_before, refs_after = load_refs(draft.base_secrets), load_refs(draft.secrets)
    wanted = [change for change in changes(base, body, ignored=(STAMPED,)) if not _is_done(change, live.document)]
    document = make(live.document, [change for change in wanted if _has_place(change, live.document)])
    assert document is not None
    refs = carried_refs(live.refs, refs_before, refs_after)
    astray = readdressed_secrets(resource, document, refs, (live.document, live.refs), (body, refs_after))
    refs = {pointer: ref for pointer, ref in refs.items() if pointer not in astray}
    gone = [change.pointer for change in wanted if not _has_place(change, live.document)]
    problems = [Detail("moved_since", "The place of this change is gone.", pointer) for pointer in gone]
    fields = resource.written_in(document)
    settled = settle_secrets(resource, fields, before=document, refs=refs)
    try:
        fields = judge(resource, fields, settled.problems).stored
    except ClientError as error:
        problems += error.details
    return drafted(resource, replace(draft, base_revision=live.revision), live, fields, settled.kept), problems


def drafted(resource: Resource, draft: Draft, live: Live, fields: Document, refs: Refs) -> Draft:
    """The draft that makes `fields` of a live document.

    Its tag is the one that the object will have once the draft is published.
    """
    body = orjson.dumps(framed(resource, fields, live.owner, {**live.document, STAMPED: draft.updated_at}))
    return replace(
        draft,
        base_revision=live.revision,
        etag=content_etag(body, dump_refs(refs)),
        base_secrets=dump_refs(live.refs),
        secrets=dump_refs(refs),
        base=orjson.dumps(live.document),
        body=body,
    )


def _is_done(change: Change, document: Document) -> bool:
    return change.after is ABSENT and value_of(document, change.tokens) is ABSENT


def _has_place(change: Change, document: Document) -> bool:
    return type(value_of(document, change.tokens[:-1])) is dict
