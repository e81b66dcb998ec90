"""Callbacks as their owner sees them: what was sent and what came of it, sending again, and the secret that signs.

None of it is published: the API that this server follows neither signs its callbacks nor shows them.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from palace.audit import Deed
from palace.call import Call, Reply
from palace.clock import timestamp
from palace.resource import Document, Endpoint, Names, Parameter, Resource, Services, Wording
from palace.revisions.history import delta_between
from palace.storage import Attempt, Delivery, Transaction
from palace.validation import Model
from palace.verbs.queries import is_dry_run, one_of, page_number, page_size
from palace.verbs.writing import keep_answer
from palace.webhooks import Keyring, read_keyring, rotate_keyring

STATUSES = ("waiting", "delivered", "parked")
DELIVERIES_ON_A_PAGE = 20
MOST_ATTEMPTS_SHOWN = 100
NO_STORE = {"cache-control": "no-store"}
Change = Callable[[Transaction], Awaitable[tuple[Document, Document]]]
"""Makes a change, and tells what it changed as it was before and as it is now."""


class Shown(Model):
    """What is shown of a callback in a list."""

    delivery_id: str


# --- What is shown ----------------------------------------------------------------------------------------------------


def shown(delivery: Delivery) -> Document:
    """A callback as an item of the list."""
    return {
        "delivery_id": delivery.id,
        "status": delivery.state,
        "event_type": delivery.event_type,
        "conversation_id": delivery.about if delivery.kind == "conversation" else None,
        "about": {"kind": delivery.kind, "id": delivery.about} if delivery.kind else None,
        "url": delivery.url,
        "created_at": delivery.created_at,
        "attempt_count": delivery.attempts,
        "next_attempt_at": delivery.due_at if delivery.state == "waiting" else None,
        "delivered_at": delivery.delivered_at,
        "last_status": delivery.last_status,
        "last_problem": delivery.last_problem,
    }


def shown_attempt(attempt: Attempt) -> Document:
    """One attempt; what the receiver said is a text for people."""
    return {
        "attempt": attempt.attempt,
        "at": attempt.at,
        "ms": attempt.ms,
        "status": attempt.status,
        "problem": attempt.problem,
        "answer": attempt.answer.decode(errors="replace"),
    }


def dates_of(keyring: Keyring, services: Services) -> Document:
    """When the secret was made, and how long the one before it goes on to sign."""
    return {
        "created_at": keyring.newest.created_at,
        "previous_until": keyring.previous_until(services.clock.now()),
    }


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def list_deliveries(_resource: Resource, call: Call, services: Services) -> Reply:
    """`{data, total_count}`: the callbacks of the account, newest first. Raises BadRequest."""
    limit = page_size(call.query, DELIVERIES_ON_A_PAGE)
    offset = (page_number(call.query) - 1) * limit
    state = one_of(call.query, "status", STATUSES, "") if call.query.get("status") else ""
    wanted = {"state": state, "conversation": call.query.get("conversation_id", "")}
    async with services.store.reading.snapshot() as tx:  # The page and its total are of one moment.
        found, total = await tx.webhooks.page(call.account.id, **wanted, limit=limit, offset=offset)
    return Reply(200, orjson.dumps({"data": [shown(one) for one in found], "total_count": total}))


async def read_delivery(resource: Resource, call: Call, services: Services) -> Reply:
    """One callback, with what was sent and every attempt. Raises InvalidId."""
    async with services.store.reading.snapshot() as tx:
        delivery = await _own(resource, tx, call)
        attempts = await tx.webhooks.attempts(delivery.seq, MOST_ATTEMPTS_SHOWN)
    told = {"body": delivery.body.decode(), "attempts": [shown_attempt(one) for one in attempts]}
    return Reply(200, orjson.dumps(shown(delivery) | told))


async def redeliver(resource: Resource, call: Call, services: Services) -> Reply:
    """Send a callback once more, whatever became of it: 200 with the callback. Raises InvalidId."""

    async def ask(tx: Transaction) -> tuple[Document, Document]:
        delivery = await _own(resource, tx, call)
        at = timestamp(services.clock.now())
        await tx.webhooks.ask_again(delivery, at, call.account.id)
        account, request_id = call.account, call.request_id or None
        deed = Deed(at, account.id, account.key_id, "redeliver", "webhook_delivery", delivery.id, None, request_id)
        await tx.add_audit(deed, services.audit)
        return shown(delivery), shown(await _own(resource, tx, call))

    return await _carried_out(call, services, ask)


async def read_secret(_resource: Resource, call: Call, services: Services) -> Reply:
    """The secret that signs the account's callbacks; it is made when somebody first asks, or one is first sent."""
    keyring = await read_keyring(call.account.id, services)
    return Reply(200, orjson.dumps({"secret": keyring.newest.secret, **dates_of(keyring, services)}), NO_STORE)


