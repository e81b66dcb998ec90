"""The tools of a PAL: attach, list, detach (contract 6). Its `tool_ids` is the list, so its history has it all."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Annotated, Any

import orjson
from pydantic import Field, StringConstraints, ValidationError

from palace import verbs
from palace.call import Call, Reply
from palace.errors import BadRequest, Detail
from palace.links import leads_nowhere
from palace.mending import with_nearest
from palace.resource import Document, Endpoint, Parameter, Problem, Resource, Services
from palace.resources.tools import SYSTEM_TOOLS, TOOL
from palace.storage import Record, Transaction
from palace.validation import Model, as_object, problems_of, refuse
from palace.verbs.patching import guarded
from palace.verbs.reading import own, own_record
from palace.verbs.writing import Outcome, Wanted, carry_out, store_change

MOST_ATTACHED = 50
UNKNOWN_TOOL = "Bad Request. Tool not found"
NOT_ATTACHED = "Tool not attached to this PAL"


def attachable(ids: Iterable[str]) -> list[str]:
    """The ids, each once, without system tools, which every PAL has."""
    return [id for id in dict.fromkeys(ids) if id not in SYSTEM_TOOLS]


# --- Models -----------------------------------------------------------------------------------------------------------


class Attachment(Model):
    """What a client sends to attach tools."""

    tool_ids: list[Annotated[str, StringConstraints(min_length=1)]] = Field(min_length=1, max_length=MOST_ATTACHED)


def asked_for(body: Any) -> list[str]:
    """The ids in a request to attach tools. Raises InvalidDocument."""
    try:
        return Attachment.model_validate(as_object(body, "tool_ids")).tool_ids
    except ValidationError as error:
        raise with_nearest(refuse(problems_of(error)), Attachment) from error


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def attach(resource: Resource, call: Call, services: Services) -> Reply:
    """Attach tools to a PAL: 200 with all that are attached now, also when they were before.

    Raises InvalidId, ClientError for a tool that does not exist, InvalidDocument, MakerChanges.
    """
    ids = asked_for(call.body)

    async def change(tx: Transaction) -> Outcome:
        record = await own_record(resource, tx, call)
        before = orjson.loads(record.body)
        await _refuse_unknown(tx, call, ids, before["tool_ids"])
        wanted = attachable([*before["tool_ids"], *ids])
        if len(wanted) > MOST_ATTACHED:
            raise refuse([_too_many(len(wanted))])
        outcome = await _store(resource, tx, call, record, before, wanted, "attach_tools", services)
        tools = await _attached(tx, call, outcome.document["tool_ids"])
        outcome.said = {"data": tools, **outcome.said}
        return outcome

    return await carry_out(call, services, change, _all_attached)


async def detach(resource: Resource, call: Call, services: Services) -> Reply:
    """Detach a tool from a PAL: 204. Raises BadRequest when it is not attached, or there is no such PAL or tool."""

    async def change(tx: Transaction) -> Outcome:
        record = await tx.get(resource.kind, call.ids["id"], call.account.id)
        before = orjson.loads(record.body) if record else {"tool_ids": []}
        id = call.ids["tool_id"]
        if id not in before["tool_ids"]:
            raise BadRequest(f"Bad Request. {NOT_ATTACHED}", [Detail("not_attached", f"{NOT_ATTACHED}.")])
        rest = [other for other in before["tool_ids"] if other != id]
        return await _store(resource, tx, call, own(resource, record), before, rest, "detach_tool", services)

    return await carry_out(call, services, change, lambda outcome: Reply(204, headers=outcome.headers))


async def list_attached(resource: Resource, call: Call, services: Services) -> Reply:
    """`{data}`: every tool that is attached to a PAL, in this order. Raises InvalidId."""
    tx = services.store.reading
    shown = await tx.read(resource.kind, call.ids["id"], call.account.id)
    if shown is None:
        raise resource.unknown()
    tools = await _attached(tx, call, orjson.loads(shown.body)["tool_ids"])
    return Reply(200, orjson.dumps({"data": tools}), is_spelled=True)


async def _store(
    resource: Resource,
    tx: Transaction,
    call: Call,
    record: Record,
    before: Document,
    ids: Sequence[str],
    action: str,
    services: Services,
) -> Outcome:
    """The PAL with these tools, stored as by a patch."""
    wanted = Wanted({**before, "tool_ids": ids}, action)
    store = partial(store_change, resource, tx, call, record, before, wanted, services)
    return await guarded(tx, call, record, store, services)


def _too_many(count: int) -> Problem:
    text, facts = f"Longer than maximum length {MOST_ATTACHED}.", {"maximum": MOST_ATTACHED}
    explained = f"A PAL has at most {MOST_ATTACHED} tools; with these it would have {count}."
    return Problem(("tool_ids",), "too_long", text, facts=facts, explained=explained)


async def _refuse_unknown(tx: Transaction, call: Call, ids: Sequence[str], attached: Sequence[str]) -> None:
    """Raises a ClientError that names, by its place in the request, every tool that there is not."""
    problems = [
        leads_nowhere(("tool_ids", index), TOOL.kind, id, UNKNOWN_TOOL)
        for index, id in enumerate(ids)
        if id not in attached and not await tx.exists(TOOL.kind, id, call.account.id)
    ]
    if problems:
        raise refuse(problems)


async def _attached(tx: Transaction, call: Call, ids: Iterable[str]) -> list[orjson.Fragment]:
    """The tools with these ids as JSON, without those that do not exist (any more)."""
    found = [await tx.read(TOOL.kind, id, call.account.id) for id in attachable(ids)]
    return [orjson.Fragment(shown.body) for shown in found if shown is not None]


def _all_attached(outcome: Outcome) -> Reply:
    return Reply(200, orjson.dumps(dict(outcome.said)), outcome.headers, is_spelled=True)


# --- The operations ---------------------------------------------------------------------------------------------------

TOOLS: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Tool"}}},
}

PAL_TOOLS = (
    Endpoint(
        "POST",
        "/{id}/tools",
        "attachToolsToPal",
        "Attach tools to a PAL",
        "Attaches tools behind those that are attached already. The answer has all of them; 50 are the most.",
        attach,
        answers={
            200: "Every tool that is attached.",
            400: f"`Invalid pal_id`, `{UNKNOWN_TOOL}`, or too many.",
            409: verbs.DRAFT_IN_THE_WAY,
        },
        body="object",
        body_schema={
            "type": "object",
            "required": ["tool_ids"],
            "additionalProperties": False,
            "properties": {
                "tool_ids": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_ATTACHED,
                    "items": {"type": "string", "minLength": 1},
                }
            },
        },
        parameters=verbs.DRAFT_PARAMETERS,
        answer_schema=TOOLS,
        examples={"one tool": {"tool_ids": [TOOL.names.example_id]}},
        differs=(
            "The answer has every tool that is attached, in this order; the published pages leave it open.",
            "System tools are part of every PAL: attaching one is accepted and changes nothing, and `tool_ids` leaves "
            "them out. So do tools that are named twice.",
        ),
    ),
    Endpoint(
        "GET",
        "/{id}/tools",
        "listPalTools",
        "List the tools of a PAL",
        "Every tool that is attached, in this order; not those written into the PAL itself, and not system tools.",
        list_attached,
        answers={200: "Every tool that is attached.", 400: "`Invalid pal_id`: unknown, or not yours."},
        answer_schema=TOOLS,
    ),
    Endpoint(
        "DELETE",
        "/{id}/tools/{tool_id}",
        "detachToolFromPal",
        "Detach a tool from a PAL",
        "Detaches one tool. The tool itself stays.",
        detach,
        answers={
            204: "Detached.",
            400: f"`Bad Request. {NOT_ATTACHED}`, also for an unknown PAL.",
            409: verbs.DRAFT_IN_THE_WAY,
        },
        parameters=(
            Parameter(
                "tool_id",
                {"type": "string", "minLength": 1, "example": TOOL.names.example_id},
                "The tool.",
                required=True,
            ),
            *verbs.DRAFT_PARAMETERS,
        ),
    ),
)
