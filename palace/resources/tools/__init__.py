"""Tools: what a PAL can do besides talking, as functions that its language model calls (contract 5).

A PAL uses those in its `tool_ids`; `palace.resources.pals.tools` attaches and detaches them.
"""

import json
from collections.abc import Collection, Iterator
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from palace import verbs
from palace.addresses import parse_networks
from palace.call import STOCK_OWNER, Call, Reply
from palace.errors import BadRequest, Detail
from palace.resource import Claim, Document, Endpoint, Names, Problem, Resource, Services, Stamp, Wording, value_at
from palace.resources.tools.delivery import (
    SECRET_OF,
    SECRETS,
    Text,
    ToolDelivery,
    delivery_rules,
    private_hosts,
)
from palace.shown import MASK
from palace.tool_delivery.placeholders import RESERVED_PREFIX
from palace.validation import Model

NAME_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$"
LONGEST_SPECIFICATION = 10_000
"""characters of the description and of the parameters as JSON together"""
MOST_TAGS = 50
LONGEST_TAG = 100
SYSTEM_TOOLS = ("end_call",)
"""Part of every PAL; their ids are their names."""

Tag = Annotated[str, StringConstraints(max_length=LONGEST_TAG)]
Origin = Literal["llm", "vision", "audio"]
OnCall = Literal["generate_filler", "static_filler", "silent", "passthrough"]
OnResolve = Literal["generate_response", "response_in_result", "add_to_context", "fire_and_forget"]


# --- Models -----------------------------------------------------------------------------------------------------------


