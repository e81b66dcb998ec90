"""PALs: the agents themselves, one JSON document each (contract 2).

`/v2/pals` and the older `/v2/personas` are the same objects in two vocabularies.
"""

from collections.abc import Collection, Iterator
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field, StringConstraints

from palace import verbs
from palace.call import Call, Reply
from palace.engines.models import SCRIPT
from palace.engines.scripted import NAME as SCRIPTED
from palace.engines.scripts import InvalidScript, read_script
from palace.engines.table import BUILT_IN
from palace.json_patch import Operation
from palace.resource import (
    Claim,
    Document,
    Drafts,
    Endpoint,
    Legacy,
    Names,
    Parameter,
    Problem,
    Reference,
    Resource,
    Secret,
    Services,
    Stamp,
)
from palace.resources.pals.belongings import delete_belongings, restore_belongings
from palace.resources.pals.conferencing import (
    CONFERENCING,
    CONFERENCING_DOMAIN,
    TAKEN,
    USERNAME_SCOPE,
    check_username,
    conferencing_rules,
    refuse_mixed_conferencing,
)
from palace.resources.pals.effective import EFFECTIVE
from palace.resources.pals.gates import store_if_rehearsed
from palace.resources.pals.latency import LATENCY
from palace.resources.pals.layers import HOSTED_MODEL_PREFIX, Layers, Llm, Tts
from palace.resources.pals.rehearsing import PAL_REHEARSALS
from palace.resources.pals.synonyms import SYNONYMS
from palace.resources.pals.tools import MOST_ATTACHED, PAL_TOOLS, UNKNOWN_TOOL, attachable
from palace.validation import Model
from palace.verbs.writing import Outcome
from palace.vocabulary import aliases

CUSTOM_LLM = "Please ensure both base_url and api_key are included in order to use a custom llm."

MOST_TAGS = 100
"""Every guardrail of the account is compared with them."""

LAYER_PLACES = frozenset(("layers", name) for name in Layers.model_fields)

Id = Annotated[str, StringConstraints(min_length=1)]


# --- Models -----------------------------------------------------------------------------------------------------------


class Pal(Model):
    """What a client may write of a PAL."""

    pal_name: str | None = None
    pal_description: str | None = None
    system_prompt: str = ""
    """Who the PAL is and how it behaves; required when `pipeline_mode` is `full`."""
    context: str = ""
    """Deprecated: appended to the prompt."""
    greeting: str | None = None
    """The line that opens a conversation."""
    dynamic_greeting: bool = False
    pipeline_mode: Literal["full", "echo", "speech-to-speech"] = "full"
    default_face_id: str | None = None
    """The face it shows; an id of /v2/faces."""
    languages: list[str] = Field(default_factory=list)
    document_ids: list[str] = Field(default_factory=list)
    document_tags: list[str] = Field(default_factory=list)
    objectives_id: str | None = None
    guardrail_ids: list[Id] = Field(default_factory=list, max_length=MOST_ATTACHED)
    guardrail_tags: list[str] = Field(default_factory=list, max_length=MOST_TAGS)
    guardrails_id: str | None = None
    tool_ids: Annotated[list[Id], AfterValidator(attachable)] = Field(default_factory=list, max_length=MOST_ATTACHED)
    """The tools that it may use; ids of /v2/tools, each once."""
    memories: list[str] = Field(default_factory=list)
    disclosure_type: Literal["always", "auto", "off"] = "auto"
    """Whether people are told that they talk to an AI; `auto`: where the policy of the conversation asks for it."""
    verbal_disclosure: str | None = None
    visual_disclosure: str | None = None
    is_template: bool = False
    layers: Layers = Field(default_factory=Layers)


# --- Rules ------------------------------------------------------------------------------------------------------------


