"""Create, read, list, patch, delete: for any resource. What differs between resources is data in their files."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from palace.call import STOCK_OWNER, Call, Reply
from palace.clock import timestamp
from palace.errors import BadRequest, Detail, InvalidId, MalformedPatch, PatchDoesNotFit, ReadOnlyObject
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
from palace.judging import check_references, judge, move_claims, writable
from palace.masks import dump_sealed, load_sealed, settle_secrets
from palace.resource import READ_ONLY_TIMES, Document, Parameter, Problem, Resource, Services
from palace.storage import IdTaken, Owned, Record, Transaction
from palace.validation import refuse

DEFAULT_PAGE_SIZE = 10
LARGEST_PAGE_SIZE = 100
ID_HEX_DIGITS = 11
MOST_DIGITS = 15

Operations = tuple[Operation, ...]
Prepare = Callable[[Operations, Document], Operations]
OWNED: Mapping[str, Owned] = {"user": "own", "system": "stock", "all": "all"}

SORTS = ("asc", "desc", "ascending", "descending", "recommended")


# --- Read -------------------------------------------------------------------------------------------------------------


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """The stored document, as it is. Raises InvalidId."""
    body = await services.store.reading.read_body(resource.kind, call.ids["id"], call.account.id)
    if body is None:
        raise InvalidId(resource.id_member)
    return Reply(200, body)


def page_parameters(page_size: int = DEFAULT_PAGE_SIZE) -> tuple[Parameter, ...]:
    """The query parameters that `list_page` reads."""
    return (
        Parameter("limit", {"type": "integer", "default": page_size}, "Objects on a page, at most 100."),
        Parameter("page", {"type": "integer", "default": 1}, "The number of the page, from 1 on."),
        Parameter("sort", {"enum": ["asc", "desc"], "default": "asc"}, "By time of creation: oldest or newest first."),
    )


async def list_page(resource: Resource, call: Call, services: Services, *, page_size: int = DEFAULT_PAGE_SIZE) -> Reply:
    """`{data, total_count}`: stock objects and the account's own, oldest first, pages from 1 on (contract 1.5)."""
    limit = whole_number(call.query, "limit", page_size)
    limit = min(max(limit, 1), LARGEST_PAGE_SIZE)
    page = max(whole_number(call.query, "page", 1), 1)
    order = one_of(call.query, "sort", SORTS, "asc")
    kind = one_of(call.query, f"{resource.kind}_type", tuple(OWNED), "all")
    found = await services.store.reading.page(
        resource.kind,
        call.account.id,
        owned=OWNED[kind],
        newest_first=order.startswith("desc"),
        limit=limit,
        offset=(page - 1) * limit,
    )
    return Reply(200, b'{"data":[%b],"total_count":%d}' % (b",".join(found.bodies), found.total_count))


def whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """A query parameter as an integer. Raises BadRequest."""
    text = query.get(name, "")
    if not text:
        return default
    if not text.removeprefix("-").isdecimal() or not text.isascii():
        raise BadRequest(f"Bad Request. {name} must be a whole number.", [Detail("invalid_query", "Not an integer.")])
    return int(text[:MOST_DIGITS])  # Longer ones are out of every range in any case.


def one_of(query: Mapping[str, str], name: str, allowed: Sequence[str], default: str) -> str:
    """A query parameter as one of the allowed words. Raises BadRequest."""
    text = query.get(name) or default
    if text not in allowed:
        problem = f"Must be one of: {', '.join(allowed)}."
        detail = Detail("invalid_query", problem, facts={"parameter": name, "allowed": list(allowed)})
        raise BadRequest(f"Bad Request. {{'{name}': ['{problem}']}}", [detail])
    return text


# --- Create and delete ------------------------------------------------------------------------------------------------


async def create(resource: Resource, call: Call, services: Services, *, found: Sequence[Problem] = ()) -> Document:
    """Store a new document and return it. Raises InvalidDocument and its kin; `found` are problems known before."""
    while True:
        id = services.ids.new(resource.id_prefix, ID_HEX_DIGITS)
        with suppress(IdTaken):
            return await create_with_id(resource, id, call.account.id, call.body, services, found=found)


async def create_with_id(
    resource: Resource, id: str, owner: int, body: Any, services: Services, *, found: Sequence[Problem] = ()
) -> Document:
    """Like `create`, for an id that is given. Raises IdTaken when it exists."""
    if not isinstance(body, dict):
        raise refuse([Problem((), "wrong_type", "Invalid input type.")])
    settled = settle_secrets(resource, id, body, services.vault, before={}, sealed={})
    judged = judge(resource, settled.document, [*found, *settled.problems])
    now = timestamp(services.clock.now())
    document = framed(resource, judged.stored, {resource.id_member: id, "created_at": now, "updated_at": now})
    record = Record(resource.kind, id, owner, 1, now, now, encoded(document, services), dump_sealed(settled.sealed))

    async def store(tx: Transaction) -> None:
        await check_references(resource, tx, owner, {}, document)
        await tx.insert(record)
        await move_claims(resource, tx, id, {}, document)

    await services.store.transact(store)
    return document


