"""Voices: what a PAL sounds like (contract 4.2). They come with the server, and can be listed only.

A face has one as its `default_voice_id`; a PAL may choose another one in `layers.tts.voice_id`.
"""

from functools import partial
from typing import Any, Literal

from palace import verbs
from palace.resource import Document, Endpoint, Names, Resource, Stamp
from palace.validation import Model


class Tag(Model):
    """A word that voices are found by."""

    tag_name: str


class Voice(Model):
    """What is known of a voice."""

    voice_name: str
    """A slug, by which Create Face knows it."""
    face_id: str | None = None
    """The face that it belongs to, if it belongs to one."""
    audio_url: str | None = None
    tags: list[Tag] = []
    status: Literal["started", "completed", "error"] = "completed"


LIST = verbs.ListStyle(order="name", search="search", labels={"tag": "tag", "tags": "tag"}, tells_page=True)

EXAMPLE: Document = {"voice_name": "calm-alto", "tags": [{"tag_name": "low"}]}

ITEM: dict[str, Any] = {"$ref": "#/components/schemas/Voice"}

VOICE = Resource(
    kind="voice",
    names=Names("voices", "Voices", "a voice", "voice_id", "v", "v1f73c4a86a76"),
    model=Voice,
    example=EXAMPLE,
    stamps=(Stamp("voice_type", {"enum": ["user", "system"]}, lambda _fields, owner: "user" if owner else "system"),),
    labels={"name": ("voice_name",), "tag": ("tags", "*", "tag_name")},
    endpoints=(
        Endpoint(
            "GET",
            "",
            "listVoices",
            "List voices",
            "The voices that a face or a PAL can have, by name.",
            partial(verbs.list_page, style=LIST),
            answers={200: "One page of voices.", 400: "A query parameter is not valid."},
            parameters=verbs.list_parameters(LIST),
            answer_schema=verbs.page_schema(ITEM, LIST),
            differs=(
                "The voices are this server's own, under names of its own, and `audio_url` is null: they cannot be "
                "listened to yet.",
                "`page=0` is the first page, as is `page=1`, because the official command line asks for it.",
                "The face is named by `face_id` only: there is no older path of voices, whose words would be "
                "`replica_id`.",
                "`tags` are objects with a `tag_name`, as this list was first published; newer pages show plain texts.",
            ),
        ),
        verbs.references_endpoint("a voice"),
    ),
)
