"""What a conversation with a PAL would use, leaf by leaf, and where each leaf comes from.

That is the PAL itself, a default, its face, what else it refers to, and its skills.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from palace.call import Call, Reply
from palace.errors import BadRequest, Detail
from palace.json_patch import InvalidPatch, LimitExceeded, equal, parse_pointer
from palace.json_patch import format_pointer as pointer_of
from palace.links import uses_of
from palace.resource import Document, Endpoint, Parameter, Resource, Services, values_at
from palace.revisions.blame import Blame, Since, blame_of
from palace.revisions.changes import ABSENT, Tokens, overlap, value_of
from palace.storage import Listing, Record, Transaction
from palace.verbs.queries import LARGEST_PAGE_SIZE
from palace.vocabulary import canonical_pointer

FACE, TAGS, VOICE = ("default_face_id",), ("guardrail_tags",), ("layers", "tts", "voice_id")
LEADS_NOWHERE = "leads nowhere"


@dataclass(frozen=True, slots=True)
class Setting:
    """One leaf: its place in the PAL, what a conversation uses, where that comes from, and since which revision of it.

    `id` is that of the other object where it comes from one; `problem` says why it cannot be used.
    """

    place: Tokens
    value: Any
    source: str
    since: Since | None
    id: str | None = None
    problem: str | None = None

    def said(self, call: Call) -> Document:
        """The setting as the client reads it, in the words of its route."""
        said: Document = {
            "pointer": call.words.pointer(pointer_of(self.place)),
            "value": call.words.value(self.value, self.place),
            "source": self.source,
            "revision": self.since.number if self.since else None,
            "changed_at": self.since.at if self.since else None,
        }
        more = {"id": self.id, "problem": self.problem}
        return said | {name: value for name, value in more.items() if value is not None}


# --- The document with all that it does not say, pure -----------------------------------------------------------------


def complete(model: type[BaseModel], stored: Mapping[str, Any]) -> Document:
    """What is stored, with the default of every member that is absent, also of members of absent objects."""
    filled = {name: _filled(field, stored.get(name, ABSENT)) for name, field in model.model_fields.items()}
    return {**filled, **{name: value for name, value in stored.items() if name not in filled}}


def _filled(field: FieldInfo, value: Any) -> Any:
    model = _model_in(field.annotation)
    if model is not None:
        return complete(model, value if isinstance(value, dict) else {})
    return field.get_default(call_default_factory=True) if value is ABSENT else value


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a member that is an object with known members, whether it may be null or not."""
    is_union = get_origin(annotation) in (Union, UnionType)
    for kind in get_args(annotation) if is_union else (annotation,):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def leaves(value: Any, place: Tokens = ()) -> Iterator[tuple[Tokens, Any]]:
    """Everything that has nothing below it; an array counts as one value."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from leaves(below, (*place, name))
    else:
        yield place, value


def own_settings(model: type[BaseModel], stored: Document, blame: Blame) -> Iterator[Setting]:
    """What the PAL says itself, and the defaults of what it does not say.

    The document always has all members at its root, so one that says its default there is a default.
    """
    defaults = complete(model, {})
    for place, value in leaves(complete(model, stored)):
        is_default = value_of(stored, place) is ABSENT or (
            len(place) == 1 and equal(value, defaults.get(place[0], ABSENT))
        )
        yield Setting(place, value, "default", None) if is_default else Setting(place, value, "pal", blame.of(place))


# --- What comes from other objects ------------------------------------------------------------------------------------


def _delivery(tool: Document) -> Document:
    return {"delivery": "api" if (tool.get("delivery") or {}).get("api") else "app_message"}


FACTS: Mapping[str, Callable[[Document], Document]] = {
    "face": lambda face: {"model_name": face.get("model_name"), "default_voice_id": face.get("default_voice_id")},
    "guardrails": lambda them: {"guardrails": [item.get("guardrail_name") for item in them.get("data", [])]},
    "objectives": lambda them: {"objectives": [item.get("objective_name") for item in them.get("data", [])]},
    "pronunciation_dictionary": lambda dictionary: {"rules_count": dictionary.get("rules_count")},
    "tool": _delivery,
}
"""What is told of an object besides its name, by its kind."""


def _told(resource: Resource, place: Tokens, record: Record) -> Setting:
    """What an object brings to the PAL that refers to it at a place."""
    document = orjson.loads(record.body)
    name = next((value for _, value in values_at(document, resource.labels.get("name", ("name",)))), None)
    facts = FACTS[resource.kind](document) if resource.kind in FACTS else {}
    since = Since(record.revision, record.updated_at)
    return Setting(place, {"name": name, **facts}, resource.kind, since, record.id)


async def _referred(resource: Resource, tx: Transaction, pal: Record, services: Services) -> AsyncIterator[Setting]:
    """What the PAL refers to, also by tags; what leads nowhere is told too."""
    document = orjson.loads(pal.body)
    for use in uses_of(resource.references, document):
        kind, place = services.kinds.get(use.kind), parse_pointer(use.pointer)
        record = await tx.get(use.kind, use.id, pal.owner)
        if record is not None and kind is not None:
            yield _told(kind, place, record)
        else:
            yield Setting(place, use.id, use.kind, None, use.id, LEADS_NOWHERE)
    guardrail, tags = services.kinds.get("guardrail"), document.get(TAGS[0])
    if guardrail is not None and tags:
        listing = Listing(limit=LARGEST_PAGE_SIZE, labels={"tag": tags})
        for body in (await tx.links.search(guardrail.kind, pal.owner, listing)).bodies:
            record = await tx.get(guardrail.kind, orjson.loads(body)[guardrail.id_member], pal.owner)
            if record is not None:
                yield _told(guardrail, TAGS, record)


async def _skills(tx: Transaction, pal: Record, services: Services) -> AsyncIterator[Setting]:
    record = await tx.get("pal_skills", pal.id, pal.owner)
    if record is None:
        return
    blame = await blame_of(tx, record.seq)
    for id, attachment in orjson.loads(record.body)["skills"].items():
        place, skill = ("skills", id), services.skills.get(id)
        problem = None if skill and skill.enabled else LEADS_NOWHERE
        yield Setting(place, attachment["config"], "skill", blame.of(place), id, problem)


def voice(own: Setting, pal: Document, face: Setting | None) -> Setting:
    """The voice of the face in place of the PAL's own, where the PAL chooses none."""
    chosen = value_of(pal, (*VOICE[:-1], "external_voice_id"))
    if own.place != VOICE or own.value or chosen not in (ABSENT, "") or face is None or face.problem:
        return own
    default = face.value["default_voice_id"]
    return Setting(VOICE, default, "face", face.since, face.id) if default else own


