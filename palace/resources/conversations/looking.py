"""Seeing what happened in a conversation: what was said, what was called, how long it took; and finding one by a text.

These operations are this server's own. The whole of it is kept in the log of the conversation, also while it goes on.
"""

from functools import partial
from typing import Any

import orjson

from palace import verbs
from palace.call import Call, Reply
from palace.errors import BadRequest, Detail
from palace.resource import Endpoint, Parameter, Resource, Services
from palace.storage import Listing
from palace.storage.conversations import Kind
from palace.talking.words import words_of
from palace.verbs.listing import BACKWARDS, SORTS, listed
from palace.verbs.queries import one_of, page_number, page_size, whole_number
from palace.verbs.reading import own

ROWS_ON_A_PAGE = 1000
PLACES = 1 << 20
"""More than a step can have: a cursor is the number of a step, times this, and a place in it."""
MOST_CURSOR = 1 << 53
BEFORE_ALL = -1
MOST_WORDS_SOUGHT = 16
MOST_LOOKED_AT = 5_000
"""Of conversations that have a word, so many are looked at: 30 to 50 ms on SQLite."""


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def page_of_log(resource: Resource, call: Call, services: Services, *, kind: Kind) -> Reply:
    """`{data, next, status}`: what happened of one kind, in order; `next` is null at the end. Raises InvalidId."""
    after = min(whole_number(call.query, "after", BEFORE_ALL), MOST_CURSOR)
    async with services.store.reading.snapshot() as tx:
        record = own(resource, await tx.get(resource.kind, call.ids["id"], call.account.id))
        found = await tx.conversations.page(record.seq, kind, divmod(after, PLACES), ROWS_ON_A_PAGE + 1)
    page, last = found[:ROWS_ON_A_PAGE], found[ROWS_ON_A_PAGE - 1 : ROWS_ON_A_PAGE]
    cursor = last[0].step * PLACES + last[0].place if last and len(found) > len(page) else None
    status = orjson.loads(record.body)["status"]
    data = [orjson.loads(one.body) for one in page]
    return Reply(200, orjson.dumps({"data": data, "next": cursor, "status": status}))


async def list_or_search(resource: Resource, call: Call, services: Services, *, style: verbs.ListStyle) -> Reply:
    """The list; with `?search=TEXT` only conversations with all its words. Raises BadRequest."""
    query = call.query
    if not query.get("search", "").strip():
        return await verbs.list_page(resource, call, services, style=style)
    words = words_of([query["search"]])
    if len(words) > MOST_WORDS_SOUGHT:
        problem = f"search has more than {MOST_WORDS_SOUGHT} words."
        detail = Detail("invalid_query", problem, facts={"parameter": "search", "maximum": MOST_WORDS_SOUGHT})
        raise BadRequest(f"Bad Request. {problem}", [detail])
    limit = page_size(query, style.page_size)
    offset = (page_number(query, style.first_page) - style.first_page) * limit
    is_backwards = one_of(query, "sort", SORTS, style.default_sort).startswith("desc")
    labels = {label: listed(query, name) for name, label in style.labels.items() if query.get(name)}
    order = BACKWARDS[style.order] if is_backwards else style.order
    listing = Listing(order=order, limit=limit, offset=offset, labels=labels)
    if not words:
        return Reply(200, b'{"data":[],"total_count":0}')
    async with services.store.reading.snapshot() as tx:
        found = await tx.conversations.search(call.account.id, words, MOST_LOOKED_AT, listing)
    return Reply(200, b'{"data":[%b],"total_count":%d}' % (b",".join(found.bodies), found.total_count))


# --- The operations ---------------------------------------------------------------------------------------------------

