"""Conversations: a PAL and people who talk to it (contract 2).

The document tells what it is; how far it has come is kept beside it (`palace.talking`). There is one family of routes,
which takes the names of both vocabularies and answers in both (contract 22, A1).
"""

from contextlib import suppress
from functools import partial
from typing import Any

import orjson

from palace import verbs
from palace.call import Call, Reply
from palace.conversation.events import EndAsked
from palace.etags import tags_in
from palace.forgetting import forget_replays
from palace.resource import Document, Endpoint, Names, Parameter, Resource, Services, Stamp
from palace.resources.conversations.looking import LOOKING, SEARCH, list_or_search
from palace.resources.conversations.making import RECEIPT, create
from palace.resources.conversations.request import schema
from palace.resources.conversations.talking import TALKING
from palace.resources.members import CallbackUrl
from palace.storage import Record, Transaction
from palace.talking import Damaged
from palace.validation import Model
from palace.verbs.deleting import erase, take_away
from palace.verbs.guards import refuse_stale
from palace.verbs.queries import is_dry_run
from palace.verbs.reading import own, version_headers
from palace.verbs.writing import Outcome, carry_out
from palace.vocabulary import aliases

KIND = "conversation"
ENDED_BY_CLIENT = "end_conversation_endpoint_hit"


# --- Models -----------------------------------------------------------------------------------------------------------


class Conversation(Model):
    """What was decided when it began."""

    conversation_name: str
    callback_url: CallbackUrl = ""
    pal_id: str
    face_id: str | None = None


TEXT: dict[str, Any] = {"type": "string"}
TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
STAMPS = (
    Stamp("persona_id", TEXT, lambda fields, _owner: fields["pal_id"]),
    Stamp("replica_id", TEXT_OR_NULL, lambda fields, _owner: fields["face_id"]),
    Stamp("status", {"enum": ["active", "ended"]}, initial="active"),
    Stamp("conversation_url", TEXT, initial=""),
    Stamp("pal_revision", {"type": "integer", "description": "The revision of the PAL that it keeps."}, initial=0),
    Stamp("events", {"type": ["array", "null"], "items": {"type": "object"}, "description": "Null unless asked for."}),
)


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """The conversation; with `?verbose=true` also what happened in it, and why it ended."""
    if not verbs.flag(call.query, "verbose"):
        return await verbs.read(resource, call, services)
    if call.if_none_match is not None:
        tags_in(call.if_none_match, "If-None-Match")  # The tag does not tell what happened.
    async with services.store.reading.snapshot() as tx:
        record = await tx.get(resource.kind, call.ids["id"], call.account.id)
        if record is None:
            raise resource.unknown()
        events = [orjson.loads(one.body) for one in await tx.conversations.logged(record.seq, "event")]
    ends = (one["properties"]["shutdown_reason"] for one in events if one["event_type"] == "system.shutdown")
    said = {**orjson.loads(record.body), "shutdown_reason": next(ends, None), "events": events}
    return Reply(200, orjson.dumps(said), version_headers(record.etag, record.revision))


async def end(resource: Resource, call: Call, services: Services) -> Reply:
    """End it: 200 with the conversation, also when it has ended already. Raises InvalidId."""
    record = own(resource, await services.store.reading.get(resource.kind, call.ids["id"], call.account.id))
    await _end(record, services)
    return await verbs.read(resource, call, services)


async def delete(resource: Resource, call: Call, services: Services) -> Reply:
    """End it and delete it: 204. With `?hard=true` nothing of it is left, also later. Raises InvalidId."""
    is_hard = verbs.flag(call.query, "hard")

    async def known(tx: Transaction) -> tuple[Record, bool]:
        found = await tx.get_with_deleted(resource.kind, call.ids["id"], call.account.id)
        record, deleted_at = found or (None, None)
        return own(resource, record if deleted_at is None or is_hard else None, "delete"), deleted_at is not None

    record, is_deleted = await known(services.store.reading)
    await refuse_stale(services.store.reading, record, call, services)
    if not is_deleted and not is_dry_run(call.query):  # Who is in it is told of its end before it is gone.
        with suppress(Damaged):  # Then nobody is in it.
            await _end(record, services)

    async def remove(tx: Transaction) -> Outcome:
        record, is_deleted = await known(tx)
        if is_hard:
            await forget_replays(tx, record.id, record.owner, services)
        if is_deleted:
            return await erase(tx, call, record, services)
        return await take_away(tx, call, record, services, for_good=is_hard)

    return await carry_out(call, services, remove, lambda _outcome: Reply(204))


