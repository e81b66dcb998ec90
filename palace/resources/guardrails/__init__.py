"""Guardrails: what a PAL never does, whatever it is told (contract 9).

Under /v2/guardrails there are two kinds of objects: single guardrails, and older sets of them. What the body or the id
is decides which of the two an operation is about.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from palace import verbs
from palace.call import Call, Reply
from palace.etags import tags_in
from palace.resource import Document, Endpoint, Handler, Names, Parameter, Resource, Services
from palace.resources.guardrails import sets
from palace.resources.guardrails.models import Guardrail
from palace.resources.guardrails.sets import GUARDRAIL_SET
from palace.resources.guardrails.twins import GUARDRAIL_KIND, store_guardrail
from palace.verbs.queries import LARGEST_PAGE_SIZE, page_number, page_size
from palace.verbs.writing import Outcome, shown

LIST = verbs.ListStyle(
    first_page=0,
    default_sort="ascending",
    search="name_or_uuid",
    owned_by="type",
    labels={"tags": "tag"},
    tells_page=True,
)

# --- One or a set? ----------------------------------------------------------------------------------------------------


def either(one: Handler, a_set: Handler) -> Handler:
    """The handler that asks what has the id in the path: `a_set` answers for a set, `one` for anything else."""

    async def handle(resource: Resource, call: Call, services: Services) -> Reply:
        found = await services.store.reading.get_with_deleted(GUARDRAIL_SET.kind, call.ids["id"], call.account.id)
        if found is not None:
            return await a_set(GUARDRAIL_SET, call, services)
        return await one(resource, call, services)

    return handle


async def create(resource: Resource, call: Call, services: Services) -> Reply:
    """A guardrail, answered with all of it; or a set, where there is `data` and no `guardrail_name`."""
    if isinstance(call.body, dict) and "data" in call.body and "guardrail_name" not in call.body:
        return await sets.create(GUARDRAIL_SET, call, services)
    return await verbs.create(resource, call, services)


async def list_either(resource: Resource, call: Call, services: Services) -> Reply:
    """Sets, as clients from before expect; with `?legacy=false` guardrails, in pages counted from 0 (contract 9)."""
    is_verbose = verbs.flag(call.query, "verbose")
    if verbs.flag(call.query, "legacy", default=True):
        return await sets.list_sets(GUARDRAIL_SET, call, services)
    reply = await verbs.list_page(resource, call, services, style=LIST)
    if not is_verbose:
        return reply
    page = orjson.loads(reply.document)
    page["data"] = [await with_users(guardrail, call, services) for guardrail in page["data"]]
    return Reply(200, orjson.dumps(page))


# --- One --------------------------------------------------------------------------------------------------------------


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """The guardrail; with `?verbose=true` also what `with_users` tells."""
    if not verbs.flag(call.query, "verbose"):
        return await verbs.read(resource, call, services)
    if call.if_none_match is not None:
        tags_in(call.if_none_match, "If-None-Match")
    call.if_none_match = None  # The tag does not tell who uses it.
    reply = await verbs.read(resource, call, services)
    return Reply(200, orjson.dumps(await with_users(orjson.loads(reply.document), call, services)), reply.headers)


async def with_users(guardrail: Document, call: Call, services: Services) -> Document:
    """The guardrail with its type, and `persona_refs`: the PALs that have it among their `guardrail_ids`."""
    users = await services.store.reading.links.users(GUARDRAIL_KIND, guardrail["uuid"], call.account.id)
    pals = {user.id: user.name for user in users if user.kind == "pal"}
    refs = [{"persona_id": id, "persona_name": name} for id, name in pals.items()]
    return {**guardrail, "guardrail_type": "user", "persona_refs": refs}


async def patch(resource: Resource, call: Call, services: Services) -> Reply:
    """`verbs.patch`, to which what only the server writes is no fault, answered without `created_at` (contract 9)."""
    prepare, answer = partial(verbs.without_read_only, resource), shown if call.wants_representation else told
    return await verbs.patch(resource, call, services, prepare=prepare, store=store_guardrail, answer=answer)


def told(outcome: Outcome) -> Reply:
    """200 with the guardrail, but not when it was made."""
    said = {name: value for name, value in outcome.document.items() if name != "created_at"}
    return Reply(200, orjson.dumps(said), outcome.headers)


async def list_tags(resource: Resource, call: Call, services: Services) -> Reply:
    """`{tags, total_count}`: the different tags of the caller's guardrails, in order."""
    limit, page = page_size(call.query, LARGEST_PAGE_SIZE), page_number(call.query)
    search = call.query.get("search", "")
    tags, total = await services.store.reading.links.label_values(
        resource.kind, call.account.id, "tag", search=search, limit=limit, offset=(page - 1) * limit
    )
    return Reply(200, orjson.dumps({"tags": tags, "total_count": total}))


