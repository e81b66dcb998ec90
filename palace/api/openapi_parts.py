"""What many operations of the OpenAPI document have in common: errors, patches, previews, headers."""

from typing import Any

Schema = dict[str, Any]
COMPONENTS = "#/components/schemas/"

POINTER: Schema = {"type": "string", "pattern": "^(/([^~/]|~[01])*)*$"}
PATCH_SCHEMA: Schema = {
    "type": "array",
    "description": "JSON Patch (RFC 6902): carried out in order, all operations or none.",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "remove", "replace", "copy", "move", "test"]},
            "path": {**POINTER, "description": "JSON Pointer (RFC 6901).", "example": "/layers/llm/model"},
            "value": {"description": "Any JSON; for add, replace and test.", "example": "tavus-llama-4"},
            "from": {**POINTER, "description": "JSON Pointer of the source, for copy and move."},
        },
        "allOf": [
            {"if": {"properties": {"op": {"enum": ["add", "replace", "test"]}}}, "then": {"required": ["value"]}},
            {"if": {"properties": {"op": {"enum": ["copy", "move"]}}}, "then": {"required": ["from"]}},
        ],
    },
}
ERROR_SCHEMA: Schema = {
    "type": "object",
    "required": ["message", "error", "details", "request_id"],
    "properties": {
        "message": {"type": "string"},
        "error": {"type": "string", "description": "The same text as `message`."},
        "details": {
            "type": "array",
            "description": "One entry for each problem.",
            "items": {
                "type": "object",
                "required": ["code", "problem"],
                "properties": {
                    "code": {"type": "string"},
                    "problem": {"type": "string"},
                    "pointer": {"type": "string", "description": "JSON Pointer of the place at fault."},
                    "resolved": {"type": "string", "description": "The longest part of the pointer that exists."},
                    "operation": {"type": "integer", "description": "Index of the operation to blame."},
                    "op": {"type": "string"},
                    "at": {"type": "string", "enum": ["op", "path", "from", "value", "patch"]},
                    "allowed": {"type": "array", "description": "The values that may stand there."},
                    "nearest": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "JSON Pointers that exist or may exist, one of which may have been meant.",
                    },
                    "fix": {
                        "$ref": f"{COMPONENTS}JsonPatch",
                        "description": "Operations to send instead of the one to blame; none, where it can go.",
                    },
                },
            },
        },
        "corrected_patch": {
            "$ref": f"{COMPONENTS}JsonPatch",
            "description": "The whole patch with every fix: it succeeds. Only where everything can be mended.",
        },
        "conflict": {"type": "string", "description": "`maker_changes`: a draft is in the way; `draft` tells which."},
        "draft": {"type": "object", "description": "Whose changes wait, from when, at which `pointers`."},
        "request_id": {"type": "string"},
    },
}


def headers_of(**meanings: str) -> Schema:
    """Headers of an answer, each with its meaning; an underscore stands for a hyphen."""
    return {
        name.replace("_", "-"): {"schema": {"type": "string"}, "description": meaning}
        for name, meaning in meanings.items()
    }


VERSION_HEADERS = headers_of(
    etag="What the object says, as a short tag.", x_revision="The number of the newest revision of the object."
)
WRITE_HEADERS = headers_of(
    idempotency_replayed="`true`: this repeats the first answer under the `Idempotency-Key`.",
    x_stored_differently="What was stored otherwise than it was sent: a JSON list of `{pointer, how, stored}`.",
)
LENIENT_HEADERS = headers_of(
    preference_applied="`handling=lenient`, when it was.",
    x_mended="What was put right: a JSON list of `{operation, mend, from, to}`.",
)
WRITE_PARAMETERS: list[Schema] = [
    {
        "name": "dry_run",
        "in": "query",
        "schema": {"type": "boolean", "default": False},
        "allowEmptyValue": True,
        "description": "`true`, or no value: check everything and answer with what would happen; nothing is stored.",
    },
    {
        "name": "comment",
        "in": "query",
        "schema": {"type": "string", "maxLength": 500, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]*$"},
        "allowEmptyValue": True,
        "description": "Why; shown in the history. Also as the header `x-comment`, percent-encoded.",
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "description": "Carry this request out once, however often it is sent: later answers repeat the first one.",
    },
]
IF_MATCH: Schema = {
    "name": "If-Match",
    "in": "header",
    "schema": {"type": "string", "pattern": '^(\\*|"[!#-+\\--~]+")$'},
    "description": "The ETag that you read: 412 when the object has changed since.",
}
PREFER: Schema = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string", "example": "return=representation"},
    "description": "`return=representation`: 200 with the object instead of 304. `handling=lenient`: members and "
    "layers that are not there yet are made.",
}
IF_NONE_MATCH: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string", "pattern": '^(\\*|"[!#-+\\--~]+")$'},
    "description": "The ETag of what you have: 304 when it is still true.",
}
GUARD_ANSWERS = {
    409: "The first request with this `Idempotency-Key` is still being carried out.",
    412: "The object is not what `If-Match` names; `details` tell what changed since.",
    422: "This `Idempotency-Key` was used for another request.",
    428: "This server changes an object only with `If-Match`.",
}
PREVIEW_SCHEMA: Schema = {
    "type": "object",
    "description": "What a write would do, asked for with `dry_run`.",
    "required": ["dry_run", "changed", "document", "touched", "patch", "inverse", "effects"],
    "properties": {
        "dry_run": {"const": True},
        "changed": {"type": "boolean"},
        "document": {"type": ["object", "null"], "description": "The result; null for a deletion."},
        "touched": {"type": "array", "items": {"type": "string"}},
        "patch": {"$ref": COMPONENTS + "JsonPatch"},
        "inverse": {"$ref": COMPONENTS + "JsonPatch"},
        "effects": {
            "type": "array",
            "description": "What would happen to other objects.",
            "items": {
                "type": "object",
                "required": ["kind", "id", "what"],
                "properties": {name: {"type": "string"} for name in ("kind", "id", "what")},
            },
        },
    },
}
COMMON_ANSWERS = {401: "`Invalid access token`: the header x-api-key is missing or unknown."}
BODY_ANSWERS = {413: "The body is too large.", 415: "A media type that is not read here."}