def rules(pal: Pal, hosted: Collection[str] = BUILT_IN) -> Iterator[Problem]:
    """What must hold between members. `hosted` are names of models that the operator has besides `tavus-…`."""
    if pal.pipeline_mode == "full" and not pal.system_prompt.strip():
        yield Problem(("system_prompt",), "missing", "Missing data for required field.")
    if pal.layers.llm is not None:
        yield from _llm_rules(pal.layers.llm, hosted)
    if pal.layers.tts is not None:
        yield from _tts_rules(pal.layers.tts)
    if pal.layers.conferencing is not None:
        yield from conferencing_rules(pal.layers.conferencing, pal.default_face_id)


def _llm_rules(llm: Llm, hosted: Collection[str]) -> Iterator[Problem]:
    place = ("layers", "llm")
    if bool(llm.base_url) != bool(llm.api_key):
        yield Problem(place, "custom_llm", CUSTOM_LLM, form="sentence")
        return
    if llm.base_url:
        return
    if not llm.model.startswith(HOSTED_MODEL_PREFIX) and llm.model not in hosted:
        names = ", ".join(sorted(name for name in hosted if not name.startswith(HOSTED_MODEL_PREFIX)))
        text = f"Must be a hosted model ({HOSTED_MODEL_PREFIX}…, {names}), or come with base_url and api_key."
        yield Problem((*place, "model"), "not_allowed", text)
    if llm.model == SCRIPTED and SCRIPT in llm.extra_body:
        yield from _script_rules((*place, "extra_body", SCRIPT), llm.extra_body[SCRIPT])
    yield from _ranges((*place, "extra_body"), llm.extra_body, {"temperature": (0, 2), "top_p": (0, 1)})


def _script_rules(place: tuple[str, ...], script: Any) -> Iterator[Problem]:
    try:
        read_script(script)
    except InvalidScript as error:
        for below, text in error.problems:
            yield Problem((*place, *below), "rule", text)


def _tts_rules(tts: Tts) -> Iterator[Problem]:
    if tts.external_voice_id and tts.voice_id:
        text, facts = "Cannot be used together with external_voice_id.", {"excludes": "/layers/tts/external_voice_id"}
        yield Problem(("layers", "tts", "voice_id"), "exclusive", text, facts=facts)
    if tts.tts_engine == "elevenlabs":
        unit = (0, 1)
        ranges = {"speed": (0.7, 1.2), "stability": unit, "similarity_boost": unit, "style": unit}
        place = ("layers", "tts", "voice_settings")
        yield from _ranges(place, tts.voice_settings, ranges)
        if not isinstance(tts.voice_settings.get("use_speaker_boost", True), bool):
            yield Problem((*place, "use_speaker_boost"), "wrong_type", "Not a valid boolean.")


def _ranges(place: tuple[str, ...], values: Document, ranges: dict[str, tuple[float, float]]) -> Iterator[Problem]:
    for name, (least, most) in ranges.items():
        value = values.get(name)
        if name not in values:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield Problem((*place, name), "wrong_type", "Not a valid number.")
        elif not least <= value <= most:
            text = f"Must be greater than or equal to {least} and less than or equal to {most}."
            yield Problem((*place, name), "out_of_range", text, facts={"minimum": least, "maximum": most})


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def create(resource: Resource, call: Call, services: Services) -> Reply:
    """A short receipt, not the document (contract 2.2). `/v2/pals` demands a face, under the new name of the member."""
    found = []
    sent = call.body_as_sent if isinstance(call.body_as_sent, dict) else {}
    if not call.words.is_legacy and not sent.get("default_face_id"):
        text = "default_face_id is required when creating a pal."
        found.append(Problem(("default_face_id",), "missing", text))
    return await verbs.create(resource, call, services, found=found, answer=receipt)


def receipt(outcome: Outcome) -> Reply:
    """What Create PAL answers with: a few members, and the address for meetings where there is one."""
    pal = outcome.document
    said = {name: pal[name] for name in ("pal_id", "pal_name", "pal_description", "tool_ids", "created_at")}
    username = pal["layers"].get("conferencing", {}).get("username")
    if username:
        said["conferencing_email"] = f"{username}@{CONFERENCING_DOMAIN}"
    return Reply(200, orjson.dumps(said), outcome.headers)


