"""Creating a face: what a client sends is not the face itself, but what a job makes one of (contract 4.1)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import orjson
from pydantic import StringConstraints, ValidationError

from palace import verbs
from palace.addresses import Networks, parse_networks
from palace.call import Call, Reply
from palace.clock import timestamp
from palace.fetching import problem_with_url
from palace.mending import with_nearest
from palace.resource import Problem, Resource, Services
from palace.storage import Listing, Transaction
from palace.validation import Model, problems_of, refuse
from palace.verbs.writing import New, Outcome

JOB = "train_face"
JOB_BYTES = 7
"""of the number of a job, which fits an integer of the store"""
MODEL_PREFIX = "phoenix-"
NO_URL = "Either train_video_url or train_image_url must be provided."
MOST_VOICES_NAMED = 100

FaceName = Annotated[str, StringConstraints(max_length=255)]


# --- Models -----------------------------------------------------------------------------------------------------------


class Properties(Model):
    """How the picture is to be taken."""

    background_green_screen: bool = False


class NewFace(Model):
    """What a client sends to have a face made."""

    face_name: FaceName | None = None
    train_video_url: str | None = None
    """A video of the face: MP4, MOV or WebM. Either this or `train_image_url`."""
    train_image_url: str | None = None
    """A picture of the face: JPEG, PNG or WebP. It needs a voice."""
    voice_name: str | None = None
    """A name from List Voices, whatever the case of its letters; or send `default_voice_id`."""
    default_voice_id: str | None = None
    model_name: str = "phoenix-4"
    auto_fix_training_image: bool = False
    """For pictures only."""
    callback_url: str | None = None
    consent_video_url: str | None = None
    properties: Properties | None = None


def body_schema() -> dict[str, Any]:
    """The JSON Schema of `NewFace`, with nothing to look up elsewhere."""
    schema = NewFace.model_json_schema()
    inner = {"$ref": "#/$defs/Properties"}, schema.pop("$defs")["Properties"]
    for name, member in schema["properties"].items():
        member.pop("title", None)
        if inner[0] in member.get("anyOf", ()):
            schema["properties"][name] = {**member, "anyOf": [inner[1], {"type": "null"}]}
    return schema


URLS = ("train_video_url", "train_image_url", "callback_url", "consent_video_url")


# --- Rules ------------------------------------------------------------------------------------------------------------


def rules(new: NewFace, allowed: Networks) -> Iterator[Problem]:
    """One source, a voice for a picture, and addresses that this server would fetch from."""
    if not new.train_video_url and not new.train_image_url:
        yield Problem(("train_image_url",), "missing", NO_URL, form="bare")
    elif new.train_video_url and new.train_image_url:
        facts = {"excludes": "/train_video_url"}
        yield Problem(("train_image_url",), "exclusive", "Cannot be used together with train_video_url.", facts=facts)
    if new.train_image_url and not new.voice_name and not new.default_voice_id:
        text = "Missing data for required field: a face from an image needs voice_name or default_voice_id."
        yield Problem(("voice_name",), "missing", text)
    if new.auto_fix_training_image and not new.train_image_url:
        text = "Only together with train_image_url."
        yield Problem(("auto_fix_training_image",), "not_allowed", text)
    if not new.model_name.startswith(MODEL_PREFIX):
        yield Problem(("model_name",), "not_allowed", f"Must be a model for faces ({MODEL_PREFIX}…).")
    for name in URLS:
        url = getattr(new, name)
        problem = problem_with_url(url, allowed) if url else None
        if problem:
            yield Problem((name,), "url_not_allowed", problem)


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def create(resource: Resource, call: Call, services: Services) -> Reply:
    """Store a face that is `started`, and the job that goes on with it: `{face_id, status}`."""
    new = _valid(call.body, parse_networks(services.settings.allow_private_addresses))
    voice = await _voice_of(new, call.account.id, services)
    body = {"face_name": new.face_name, "default_voice_id": voice}
    due_at = timestamp(services.clock.now())

    async def with_job(face: New, tx: Transaction, services: Services) -> Outcome:
        outcome = await face.store(tx, services)
        job = int.from_bytes(services.ids.random_bytes(JOB_BYTES))  # Never one that a reset took back.
        await tx.jobs.add(job, JOB, outcome.record.seq, due_at, orjson.dumps(new.model_dump(exclude_none=True)))
        return outcome

    call, facts = replace(call, body=body), {"model_name": new.model_name}
    return await verbs.create(resource, call, services, facts=facts, store=with_job, answer=receipt)


def _valid(body: Any, allowed: Networks) -> NewFace:
    """What was sent, if it is valid. Raises InvalidDocument and its kin."""
    if not isinstance(body, dict):
        raise refuse([Problem((), "wrong_type", "Invalid input type.")])
    try:
        new = NewFace.model_validate(body)
    except ValidationError as error:
        raise with_nearest(refuse(problems_of(error)), NewFace) from error
    problems = list(rules(new, allowed))
    if problems:
        raise refuse(problems)
    return new


async def _voice_of(new: NewFace, account: int, services: Services) -> str | None:
    """The id of the voice that was asked for by id or by name. Raises InvalidDocument for a name that no voice has."""
    if not new.voice_name:
        return new.default_voice_id
    links = services.store.reading.links
    known = await links.search("voice", account, Listing(order="name", limit=MOST_VOICES_NAMED))
    voices = {voice["voice_name"]: voice["voice_id"] for voice in map(orjson.loads, known.bodies)}
    by_name = {name.lower(): id for name, id in voices.items()}
    found = by_name.get(new.voice_name.lower())
    if found is None:
        text, facts = f"Must be one of: {', '.join(voices)}.", {"allowed": list(voices)}
        raise refuse([Problem(("voice_name",), "not_allowed", text, facts=facts)])
    if new.default_voice_id not in (None, found):
        text = "Names another voice than default_voice_id: send one of the two."
        raise refuse([Problem(("voice_name",), "exclusive", text, facts={"excludes": "/default_voice_id"})])
    return str(found)


def receipt(outcome: Outcome) -> Reply:
    """What Create Face answers with."""
    said = {name: outcome.document[name] for name in ("face_id", "status")}
    return Reply(200, orjson.dumps(said), outcome.headers)
