"""Faces: what a PAL looks like (contract 4.1). Stock faces can be read, not changed; others are made by a job.

`/v2/faces` and the older `/v2/replicas` are the same objects in two vocabularies.
"""

from functools import partial
from typing import Any

from palace import verbs
from palace.call import STOCK_OWNER, Call, Reply
from palace.errors import InvalidId, ReadOnlyObject
from palace.resource import (
    Document,
    Endpoint,
    Handler,
    Legacy,
    Names,
    Parameter,
    Problem,
    Reference,
    Resource,
    Services,
    Stamp,
)
from palace.resources.faces.making import FaceName, body_schema, create
from palace.storage import Transaction
from palace.validation import Model, as_object, refuse
from palace.verbs.deleting import erase, lock_users, take_away
from palace.verbs.guards import refuse_stale
from palace.verbs.reading import own
from palace.verbs.writing import Outcome, carry_out
from palace.vocabulary import aliases

STATUSES = ("started", "completed", "error")


# --- Models -----------------------------------------------------------------------------------------------------------


class Face(Model):
    """What a client decides of a face; all else is the server's."""

    face_name: FaceName | None = None
    default_voice_id: str | None = None
    """The voice of PALs with this face that choose no other; an id of /v2/voices."""


TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
STAMPS = (
    Stamp("status", {"enum": list(STATUSES)}, initial="started", planted="completed"),
    Stamp("training_progress", {"type": "string", "pattern": "^[0-9]{1,3}/100$"}, initial="0/100", planted="100/100"),
    Stamp("error_message", {**TEXT_OR_NULL, "description": "Why the status is `error`."}),
    Stamp("model_name", {"type": "string"}, initial="phoenix-4"),
    Stamp("thumbnail_image_url", {**TEXT_OR_NULL, "description": "A small JPEG; no key is needed to read it."}),
    Stamp("thumbnail_video_url", TEXT_OR_NULL),
    Stamp("tags", {"type": "array", "items": {"type": "string"}}, initial=[]),
    Stamp("face_type", {"enum": ["user", "system"]}, lambda _fields, owner: "user" if owner else "system"),
    Stamp("is_recommended", {"type": "boolean"}, lambda _fields, owner: owner == STOCK_OWNER),
    Stamp("available_for_plan", {"const": True}, lambda _fields, _owner: True),
)


# --- Handlers ---------------------------------------------------------------------------------------------------------


def unless_deleted(handler: Handler) -> Handler:
    """The handler, except that a face which the caller deleted is 404, not 400 like one that never was."""

    async def handle(resource: Resource, call: Call, services: Services) -> Reply:
        try:
            return await handler(resource, call, services)
        except ReadOnlyObject:
            raise
        except InvalidId as error:
            account, reading = call.account.id, services.store.reading
            if await reading.get_with_deleted(resource.kind, call.ids["id"], account) is None:
                raise
            raise InvalidId(error.text, 404) from error

    return handle


def with_verbose(handler: Handler) -> Handler:
    """The handler, which `?verbose` does not change; but it must be true or false, as everywhere."""

    async def handle(resource: Resource, call: Call, services: Services) -> Reply:
        verbs.flag(call.query, "verbose")
        return await handler(resource, call, services)

    return handle


async def rename(resource: Resource, call: Call, services: Services) -> Reply:
    """Give the face another name: 200 with all of it."""
    sent = as_object(call.body, "face_name")
    problems = [Problem((name,), "unknown_field", "Unknown field.") for name in sent if name != "face_name"]
    if sent.get("face_name") in (None, ""):
        problems.append(Problem(("face_name",), "missing", "Missing data for required field."))
    if problems:
        raise refuse(problems)
    return await verbs.edit(resource, call, services, action="rename")


async def delete(resource: Resource, call: Call, services: Services) -> Reply:
    """Delete the face, so that it can be restored: 200 with `{}`. With `?hard=true` for good, also later: 204.

    Raises InvalidId, ReadOnlyObject, InUse when a PAL shows it.
    """
    is_hard = verbs.flag(call.query, "hard")

    async def remove(tx: Transaction) -> Outcome:
        await lock_users(tx, resource.kind, call)
        found = await tx.get_with_deleted(resource.kind, call.ids["id"], call.account.id)
        record, deleted_at = found or (None, None)
        record = own(resource, record if deleted_at is None or is_hard else None, "delete")
        await refuse_stale(tx, record, call, services)
        if deleted_at is not None:
            return await erase(tx, call, record, services)
        return await take_away(tx, call, record, services, for_good=is_hard)

    return await carry_out(call, services, remove, lambda _outcome: Reply(204) if is_hard else Reply(200, b"{}"))


# --- The resource -----------------------------------------------------------------------------------------------------

LIST = verbs.ListStyle(page_size=20, owned_by="face_type", ids="face_ids", labels={"model_name": "model"})
SORT = Parameter(
    "sort",
    {"enum": ["asc", "desc", "recommended"], "default": LIST.default_sort},
    "By time of creation: upwards or downwards; `recommended` is upwards, with the stock faces first.",
)
VERBOSE = Parameter("verbose", {"type": "boolean"}, "Changes nothing: `face_type` is always there.")

