"""Objectives: what a PAL is to reach in a conversation, step by step (contract 8).

A set of them is one object, and a PAL has one set through `objectives_id`. Each objective names those that follow.
"""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, StringConstraints, model_validator

from palace import verbs
from palace.call import Call, Reply
from palace.resource import Document, Endpoint, Names, Problem, Resource, Services, Wording
from palace.resources.members import CallbackUrl, Modality, PlainName
from palace.resources.objectives.graph import loops, roots
from palace.validation import Model
from palace.verbs.writing import Outcome, judged_new, shown

MOST_OBJECTIVES = 50
ONE_ROOT = "Objective chain must have exactly one root (an objective not referenced by any other)"

Place = tuple[str | int, ...]


# --- Models -----------------------------------------------------------------------------------------------------------


class Objective(Model):
    """One step, and where it leads."""

    objective_name: PlainName
    """Its name among the others of the set."""
    objective_prompt: Annotated[str, StringConstraints(max_length=10_000)]
    """What the PAL is to find out or to achieve."""
    confirmation_mode: Literal["auto", "manual"] = "auto"
    """Who tells that it is reached: `auto`, the PAL."""
    output_variables: list[str] = Field(default_factory=list, max_length=50)
    """What is to be noted down."""
    modality: Modality = "verbal"
    next_required_objective: str | None = None
    """The name of the objective that follows in any case."""
    next_conditional_objectives: Annotated[dict[str, str], Field(max_length=MOST_OBJECTIVES)] | None = None
    """Names of objectives, each with the condition under which it follows."""
    callback_url: CallbackUrl = ""
    tool_call: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _as_stored(self) -> "Objective":
        """Every member is stored, so that each of them can be replaced."""
        self.__pydantic_fields_set__.update(type(self).model_fields)
        return self


class Objectives(Model):
    """What a client may write of a set of objectives."""

    name: Annotated[str, StringConstraints(max_length=100)] | None = None
    data: list[Objective] = Field(min_length=1, max_length=MOST_OBJECTIVES)
    allow_loops: bool = False
    """Whether objectives may lead back to others, and begin anywhere."""


# --- Rules ------------------------------------------------------------------------------------------------------------


def rules(objectives: Objectives) -> Iterator[Problem]:
    """Names that are different, ways that lead somewhere, and one way in.

    Where the set begins is judged once every name is one: until then nobody can tell.
    """
    named: dict[str, int] = {}
    for index, objective in enumerate(objectives.data):
        if named.setdefault(objective.objective_name, index) != index:
            place = ("data", index, "objective_name")
            yield Problem(place, "duplicate", "Another objective of the set has this name already.")
        yield from _exclusive(index, objective)
    found = [problem for place, target in _ways(objectives) if (problem := _misled(place, target, objectives, named))]
    yield from found
    if not objectives.allow_loops:
        yield from _shape(objectives, named, is_complete=not found)


def _exclusive(index: int, objective: Objective) -> Iterator[Problem]:
    if objective.next_required_objective and objective.next_conditional_objectives:
        text = "Cannot be used together with next_required_objective."
        facts = {"excludes": f"/data/{index}/next_required_objective"}
        yield Problem(("data", index, "next_conditional_objectives"), "exclusive", text, facts=facts)


def _ways(objectives: Objectives) -> Iterator[tuple[Place, str]]:
    """Every reference: where it stands, and the name it has."""
    for index, objective in enumerate(objectives.data):
        if objective.next_required_objective:
            yield ("data", index, "next_required_objective"), objective.next_required_objective
        for name in objective.next_conditional_objectives or ():
            yield ("data", index, "next_conditional_objectives", name), name


def _misled(place: Place, target: str, objectives: Objectives, named: dict[str, int]) -> Problem | None:
    if target not in named:
        return Problem(place, "unknown_reference", "No objective of the set has this name.")
    if target == objectives.data[int(place[1])].objective_name:
        return Problem(place, "self_reference", "An objective cannot lead to itself.")
    return None