TEXT: dict[str, Any] = {"type": "string"}
NUMBER_OR_NULL: dict[str, Any] = {"type": ["number", "null"]}
INTEGER: dict[str, Any] = {"type": "integer"}
LINE: dict[str, Any] = {
    "type": "object",
    "required": ["role", "content", "timestamp", "seconds_from_start"],
    "properties": {
        "role": {"enum": ["system", "user", "assistant", "tool"]},
        "content": TEXT,
        "timestamp": {"type": "number"},
        "seconds_from_start": {"type": "number"},
    },
}
TOOL_CALL: dict[str, Any] = {
    "type": "object",
    "required": ["tool_call_id", "tool_id", "name", "arguments", "status", "output", "request", "problem", "at", "ms"],
    "properties": {
        "tool_call_id": TEXT,
        "tool_id": {"type": ["string", "null"], "description": "Null for a tool that is written into the PAL."},
        "name": TEXT,
        "arguments": {**TEXT, "description": "What the model wrote: JSON, if it did as it should."},
        "status": {"enum": ["success", "error"]},
        "output": {**TEXT, "description": "What the model was told."},
        "request": {
            "type": ["object", "null"],
            "description": "What was sent over HTTPS, with masks for secrets, the status and the number of attempts; "
            "null for a call that went to the client.",
        },
        "problem": {"type": ["string", "null"], "description": "Why it failed, for the owner of the tool."},
        "at": {"type": "number", "description": "Seconds since 1970."},
        "ms": {"type": "number", "description": "Until the result was there."},
    },
}
TIMES = {
    "context_built_ms": "Until the model was asked: the context is built, and the step that asks is stored.",
    "first_token_ms": "Until the model's first word or call.",
    "first_sentence_ms": "Until the first whole sentence.",
    "last_token_ms": "Until the model's last word.",
    "delivered_ms": "Until all of it was handed over to be stored and sent; null when it was interrupted.",
}
LEDGER: dict[str, Any] = {
    "type": "object",
    "required": ["turn_idx", "received_at", *TIMES, "tools_ms", "rounds", "interrupted"],
    "properties": {
        "turn_idx": INTEGER,
        "received_at": {"type": "number", "description": "Seconds since 1970."},
        **{name: {**NUMBER_OR_NULL, "description": sentence} for name, sentence in TIMES.items()},
        "tools_ms": {"type": "number", "description": "How long results of tools were waited for."},
        "rounds": {**INTEGER, "description": "How often the model was asked for an answer."},
        "prompt_tokens": INTEGER,
        "completion_tokens": INTEGER,
        "interrupted": {"type": "boolean"},
    },
}
ANSWERS = {200: "One page of it.", 400: "`Invalid conversation_id`: unknown, or not yours."}
AFTER = Parameter("after", INTEGER, f"`next` of the page before; a page has {ROWS_ON_A_PAGE} items.")
OWN = ("An operation of this server's own.",)


def _looked_at(path: str, operation_id: str, summary: str, sentence: str, kind: Kind, item: dict[str, Any]) -> Endpoint:
    members = {
        "data": {"type": "array", "items": item},
        "next": {"type": ["integer", "null"]},
        "status": {"enum": ["active", "ended"]},
    }
    schema = {"title": operation_id, "type": "object", "required": list(members), "properties": members}
    handler = partial(page_of_log, kind=kind)
    more: dict[str, Any] = {"answers": ANSWERS, "parameters": (AFTER,), "answer_schema": schema, "differs": OWN}
    return Endpoint("GET", f"/{{id}}/{path}", operation_id, summary, sentence, handler, **more)


LOOKING = (
    _looked_at(
        "transcript",
        "getConversationTranscript",
        "Read the transcript",
        "Everything that was said up to now, line by line, as `application.transcription_ready` tells it at the end.",
        "line",
        LINE,
    ),
    _looked_at(
        "turns",
        "listConversationTurns",
        "List turns with their times",
        "Each turn that is over, and how long after somebody spoke each part of it came, in milliseconds; null for "
        "what did not.",
        "turn",
        LEDGER,
    ),
    _looked_at(
        "tool_calls",
        "listConversationToolCalls",
        "List calls of tools",
        "Each call that has a result, those after the end included: what the model wrote, what was sent, what came "
        "back.",
        "call",
        TOOL_CALL,
    ),
)
SEARCH = Parameter(
    "search",
    TEXT,
    "Only conversations in whose names or, once they are over, in what was said, each of these words begins a word; or "
    "the one with this id.",
)
