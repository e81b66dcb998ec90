"""The operations on the draft of an object, for every resource that has drafts."""

from functools import partial
from typing import Any

from palace.resource import Endpoint, Parameter
from palace.verbs.drafts import (
    DRAFTS_ON_A_PAGE,
    discard_draft,
    list_drafts,
    patch_draft,
    publish,
    read_draft,
    restore_draft,
)
from palace.verbs.endpoints import PATCH, TEXT, TEXT_OR_NULL, UNKNOWN
from palace.verbs.patching import Prepare
from palace.verbs.rebasing import ON_DRAFT
from palace.verbs.writing import Store, store_change

Schema = dict[str, Any]

DRAFT_PARAMETERS = (
    Parameter(
        "force",
        {"type": "boolean", "default": False},
        "`true`: write, and discard the draft that stands in the way; it can be brought back.",
    ),
    Parameter(
        "on_draft",
        {"enum": list(ON_DRAFT), "default": "refuse"},
        "`rebase`: write, and carry the draft over, where the two do not overlap. With `force`, else discard it.",
    ),
)
"""What a write that meets a draft may ask for."""

SUMMARY: Schema = {
    "draft": {"type": "integer", "minimum": 1},
    "state": {**TEXT, "enum": ["open", "discarded", "published"]},
    "base_revision": {"type": "integer", "description": "The revision of the live object that the draft is made of."},
    "changed_by": {**TEXT_OR_NULL, "description": "The public id of the key that changed it last."},
    "created_at": {**TEXT, "format": "date-time"},
    "updated_at": {**TEXT, "format": "date-time"},
    "touched": {"type": "array", "items": TEXT, "description": "Pointers of the members that it changes."},
}
DRAFTS: Schema = {
    "type": "object",
    "required": ["data", "next_cursor"],
    "properties": {
        "data": {"type": "array", "items": {"type": "object", "required": sorted(SUMMARY), "properties": SUMMARY}},
        "next_cursor": TEXT_OR_NULL,
    },
}
NO_DRAFT = "There is no draft."
EXAMPLE = [{"op": "add", "path": "/greeting", "value": "Good evening, the night desk."}]


def draft_endpoints(noun: str, kind: str, prepare: Prepare, store: Store = store_change) -> tuple[Endpoint, ...]:
    """Change without going live, look, publish: the operations for one kind of object, `noun` as in `a PAL`.

    `prepare` is that of the patches of the live object, `store` stores what is published.
    """
    name = kind[0].upper() + kind[1:]
    whole: Schema = {
        "type": "object",
        "required": [f"{kind}_id", *sorted(SUMMARY), "patch", "document"],
        "properties": {f"{kind}_id": TEXT, **SUMMARY, "patch": PATCH, "document": {"type": "object"}},
    }
    return (
        *_looking(noun, name, whole),
        *_changing(noun, name, whole, prepare),
        _publishing(noun, kind, name, store),
    )


def _looking(noun: str, name: str, whole: Schema) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            "/{id}/draft",
            f"get{name}Draft",
            f"Get the draft of {noun}",
            "The changes that wait to be published, as a JSON Patch and as the document with them.",
            read_draft,
            answers={200: "The draft.", 400: UNKNOWN.capitalize() + ".", 404: NO_DRAFT},
            answer_schema=whole,
        ),
        Endpoint(
            "GET",
            "/{id}/drafts",
            f"list{name}Drafts",
            f"List the drafts of {noun}",
            "Every draft there was, newest first: open, discarded or published.",
            list_drafts,
            answers={200: "One page of drafts.", 400: f"A query parameter is not valid, or {UNKNOWN}."},
            parameters=(
                Parameter("limit", {"type": "integer", "default": DRAFTS_ON_A_PAGE}, "Drafts on a page, at most 100."),
                Parameter("cursor", TEXT, "`next_cursor` of the page before."),
            ),
            answer_schema=DRAFTS,
        ),
    )


def _changing(noun: str, name: str, whole: Schema, prepare: Prepare) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "PATCH",
            "/{id}/draft",
            f"patch{name}Draft",
            f"Patch the draft of {noun}",
            "Changes the draft, which begins as the live object, as a patch changes the live object. When it says what "
            "is live again, it is discarded.",
            partial(patch_draft, prepare=prepare),
            answers={
                200: "The draft.",
                304: "No changes were made to the draft.",
                400: f"The result would not be valid, or {UNKNOWN}.",
                422: "`Invalid JSON patch format`, or an operation does not fit the draft.",
            },
            body="patch",
            answer_schema=whole,
            examples={"another greeting": EXAMPLE},
        ),
        Endpoint(
            "DELETE",
            "/{id}/draft",
            f"discard{name}Draft",
            f"Discard the draft of {noun}",
            "Discards the changes. They are kept, and can be brought back.",
            discard_draft,
            answers={204: "Discarded.", 400: UNKNOWN.capitalize() + ".", 404: NO_DRAFT},
        ),
        Endpoint(
            "POST",
            "/{id}/drafts/{number}/restore",
            f"restore{name}Draft",
            f"Bring a discarded draft of {noun} back",
            "Makes its changes to what is live now, as a draft again.",
            restore_draft,
            answers={
                200: "The draft.",
                304: "It is open, or what it changes is live already.",
                400: f"It was published, or {UNKNOWN}.",
                404: "There is no such draft.",
                409: "Another draft is open, or its changes do not fit what is live now; `details` tell which.",
            },
            answer_schema=whole,
        ),
    )


def _publishing(noun: str, kind: str, name: str, store: Store) -> Endpoint:
    said = {
        "status": {"const": "success"},
        f"{kind}_id": TEXT,
        f"{kind}_name": TEXT_OR_NULL,
        "system_prompt": TEXT,
        "updated_at": {**TEXT, "format": "date-time"},
    }
    return Endpoint(
        "POST",
        "/{id}/publish",
        f"publish{name}",
        f"Publish {noun}",
        "Makes the draft live, in a new revision; without a draft it answers with what is live. `If-Match` takes the "
        "tag of the draft as well as that of the live object.",
        partial(publish, store=store),
        answers={
            200: "The whole object as it is live now, and `status`.",
            400: f"The draft is not valid any more, or {UNKNOWN}.",
            **(
                {} if store is store_change else {409: "It has not passed the rehearsals that it needs: see `details`."}
            ),
        },
        body="optional",
        body_schema={"description": "Ignored."},
        answer_schema={"type": "object", "required": sorted(said), "properties": said},
        examples={"nothing to say": {}},
    )
