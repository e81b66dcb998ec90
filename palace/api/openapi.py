"""The OpenAPI document, generated from the list of resources: names, tags and examples as in the published one."""

from collections.abc import Mapping, Sequence

from pydantic.json_schema import GenerateJsonSchema

from palace import __version__
from palace.api.bodies import PATCH_TYPES
from palace.api.openapi_parts import (
    BODY_ANSWERS,
    COMMON_ANSWERS,
    COMPONENTS,
    ERROR_SCHEMA,
    GUARD_ANSWERS,
    IF_MATCH,
    IF_NONE_MATCH,
    LENIENT_HEADERS,
    PATCH_SCHEMA,
    PREFER,
    PREVIEW_SCHEMA,
    VERSION_HEADERS,
    WRITE_HEADERS,
    WRITE_PARAMETERS,
    Schema,
    headers_of,
)
from palace.judging import framed, judge
from palace.resource import READ_ONLY_TIMES, Endpoint, Resource
from palace.settings import Settings
from palace.vocabulary import Aliases, legacy_document

EXAMPLE_TIME = "2026-10-09T10:00:00.000000Z"
DESCRIPTION = (
    "An open, self-hosted server for the Tavus Developer API. An independent implementation, "
    "not affiliated with Tavus. Paths with the older nouns (persona, replica) serve the same objects in older words. "
    "Any request may also be answered with 408, 429, 500, 503 or 504, whose body is an Error. What is for operators "
    "(/healthz, /readyz, /metrics), the stream of changes (/_palace/changes, text/event-stream), and the pages and "
    "WebSockets of conversations (/c/{conversation_id} and /c/{conversation_id}/ws) are no part of this document."
)


def build_openapi(resources: Sequence[Resource], settings: Settings) -> Schema:
    """The whole document, OpenAPI 3.1."""
    schemas: Schema = {"Error": ERROR_SCHEMA, "JsonPatch": PATCH_SCHEMA, "Preview": PREVIEW_SCHEMA}
    paths: dict[str, Schema] = {}
    for resource in resources:
        for is_legacy in (False, True) if resource.names.legacy else (False,):
            if _is_shown(resource):
                _add_schemas(resource, is_legacy, schemas)
            for endpoint in resource.endpoints:
                path = _path(resource, endpoint, is_legacy)
                paths.setdefault(path, {})[endpoint.method.lower()] = _operation(resource, endpoint, is_legacy)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tavus Developer API Collection", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": settings.public_url or "/"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(resource.names.tag for resource in resources)],
        "paths": paths,
        "components": {
            "securitySchemes": {"apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"}},
            "schemas": _in_use(schemas, paths),
        },
    }


def _in_use(schemas: Schema, paths: Schema) -> Schema:
    """Without the `…Fields` of documents that no client writes."""
    said = str(schemas) + str(paths)
    return {
        name: schema
        for name, schema in schemas.items()
        if not name.endswith("Fields") or f"{COMPONENTS}{name}'" in said
    }


def _is_shown(resource: Resource) -> bool:
    """Whether an operation answers with the whole document; one of another resource where it has none of its own."""
    component = COMPONENTS + _name(resource, False)
    answers = [endpoint.answer_schema for endpoint in resource.endpoints]
    return not answers or any(answer is None or component in str(answer) for answer in answers)


# --- Schemas ----------------------------------------------------------------------------------------------------------


class _Untitled(GenerateJsonSchema):
    """Members without a title: it would repeat their names, and the wrong ones in the older vocabulary."""

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False


def _name(resource: Resource, is_legacy: bool) -> str:
    return "".join(word.capitalize() for word in _kind(resource, is_legacy).split("_"))


def _kind(resource: Resource, is_legacy: bool) -> str:
    return resource.names.legacy.kind if is_legacy and resource.names.legacy else resource.kind


def _collection(resource: Resource, is_legacy: bool) -> str:
    return resource.names.legacy.collection if is_legacy and resource.names.legacy else resource.collection


def _id_member(resource: Resource, is_legacy: bool) -> str:
    return resource.aliases.legacy.get(resource.id_member, resource.id_member) if is_legacy else resource.id_member


def _add_schemas(resource: Resource, is_legacy: bool, schemas: Schema) -> None:
    """The document as it is read, and `…Fields`: the part of it that clients write."""
    fields = resource.model.model_json_schema(ref_template=COMPONENTS + "{model}", schema_generator=_Untitled)
    schemas.update(fields.pop("$defs", {}))
    if is_legacy:
        fields = _in_legacy_words(fields, schemas, resource.aliases)
    name = _name(resource, is_legacy)
    schemas[f"{name}Fields"] = {**fields, "title": f"{name}Fields"}
    stamped: Schema = {_id_member(resource, is_legacy): {"type": "string", "readOnly": True}}
    spelled = resource.aliases.legacy if is_legacy else {}
    stamped |= {spelled.get(stamp.name, stamp.name): {**stamp.schema, "readOnly": True} for stamp in resource.stamps}
    stamped |= {member: {"type": "string", "format": "date-time", "readOnly": True} for member in READ_ONLY_TIMES}
    members = {**fields["properties"], **stamped}
    required = sorted(members.keys() - set(resource.sparse))
    schemas[name] = {"title": name, "type": "object", "required": required, "properties": members}