def history() -> Iterator[Endpoint]:
    """The operations on the history, of a guardrail or of a set."""
    for one, a_set in zip(
        (verbs.references_endpoint(A_GUARDRAIL, 404), *verbs.history_endpoints(A_GUARDRAIL, (), 404, store_guardrail)),
        (verbs.references_endpoint(A_GUARDRAIL, 404), *sets.history()),
        strict=True,
    ):
        yield replace(one, handler=either(one.handler, a_set.handler), answer_schema=one.answer_schema or EITHER)


# --- The resource -----------------------------------------------------------------------------------------------------

A_GUARDRAIL = "a guardrail"
EXAMPLE: Document = {"guardrail_name": "no_prices", "guardrail_prompt": "Never quote a price.", "tags": ["desk"]}

TEXT: dict[str, Any] = {"type": "string"}
ONE: dict[str, Any] = {"$ref": "#/components/schemas/Guardrail"}
A_SET: dict[str, Any] = {"$ref": "#/components/schemas/Guardrails"}
EITHER: dict[str, Any] = {"anyOf": [ONE, A_SET]}
USERS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["persona_id", "persona_name"],
        "properties": {"persona_id": TEXT, "persona_name": {"type": ["string", "null"]}},
    },
}
VERBOSE_ONE: dict[str, Any] = {
    "allOf": [ONE, {"type": "object", "properties": {"guardrail_type": {"const": "user"}, "persona_refs": USERS}}]
}
PATCHED: dict[str, Any] = {
    "anyOf": [
        {"type": "object", "required": ["uuid", "guardrail_name", "guardrail_prompt", "updated_at"]},
        {"type": "object", "required": ["message"], "properties": {"message": TEXT}},
        A_SET,
    ]
}
LISTED: dict[str, Any] = {
    "anyOf": [verbs.page_schema(A_SET, sets.LIST), verbs.page_schema(VERBOSE_ONE, LIST)],
}
TAGS: dict[str, Any] = {
    "type": "object",
    "required": ["tags", "total_count"],
    "properties": {"tags": {"type": "array", "items": TEXT}, "total_count": {"type": "integer"}},
}
UNKNOWN = "`Guardrails not found`: unknown, or not yours."
PAGE = Parameter("page", {"type": "integer"}, "The number of the page: from 1 on for sets, from 0 on for guardrails.")
LEGACY = Parameter("legacy", {"type": "boolean", "default": True}, "`false`: guardrails, not sets of them.")
VERBOSE = Parameter("verbose", {"type": "boolean"}, "`true` adds `guardrail_type` and `persona_refs`: who uses it.")