def framed(resource: Resource, fields: Document, stamps: Mapping[str, Any]) -> Document:
    """The whole document: the id first, then what the client may write, then what the server writes."""
    document = {resource.id_member: stamps[resource.id_member], **fields, **resource.born_with}
    for name in (*resource.born_with, *READ_ONLY_TIMES):
        document[name] = stamps.get(name, resource.born_with.get(name))
    return document


async def delete(resource: Resource, call: Call, services: Services) -> Reply:
    """Delete the object: 204. Raises InvalidId, and ReadOnlyObject for a stock object."""

    async def remove(tx: Transaction) -> None:
        await tx.delete(await own_record(resource, tx, call))

    await services.store.transact(remove)
    return Reply(204)


async def own_record(resource: Resource, tx: Transaction, call: Call) -> Record:
    """The record that this account may change. Raises InvalidId and ReadOnlyObject."""
    record = await tx.get(resource.kind, call.ids["id"], call.account.id)
    if record is None:
        raise InvalidId(resource.id_member)
    if record.owner == STOCK_OWNER:
        raise ReadOnlyObject(resource.id_member)
    return record


# --- Patch ------------------------------------------------------------------------------------------------------------


def _as_sent(operations: Operations, _before: Document) -> Operations:
    return operations


async def patch(
    resource: Resource,
    call: Call,
    services: Services,
    *,
    prepare: Prepare = _as_sent,
) -> Reply:
    """Change parts of a document: 200 with all of it, 304 when nothing changes (RFC 6902; RFC 7396 for merge patches).

    `prepare` sees the operations and the document first; it may refuse them, or exchange one for another at its place.
    Raises InvalidId, MalformedPatch, PatchDoesNotFit, InvalidDocument and its kin.
    """
    compiled = None if call.is_merge_patch else compiled_patch(call.body, services)

    async def change(tx: Transaction) -> bytes | None:
        record = await own_record(resource, tx, call)
        before: Document = orjson.loads(record.body)
        operations = merge_operations(before, call.body, services) if compiled is None else compiled
        applied = applied_patch(before, prepare(operations, before), services)
        return await store_change(resource, tx, record, before, applied, compiled or (), services)

    body = await services.store.transact(change)
    if body is None and not call.wants_representation:
        noun = resource.legacy.kind if call.words.is_legacy else resource.tag.removesuffix("s")
        return Reply(304, headers={"x-message": f"No changes were made to the {noun}"})
    return await read(resource, call, services) if body is None else Reply(200, body)


async def store_change(
    resource: Resource,
    tx: Transaction,
    record: Record,
    before: Document,
    applied: Applied,
    operations: Operations,
    services: Services,
) -> bytes | None:
    """Judge what was made of `before`, store it, and return its JSON; None when nothing changed.

    `operations` are those that problems are blamed on: none for a merge patch, whose client sent no operations.
    """
    if not applied.changed:
        return None
    sealed = load_sealed(record.secrets)
    fields, problems = writable(resource, before, applied.document)
    settled = settle_secrets(resource, record.id, fields, services.vault, before=before, sealed=sealed)
    judged = judge(resource, settled.document, [*problems, *settled.problems], operations)
    if settled.sealed == sealed and judged.is_same_as(resource, before):
        return None
    now = timestamp(services.clock.now())
    document = framed(resource, judged.stored, {**before, "updated_at": now})
    await check_references(resource, tx, record.owner, before, document, operations)
    await move_claims(resource, tx, record.id, before, document, operations)
    body = encoded(document, services)
    await tx.replace(record, body=body, secrets=dump_sealed(settled.sealed), updated_at=now)
    return body


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


BAD_POINTERS = {"missing_parent", "invalid_index"}
"""Conflicts that the API answers with 400: the pointer leads nowhere. All others are 422 (contract 2.5)."""


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


def encoded(document: Document, services: Services) -> bytes:
    """The JSON of a document as it is stored. Raises BadRequest when it is larger than the server keeps."""
    body = orjson.dumps(document)
    if len(body) > services.max_document_bytes:
        problem = f"The document would have {len(body)} bytes; the limit is {services.max_document_bytes}."
        facts = {"limit": "max_document_bytes", "maximum": services.max_document_bytes, "actual": len(body)}
        raise BadRequest(f"Bad Request. {problem}", [Detail("document_too_large", problem, facts=facts)])
    return body
