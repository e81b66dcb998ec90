"""Change parts of a document: JSON Patch (RFC 6902) and merge patches (RFC 7396)."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson

from palace.call import Call, Reply
from palace.errors import ClientError, Detail, MalformedPatch, PatchDoesNotFit
from palace.json_patch import (
    Applied,
    Conflict,
    InvalidPatch,
    LimitExceeded,
    Operation,
    apply_patch,
    compile_patch,
    diff,
    merge_patch,
)
from palace.json_patch import Problem as PatchProblem
from palace.resource import Document, Problem, Resource, Services
from palace.storage import Record, Transaction
from palace.validation import refuse
from palace.verbs.guards import is_stale, precondition_failed
from palace.verbs.reading import own_record, version_headers
from palace.verbs.writing import Outcome, Wanted, carry_out, shown, store_change

Operations = tuple[Operation, ...]
Prepare = Callable[[Operations, Document], Operations]

BAD_POINTERS = {"missing_parent", "invalid_index"}
"""Conflicts that the API answers with 400: the pointer leads nowhere. All others are 422 (contract 2.5)."""


def _as_sent(operations: Operations, _before: Document) -> Operations:
    return operations


async def patch(resource: Resource, call: Call, services: Services, *, prepare: Prepare = _as_sent) -> Reply:
    """Change parts of a document: 200 with all of it, 304 when nothing changes (RFC 6902; RFC 7396 for merge patches).

    `prepare` sees the operations and the document first; it may refuse them, or exchange one for another at its place.
    Raises InvalidId, PreconditionFailed, MalformedPatch, PatchDoesNotFit, InvalidDocument and its kin.
    """
    compiled = None if call.is_merge_patch else compiled_patch(call.body, services)

    async def change(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        before: Document = orjson.loads(record.body)
        operations = merge_operations(before, call.body, services) if compiled is None else compiled
        attempt = partial(changed, resource, tx, call, record, before, operations, prepare, services)
        return await guarded(tx, call, record, attempt, services)

    return await carry_out(call, services, change, lambda outcome: patched(outcome, resource, call))


async def guarded(
    tx: Transaction, call: Call, record: Record, attempt: Callable[[], Awaitable[Outcome]], services: Services
) -> Outcome:
    """What `attempt` makes of the record, unless `If-Match` names another state of it.

    A write that changes nothing any more has been carried out already, perhaps for the same client, whom the answer did
    not reach: no conflict then (RFC 9110, section 13.1.1). Raises PreconditionFailed and what `attempt` raises.
    """
    stale = is_stale(record, call, services)
    try:
        outcome = await attempt()
    except ClientError as error:
        if stale:
            raise await precondition_failed(tx, record, call) from error
        raise
    if stale and outcome.changed:
        raise await precondition_failed(tx, record, call)
    return outcome


async def changed(
    resource: Resource,
    tx: Transaction,
    call: Call,
    record: Record,
    before: Document,
    operations: Operations,
    prepare: Prepare,
    services: Services,
) -> Outcome:
    """The operations applied and the result stored."""
    applied = applied_patch(before, prepare(operations, before), services)
    if not applied.changed:
        return unchanged(record, before)
    action, blamed = ("merge_patch", ()) if call.is_merge_patch else ("patch", operations)
    wanted = Wanted(applied.document, action, blamed)
    return await store_change(resource, tx, call, record, before, wanted, services)


def unchanged(record: Record, before: Document) -> Outcome:
    """The outcome of a write that changed nothing."""
    return Outcome(record, before, before, record, changed=False, headers=version_headers(record.etag, record.revision))


def patched(outcome: Outcome, resource: Resource, call: Call) -> Reply:
    """200 with the document; 304 with a message in a header when nothing changed, unless the client wants 200."""
    if outcome.changed or call.wants_representation:
        return shown(outcome)
    noun = resource.legacy.kind if call.words.is_legacy else resource.tag.removesuffix("s")
    return Reply(304, headers={**outcome.headers, "x-message": f"No changes were made to the {noun}"})


def compiled_patch(body: Any, services: Services) -> Operations:
    """The operations of a JSON Patch, checked as far as that needs no document. Raises MalformedPatch."""
    try:
        return compile_patch(body, services.limits)
    except (InvalidPatch, LimitExceeded) as error:
        raise MalformedPatch([_detail(problem) for problem in error.problems]) from error


def merge_operations(before: Document, body: Any, services: Services) -> Operations:
    """What a merge patch (RFC 7396) would do to `before`, as a JSON Patch. Raises InvalidDocument."""
    if not isinstance(body, dict):
        raise refuse([Problem((), "wrong_type", "Invalid input type.")])
    return compiled_patch(diff(before, merge_patch(before, body), services.limits), services)


def applied_patch(before: Document, operations: Operations, services: Services) -> Applied:
    """The document with the operations applied, all or none. Raises PatchDoesNotFit and MalformedPatch."""
    try:
        return apply_patch(before, operations, services.limits)
    except Conflict as error:
        problem = error.problems[0]
        assert problem.operation is not None
        raise _misfit(problem, operations[problem.operation]) from error
    except (InvalidPatch, LimitExceeded) as error:
        raise MalformedPatch([_detail(problem) for problem in error.problems]) from error


def _misfit(problem: PatchProblem, operation: Operation) -> PatchDoesNotFit:
    """The API says `can't replace a non-existent object 'x'`; ours begins with that and goes on to say where."""
    status = 400 if problem.code in BAD_POINTERS and operation.op != "test" else 422
    where = f"operation {problem.operation}, {operation.op} {operation.path or 'the whole document'}"
    what = problem.problem.removesuffix(".")
    text = f"{what} ({where})"
    if problem.code == "not_found" and operation.op in {"replace", "remove"}:
        text = f"can't {operation.op} a non-existent object '{operation.tokens[-1]}' ({where}: {what})"
    return PatchDoesNotFit(text, _detail(problem), status)


def _detail(problem: PatchProblem) -> Detail:
    facts = (
        {} if problem.limit is None else {"limit": problem.limit, "maximum": problem.maximum, "actual": problem.actual}
    )
    return Detail(
        problem.code,
        problem.problem,
        pointer=problem.pointer,
        resolved=problem.resolved,
        operation=problem.operation,
        op=problem.op,
        at=problem.at,
        facts=facts,
    )