GUARDRAIL = Resource(
    kind=GUARDRAIL_KIND,
    names=Names("guardrails", "Guardrails", A_GUARDRAIL, "uuid", "g", "g1234567890ab", id_digits=12),
    wording=sets.WORDING,
    model=Guardrail,
    example=EXAMPLE,
    labels={"name": ("guardrail_name",), "tag": ("tags", "*")},
    sparse=("tool_call",),
    synonyms={"/name": "/guardrail_name", "/prompt": "/guardrail_prompt"},
    endpoints=(
        Endpoint(
            "POST",
            "",
            "createGuardrails",
            "Create a guardrail",
            "Creates a guardrail and answers with it. A body with `data` instead of `guardrail_name` creates an older "
            "set, answered with a short receipt; each of its items is a guardrail of its own too.",
            create,
            answers={200: "The guardrail, or a receipt for the set.", 400: "The document is not valid."},
            body="document",
            body_schema={
                "anyOf": [
                    {"$ref": "#/components/schemas/GuardrailFields"},
                    {"$ref": "#/components/schemas/GuardrailsFields"},
                ]
            },
            answer_schema={"anyOf": [ONE, sets.RECEIPT]},
            examples={"a guardrail": EXAMPLE, "a set": sets.EXAMPLE},
            differs=("A set has at most 50 guardrails, as a PAL has.",),
        ),
        Endpoint(
            "GET",
            "",
            "listGuardrails",
            "List guardrails",
            "Your older sets, or with `legacy=false` your guardrails, those in sets among them; oldest first.",
            list_either,
            answers={200: "One page.", 400: "A query parameter is not valid."},
            parameters=(
                LEGACY,
                *(PAGE if parameter.name == "page" else parameter for parameter in verbs.list_parameters(LIST)),
                VERBOSE,
            ),
            answer_schema=LISTED,
            differs=(
                "With `legacy=false` pages are counted from 0, as the reference page says and not as the official "
                "command line tool sends it.",
                "`persona_refs` is a list of `{persona_id, persona_name}`: its published form is not known.",
            ),
        ),
        Endpoint(
            "GET",
            "/tags",
            "listGuardrailTags",
            "List the tags of guardrails",
            "The different tags of your guardrails, in order.",
            list_tags,
            answers={200: "One page of tags.", 400: "A query parameter is not valid."},
            parameters=(
                Parameter("search", TEXT, "Only tags with this part."),
                Parameter("limit", {"type": "integer", "default": LARGEST_PAGE_SIZE}, "Tags on a page, at most 100."),
                Parameter("page", {"type": "integer", "default": 1}, "The number of the page, from 1 on."),
            ),
            answer_schema=TAGS,
            differs=("Pages are counted from 1, and 0 is the first one too: the published page does not say.",),
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getGuardrails",
            "Get a guardrail",
            "The guardrail, or the older set whose id it is.",
            either(read, sets.read),
            answers={200: "The guardrail or the set.", 400: "A query parameter is not valid.", 404: UNKNOWN},
            parameters=(VERBOSE,),
            answer_schema={"anyOf": [VERBOSE_ONE, A_SET]},
        ),
        Endpoint(
            "PATCH",
            "/{id}",
            "patchGuardrails",
            "Patch a guardrail",
            "Changes a guardrail or a set with a JSON Patch (RFC 6902). Operations on members that only the server "
            "writes are left out. What is patched in a set is patched in the guardrail that the item is, and the other "
            "way round. With `Prefer: return=representation` the answer is the whole document.",
            either(patch, sets.patch),
            answers={
                200: "Changed: the guardrail without `created_at`, or a sentence about the set.",
                304: "Nothing was changed.",
                400: "`Invalid patch operation`, or the result would not be valid.",
                404: UNKNOWN,
            },
            body="patch",
            answer_schema=PATCHED,
            examples={"other tags": [{"op": "add", "path": "/tags", "value": ["desk", "night"]}]},
            differs=(
                "An item of a set keeps its uuid while it is edited or moved; one that is written as a whole keeps it "
                "only where the new item names it.",
            ),
        ),
        Endpoint(
            "DELETE",
            "/{id}",
            "deleteGuardrails",
            "Delete a guardrail",
            "Deletes a guardrail, and takes it out of its set and of every PAL; or a set with all of its guardrails.",
            either(verbs.delete, sets.delete),
            answers={204: "Deleted.", 404: UNKNOWN},
            differs=(
                "An unknown id is always 404; the published page also has a 400 `Invalid guardrails_id`, without "
                "telling the two apart.",
            ),
        ),
        *history(),
    ),
)
