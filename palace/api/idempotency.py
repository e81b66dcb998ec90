"""`Idempotency-Key`: a write that is sent twice is carried out once, and answered twice with the first answer.

A change and the answer to it are stored in one transaction (`palace.verbs.writing.carry_out`); a refusal has nothing to
be stored with, so it is kept here.
"""

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta

import orjson
from starlette.types import Scope

from palace.api.bodies import Headers
from palace.call import Call, Idempotency, Reply
from palace.clock import timestamp
from palace.errors import BadRequest, ClientError, Detail, KeyInUse, KeyReused
from palace.resource import Services
from palace.storage import Answer, AnswerTaken
from palace.verbs.queries import is_dry_run

USABLE_KEY = re.compile(r"[\x21-\x7e]{1,255}")
SAYS_WHAT_IS_WANTED = (b"content-type", b"if-match", b"prefer", b"x-comment")
"""Headers that belong to what a request asks for, next to its method, path, query and body."""
REPLAYED = {"idempotency-replayed": "true"}


async def answered_once(
    call: Call, scope: Scope, headers: Headers, body: bytes, handler: Callable[[], Awaitable[Reply]], services: Services
) -> Reply:
    """The answer of `handler`, or the first answer to the same request under its key.

    Raises KeyReused when the key stands for another request, KeyInUse while the first one is being carried out, and
    whatever `handler` raises.
    """
    key = headers.get(b"idempotency-key")
    if key is None:
        return await handler()
    if not USABLE_KEY.fullmatch(key):
        problem = "Idempotency-Key takes 1 to 255 visible ASCII characters without spaces."
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_idempotency_key", problem)])
    if is_dry_run(call.query):
        return await handler()
    place = (call.account.id, key)
    since = timestamp(services.clock.now() - timedelta(hours=services.settings.idempotency_hours))
    call.idempotency = Idempotency(key, services.chain.fingerprint(_wanted(scope, headers, body)), since)
    if place in services.running:
        raise KeyInUse
    services.running.add(place)
    try:
        kept = await services.store.reading.find_answer(*place, since)
        if kept is None:
            try:
                return await _remembering_refusals(call, handler, services)
            except (
                AnswerTaken
            ):  # Another server carried out the same request meanwhile; nothing was changed by this one.
                kept = await services.store.reading.find_answer(*place, since)
    finally:
        services.running.discard(place)
    if kept is None:
        raise KeyInUse
    if kept.fingerprint != call.idempotency.fingerprint:
        raise KeyReused
    return Reply(kept.status, kept.body, orjson.loads(kept.headers) | REPLAYED, is_spelled=kept.is_spelled)


async def _remembering_refusals(call: Call, handler: Callable[[], Awaitable[Reply]], services: Services) -> Reply:
    try:
        return await handler()
    except ClientError as error:
        if error.status >= 500 or call.idempotency is None:
            raise
        body = orjson.dumps(error.body(call.words, call.request_id))
        answer = Answer(call.idempotency.fingerprint, error.status, orjson.dumps(error.headers), body, True)
        now, key, since = timestamp(services.clock.now()), call.idempotency.key, call.idempotency.since
        await services.store.transact(lambda tx: tx.add_answer(call.account.id, key, now, answer, since))
        raise


def _wanted(scope: Scope, headers: Headers, body: bytes) -> bytes:
    wanted = [scope["method"], scope["path"], scope["query_string"].decode("latin-1")]
    wanted += [headers.get(name) or "" for name in SAYS_WHAT_IS_WANTED]
    return "\0".join(wanted).encode() + b"\0" + body