def _shape(objectives: Objectives, named: dict[str, int], *, is_complete: bool) -> Iterator[Problem]:
    """One root, and no way back. Objectives of one name count as one: the first."""
    ways: dict[tuple[int, int], Place] = {}
    for place, target in _ways(objectives):
        start = named[objectives.data[int(place[1])].objective_name]
        if target in named and named[target] != start:
            ways.setdefault((start, named[target]), place)
    nodes = list(named.values())
    numbers = {index: number for number, index in enumerate(nodes)}
    leads_to: list[list[int]] = [[] for _ in nodes]
    for start, end in ways:
        leads_to[numbers[start]].append(numbers[end])
    found = roots(leads_to)
    if is_complete and len(found) != 1:
        facts = {"roots": [f"/data/{nodes[root]}" for root in found]}
        yield Problem(("data",), "no_single_root", ONE_ROOT, form="bare", facts=facts)
    closing: dict[int, list[int]] = {}
    for loop in loops(leads_to):
        closing.setdefault(loop[-1], loop)
    for loop in closing.values():  # One for each objective that leads back.
        text = "Leads back to an objective that leads here: change that, or set allow_loops to true."
        facts = {"loop": [f"/data/{nodes[number]}" for number in loop]}
        yield Problem(ways[nodes[loop[-1]], nodes[loop[0]]], "loop", text, facts=facts)


# --- Handlers ---------------------------------------------------------------------------------------------------------


def receipt(outcome: Outcome) -> Reply:
    """What Create Objectives answers with: the name of the set is called `objective_name` there (contract 8)."""
    made = outcome.document
    said = {
        "objectives_id": made["objectives_id"],
        "objective_name": made["name"],
        "status": "active",
        "created_at": made["created_at"],
    }
    return Reply(200, orjson.dumps(said), outcome.headers)


async def validate(resource: Resource, call: Call, services: Services) -> Reply:
    """`{"valid": true}`, or what Create Objectives would say; nothing is stored. Raises InvalidDocument and its kin."""
    del services
    judged_new(resource, call, "")
    return Reply(200, b'{"valid":true}')


async def patch(resource: Resource, call: Call, services: Services) -> Reply:
    """`verbs.patch`, answered with a sentence unless the client wants the document (contract 8)."""
    answer = shown if call.wants_representation else told
    return await verbs.patch(resource, call, services, answer=answer)


def told(outcome: Outcome) -> Reply:
    """200 with a sentence."""
    return Reply(200, orjson.dumps({"message": "Objective updated successfully"}), outcome.headers)


# --- The resource -----------------------------------------------------------------------------------------------------

EXAMPLE: Document = {
    "name": "Check-in",
    "data": [
        {
            "objective_name": "ask_name",
            "objective_prompt": "Ask the guest for the name under which the room is booked.",
            "output_variables": ["guest_name"],
            "next_required_objective": "ask_dates",
        },
        {
            "objective_name": "ask_dates",
            "objective_prompt": "Ask when the guest arrives and leaves.",
            "output_variables": ["arrive", "leave"],
        },
    ],
}
LIST = verbs.ListStyle(default_sort="ascending", search="name_or_uuid", owned_by="type")
TEXT: dict[str, Any] = {"type": "string"}
RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["objectives_id", "objective_name", "status", "created_at"],
    "properties": {
        "objectives_id": TEXT,
        "objective_name": {"type": ["string", "null"], "description": "The name of the set."},
        "status": {"const": "active"},
        "created_at": {"type": "string", "format": "date-time"},
    },
}
VALID: dict[str, Any] = {"type": "object", "required": ["valid"], "properties": {"valid": {"const": True}}}
MESSAGE: dict[str, Any] = {
    "anyOf": [
        {"type": "object", "required": ["message"], "properties": {"message": TEXT}},
        {"$ref": "#/components/schemas/Objectives"},
    ]
}
UNKNOWN = "`Objective not found`: unknown, or not yours."
NOT_VALID = "The document is not a valid set of objectives."