async def rotate_secret(_resource: Resource, call: Call, services: Services) -> Reply:
    """A new secret. The answer does not hold it: it may be stored under an idempotency key, and nobody seals those."""

    async def rotate(tx: Transaction) -> tuple[Document, Document]:
        told = {"key_id": call.account.key_id, "request_id": call.request_id}
        return {}, dates_of(await rotate_keyring(call.account.id, tx, services, **told), services)

    return await _carried_out(call, services, rotate)


async def _own(resource: Resource, tx: Transaction, call: Call) -> Delivery:
    delivery = await tx.webhooks.get(call.ids["delivery_id"], call.account.id)
    if delivery is None:
        raise resource.unknown()
    return delivery


async def _carried_out(call: Call, services: Services, change: Change) -> Reply:
    """Make a change in a transaction and answer with what it changed; with `dry_run` undo it and tell what it would."""
    is_rehearsal = is_dry_run(call.query)

    async def inside(tx: Transaction) -> Reply:
        if is_rehearsal:
            async with tx.rehearsal():
                return _preview(*await change(tx))
        _, after = await change(tx)
        reply = Reply(200, orjson.dumps(after))
        await keep_answer(tx, call, reply, services)
        return reply

    return await services.store.transact(inside)


def _preview(before: Document, after: Document) -> Reply:
    delta = delta_between(before, after, {}, {})
    told = {"touched": delta.touched, "patch": delta.patch, "inverse": delta.inverse, "effects": []}
    return Reply(200, orjson.dumps({"dry_run": True, "changed": True, "document": after, **told}), is_spelled=True)


# --- The resource -----------------------------------------------------------------------------------------------------

TEXT: dict[str, Any] = {"type": "string"}
TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
TIME: dict[str, Any] = {**TEXT, "format": "date-time"}
TIME_OR_NULL: dict[str, Any] = {**TEXT_OR_NULL, "format": "date-time"}
NUMBER_OR_NULL: dict[str, Any] = {"type": ["integer", "null"]}


def _object(members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(members), "properties": members}


