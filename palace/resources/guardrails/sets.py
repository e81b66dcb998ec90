"""Sets of guardrails, as PALs had them before each guardrail was an object of its own (contract 9).

They are served under /v2/guardrails beside single guardrails; the operations are in `palace.resources.guardrails`.
"""

from functools import partial
from typing import Any

import orjson

from palace import verbs
from palace.call import Call, Reply
from palace.resource import Document, Endpoint, Handler, Names, Problem, Reference, Resource, Services, Wording
from palace.resources.guardrails.models import GuardrailSet
from palace.resources.guardrails.twins import GUARDRAIL_KIND, SET_KIND, change_twins, store_new_set, store_set
from palace.verbs.writing import Outcome, shown

WORDING = Wording(
    unknown=(404, "Guardrails not found"),
    patch=(400, "Invalid patch operation"),
    missing={"guardrail_name": "guardrail_name is required"},
)
LIST = verbs.ListStyle(default_sort="ascending", search="name_or_uuid", owned_by="type")


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def create(resource: Resource, call: Call, services: Services) -> Reply:
    """A short receipt, not the document (contract 9). A uuid is the server's to give."""
    items = call.body.get("data") if isinstance(call.body, dict) else None
    found = [
        Problem(("data", index, "uuid"), "read_only", "Read-only field.")
        for index, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict) and item.get("uuid") is not None
    ]
    return await verbs.create(resource, call, services, found=found, store=store_new_set, answer=receipt)


def receipt(outcome: Outcome) -> Reply:
    """What Create Guardrails answers with for a set."""
    made = outcome.document
    said = {
        "guardrails_id": made["guardrails_id"],
        "guardrails_name": made["name"],
        "status": "active",
        "created_at": made["created_at"],
    }
    return Reply(200, orjson.dumps(said), outcome.headers)


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """The set; `?verbose=true` has nothing to add."""
    verbs.flag(call.query, "verbose")
    return await verbs.read(resource, call, services)


async def patch(resource: Resource, call: Call, services: Services) -> Reply:
    """`verbs.patch`, answered with a sentence unless the client wants the document (contract 9)."""
    prepare, answer = partial(verbs.without_read_only, resource), shown if call.wants_representation else told
    return await verbs.patch(resource, call, services, prepare=prepare, store=store_set, answer=answer)


def told(outcome: Outcome) -> Reply:
    """200 with a sentence."""
    return Reply(200, orjson.dumps({"message": "Guardrails updated successfully"}), outcome.headers)


async def list_sets(resource: Resource, call: Call, services: Services) -> Reply:
    """`{data, total_count}` with whole sets."""
    return await verbs.list_page(resource, call, services, style=LIST)


delete: Handler = partial(verbs.delete, also=partial(change_twins, "delete"))


def history() -> tuple[Endpoint, ...]:
    """The operations on the history of a set."""
    restore = partial(verbs.restore, also=partial(change_twins, "restore"))
    return verbs.history_endpoints("a guardrail set", unknown=404, store=store_set, restore=restore)


# --- The resource -----------------------------------------------------------------------------------------------------

EXAMPLE: Document = {
    "name": "Rules of the desk",
    "data": [
        {"guardrail_name": "no_prices", "guardrail_prompt": "Never quote a price.", "tags": ["desk"]},
        {"guardrail_name": "no_names", "guardrail_prompt": "Never tell who stays in the house."},
    ],
}
RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["guardrails_id", "guardrails_name", "status", "created_at"],
    "properties": {
        "guardrails_id": {"type": "string"},
        "guardrails_name": {"type": ["string", "null"]},
        "status": {"const": "active"},
        "created_at": {"type": "string", "format": "date-time"},
    },
}

GUARDRAIL_SET = Resource(
    kind=SET_KIND,
    names=Names("guardrails", "Guardrails", "a guardrail set", "guardrails_id", "g", "g0cd6325883df", id_digits=12),
    wording=WORDING,
    model=GuardrailSet,
    example=EXAMPLE,
    endpoints=(),
    references=(Reference(("data", "*", "uuid"), GUARDRAIL_KIND, "Guardrails not found", "remove", is_part=True),),
    labels={"name": ("name",)},
    synonyms={"/guardrails": "/data", "/guardrails_name": "/name"},
)
