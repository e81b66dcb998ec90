"""Faces: what a PAL looks like (contract 4.1). Stock faces only for now, and those can be read, not changed.

`/v2/faces` and the older `/v2/replicas` are the same objects in two vocabularies.
"""

from functools import partial
from typing import Literal

import orjson

from palace import verbs
from palace.call import STOCK_OWNER, Call, Reply
from palace.resource import Document, Endpoint, Legacy, Names, Parameter, Resource, Services
from palace.validation import Model
from palace.vocabulary import aliases


class Face(Model):
    """What is known of a face."""

    face_name: str
    status: Literal["started", "completed", "error"] = "completed"
    training_progress: str = "100/100"
    error_message: str | None = None
    model_name: str = "phoenix-4"
    thumbnail_video_url: str | None = None
    thumbnail_image_url: str | None = None


async def read(resource: Resource, call: Call, services: Services) -> Reply:
    """The face; `?verbose=true` adds `face_type`: `system` for a stock face, `user` for your own."""
    is_verbose = verbs.flag(call.query, "verbose")
    reply = await verbs.read(resource, call, services)
    if reply.status == 304 or not is_verbose:
        return reply
    record = await services.store.reading.get(resource.kind, call.ids["id"], call.account.id)
    if record is None:
        raise resource.unknown()
    face_type = "system" if record.owner == STOCK_OWNER else "user"
    return Reply(200, orjson.dumps({**orjson.loads(record.body), "face_type": face_type}), reply.headers)


LIST = verbs.ListStyle(page_size=20, owned_by="face_type", ids="face_ids", labels={"model_name": "model"})

EXAMPLE: Document = {"face_name": "Studio portrait", "model_name": "phoenix-4"}

ALIASES = aliases(
    {
        "face_id": "replica_id",
        "face_name": "replica_name",
        "face_type": "replica_type",
        "face_ids": "replica_ids",
    }
)

LEGACY = Legacy("replica", "replicas", ALIASES)

FACE = Resource(
    kind="face",
    names=Names("faces", "Faces", "a face", "face_id", "r", "r4067604db72", legacy=LEGACY),
    labels={"name": ("face_name",), "model": ("model_name",)},
    model=Face,
    example=EXAMPLE,
    endpoints=(
        Endpoint(
            "GET",
            "",
            "listFaces",
            "List faces",
            "The faces that a PAL can show, oldest first.",
            partial(verbs.list_page, style=LIST),
            answers={200: "One page of faces.", 400: "A query parameter is not valid."},
            parameters=(*verbs.list_parameters(LIST),),
            answers_with="page",
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getFace",
            "Get a face",
            "One face.",
            read,
            answers={200: "The face.", 400: "`Invalid face_id`: unknown, or not yours."},
            parameters=(Parameter("verbose", {"type": "boolean"}, "`true` adds `face_type`."),),
        ),
    ),
)
