"""Guards against a second writer: `If-Match`, 412 and 428 (RFC 9110, section 13.1.1; RFC 6585, section 3)."""

from collections.abc import Sequence

import orjson

from palace.call import Call
from palace.errors import Detail, PreconditionFailed, PreconditionRequired
from palace.etags import is_matched, tags_in
from palace.json_patch import parse_pointer
from palace.masks import load_refs
from palace.resource import Services
from palace.revisions.changes import overlap
from palace.revisions.history import delta_between, state_at
from palace.storage import Record, Revision, Transaction
from palace.verbs.reading import version_headers

MOST_REVISIONS_NAMED = 200
WHOLE = [""]
"""what creating and deleting touch, which changes no member"""


def is_stale(record: Record, call: Call, services: Services) -> bool:
    """Whether the client wants to change another state than the one there is.

    Raises PreconditionRequired where the server wants `If-Match` and there is none, BadRequest for a malformed one.
    """
    if call.if_match is None:
        if services.settings.require_if_match:
            raise PreconditionRequired
        return False
    return not is_matched(tags_in(call.if_match, "If-Match"), record.etag)


async def refuse_stale(tx: Transaction, record: Record, call: Call, services: Services) -> None:
    """Raises PreconditionFailed when `is_stale`."""
    if is_stale(record, call, services):
        refusal = await precondition_failed(tx, record, call)
        if refusal is not None:
            raise refusal


async def precondition_failed(tx: Transaction, record: Record, call: Call) -> PreconditionFailed | None:
    """The 412 whose `details` name every member that changed since the client read it, and the revision that did.

    None when none differs by now: a tag also tells apart two orders of members, and 1 from 1.0.
    """
    headers = version_headers(record.etag, record.revision)
    known = [await tx.find_etag(record.seq, tag.strip('"')) for tag in tags_in(call.if_match or "", "If-Match")]
    numbers = [number for number in known if number is not None]
    if not numbers:
        problem = "This object is not known to have had the ETag in If-Match: was it read from another object?"
        return PreconditionFailed([Detail("unknown_etag", problem)], headers)
    seen = await state_at(tx, record.seq, max(numbers))
    since = await tx.revisions(record.seq, before=record.revision + 1, limit=MOST_REVISIONS_NAMED)
    since = [revision for revision in since if revision.number > max(numbers)]
    delta = delta_between(seen.document, orjson.loads(record.body), seen.refs, load_refs(record.secrets))
    details = [_changed_since(pointer, since) for pointer in delta.touched]
    return PreconditionFailed(details, headers) if details else None


def _changed_since(pointer: str, since: Sequence[Revision]) -> Detail:
    place = parse_pointer(pointer)
    for revision in since:
        touched = orjson.loads(revision.touched)
        if touched != WHOLE and any(overlap(place, parse_pointer(pointer)) for pointer in touched):
            facts = {"revision": revision.number, "key_id": revision.key_id, "changed_at": revision.created_at}
            return Detail("changed_since", f"Changed by revision {revision.number}.", pointer, facts=facts)
    return Detail("changed_since", "Changed since you read it.", pointer)