# --- The operation ----------------------------------------------------------------------------------------------------


async def effective(resource: Resource, call: Call, services: Services) -> Reply:
    """`{pal_id, revision, data}`: every setting, or those at `?pointer=`. Raises InvalidId and BadRequest."""
    wanted = _wanted(call)
    async with services.store.reading.snapshot() as tx:  # A change that is committed meanwhile is not half seen.
        pal = await tx.get(resource.kind, call.ids["id"], call.account.id)
        if pal is None:
            raise resource.unknown()
        referred = [setting async for setting in _referred(resource, tx, pal, services)]
        skills = [setting async for setting in _skills(tx, pal, services)]
        blame = await blame_of(tx, pal.seq)
    document = orjson.loads(pal.body)
    stored = resource.written_in(document)
    face = next((setting for setting in referred if setting.place == FACE), None)
    found: list[Setting] = []
    for own in own_settings(resource.model, stored, blame):
        found.append(voice(own, stored, face))
        found += [other for other in referred if other.place[: len(own.place)] == own.place]
    listed = [setting.said(call) for setting in (*found, *skills) if overlap(setting.place, wanted)]
    if not listed:
        problem = f"There is nothing at {pointer_of(wanted)}."
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_query", problem, pointer_of(wanted))])
    said = {resource.id_member: pal.id, "revision": pal.revision, "data": listed}
    return Reply(200, orjson.dumps(call.words.document(said)), is_spelled=True)


def _wanted(call: Call) -> Tokens:
    """The place that the client asks about, in the words used inside. Raises BadRequest."""
    pointer = call.query.get("pointer", "")
    try:
        return parse_pointer(canonical_pointer(pointer, call.words.known)[0])
    except (InvalidPatch, LimitExceeded) as error:
        problem = "pointer must be a JSON Pointer, such as /layers/tts."
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_query", problem)]) from error


TEXT: Document = {"type": "string"}
SETTING: Document = {
    "type": "object",
    "required": ["pointer", "value", "source", "revision", "changed_at"],
    "properties": {
        "pointer": {**TEXT, "description": "The place in the PAL."},
        "value": {"description": "What a conversation uses; for another object, what matters of it."},
        "source": {**TEXT, "description": "`pal`, `default`, `skill`, or the kind of the object that it comes from."},
        "revision": {"type": ["integer", "null"], "description": "The revision that set it, of the PAL or of `id`."},
        "changed_at": {"type": ["string", "null"], "description": "When that was."},
        "id": {**TEXT, "description": "The other object."},
        "problem": {**TEXT, "description": f"`{LEADS_NOWHERE}`: there is no such object."},
    },
}

EFFECTIVE = Endpoint(
    "GET",
    "/{id}/effective",
    "getEffectivePal",
    "Show what a conversation would use",
    "Every setting of the PAL with its defaults, its face, its dictionary, its tools and its skills: where each comes "
    "from, and which revision set it.",
    effective,
    answers={200: "The settings.", 400: "`Invalid pal_id`; or there is nothing at `pointer`."},
    parameters=(
        Parameter(
            "pointer", {"type": "string", "example": "/layers/tts"}, "Only what is at this place, above or below it."
        ),
    ),
    answer_schema={
        "type": "object",
        "required": ["pal_id", "revision", "data"],
        "properties": {"pal_id": TEXT, "revision": {"type": "integer"}, "data": {"type": "array", "items": SETTING}},
    },
)