async def patch(resource: Resource, call: Call, services: Services) -> Reply:
    """`verbs.patch`, with two rules of PALs: see `prepared`."""
    return await verbs.patch(resource, call, services, prepare=prepared)


def prepared(operations: tuple[Operation, ...], before: Document) -> tuple[Operation, ...]:
    """Operations as they are carried out, one for one: see `with_layers_set`.

    Raises BadRequest when conferencing is patched together with other members (contract 2.7).
    """
    refuse_mixed_conferencing(operations, before)
    return with_layers_set(operations, before)


def with_layers_set(operations: tuple[Operation, ...], _before: Document) -> tuple[Operation, ...]:
    """Replacing a whole layer sets it, whether it was there or not.

    Shipped clients replace `/layers/perception` without looking (contract 12, no. 23).
    """
    return tuple(
        operation._replace(op="add") if operation.op == "replace" and operation.tokens in LAYER_PLACES else operation
        for operation in operations
    )


# --- The resource -----------------------------------------------------------------------------------------------------

EXAMPLE: Document = {
    "pal_name": "Night Desk",
    "pal_description": "Answers the telephone of a small hotel at night.",
    "system_prompt": "You are the night porter of a small hotel. Answer briefly and calmly.",
    "greeting": "Good evening, this is the night desk.",
    "default_face_id": "r4067604db72",
    "layers": {
        "llm": {"model": "tavus-gemma-4", "speculative_inference": True},
        "stt": {"stt_engine": "tavus-auto", "hotwords": "Wren House"},
        "conversational_flow": {"turn_taking_patience": "high"},
    },
}

ALIASES = aliases(
    {
        "pal_id": "persona_id",
        "pal_name": "persona_name",
        "pal_description": "persona_description",
        "pal_type": "persona_type",
        "default_face_id": "default_replica_id",
        "layers/conversational_flow/pal_interruptibility": ("replica_interruptibility", "face_interruptibility"),
    }
)

LIST = verbs.ListStyle(owned_by="pal_type")