LISTED: dict[str, Any] = {
    "delivery_id": {**TEXT, "description": "Also the header `webhook-id`: the same over all attempts."},
    "status": {**TEXT, "enum": list(STATUSES), "description": "`parked`: it failed, and is not tried again by itself."},
    "event_type": TEXT,
    "conversation_id": TEXT_OR_NULL,
    "about": {
        "type": ["object", "null"],
        "required": ["kind", "id"],
        "properties": {"kind": TEXT, "id": TEXT},
        "description": "The object that it tells of.",
    },
    "url": {**TEXT, "description": "As the client named it, with its query."},
    "created_at": TIME,
    "attempt_count": {"type": "integer"},
    "next_attempt_at": {**TIME_OR_NULL, "description": "Not before this time, while it waits."},
    "delivered_at": TIME_OR_NULL,
    "last_status": {**NUMBER_OR_NULL, "description": "What the receiver answered last; null when it did not answer."},
    "last_problem": TEXT_OR_NULL,
}
ATTEMPT: dict[str, Any] = {
    "attempt": {"type": "integer"},
    "at": TIME,
    "ms": {"type": "integer", "description": "How long it took."},
    "status": NUMBER_OR_NULL,
    "problem": TEXT_OR_NULL,
    "answer": {**TEXT, "description": "The first 1,024 bytes of what the receiver said."},
}
WHOLE: dict[str, Any] = {
    **LISTED,
    "body": {**TEXT, "description": "The JSON text as it is sent, byte for byte."},
    "attempts": {"type": "array", "items": _object(ATTEMPT), "description": "The newest hundred, newest first."},
}
DATES: dict[str, Any] = {
    "created_at": TIME,
    "previous_until": {**TIME_OR_NULL, "description": "Until then callbacks are signed with the former secret, too."},
}
SECRET: dict[str, Any] = {
    "secret": {**TEXT, "pattern": "^whsec_", "description": "What libraries for Standard Webhooks take."},
    **DATES,
}
UNKNOWN = "There is no such delivery, or it is not yours."
EXAMPLE_ID = "wd4be1f03a9c7d5e2860b1f4a7"
DELIVERY_ID = Parameter("delivery_id", {**TEXT, "minLength": 1, "example": EXAMPLE_ID}, "The delivery.", True)
LIST_PARAMETERS = (
    Parameter("limit", {"type": "integer", "default": DELIVERIES_ON_A_PAGE}, "Deliveries on a page, at most 100."),
    Parameter("page", {"type": "integer", "default": 1}, "The number of the page, from 1 on."),
    Parameter("status", {"enum": [*STATUSES, ""]}, "Only those with this status."),
    Parameter("conversation_id", TEXT, "Only those of this conversation."),
)

WEBHOOK = Resource(
    kind="webhook_delivery",
    names=Names("webhooks", "Webhooks", "a delivery", "delivery_id", "wd", EXAMPLE_ID, id_digits=24),
    wording=Wording(unknown=(404, "Delivery not found")),
    model=Shown,
    example={"delivery_id": EXAMPLE_ID},
    endpoints=(
        Endpoint(
            "GET",
            "/deliveries",
            "listWebhookDeliveries",
            "List deliveries of callbacks",
            "What was sent to your callback URLs, or waits to be, newest first.",
            list_deliveries,
            answers={200: "One page of deliveries.", 400: "A query parameter is not valid."},
            parameters=LIST_PARAMETERS,
            answer_schema=_object(
                {"data": {"type": "array", "items": _object(LISTED)}, "total_count": {"type": "integer"}}
            ),
        ),
        Endpoint(
            "GET",
            "/deliveries/{delivery_id}",
            "getWebhookDelivery",
            "Get a delivery",
            "One callback: what is sent, and what came of every attempt.",
            read_delivery,
            answers={200: "The delivery.", 404: UNKNOWN},
            parameters=(DELIVERY_ID,),
            answer_schema=_object(WHOLE),
        ),
        Endpoint(
            "POST",
            "/deliveries/{delivery_id}/redeliver",
            "redeliverWebhook",
            "Send a callback again",
            "Sends a callback at once, under the same `webhook-id`, whatever became of it before, and tries again like "
            "the first time. One that was delivered or parked does not keep others waiting.",
            redeliver,
            answers={200: "It will be sent.", 404: UNKNOWN},
            parameters=(DELIVERY_ID,),
            answer_schema=_object(LISTED),
        ),
        Endpoint(
            "GET",
            "/secret",
            "getWebhookSecret",
            "Get the secret of your webhooks",
            "The secret of your account that signs every callback, by the Standard Webhooks specification.",
            read_secret,
            answers={200: "The secret."},
            answer_schema=_object(SECRET),
        ),
        Endpoint(
            "POST",
            "/secret/rotate",
            "rotateWebhookSecret",
            "Exchange the secret of your webhooks",
            "Makes a new secret, which Get the secret shows. For 24 hours callbacks have a signature of the former one "
            "besides, so that receivers can change over.",
            rotate_secret,
            answers={200: "There is a new secret."},
            answer_schema=_object(DATES),
        ),
    ),
)
