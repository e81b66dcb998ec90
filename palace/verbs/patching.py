"""Change parts of a document: JSON Patch (RFC 6902) and merge patches (RFC 7396)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from palace.call import STOCK_OWNER, Call, Reply
from palace.errors import ClientError, Detail, MakerChanges, MalformedPatch, PatchDoesNotFit, PreconditionFailed
from palace.json_patch import (
    Applied,
    Conflict,
    InvalidPatch,
    Json,
    LimitExceeded,
    Limits,
    Operation,
    apply_patch,
    compile_patch,
    diff,
    merge_patch,
)
from palace.json_patch import Problem as PatchProblem
from palace.mending import explain, mend_leniently, mended_header
from palace.resource import Document, Resource, Services
from palace.storage import Record, Transaction
from palace.validation import as_object
from palace.verbs.guards import is_stale, precondition_failed
from palace.verbs.reading import own, version_headers
from palace.verbs.writing import Outcome, Store, Wanted, carry_out, shown, store_change

Operations = tuple[Operation, ...]
Prepare = Callable[[Operations, Document], Operations]
Refusal = Callable[[Transaction, Record, Call], Awaitable[PreconditionFailed | None]]

BAD_POINTERS = {"missing_parent", "invalid_index"}
"""Conflicts that the API answers with 400: the pointer leads nowhere. All others are 422 (contract 2.5)."""


def as_sent(operations: Operations, _before: Document) -> Operations:
    """The operations, as a client sent them."""
    return operations


def without_read_only(resource: Resource, operations: Operations, before: Document) -> Operations:
    """The operations, one for one, with those on read-only members exchanged for a test that holds."""
    return tuple(
        operation._replace(op="test", tokens=place, source=None, source_tokens=None, value=before[place[0]])
        if operation.op != "test" and (place := operation.tokens[:1]) and place[0] in resource.read_only
        else operation
        for operation in operations
    )


async def patch(
    resource: Resource,
    call: Call,
    services: Services,
    *,
    prepare: Prepare = as_sent,
    store: Store = store_change,
    answer: Callable[[Outcome], Reply] = shown,
) -> Reply:
    """Change parts of a document: 200 with all of it, 304 when nothing changes (RFC 6902; RFC 7396 for merge patches).

    `prepare` sees the operations and the document first; it may refuse them, or exchange one for another at its place.
    Raises InvalidId, PreconditionFailed, MalformedPatch, PatchDoesNotFit, InvalidDocument and its kin.
    """

    async def change(tx: Transaction) -> Outcome:
        record = await tx.get(resource.kind, call.ids["id"], call.account.id)
        if (record is None or record.owner == STOCK_OWNER) and not call.is_merge_patch:
            compiled_patch(call.body, services.limits)  # What is no patch is refused as one, whatever it was sent to.
        record = own(resource, record)
        before = orjson.loads(record.body)
        keep = partial(store, resource, tx, call, record, before)
        editor = Editor(resource, tx, call, record, before, prepare, keep, services)
        started = services.clock.monotonic()
        try:
            return await guarded(tx, call, record, editor.change, services)
        finally:
            call.took("patch", started, services.clock.monotonic())

    return await carry_out(call, services, change, lambda outcome: patched(outcome, resource, call, answer))


@dataclass(frozen=True, slots=True)
class Editor:
    """One object to be patched, inside a transaction; `keep` judges and stores what the patch makes of it."""

    resource: Resource
    tx: Transaction
    call: Call
    record: Record
    before: Document
    prepare: Prepare
    keep: Callable[[Wanted, Services], Awaitable[Outcome]]
    services: Services

    async def change(self) -> Outcome:
        """Carry out the patch as it was sent; or, where the client is lenient, as it was meant.

        Raises what is wrong with it, with all that it takes to put it right.
        """
        call, limits = self.call, self.services.limits
        try:
            if call.is_merge_patch:
                return await self.apply(merge_operations(self.before, call.body, limits), "merge_patch", is_sent=False)
            return await self.apply(compiled_patch(call.body, limits), "patch")
        except MakerChanges:
            raise
        except ClientError as error:
            what = (self.resource, self.before, call.body, error, self.attempt, limits)
            mended = await mend_leniently(*what) if call.is_lenient else None
            if mended is None:
                raise await explain(*what) from error
        meant, mends = mended
        outcome = await self.apply(compiled_patch(meant, limits), "patch")
        outcome.headers |= {"preference-applied": "handling=lenient", "x-mended": mended_header(mends, call.words)}
        return outcome

    async def attempt(self, patch: Json) -> ClientError | None:
        """What is wrong with a patch, if anything; it is carried out, and undone. A draft in its way is no fault."""
        try:
            async with self.tx.rehearsal():
                await self.apply(compiled_patch(patch, self.services.limits), "patch")
        except MakerChanges:
            return None
        except ClientError as error:
            return error
        return None

    async def apply(self, operations: Operations, action: str, *, is_sent: bool = True) -> Outcome:
        """The operations applied and the result stored. Problems are blamed on operations that the client sent."""
        applied = applied_patch(self.before, self.prepare(operations, self.before), self.services.limits)
        if not applied.changed:
            return unchanged(self.record, self.before)
        wanted = Wanted(applied.document, action, operations if is_sent else ())
        return await self.keep(wanted, self.services)


async def guarded(
    tx: Transaction,
    call: Call,
    record: Record,
    attempt: Callable[[], Awaitable[Outcome]],
    services: Services,
    refusal: Refusal = precondition_failed,
) -> Outcome:
    """What `attempt` makes of the record, unless `If-Match` names another state of it.

    A write that changes nothing any more has been carried out already, perhaps for the same client, whom the answer did
    not reach: no conflict then (RFC 9110, section 13.1.1). Raises PreconditionFailed and what `attempt` raises.
    """
    refused = await refusal(tx, record, call) if is_stale(record, call, services) else None
    if refused is None:
        return await attempt()
    try:
        async with tx.rehearsal():
            outcome = await attempt()
    except ClientError as error:
        raise refused from error
    if outcome.changed:
        raise refused
    return outcome


def unchanged(record: Record, before: Document) -> Outcome:
    """The outcome of a write that changed nothing."""
    return Outcome(record, before, before, record, changed=False, headers=version_headers(record.etag, record.revision))


def patched(outcome: Outcome, resource: Resource, call: Call, answer: Callable[[Outcome], Reply] = shown) -> Reply:
    """200 with the answer, mostly the document; 304 with a message in a header when nothing changed.

    The client may prefer 200 in any case.
    """
    if outcome.changed or call.wants_representation:
        return answer(outcome)
    legacy, noun = resource.names.legacy, resource.names.noun.split(maxsplit=1)[1]
    if call.words.is_legacy and legacy:
        noun = legacy.kind.replace("_", " ")
    return Reply(304, headers={**outcome.headers, "x-message": f"No changes were made to the {noun}"})


def compiled_patch(body: Any, limits: Limits) -> Operations:
    """The operations of a JSON Patch, checked as far as that needs no document. Raises MalformedPatch."""
    try:
        return compile_patch(body, limits)
    except (InvalidPatch, LimitExceeded) as error:
        raise MalformedPatch([_detail(problem) for problem in error.problems]) from error


def merge_operations(before: Document, body: Any, limits: Limits) -> Operations:
    """What a merge patch (RFC 7396) would do to `before`, as a JSON Patch. Raises InvalidDocument."""
    return compiled_patch(diff(before, merge_patch(before, as_object(body, [*before][1])), limits), limits)


def applied_patch(before: Document, operations: Operations, limits: Limits) -> Applied:
    """The document with the operations applied, all or none. Raises PatchDoesNotFit and MalformedPatch."""
    try:
        return apply_patch(before, operations, limits)
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