PAL = Resource(
    kind="pal",
    names=Names("pals", "PALs", "a PAL", "pal_id", "p", "pcb7a34da5fe", legacy=Legacy("persona", "personas", ALIASES)),
    model=Pal,
    example=EXAMPLE,
    stamps=(Stamp("is_published", {"const": True}, lambda _fields, _owner: True),),
    labels={"name": ("pal_name",)},
    rules=rules,
    references=(
        Reference(("default_face_id",), "face", "Invalid replica_uuid", "refuse"),
        Reference(
            ("layers", "tts", "pronunciation_dictionary_id"),
            "pronunciation_dictionary",
            "Pronunciation dictionary not found",
        ),
        Reference(("tool_ids", "*"), "tool", UNKNOWN_TOOL, "remove"),
        Reference(("objectives_id",), "objectives", "Invalid objectives_id"),
        Reference(("guardrails_id",), "guardrails", "Invalid guardrails_id"),
        Reference(("guardrail_ids", "*"), "guardrail", "Guardrails not found", "remove"),
        Reference(("layers", "tts", "voice_id"), "voice", "Invalid voice_id"),
    ),
    claims=(Claim(("layers", "conferencing", "username"), USERNAME_SCOPE, TAKEN, is_global=True),),
    secrets=(
        Secret(("layers", "llm", "api_key"), bound_to=("base_url", "endpoint")),
        Secret(("layers", "tts", "api_key")),
    ),
    synonyms=SYNONYMS,
    drafts=Drafts(live_only=CONFERENCING),
    endpoints=(
        Endpoint(
            "POST",
            "",
            "createPal",
            "Create a PAL",
            "Creates a PAL and answers with a short receipt; read the PAL for the whole document.",
            create,
            answers={200: "The PAL was created.", 400: "The document is not a valid PAL."},
            body="document",
            required=("default_face_id",),
            differs=("A PAL has at most 100 `guardrail_tags`; no published page has a limit.",),
            answer_schema={
                "type": "object",
                "required": ["pal_id", "created_at", "tool_ids"],
                "properties": {
                    "pal_id": {"type": "string"},
                    "pal_name": {"type": ["string", "null"]},
                    "pal_description": {"type": ["string", "null"]},
                    "tool_ids": {"type": "array", "items": {"type": "string"}},
                    "created_at": {"type": "string", "format": "date-time"},
                    "conferencing_email": {"type": "string"},
                },
            },
        ),
        Endpoint(
            "GET",
            "",
            "listPals",
            "List PALs",
            "Stock PALs and your own, oldest first.",
            partial(verbs.list_page, style=LIST),
            answers={200: "One page of PALs.", 400: "A query parameter is not valid."},
            parameters=verbs.list_parameters(LIST),
            answers_with="page",
        ),
        Endpoint(
            "GET",
            "/check-username",
            "checkConferencingUsername",
            "Check a conferencing user name",
            "Tells whether a PAL could take this user name for meetings.",
            check_username,
            answers={200: "Whether it is available, and if not, why.", 400: "`username` is missing."},
            parameters=(
                Parameter("username", {"type": "string", "minLength": 1}, "The name to check.", required=True),
            ),
            answer_schema={
                "title": "conferencingUsernameCheck",
                "type": "object",
                "required": ["available"],
                "properties": {"available": {"type": "boolean"}, "reason": {"type": "string"}},
            },
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getPal",
            "Get a PAL",
            "The document that Patch PAL works on.",
            verbs.read,
            answers={200: "The PAL.", 400: "`Invalid pal_id`: unknown, or not yours."},
        ),
        EFFECTIVE,
        LATENCY,
        Endpoint(
            "PATCH",
            "/{id}",
            "patchPal",
            "Patch a PAL",
            "Changes parts of a PAL with a JSON Patch (RFC 6902): all operations or none. Paths are JSON Pointers "
            "(RFC 6901) that must match the current document, as Get PAL shows it. A merge patch (RFC 7396) is "
            "accepted too, as `application/merge-patch+json`.",
            patch,
            answers={
                200: "Changed: the whole PAL.",
                304: "No changes were made to the PAL. The message travels in the header `x-message`.",
                400: "`Invalid pal_id`, or the result would not be a valid PAL.",
                409: verbs.DRAFT_IN_THE_WAY,
                422: "`Invalid JSON patch format`, or an operation does not fit the document.",
            },
            body="patch",
            parameters=verbs.DRAFT_PARAMETERS,
            examples={
                "replace a member": [
                    {"op": "replace", "path": "/system_prompt", "value": "Speak as a calm night porter."}
                ],
                "remove a member": [{"op": "remove", "path": "/layers/stt/hotwords"}],
                "another model": [{"op": "replace", "path": "/layers/llm/model", "value": "tavus-llama-4"}],
            },
        ),
        Endpoint(
            "DELETE",
            "/{id}",
            "deletePal",
            "Delete a PAL",
            "Deletes the PAL and frees its conferencing user name.",
            partial(verbs.delete, also=delete_belongings),
            answers={204: "Deleted.", 400: "`Invalid pal_id`: unknown, not yours, or a stock PAL."},
        ),
        *PAL_TOOLS,
        *PAL_REHEARSALS,
        *verbs.history_endpoints(
            "a PAL",
            verbs.DRAFT_PARAMETERS,
            store=store_if_rehearsed,
            restore=partial(verbs.restore, also=restore_belongings),
        ),
        *verbs.draft_endpoints("a PAL", "pal", with_layers_set, store_if_rehearsed),
    ),
)
