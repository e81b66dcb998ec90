"""Suites of rehearsals: visitors from a script, what they do, and what must hold then (docs/howto/rehearse.md).

An operation of this server's own; the published API has none. PALs name a suite in their rehearsal gate.
"""

from functools import partial
from typing import Any

from palace import verbs
from palace.rehearsal import Suite, rules
from palace.resource import Document, Endpoint, Names, Resource, Stamp

KIND = "rehearsal_suite"

EXAMPLE: Document = {
    "name": "Night desk",
    "visitors": [
        {
            "name": "asks for a price",
            "steps": [
                {"expect": {"matches": ["(?i)night desk"]}},
                {
                    "say": "How much is a room for two nights?",
                    "expect": {
                        "calls": [{"tool": "room_rate", "arguments": {"nights": 2}}],
                        "matches": ["180"],
                        "judge": ["The answer is short and polite."],
                    },
                },
            ],
        }
    ],
    "tools": [{"tool": "room_rate", "arguments": {"nights": 2}, "output": {"euros": 180}}],
    "runs": 3,
}
LIST = verbs.ListStyle(default_sort="desc", search="name_or_uuid", left_out=("visitors", "tools"))

TEXT: dict[str, Any] = {"type": "string"}
TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
INTEGER: dict[str, Any] = {"type": "integer"}
ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["suite_id", "name", "runs", "most_turns", "visitors_count", "created_at", "updated_at"],
    "properties": {
        "suite_id": TEXT,
        "name": TEXT,
        "runs": INTEGER,
        "most_turns": INTEGER,
        "visitors_count": INTEGER,
        "created_at": TIME,
        "updated_at": TIME,
    },
}
UNKNOWN = "`Invalid suite_id`: unknown, or not yours."
OWN = ("An operation of this server's own: the published API has no rehearsals.",)

REHEARSAL_SUITE = Resource(
    kind=KIND,
    names=Names("rehearsal-suites", "Rehearsals", "a rehearsal suite", "suite_id", "rs", "rs0a1b2c3d4e5"),
    model=Suite,
    example=EXAMPLE,
    stamps=(Stamp("visitors_count", {"type": "integer"}, lambda fields, _owner: len(fields["visitors"])),),
    rules=rules,
    labels={"name": ("name",)},
    endpoints=(
        Endpoint(
            "POST",
            "",
            "createRehearsalSuite",
            "Create a rehearsal suite",
            "Creates a suite: visitors with what they say and what must hold then, and what tools answer meanwhile.",
            verbs.create,
            answers={200: "The suite.", 400: "The document is not a valid suite; every problem is told."},
            body="document",
            differs=OWN,
        ),
        Endpoint(
            "GET",
            "",
            "listRehearsalSuites",
            "List rehearsal suites",
            "Your suites without their visitors and tools, newest first.",
            partial(verbs.list_page, style=LIST),
            answers={200: "One page of suites.", 400: "A query parameter is not valid."},
            parameters=verbs.list_parameters(LIST),
            answer_schema=verbs.page_schema(ITEM, LIST),
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getRehearsalSuite",
            "Get a rehearsal suite",
            "The whole suite.",
            verbs.read,
            answers={200: "The suite.", 400: UNKNOWN},
        ),
        Endpoint(
            "PATCH",
            "/{id}",
            "patchRehearsalSuite",
            "Patch a rehearsal suite",
            "Changes parts of a suite with a JSON Patch (RFC 6902) or a merge patch (RFC 7396). What was green with it "
            "before proves nothing for a gate any more.",
            verbs.patch,
            answers={
                200: "Changed: the whole suite.",
                304: "Nothing was changed.",
                400: f"The result would not be a valid suite, or {UNKNOWN}",
                422: "`Invalid JSON patch format`, or an operation does not fit the document.",
            },
            body="patch",
            examples={
                "another name": [{"op": "replace", "path": "/name", "value": "Night desk, German"}],
                "more runs": [{"op": "replace", "path": "/runs", "value": 5}],
            },
        ),
        Endpoint(
            "DELETE",
            "/{id}",
            "deleteRehearsalSuite",
            "Delete a rehearsal suite",
            "Deletes the suite. One that a rehearsal gate names is kept, unless `cascade` is true; then the gate lets "
            "nothing through until it names another one.",
            verbs.delete,
            answers={204: "Deleted.", 400: UNKNOWN, 409: "A rehearsal gate names it: see `details`."},
            parameters=(verbs.CASCADE,),
        ),
        verbs.references_endpoint("a rehearsal suite"),
        *verbs.history_endpoints("a rehearsal suite"),
    ),
)