class Tool(Model):
    """What a client may write of a tool."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
    """Unique among your tools."""
    description: Text
    """For the model: when to call it. With `parameters` as JSON at most 10,000 characters."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """A JSON Schema for the arguments, of type object."""
    delivery: ToolDelivery = Field(default_factory=lambda: ToolDelivery(app_message=True))
    trigger_type: Literal["in_call", "post_call"] = "in_call"
    """`post_call`: carried out once, after the conversation, through `delivery.api`."""
    origin: Origin | None = None
    """Who calls it: `llm` unless told otherwise; null for `post_call`."""
    on_call: OnCall | None = None
    """What is said when it is called: `generate_filler` unless told otherwise; null where the origin is not `llm`."""
    on_resolve: OnResolve = "fire_and_forget"
    """What becomes of the result; `fire_and_forget` where the origin is not `llm`."""
    static_filler: str | None = None
    """What is said where `on_call` is `static_filler`; null elsewhere."""
    tags: list[Tag] = Field(default_factory=list, max_length=MOST_TAGS)

    @model_validator(mode="after")
    def _with_defaults(self) -> "Tool":
        """What is left out follows from what is there."""
        self.origin = self.origin or default_origin(self.trigger_type)
        self.on_call = self.on_call or default_on_call(self.origin)
        return self


def default_origin(trigger_type: str) -> Origin | None:
    """Who calls a tool that does not say so."""
    return "llm" if trigger_type == "in_call" else None


def default_on_call(origin: str | None) -> OnCall | None:
    """What is said when a tool is called that does not say so."""
    return "generate_filler" if origin == "llm" else None


RESETTABLE = frozenset(name for name, field in Tool.model_fields.items() if not field.is_required())
"""Members that go back to their defaults when a change says null."""


# --- Rules ------------------------------------------------------------------------------------------------------------


def rules(tool: Tool) -> Iterator[Problem]:
    """What must hold between members."""
    length = len(tool.description) + len(json.dumps(tool.parameters, sort_keys=True))
    if length > LONGEST_SPECIFICATION:
        text = f"Together with parameters longer than maximum length {LONGEST_SPECIFICATION}."
        facts = {"maximum": LONGEST_SPECIFICATION, "actual": length}
        yield Problem(("description",), "too_long", text, facts=facts)
        return
    yield from _parameter_rules(tool.parameters)
    properties = tool.parameters.get("properties")
    declared: Collection[str] = properties if isinstance(properties, dict) else ()
    yield from delivery_rules(tool.delivery, declared)
    yield from _caller_rules(tool)


def _parameter_rules(parameters: Document) -> Iterator[Problem]:
    """As far as this server reads the JSON Schema: its type, its properties, and which of them are required."""
    if parameters.get("type", "object") != "object":
        yield Problem(("parameters", "type"), "not_allowed", "Must be one of: object.", facts={"allowed": ["object"]})
    properties = parameters.get("properties", {})
    if not isinstance(properties, dict):
        yield Problem(("parameters", "properties"), "wrong_type", "Not a valid mapping type.")
        return
    for name, schema in properties.items():
        place = ("parameters", "properties", name)
        if name.startswith(RESERVED_PREFIX):
            text = f"Names of parameters must not start with {RESERVED_PREFIX}: the server has placeholders like that."
            yield Problem(place, "reserved", text)
        if not isinstance(schema, dict | bool):
            yield Problem(place, "wrong_type", "Not a valid mapping type.")
    required = parameters.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield Problem(("parameters", "required"), "wrong_type", "Not a valid list.")


def _caller_rules(tool: Tool) -> Iterator[Problem]:
    """Only a language model waits for a tool: no other caller says something meanwhile, or hears of the result."""
    if tool.trigger_type == "post_call":
        if tool.origin is not None:
            yield Problem(("origin",), "exclusive", "Must be null for post_call tools.")
        if tool.delivery.api is None:
            yield Problem(("delivery", "api"), "missing", "Required for post_call tools.")
    if tool.origin == "llm":
        if tool.on_call == "static_filler" and not tool.static_filler:
            yield Problem(("static_filler",), "missing", "Required when on_call is static_filler.")
        if tool.on_call != "static_filler" and tool.static_filler is not None:
            yield Problem(("static_filler",), "exclusive", "Must be null unless on_call is static_filler.")
        return
    kind = tool.origin or tool.trigger_type
    for name in ("on_call", "static_filler"):
        if getattr(tool, name) is not None:
            yield Problem((name,), "exclusive", f"Must be null for {kind} tools.")
    if tool.on_resolve != "fire_and_forget":
        text, facts = f"Must be one of: fire_and_forget. Others are not for {kind} tools.", ["fire_and_forget"]
        yield Problem(("on_resolve",), "not_allowed", text, facts={"allowed": facts})


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def create(resource: Resource, call: Call, services: Services) -> Reply:
    """Store a new tool. What depends on the server is judged here: hosts, and names that it has itself."""
    found = list(problems_here(call.body, services)) if isinstance(call.body, dict) else ()
    return await verbs.create(resource, call, services, found=found)


async def edit(resource: Resource, call: Call, services: Services) -> Reply:
    """`verbs.edit`, with the merge of tools. Raises BadRequest for a JSON Patch, which is not read here."""
    if isinstance(call.body, list):
        problem = 'A tool is changed by an object of members, as in {"description": "…"}, not by a JSON Patch.'
        raise BadRequest(f"Bad Request. {problem}", [Detail("wrong_type", problem, "")])

    def find(before: Document, sent: Document) -> Iterator[Problem]:
        yield from problems_here(sent, services)
        yield from masks_in(before, sent)

    return await verbs.edit(resource, call, services, merge=merged, find=find)


def problems_here(sent: Document, services: Services) -> Iterator[Problem]:
    """What is wrong with a tool on this server and may be right on another one."""
    if sent.get("name") in SYSTEM_TOOLS:
        yield Problem(("name",), "reserved", "Cannot create system tools", form="sentence")
    yield from private_hosts(sent, parse_networks(services.settings.allow_private_addresses))


def masks_in(before: Document, sent: Document) -> Iterator[Problem]:
    """A problem for each mask that a client sends back: it is not taken for the secret (contract 1.8)."""
    for secret in SECRETS:
        if value_at(sent, secret.pointer) == MASK == value_at(before, secret.pointer):
            text = f"Asterisks are no secret: leave {secret.pointer[-1]} out to keep the stored one, or send another."
            yield Problem(secret.pointer, "mask", text)


def merged(before: Document, sent: Document) -> Document:
    """The document that a change asks for.

    Members that were sent replace those that are stored, as a whole, but a secret that is left out is kept; null sets a
    default. A member that has its default, or makes no sense any more, follows the others.
    """
    document = {**before, **sent}
    if "delivery" in sent:
        document["delivery"] = _with_stored_secret(before["delivery"], sent["delivery"])
    if sent.get("on_call", "static_filler") != "static_filler":
        document["static_filler"] = sent.get("static_filler")
    defaults = {
        "origin": default_origin(before["trigger_type"]),
        "on_call": default_on_call(before["origin"]),
    }
    follow = {name for name, default in defaults.items() if name not in sent and before[name] == default}
    reset = {name for name in RESETTABLE if document[name] is None}
    return {name: value for name, value in document.items() if name not in follow | reset}


def _with_stored_secret(before: Document, sent: Any) -> Any:
    """The delivery with the mask of the stored secret, where it has the same type of auth and leaves the secret out."""
    known, auth = value_at(before, ("api", "auth")), value_at(sent, ("api", "auth"))
    if not isinstance(known, dict) or not isinstance(auth, dict) or known["type"] != auth.get("type"):
        return sent
    name = SECRET_OF.get(known["type"], "")
    if not name or auth.get(name) is not None:
        return sent
    return {**sent, "api": {**sent["api"], "auth": {**auth, name: MASK}}}


# --- The resource -----------------------------------------------------------------------------------------------------

EXAMPLE: Document = {
    "name": "room_rate",
    "description": "Tells the price of a room for some nights.",
    "parameters": {"type": "object", "properties": {"nights": {"type": "integer"}}, "required": ["nights"]},
    "delivery": {
        "app_message": False,
        "api": {
            "url": "https://api.example.org/rate/{nights}",
            "method": "GET",
            "auth": {"type": "bearer", "token": "the-token-of-your-server"},
        },
    },
    "on_resolve": "generate_response",
}

LIST = verbs.ListStyle(owned_by="type", owned="user", stock_first=True, search="name_or_uuid", labels={"tags": "tag"})

CHANGES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: {"anyOf": [schema, {"type": "null"}]} if name in RESETTABLE else schema
        for name, schema in Tool.model_json_schema(ref_template="#/components/schemas/{model}")["properties"].items()
    },
}
UNKNOWN = "`Bad Request. Tool not found`: unknown, or not yours."
TAKEN = "Another tool of yours has this name."

TOOL = Resource(
    kind="tool",
    names=Names("tools", "Tools", "a tool", "tool_id", "t", "tabc123def456", id_digits=12),
    wording=Wording(unknown=(400, "Bad Request. Tool not found"), stock="Bad Request. Cannot {verb} system tools"),
    model=Tool,
    example=EXAMPLE,
    stamps=(
        Stamp("owner_id", {"type": ["integer", "null"]}, lambda _fields, owner: owner or None),
        Stamp("is_system_tool", {"type": "boolean"}, lambda _fields, owner: owner == STOCK_OWNER),
    ),
    rules=rules,
    labels={"name": ("name",), "tag": ("tags", "*")},
    claims=(Claim(("name",), "tool_name", "A tool with this name already exists", status=409),),
    secrets=SECRETS,
    endpoints=(
        Endpoint(
            "POST",
            "",
            "createTool",
            "Create a tool",
            "Creates a tool. It does nothing until it is attached to a PAL.",
            create,
            answers={200: "The tool.", 400: "The document is not a valid tool.", 409: TAKEN},
            body="document",
            differs=(
                "Names of system tools are refused with `Bad Request. Cannot create system tools`.",
                "URLs with a user name in them are refused, and so are headers that decide where a request goes "
                "(`Host` and others): a secret belongs in `auth`, where it is sealed, and goes to the host of the URL.",
                "For `post_call`, `on_call` and `static_filler` must be null and `on_resolve` `fire_and_forget`, as "
                "they must for `vision` and `audio`: nobody waits for the result.",
                "`delivery.api.auth` is null where none was sent; the published pages do not say.",
                "How a tool is delivered is published in part only. Chosen here: a missing argument is told to the "
                "model and nothing is sent; a value alone in a string of `body_template` keeps its type; GET, HEAD and "
                "DELETE have the arguments in the query; a signed body has no blanks; 5xx and a connection that fails "
                "are tried once more (signed, not after 501 and 503); redirects are not followed; `timeout` is for all "
                "tries; 256 KiB of an answer are read; `pattern` in `parameters` is not checked.",
                "A tool has at most 50 tags of 100 characters, 50 headers and 50 `query_params`, and a URL has 2048 "
                "characters; no published page has limits for these.",
            ),
        ),
        Endpoint(
            "GET",
            "",
            "getTools",
            "List tools",
            "Your tools, oldest first; with `type=all` after the system tools.",
            partial(verbs.list_page, style=LIST),
            answers={200: "One page of tools.", 400: "A query parameter is not valid."},
            parameters=verbs.list_parameters(LIST),
            answers_with="page",
            differs=("`name_or_uuid` is a part of the name or the whole id; `tags` filters, too.",),
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getTool",
            "Get a tool",
            "The tool, with `********` for its secret.",
            verbs.read,
            answers={200: "The tool.", 400: UNKNOWN},
        ),
        Endpoint(
            "PATCH",
            "/{id}",
            "updateTool",
            "Update a tool",
            "Replaces the members that are sent, each as a whole; the others stay. Null sets a default. A secret that "
            "is left out of the same type of `auth` is kept, unless the tool goes to another host: then send it again.",
            edit,
            answers={
                200: "The whole tool, also when nothing changed.",
                400: f"{UNKNOWN} `Bad Request. Cannot update system tools`. Or the result would not be a valid tool.",
                409: TAKEN,
            },
            body="object",
            body_schema=CHANGES,
            examples={
                "another description": {"description": "Tells the price of a room, breakfast included."},
                "back to a message to the page": {"delivery": None},
            },
            differs=(
                "A JSON Patch is refused with 400 and told what to send; one published client is said to send one.",
                "Null stands for the default of every member that has one, not only of `delivery`.",
                "A stored secret is kept only while scheme and host of `url` (and `token_url`) stay the same.",
                "`on_call` and `origin` that have their defaults follow a change of `origin` or `trigger_type`, and "
                "`static_filler` goes when `on_call` becomes another: the official command line cannot send null.",
            ),
        ),
        Endpoint(
            "DELETE",
            "/{id}",
            "deleteTool",
            "Delete a tool",
            "Deletes the tool, frees its name and detaches it from every PAL.",
            verbs.delete,
            answers={204: "Deleted.", 400: f"{UNKNOWN} `Bad Request. Cannot delete system tools`."},
        ),
        verbs.references_endpoint("a tool"),
        *verbs.history_endpoints("a tool"),
    ),
)
