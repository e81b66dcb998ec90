"""The operations on the history of an object and on what uses it, for every resource that can be changed."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from palace.resource import Endpoint, Handler, Parameter
from palace.verbs.deleting import USERS_ON_A_PAGE, list_references
from palace.verbs.history import (
    REVISIONS_ON_A_PAGE,
    list_revisions,
    read_diff,
    read_revision,
    restore,
    revert,
    rollback,
)
from palace.verbs.writing import Store, store_change

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
PATCH: Schema = {"$ref": "#/components/schemas/JsonPatch"}
COMMENT: Schema = {"type": ["string", "null"], "maxLength": 500, "description": "Why; shown in the history."}

SUMMARY: Schema = {
    "revision": {"type": "integer", "minimum": 1},
    "action": {**TEXT, "description": "`create`, `patch`, `merge_patch`, `rollback`, `revert`, `delete`, `restore`, …"},
    "created_at": {**TEXT, "format": "date-time"},
    "key_id": {**TEXT_OR_NULL, "description": "The public id of the key that was used."},
    "request_id": TEXT_OR_NULL,
    "comment": TEXT_OR_NULL,
    "etag_before": TEXT_OR_NULL,
    "etag": TEXT,
    "touched": {"type": "array", "items": TEXT, "description": "Pointers of the members that changed."},
    "about": {"type": "object", "description": "More about the action: `to` of a rollback, `reverted` of a revert."},
}
REVISION: Schema = {"type": "object", "required": sorted(SUMMARY), "properties": SUMMARY}
REVISIONS: Schema = {
    "type": "object",
    "required": ["data", "next_cursor"],
    "properties": {"data": {"type": "array", "items": REVISION}, "next_cursor": TEXT_OR_NULL},
}
WHOLE_REVISION: Schema = {
    "type": "object",
    "required": [*sorted(SUMMARY), "document"],
    "properties": {**SUMMARY, "patch": PATCH, "inverse": PATCH, "document": {"type": "object"}},
}
DIFF: Schema = {
    "type": "object",
    "required": ["from", "to", "patch", "changes", "text"],
    "properties": {
        "from": {"type": "integer"},
        "to": {"type": "integer"},
        "patch": PATCH,
        "changes": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "kind"],
                "properties": {
                    "pointer": TEXT,
                    "kind": {**TEXT, "enum": ["added", "removed", "changed", "secret_changed"]},
                    "before": {},
                    "after": {},
                },
            },
        },
        "text": {**TEXT, "description": "The difference as lines, in the unified format."},
    },
}
REFERENCES: Schema = {
    "type": "object",
    "required": ["data", "total_count"],
    "properties": {
        "data": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["kind", "id", "name", "pointers"],
                "properties": {
                    "kind": TEXT,
                    "id": TEXT,
                    "name": TEXT_OR_NULL,
                    "pointers": {"type": "array", "items": TEXT, "description": "Where it names the object."},
                },
            },
        },
        "total_count": {"type": "integer"},
    },
}
ROLLBACK: Schema = {
    "type": "object",
    "required": ["to"],
    "additionalProperties": False,
    "properties": {"to": {"type": "integer", "minimum": 1, "example": 1}, "comment": COMMENT},
}
COMMENTED: Schema = {"type": "object", "additionalProperties": False, "properties": {"comment": COMMENT}}
DRAFT_IN_THE_WAY = "A draft has changes that wait to be published: `conflict` is `maker_changes`."
UNKNOWN = "the id is unknown, or not yours"


def history_endpoints(
    noun: str,
    parameters: tuple[Parameter, ...] = (),
    unknown: int = 400,
    store: Store = store_change,
    restore: Handler = restore,
) -> tuple[Endpoint, ...]:
    """See, compare, go back: the operations for one kind of object, which `noun` names as in `a PAL`.

    `parameters` are those of every change of such an object, `unknown` is the status for an id that does not exist,
    `store` how such objects are stored, `restore` what brings back a deleted one.
    """
    id = _name_in_ids(noun)
    endpoints = (*_looking(noun, id), *_going_back(noun, id, parameters, store, restore))
    return tuple(replace(endpoint, answers=_or_unknown(endpoint.answers, unknown)) for endpoint in endpoints)


def references_endpoint(noun: str, unknown: int = 400) -> Endpoint:
    """Who uses this: the operation for one kind of object, which `noun` names as in `a tool`.

    `unknown` is the status for an id that does not exist.
    """
    return Endpoint(
        "GET",
        "/{id}/references",
        f"list{_name_in_ids(noun)}References",
        f"List what uses {noun}",
        "Which of your objects refer to this one, and where.",
        list_references,
        answers=_or_unknown({200: "One page of objects.", 400: "A query parameter is not valid."}, unknown),
        parameters=(
            Parameter("limit", {"type": "integer", "default": USERS_ON_A_PAGE}, "Objects on a page, at most 100."),
            Parameter("page", {"type": "integer", "default": 1}, "The number of the page, from 1 on."),
        ),
        answer_schema=REFERENCES,
    )


def _name_in_ids(noun: str) -> str:
    """The part of an operation id: `a pronunciation dictionary` is `PronunciationDictionary`."""
    return "".join(word.capitalize() for word in noun.split()[1:])


def _or_unknown(answers: Mapping[int, str], unknown: int) -> Mapping[int, str]:
    """The answers, with what an unknown id is answered added to those there are."""
    said = answers.get(unknown)
    return {**answers, unknown: f"{said.removesuffix('.')}, or {UNKNOWN}." if said else UNKNOWN.capitalize() + "."}


def _looking(noun: str, id: str) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            "GET",
            "/{id}/revisions",
            f"list{id}Revisions",
            f"List the revisions of {noun}",
            "Every change that was accepted, newest first: who, when, what, why.",
            list_revisions,
            answers={200: "One page of revisions.", 400: "A query parameter is not valid."},
            parameters=(
                Parameter(
                    "limit", {"type": "integer", "default": REVISIONS_ON_A_PAGE}, "Revisions on a page, at most 100."
                ),
                Parameter("cursor", TEXT, "`next_cursor` of the page before."),
            ),
            answer_schema=REVISIONS,
        ),
        Endpoint(
            "GET",
            "/{id}/revisions/{number}",
            f"get{id}Revision",
            f"Get {noun} as of a revision",
            "The document as it was, the patch that led there and the one that leads back.",
            read_revision,
            answers={200: "The revision.", 400: "The number is not one.", 404: "There is no such revision."},
            answer_schema=WHOLE_REVISION,
        ),
        Endpoint(
            "GET",
            "/{id}/diff",
            f"diff{id}Revisions",
            f"Compare two revisions of {noun}",
            "What leads from one revision to another: as a JSON Patch, as a list of members, and as lines to read.",
            read_diff,
            answers={
                200: "The difference.",
                400: "A query parameter is not valid.",
                404: "There is no such revision.",
            },
            parameters=(
                Parameter("from", {"type": "integer"}, "A revision; the one before `to` when it is left out."),
                Parameter("to", {"type": "integer"}, "A revision; the newest when it is left out."),
            ),
            answer_schema=DIFF,
        ),
    )


def _going_back(
    noun: str, id: str, parameters: tuple[Parameter, ...], store: Store, restore: Handler
) -> tuple[Endpoint, ...]:
    back: Mapping[int, str] = {
        200: "The whole object as it is now.",
        304: "It says that already.",
        400: "The result would not be valid.",
        404: "There is no such revision.",
        **({409: f"{DRAFT_IN_THE_WAY} Or it has not passed its rehearsal gate."} if parameters else {}),
    }
    return (
        Endpoint(
            "POST",
            "/{id}/rollback",
            f"rollback{id}",
            f"Roll {noun} back",
            "Makes the object say again what it said at a revision, in a new revision. Secrets come back with it.",
            partial(rollback, store=store),
            answers=back,
            body="object",
            parameters=parameters,
            body_schema=ROLLBACK,
            examples={"to the first revision": {"to": 1, "comment": "The new prompt was too long."}},
        ),
        Endpoint(
            "POST",
            "/{id}/revisions/{number}/revert",
            f"revert{id}Revision",
            f"Take back one change of {noun}",
            "Takes back what one revision changed and nothing else.",
            partial(revert, store=store),
            answers={**back, 409: "Some of what it changed has been changed again since, or a draft is in the way."},
            body="optional",
            parameters=parameters,
            body_schema=COMMENTED,
            examples={"with a comment": {"comment": "Not this one."}},
        ),
        Endpoint(
            "POST",
            "/{id}/restore",
            f"restore{id}",
            f"Restore {noun} that was deleted",
            "Brings a deleted object back as it was, with its history, for as many days as the server remembers it.",
            restore,
            answers={200: "The whole object.", 400: "It is not deleted."},
            body="optional",
            body_schema=COMMENTED,
            examples={"with a comment": {"comment": "Deleted by mistake."}},
        ),
    )
