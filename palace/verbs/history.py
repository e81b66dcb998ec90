"""See every change of an object, compare two states, go back, take one change back, bring a deleted object back."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from itertools import zip_longest
from typing import Any

import orjson

from palace.call import STOCK_OWNER, Call, Reply
from palace.clock import timestamp
from palace.errors import BadRequest, Detail, MovedSince
from palace.etags import quoted
from palace.masks import carried_refs, load_refs, readdressed_secrets
from palace.resource import Document, Problem, Resource, Services
from palace.revisions.changes import ABSENT, Change, make, moved, reversed_changes, still_to_make
from palace.revisions.history import Delta, State, delta_between, state_at, state_before
from palace.revisions.lines import unified
from palace.shown import STAMPED
from palace.storage import Record, Revision, Transaction
from palace.validation import as_object, refuse
from palace.verbs.deleting import Also, nothing_else, without_vanished
from palace.verbs.guards import refuse_stale
from palace.verbs.patching import guarded, patched
from palace.verbs.queries import (
    AFTER_ALL,
    as_number,
    checked_comment,
    cursor_at,
    number_before,
    page_size,
    whole_number,
)
from palace.verbs.reading import own_record
from palace.verbs.writing import Outcome, Store, Wanted, carry_out, shown, store_change

REVISIONS_ON_A_PAGE = 20


# --- Look -------------------------------------------------------------------------------------------------------------


async def list_revisions(resource: Resource, call: Call, services: Services) -> Reply:
    """`{data, next_cursor}`: what was done to the object, newest first, without the documents."""
    limit = page_size(call.query, REVISIONS_ON_A_PAGE)
    before = number_before(call.query.get("cursor", ""))
    tx = services.store.reading
    record = await remembered_record(resource, tx, call, services)
    found = await tx.revisions(record.seq, before=before, limit=limit + 1)
    said = [_summary(one, older, call) for one, older in zip_longest(found, found[1:])][:limit]
    cursor = cursor_at(found[limit - 1].number) if len(found) > limit else None
    return _spelled({"data": said, "next_cursor": cursor})


async def read_revision(resource: Resource, call: Call, services: Services) -> Reply:
    """One revision, with the document as it was, the patch that led there and the one that leads back."""
    tx = services.store.reading
    record = await remembered_record(resource, tx, call, services)
    state = await state_at(tx, record.seq, as_number(call.ids["number"], "revision"))
    older = await state_before(tx, state.revision)
    said = _summary(state.revision, older.revision if older else None, call)
    if older is not None:
        delta = _between(older, state)
        said |= {"patch": call.words.patch(delta.patch), "inverse": call.words.patch(delta.inverse)}
    return _spelled({**said, "document": call.words.document(state.document)})


async def read_diff(resource: Resource, call: Call, services: Services) -> Reply:
    """What leads from one revision to another, as a JSON Patch, as a list of members, and as lines to read."""
    tx = services.store.reading
    record = await remembered_record(resource, tx, call, services)
    to = whole_number(call.query, "to", record.revision)
    since = whole_number(call.query, "from", max(to - 1, 1))
    old, new = await state_at(tx, record.seq, since), await state_at(tx, record.seq, to)
    delta, words = _between(old, new), call.words
    names = [f"revision {state.revision.number}\t{state.revision.created_at}" for state in (old, new)]
    said = [_change(change, call) for change in delta.found]
    said += [{"pointer": words.pointer(pointer), "kind": "secret_changed"} for pointer in delta.exchanged]
    before, after = (_lines(words.document(state.document)) for state in (old, new))
    text = unified(before, after, *names) if delta.found else ""
    return _spelled({"from": since, "to": to, "patch": words.patch(delta.patch), "changes": said, "text": text})


def _between(old: State, new: State) -> Delta:
    return delta_between(old.document, new.document, old.refs, new.refs)


def _summary(revision: Revision, older: Revision | None, call: Call) -> dict[str, Any]:
    if older is not None and older.number != revision.number - 1:  # History was off in between.
        older = None
    return {
        "revision": revision.number,
        "action": revision.action,
        "created_at": revision.created_at,
        "key_id": revision.key_id or None,
        "request_id": revision.request_id or None,
        "comment": revision.comment,
        "etag_before": quoted(older.etag) if older else None,
        "etag": quoted(revision.etag),
        "touched": [call.words.pointer(pointer) for pointer in orjson.loads(revision.touched)],
        "about": orjson.loads(revision.about) if revision.about else {},
    }


def _change(change: Change, call: Call) -> dict[str, Any]:
    said: dict[str, Any] = {"pointer": call.words.pointer(change.pointer), "kind": change.kind}
    if change.before is not ABSENT:
        said["before"] = call.words.value(change.before, change.tokens)
    if change.after is not ABSENT:
        said["after"] = call.words.value(change.after, change.tokens)
    return said


def _lines(document: Document) -> list[str]:
    said = {name: value for name, value in document.items() if name != STAMPED}
    return orjson.dumps(said, option=orjson.OPT_INDENT_2).decode().split("\n")  # Strings may hold other line ends.


def _spelled(said: Mapping[str, Any]) -> Reply:
    return Reply(200, orjson.dumps(said), is_spelled=True)


async def remembered_record(resource: Resource, tx: Transaction, call: Call, services: Services) -> Record:
    """The record whose history this account may see, also when it was deleted lately. Raises InvalidId."""
    found = await tx.get_with_deleted(resource.kind, call.ids["id"], call.account.id)
    if found is None or (found[1] is not None and found[1] < _restorable_since(services)):
        raise resource.unknown()
    return found[0]


def _restorable_since(services: Services) -> str:
    return timestamp(services.clock.now() - timedelta(days=services.settings.restore_days))


# --- Go back ----------------------------------------------------------------------------------------------------------


async def rollback(resource: Resource, call: Call, services: Services, *, store: Store = store_change) -> Reply:
    """Make the object say again what it said at the revision `to`, in a new revision; secrets come back with it."""
    to = min(_body_of(call, "to")["to"], AFTER_ALL)  # SQLite has no larger numbers.

    async def go_back(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        state = await state_at(tx, record.seq, to)
        before = orjson.loads(record.body)
        document = {**state.document, **{name: before[name] for name in resource.read_only}}
        about = {"to": to}
        wanted = Wanted(document, "rollback", origin=document, refs=state.refs, about=about, to_the_letter=True)
        attempt = partial(store, resource, tx, call, record, before, wanted, services)
        return await guarded(tx, call, record, attempt, services)

    return await carry_out(call, services, go_back, lambda outcome: patched(outcome, resource, call))


async def revert(resource: Resource, call: Call, services: Services, *, store: Store = store_change) -> Reply:
    """Take back what one revision changed and nothing else. Raises MovedSince when some of it was changed again."""
    number = as_number(call.ids["number"], "revision")
    _body_of(call)

    async def take_back(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        state = await state_at(tx, record.seq, number)
        older = await state_before(tx, state.revision)
        if older is None:
            problem = f"Revision {number} is the first one that is remembered: nothing lies before it."
            raise BadRequest(f"Bad Request. {problem}", [Detail("no_revision_before", problem)])
        before = orjson.loads(record.body)

        async def attempt() -> Outcome:
            wanted = _without(resource, record, before, older, state)
            return await store(resource, tx, call, record, before, wanted, services)

        return await guarded(tx, call, record, attempt, services)

    return await carry_out(call, services, take_back, lambda outcome: patched(outcome, resource, call))


def _without(resource: Resource, record: Record, before: Document, older: State, state: State) -> Wanted:
    """The document as it is, with what happened between two states taken back, as far as it is not yet.

    Raises MovedSince.
    """
    delta, refs = _between(older, state), load_refs(record.secrets)
    back = still_to_make(before, reversed_changes(delta.found))
    in_the_way = [change.pointer for change in moved(before, back)]
    for pointer in {**older.refs, **state.refs}:  # Behind the same mask there may be another secret by now.
        wrote, was = state.refs.get(pointer), older.refs.get(pointer)
        if wrote != was and refs.get(pointer) not in (wrote, was) and pointer not in in_the_way:
            in_the_way.append(pointer)
    document = make(before, back) if not in_the_way else None
    if document is not None:
        sources = (older.document, older.refs), (before, refs)
        refs = carried_refs(refs, state.refs, older.refs)
        in_the_way = readdressed_secrets(resource, document, refs, *sources)
    if document is None or in_the_way:
        number = state.revision.number
        text = f"Revision {number} cannot be taken back: what it wrote has been changed since. Nothing was changed."
        raise MovedSince(text, [Detail("moved_since", "Changed since.", pointer) for pointer in in_the_way])
    about = {"reverted": state.revision.number}
    return Wanted(document, "revert", origin=document, refs=refs, about=about, to_the_letter=True)


async def restore(resource: Resource, call: Call, services: Services, *, also: Also = nothing_else) -> Reply:
    """Bring a deleted object back as it was, with its history; `also` brings back what belongs to it.

    Raises InvalidId when it is gone for good.
    """
    _body_of(call)

    async def bring_back(tx: Transaction) -> Outcome:
        record = await remembered_record(resource, tx, call, services)
        if record.owner == STOCK_OWNER:
            raise resource.read_only_object("update")
        if await tx.read(resource.kind, record.id, record.owner) is not None:
            problem = "It is not deleted, so there is nothing to restore. To go back, use rollback."
            raise BadRequest(f"Bad Request. {problem}", [Detail("not_deleted", problem)])
        await refuse_stale(tx, record, call, services)
        outcome = await bring_back_record(resource, tx, call, record, services)
        outcome.effects = [*outcome.effects, *await also(tx, call, outcome, services)]
        return outcome

    return await carry_out(call, services, bring_back, shown)


async def bring_back_record(
    resource: Resource, tx: Transaction, call: Call, record: Record, services: Services
) -> Outcome:
    """A deleted record restored, inside a transaction, without the ids of what was deleted since."""
    before = orjson.loads(record.body)
    document, effects = await without_vanished(resource, tx, record, before)
    wanted = Wanted(document, "restore", even_if_same=True)
    outcome = await store_change(resource, tx, call, record, before, wanted, services)
    outcome.effects = [*outcome.effects, *effects]
    return outcome


def _body_of(call: Call, *needed: str) -> Document:
    """The body: an object with the `needed` integers and perhaps a comment, which is taken. Raises InvalidDocument."""
    body = {} if call.body is None else as_object(call.body, (*needed, "comment")[0])
    problems = [
        Problem((name,), "unknown_field", "Unknown field.") for name in body if name not in (*needed, "comment")
    ]
    for name in needed:
        if name not in body:
            problems.append(Problem((name,), "missing", "Missing data for required field."))
        elif type(body[name]) is not int:
            problems.append(Problem((name,), "wrong_type", "Not a valid integer."))
    if not isinstance(body.get("comment"), str | None):
        problems.append(Problem(("comment",), "wrong_type", "Not a valid string."))
    if problems:
        raise refuse(problems)
    if body.get("comment") is not None:
        call.comment = checked_comment(body["comment"])
    return body