def _in_legacy_words(schema: Schema, schemas: Mapping[str, Schema], known: Aliases) -> Schema:
    properties = {}
    for name, below in schema.get("properties", {}).items():
        spelled = known.legacy.get(name, name)
        properties[spelled] = _replace_reference(below, schemas, known.below[name]) if name in known.below else below
    renamed = {**schema, "properties": properties}
    if "required" in schema:
        renamed["required"] = [known.legacy.get(name, name) for name in schema["required"]]
    return renamed


def _replace_reference(schema: Schema, schemas: Mapping[str, Schema], known: Aliases) -> Schema:
    """The schema with its one reference replaced by the renamed schema it refers to."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_replace_reference(option, schemas, known) for option in schema["anyOf"]]}
    if "$ref" not in schema:
        return schema
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    return {**_in_legacy_words(schemas[schema["$ref"].removeprefix(COMPONENTS)], schemas, known), **rest}


# --- Operations -------------------------------------------------------------------------------------------------------


def _path(resource: Resource, endpoint: Endpoint, is_legacy: bool) -> str:
    path = f"/v2/{_collection(resource, is_legacy)}{endpoint.path}"
    return path.replace("{id}", f"{{{_id_member(resource, is_legacy)}}}")


def _operation(resource: Resource, endpoint: Endpoint, is_legacy: bool) -> Schema:
    operation_id = endpoint.operation_id
    if is_legacy:
        plural, single = _collection(resource, True).capitalize(), _kind(resource, True).split("_")[0].capitalize()
        renamed = operation_id.replace(resource.collection.capitalize(), plural)
        renamed = renamed.replace(resource.kind.split("_")[0].capitalize(), single)
        operation_id = renamed if renamed != operation_id else f"{operation_id}Of{plural}"
    operation: Schema = {
        "operationId": operation_id,
        "tags": [resource.names.tag],
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": _parameters(resource, endpoint, is_legacy),
        "responses": _responses(resource, endpoint, is_legacy),
    }
    if is_legacy:
        operation["deprecated"] = True
    if endpoint.body != "none":
        is_required = endpoint.body != "optional"
        operation["requestBody"] = {"required": is_required, "content": _request(resource, endpoint, is_legacy)}
    return operation


def _parameters(resource: Resource, endpoint: Endpoint, is_legacy: bool) -> list[Schema]:
    parameters: list[Schema] = []
    if "{id}" in endpoint.path:
        name, schema = _id_member(resource, is_legacy), {"type": "string", "minLength": 1}
        schema["example"] = resource.names.example_id
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    if "{number}" in endpoint.path:
        schema = {"type": "integer", "minimum": 1, "example": 1}
        parameters.append({"name": "number", "in": "path", "required": True, "schema": schema})
    for parameter in endpoint.parameters:
        name = resource.aliases.legacy.get(parameter.name, parameter.name) if is_legacy else parameter.name
        described = {"description": parameter.sentence, "schema": {"type": "string", **parameter.schema}}
        presence = {"required": True} if parameter.required else {"required": False, "allowEmptyValue": True}
        place = "path" if f"{{{parameter.name}}}" in endpoint.path else "query"
        parameters.append({"name": name, "in": place, **presence, **described})
    return parameters + _headers(endpoint)


def _headers(endpoint: Endpoint) -> list[Schema]:
    """What every operation of its kind takes besides."""
    if endpoint.method == "GET":
        return [IF_NONE_MATCH] if _is_of_one_document(endpoint) else []
    guards = [IF_MATCH] if "{id}" in endpoint.path else []
    return WRITE_PARAMETERS + guards + ([PREFER] if endpoint.body == "patch" else [])


def _is_of_one_document(endpoint: Endpoint) -> bool:
    return endpoint.path in ("/{id}", "/{id}/draft", "/{id}/skills", "/{id}/skills/{skill_id}", "/{id}/rehearsal-gate")


def _request(resource: Resource, endpoint: Endpoint, is_legacy: bool) -> Schema:
    fields: Schema = {"$ref": f"{COMPONENTS}{_name(resource, is_legacy)}Fields"}
    if endpoint.body == "document" and endpoint.body_schema is None:
        if endpoint.required and not is_legacy:
            filled = {name: {"type": "string", "minLength": 1} for name in endpoint.required}
            fields = {"allOf": [fields, {"required": list(endpoint.required), "properties": filled}]}
        example = legacy_document(resource.example, resource.aliases) if is_legacy else resource.example
        return {"application/json": {"schema": fields, "example": example}}
    examples = {title: {"value": value} for title, value in endpoint.examples.items()}
    if endpoint.body_schema is not None:
        schema = dict(endpoint.body_schema)
        if is_legacy:
            schema = _in_legacy_words(schema, {}, resource.aliases)
            shown = {title: legacy_document(value, resource.aliases) for title, value in endpoint.examples.items()}
            examples = {title: {"value": value} for title, value in shown.items()}
        return {"application/json": {"schema": schema, "examples": examples}}
    patch = {"schema": {"$ref": f"{COMPONENTS}JsonPatch"}, "examples": examples}
    merge = {"schema": {"type": "object"}, "example": _merge_example(resource, endpoint, is_legacy)}
    return {media: merge if "merge" in media else patch for media in PATCH_TYPES}


def _merge_example(resource: Resource, endpoint: Endpoint, is_legacy: bool) -> Schema:
    """A merge patch that does what the first example of a JSON Patch does, which replaces a member at the root."""
    [operation] = next(iter(endpoint.examples.values()))
    merge = {operation["path"].removeprefix("/"): operation["value"]}
    return legacy_document(merge, resource.aliases) if is_legacy else merge


def _responses(resource: Resource, endpoint: Endpoint, is_legacy: bool) -> Schema:
    answers = {**endpoint.answers, **COMMON_ANSWERS, **(BODY_ANSWERS if endpoint.body != "none" else {})}
    if endpoint.method != "GET":
        answers = {200: "With `dry_run`: what would happen.", **GUARD_ANSWERS, **answers}
    elif _is_of_one_document(endpoint):
        answers[304] = "You have it already (`If-None-Match`)."
    if endpoint.method != "GET" or _is_of_one_document(endpoint):
        answers.setdefault(400, "A header or a parameter is not valid.")
    responses: Schema = {}
    for status, meaning in sorted(answers.items()):
        response: Schema = {"description": meaning}
        if status in (200, 201):
            described = _answer if status == 200 else _published_answer
            response["content"] = {"application/json": described(resource, endpoint, is_legacy)}
            if endpoint.streams != "never":
                kept = {} if endpoint.streams == "always" else response["content"]
                response["content"] = {**kept, "text/event-stream": {"schema": {"type": "string"}}}
            response["headers"] = _answer_headers(endpoint)
        elif status == 304:
            response["headers"] = VERSION_HEADERS | headers_of(x_message="Why there is no body.")
        elif status >= 400:
            response["content"] = {"application/json": {"schema": {"$ref": f"{COMPONENTS}Error"}}}
        responses[str(status)] = response
    return responses


def _answer_headers(endpoint: Endpoint) -> Schema:
    if endpoint.method == "GET":
        return dict(VERSION_HEADERS) if _is_of_one_document(endpoint) else {}
    return VERSION_HEADERS | WRITE_HEADERS | (LENIENT_HEADERS if endpoint.body == "patch" else {})


def _answer(resource: Resource, endpoint: Endpoint, is_legacy: bool) -> Schema:
    """What a 200 holds: for a write, the published answer or a preview."""
    answer = _published_answer(resource, endpoint, is_legacy)
    if endpoint.method == "GET":
        return answer
    preview = {"$ref": COMPONENTS + "Preview"}
    return {**answer, "schema": {"oneOf": [answer["schema"], preview]} if 200 in endpoint.answers else preview}


def _published_answer(resource: Resource, endpoint: Endpoint, is_legacy: bool) -> Schema:
    if endpoint.answer_schema is not None:
        schema = dict(endpoint.answer_schema)
        return {"schema": _in_legacy_words(schema, {}, resource.aliases) if is_legacy else schema}
    document: Schema = {"$ref": COMPONENTS + _name(resource, is_legacy)}
    if endpoint.answers_with == "document":
        return {"schema": document, "example": _example(resource, is_legacy)}
    members = {"data": {"type": "array", "items": document}, "total_count": {"type": "integer"}}
    return {"schema": {"type": "object", "required": ["data", "total_count"], "properties": members}}


def _example(resource: Resource, is_legacy: bool) -> Schema:
    told = {resource.id_member: resource.names.example_id, **dict.fromkeys(READ_ONLY_TIMES, EXAMPLE_TIME)}
    example = framed(resource, judge(resource, resource.example).stored, 1, told)
    return legacy_document(example, resource.aliases) if is_legacy else example