EXAMPLE: Document = {"face_name": "Studio portrait", "default_voice_id": "v1f73c4a86a76"}
NEW = {
    "face_name": "Studio portrait",
    "train_image_url": "https://pictures.example/portrait.jpg",
    "voice_name": "calm-alto",
}
RENAMED: dict[str, Any] = {
    "title": "faceName",
    "type": "object",
    "required": ["face_name"],
    "properties": {"face_name": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
RECEIPT: dict[str, Any] = {
    "title": "newFaceReceipt",
    "type": "object",
    "required": ["face_id", "status"],
    "properties": {"face_id": {"type": "string"}, "status": {"const": "started"}},
}
ALIASES = aliases(
    {
        "face_id": "replica_id",
        "face_name": "replica_name",
        "face_type": "replica_type",
        "face_ids": "replica_ids",
    }
)

LEGACY = Legacy("replica", "replicas", ALIASES)
UNKNOWN = "`Invalid face_id`: unknown, or not yours"
DELETED = "You have deleted it."

FACE = Resource(
    kind="face",
    names=Names("faces", "Faces", "a face", "face_id", "r", "r4067604db72", legacy=LEGACY),
    labels={"name": ("face_name",), "model": ("model_name",)},
    model=Face,
    example=EXAMPLE,
    stamps=STAMPS,
    references=(Reference(("default_voice_id",), "voice", "Invalid voice_id"),),
    endpoints=(
        Endpoint(
            "POST",
            "",
            "createFace",
            "Create a face",
            "Begins to make a face from a picture or a video, which the server fetches. The status goes from `started` "
            "to `completed` or `error`.",
            create,
            answers={200: "The face is being made.", 400: "What was sent is not valid; `message` tells why."},
            body="object",
            body_schema=body_schema(),
            answer_schema=RECEIPT,
            examples={"from a picture": NEW},
            differs=(
                "`callback_url` is told `{replica_id, status, error_message}` when the training ends, as a signed and "
                "repeated delivery: `GET /v2/webhooks/deliveries` shows it.",
                "A face is `completed` once its picture was fetched, checked and made small; no model is trained yet, "
                "and `consent_video_url`, `auto_fix_training_image` and `properties` are stored for when one is.",
                "A `face_name` has at most 255 characters; no published page has a limit.",
                "`train_image_url` together with `train_video_url` is 400, because a face is made of one of the two.",
                "Addresses that are not public are 400, unless the operator allows them: the server must not be led "
                "into its own network.",
            ),
        ),
        Endpoint(
            "GET",
            "",
            "listFaces",
            "List faces",
            "The faces that a PAL can show, oldest first.",
            with_verbose(partial(verbs.list_page, style=LIST)),
            answers={200: "One page of faces.", 400: "A query parameter is not valid."},
            parameters=(*(SORT if one.name == "sort" else one for one in verbs.list_parameters(LIST)), VERBOSE),
            answers_with="page",
            differs=(
                "`sort=recommended` is the order of creation: stock faces, which are the recommended ones, come first.",
                "`face_type` is there without `verbose` too: clients that do not know it ignore it.",
            ),
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getFace",
            "Get a face",
            "One face. `thumbnail_image_url` can be read without a key.",
            with_verbose(unless_deleted(verbs.read)),
            answers={200: "The face.", 400: f"{UNKNOWN}.", 404: DELETED},
            parameters=(VERBOSE,),
        ),
        Endpoint(
            "PATCH",
            "/{id}/name",
            "renameFace",
            "Rename a face",
            "Gives the face another name. The body is an object, not a JSON Patch.",
            unless_deleted(rename),
            answers={200: "The face.", 400: f"The name is missing, or {UNKNOWN}.", 404: DELETED},
            body="object",
            body_schema=RENAMED,
            examples={"another name": {"face_name": "Studio portrait, second take"}},
        ),
        Endpoint(
            "DELETE",
            "/{id}",
            "deleteFace",
            "Delete a face",
            "Deletes the face; for some days it can be restored. With `hard` it is gone for good, with its history and "
            "its pictures; that works on a face that is deleted already, too.",
            unless_deleted(delete),
            answers={
                200: "Deleted.",
                204: "Deleted for good (`hard`).",
                400: f"{UNKNOWN}, or a stock face.",
                404: "You have deleted it already.",
                409: "A PAL shows it: nothing was deleted. `details` tell which.",
            },
            parameters=(
                Parameter("hard", {"type": "boolean"}, "`true`: for good."),
                verbs.CASCADE,
            ),
            answer_schema={"title": "nothing", "type": "object", "additionalProperties": False},
            differs=(
                "A face that a PAL shows is not deleted without `?cascade=true`; with it the PAL keeps the id.",
                "Without `hard` the answer is 200 with `{}`, with it 204: the published page says 200, the live "
                "service 204, and clients take both.",
            ),
        ),
        verbs.references_endpoint("a face", 400),
        *verbs.history_endpoints("a face"),
    ),
)