OBJECTIVES = Resource(
    kind="objectives",
    names=Names("objectives", "Objectives", "an objective set", "objectives_id", "o", "o7fb756385afe", id_digits=12),
    wording=Wording(
        unknown=(404, "Objective not found"),
        patch=(400, "Invalid patch operation"),
        missing={"objective_name": "objective_name is required"},
    ),
    model=Objectives,
    example=EXAMPLE,
    rules=rules,
    labels={"name": ("name",)},
    synonyms={"/objectives": "/data", "/objectives_name": "/name"},
    endpoints=(
        Endpoint(
            "POST",
            "",
            "createObjectives",
            "Create objectives",
            "Creates a set of 1 to 50 objectives and answers with a short receipt.",
            partial(verbs.create, answer=receipt),
            answers={200: "The set was created.", 400: NOT_VALID},
            body="document",
            answer_schema=RECEIPT,
        ),
        Endpoint(
            "POST",
            "/validate",
            "validateObjectives",
            "Check objectives",
            "Tells whether Create Objectives would take this document; nothing is stored.",
            validate,
            answers={200: "It would.", 400: NOT_VALID},
            body="document",
            answer_schema=VALID,
            differs=("The published API does not describe this operation; clients use it, and read only its status.",),
        ),
        Endpoint(
            "GET",
            "",
            "listObjectives",
            "List objectives",
            "Your sets of objectives, oldest first.",
            partial(verbs.list_page, style=LIST),
            answers={200: "One page of sets.", 400: "A query parameter is not valid."},
            parameters=verbs.list_parameters(LIST),
            answers_with="page",
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getObjectives",
            "Get objectives",
            "The set that Patch Objectives works on.",
            verbs.read,
            answers={200: "The set.", 404: UNKNOWN},
            differs=(
                "`data` is the array of all objectives of the set, as the live service answers; its reference page "
                "shows one object.",
            ),
        ),
        Endpoint(
            "PATCH",
            "/{id}",
            "patchObjectives",
            "Patch objectives",
            "Changes a set with a JSON Patch (RFC 6902): all operations or none. Objectives stand in `/data/0` and so "
            "on. With `Prefer: return=representation` the answer is the whole set.",
            patch,
            answers={
                200: "Changed.",
                304: "Nothing was changed.",
                400: "`Invalid patch operation`, or the result would not be a valid set.",
                404: UNKNOWN,
            },
            body="patch",
            answer_schema=MESSAGE,
            examples={
                "another name": [{"op": "replace", "path": "/name", "value": "Late check-in"}],
                "another prompt": [
                    {"op": "replace", "path": "/data/0/objective_prompt", "value": "Ask the guest for a name."}
                ],
                "one more objective": [
                    {"op": "replace", "path": "/data/1/next_required_objective", "value": "say_goodbye"},
                    {
                        "op": "add",
                        "path": "/data/-",
                        "value": {"objective_name": "say_goodbye", "objective_prompt": "Wish a good night."},
                    },
                ],
            },
            differs=(
                "Paths lead to an objective through `/data/<index>`; the short form `/objective_name` of one published "
                "example is refused, because a set has many.",
                "A set whose objectives lead in a circle is refused unless `allow_loops` is true: the live service was "
                "seen to take one, and conversations broke.",
            ),
        ),
        Endpoint(
            "DELETE",
            "/{id}",
            "deleteObjectives",
            "Delete objectives",
            "Deletes the set; PALs that used it use none.",
            verbs.delete,
            answers={204: "Deleted.", 404: UNKNOWN},
            differs=(
                "An unknown id is always 404; the published page also has a 400 `Invalid objectives_id`, without "
                "telling the two apart.",
            ),
        ),
        verbs.references_endpoint("an objective set", 404),
        *verbs.history_endpoints("an objective set", unknown=404),
    ),
)