async def _end(record: Record, services: Services) -> None:
    assert services.talks is not None
    await services.talks.happened(record.seq, record.id, record.owner, EndAsked(ENDED_BY_CLIENT))


# --- The resource -----------------------------------------------------------------------------------------------------

LIST = verbs.ListStyle(default_sort="desc", labels={"status": "status", "pal_id": "pal"})
EXAMPLE: Document = {"conversation_name": "Before the visit", "pal_id": "pa5ad6596ef5", "face_id": "rc9cff32ceba"}
UNKNOWN = "`Invalid conversation_id`: unknown, or not yours."
ALIASES = aliases({"pal_id": "persona_id", "face_id": "replica_id"})
VERBOSE = Parameter("verbose", {"type": "boolean"}, "`true`: with what happened in it, and why it ended.")

RECEIPT_SCHEMA: dict[str, Any] = {
    "title": "newConversationReceipt",
    "type": "object",
    "required": list(RECEIPT),
    "properties": {
        **dict.fromkeys(RECEIPT, TEXT),
        "status": {"enum": ["active", "ended"]},
        "face_id": TEXT_OR_NULL,
        "replica_id": TEXT_OR_NULL,
        "meeting_token": {**TEXT, "description": "Only with `require_auth`: opens the conversation."},
    },
}

CONVERSATION = Resource(
    kind=KIND,
    names=Names(
        "conversations", "Conversations", "a conversation", "conversation_id", "c", "c12d3a4b5c6d", also=ALIASES
    ),
    model=Conversation,
    example=EXAMPLE,
    stamps=STAMPS,
    labels={"name": ("conversation_name",), "status": ("status",), "pal": ("pal_id",)},
    endpoints=(
        Endpoint(
            "POST",
            "",
            "createConversation",
            "Create a conversation",
            "Begins a conversation of a PAL. It keeps the PAL as it is now, whatever is changed meanwhile.",
            create,
            answers={200: "How to come in.", 400: "What was sent is not valid; `message` tells why."},
            body="object",
            body_schema=schema(),
            answer_schema=RECEIPT_SCHEMA,
            examples={"in writing": {"conversation_name": "Before the visit", "pal_id": "pa5ad6596ef5", "chat": True}},
            differs=(
                "Both vocabularies are taken in one route and all four ids are answered: clients of every age send and "
                "read theirs. Two spellings with different values are 400.",
                "In a chat `participant_left_timeout` is 300 unless told otherwise: its clients come and go with each "
                "line.",
            ),
        ),
        Endpoint(
            "GET",
            "",
            "listConversations",
            "List conversations",
            "Your conversations, newest first.",
            partial(list_or_search, style=LIST),
            answers={200: "One page of conversations.", 400: "A query parameter is not valid."},
            parameters=(*verbs.list_parameters(LIST), SEARCH),
            answers_with="page",
            differs=("`search` and `pal_id` are this server's own.",),
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getConversation",
            "Get a conversation",
            "One conversation. `events` is null unless `verbose` is true.",
            read,
            answers={200: "The conversation.", 400: UNKNOWN},
            parameters=(VERBOSE,),
        ),
        Endpoint(
            "POST",
            "/{id}/end",
            "endConversation",
            "End a conversation",
            "Ends the conversation; nothing happens when it has ended already.",
            end,
            answers={200: "The conversation.", 400: UNKNOWN},
        ),
        *TALKING,
        *LOOKING,
        Endpoint(
            "DELETE",
            "/{id}",
            "deleteConversation",
            "Delete a conversation",
            "Ends and deletes the conversation. With `hard` nothing of it is left; that works on one that is deleted "
            "already, too.",
            delete,
            answers={204: "Deleted.", 400: UNKNOWN},
            parameters=(Parameter("hard", {"type": "boolean"}, "`true`: for good."),),
        ),
    ),
)
