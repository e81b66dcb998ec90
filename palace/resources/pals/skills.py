"""The skills that a PAL has, and their configurations (contract 7).

All of them are one document per PAL, made when the first one is attached, so that each change is one revision and the
whole set can be rolled back. It goes and comes back with its PAL.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from palace import verbs
from palace.call import Call, Reply
from palace.clock import timestamp
from palace.errors import ClientError, Detail, PreconditionFailed, SkillNotAttached, UnknownSkill
from palace.etags import is_matched, tags_in
from palace.resource import (
    MOST_PROBLEMS,
    Document,
    Endpoint,
    Handler,
    Legacy,
    Names,
    Parameter,
    Resource,
    Services,
    Wording,
)
from palace.resources.pals.attachments import (
    Attachment,
    Attachments,
    PalSkills,
    attached,
    attachment_of,
    detached,
    member_of,
    merged,
    misfit,
    misfits,
)
from palace.resources.skills import enabled_skill
from palace.storage import Shown, Transaction
from palace.verbs.deleting import take_away
from palace.verbs.history import bring_back_record, remembered_record
from palace.verbs.patching import guarded, patched
from palace.verbs.reading import own, version_headers
from palace.verbs.writing import Outcome, Wanted, carry_out, store_change
from palace.vocabulary import aliases

KIND = "pal_skills"
Change = Callable[[Attachments], Attachments]


# --- Handlers ---------------------------------------------------------------------------------------------------------


async def list_attached(resource: Resource, call: Call, services: Services) -> Reply:
    """`{data}`: what is attached, by the ids of the skills. Raises InvalidId."""
    return await _read(resource, call, services, lambda skills: {"data": skills})


async def read_attached(resource: Resource, call: Call, services: Services) -> Reply:
    """One attachment. Raises InvalidId and SkillNotAttached."""
    return await _read(resource, call, services, lambda skills: attachment_of(skills, call.ids["skill_id"]))


async def _read(resource: Resource, call: Call, services: Services, shown: Callable[[Attachments], Document]) -> Reply:
    tx, id, account = services.store.reading, call.ids["id"], call.account.id
    if await tx.read("pal", id, account) is None:
        raise resource.unknown()
    known = tags_in(call.if_none_match, "If-None-Match") if call.if_none_match is not None else ()
    found = await tx.read(KIND, id, account)
    said = orjson.dumps(shown(_skills_in(found)))
    if found is None:  # No skill has ever been attached: there is no state yet that a tag could stand for.
        return Reply(200, said)
    headers = version_headers(found.etag, found.revision)
    return Reply(304, headers=headers) if is_matched(known, found.etag) else Reply(200, said, headers)


def _skills_in(found: Shown | None) -> Attachments:
    skills: Attachments = orjson.loads(found.body)["skills"] if found else {}
    return skills


async def put_one(resource: Resource, call: Call, services: Services) -> Reply:
    """Attach a skill, or give an attached one another configuration: 200 with the attachment.

    Raises InvalidId, UnknownSkill, InvalidDocument.
    """
    config, now = member_of(call.body, "config"), _now(services)

    def change(skills: Attachments) -> Attachments:
        skill = enabled_skill(call.ids["skill_id"], services)
        if problems := misfits(skill, config):
            raise misfit(problems, lambda place: ("config", *place))
        return attached(skills, skill, config, now)

    return await _change(resource, call, services, change, "attach", lambda outcome: _one(outcome, call))


async def patch_one(resource: Resource, call: Call, services: Services) -> Reply:
    """Merge into the configuration of an attached skill: 200 with the attachment, 304 when nothing changes.

    Raises InvalidId, UnknownSkill, SkillNotAttached, InvalidDocument.
    """
    sent, now = member_of(call.body, "config", is_required=True), _now(services)

    def change(skills: Attachments) -> Attachments:
        skill = enabled_skill(call.ids["skill_id"], services)
        config = merged(attachment_of(skills, skill.skill_id)["config"], sent)
        if problems := misfits(skill, config):
            raise misfit(problems, lambda place: ("config", *place))
        return attached(skills, skill, config, now)

    def answer(outcome: Outcome) -> Reply:
        return patched(outcome, resource, call, lambda outcome: _one(outcome, call))

    return await _change(resource, call, services, change, "patch", answer)


async def detach(resource: Resource, call: Call, services: Services) -> Reply:
    """Take a skill from a PAL: 204. Raises InvalidId and SkillNotAttached."""
    id = call.ids["skill_id"]
    return await _change(
        resource, call, services, lambda skills: detached(skills, id), "detach", lambda _outcome: Reply(204)
    )


async def put_all(resource: Resource, call: Call, services: Services) -> Reply:
    """Attach these skills and detach all others: 200 with `{data}`. Raises InvalidId, UnknownSkill, InvalidDocument."""
    sent, now = member_of(call.body, "skills", is_required=True), _now(services)

    def change(skills: Attachments) -> Attachments:
        unknown = [id for id in sent if id not in services.skills or not services.skills[id].enabled]
        if unknown:
            raise UnknownSkill(unknown[:MOST_PROBLEMS])
        configs = {id: member_of(value, "config", ("skills", id)) for id, value in sent.items()}
        problems = [
            replace(problem, pointer=(id, *problem.pointer))
            for id, config in configs.items()
            for problem in misfits(services.skills[id], config)
        ]
        if problems:
            raise misfit(problems, lambda place: ("skills", place[0], "config", *place[1:]))
        after: Attachments = {}
        for id, config in configs.items():
            one = {id: skills[id]} if id in skills else {}
            after |= attached(one, services.skills[id], config, now)
        return after

    return await _change(
        resource,
        call,
        services,
        change,
        "replace",
        lambda outcome: Reply(200, orjson.dumps({"data": outcome.document["skills"]}), outcome.headers),
    )


def _now(services: Services) -> str:
    """The present moment as this part of the API writes it, with `+00:00` (contract 1.7)."""
    return timestamp(services.clock.now()).replace("Z", "+00:00")


def _one(outcome: Outcome, call: Call) -> Reply:
    return Reply(200, orjson.dumps(outcome.document["skills"][call.ids["skill_id"]]), outcome.headers)


async def _change(
    resource: Resource,
    call: Call,
    services: Services,
    change: Change,
    action: str,
    answer: Callable[[Outcome], Reply],
) -> Reply:
    """Store what `change` makes of the skills of a PAL. Raises InvalidId for a PAL that is not the client's."""
    id, account = call.ids["id"], call.account.id

    async def work(tx: Transaction) -> Outcome:
        own(resource, await tx.get("pal", id, account))
        record = await tx.get(KIND, id, account)
        if record is None:
            skills = change({})
            if call.if_match is not None:
                tags_in(call.if_match, "If-Match")
                problem = "This PAL has had no skill yet, so there is nothing that an ETag could match."
                raise PreconditionFailed([Detail("unknown_etag", problem)], {})
            return await verbs.create_at(resource, tx, call, id, {"skills": skills}, services)
        before = orjson.loads(record.body)

        async def store() -> Outcome:
            wanted = Wanted({**before, "skills": change(before["skills"])}, action)
            return await store_change(resource, tx, call, record, before, wanted, services)

        return await guarded(tx, call, record, store, services)

    return await carry_out(call, services, work, answer)


# --- With their PAL ---------------------------------------------------------------------------------------------------


async def delete_with_pal(
    tx: Transaction, call: Call, _outcome: Outcome, services: Services
) -> Sequence[Mapping[str, Any]]:
    """Delete the skills of a PAL after the PAL itself, so that they are never forgotten before it."""
    record = await tx.get(KIND, call.ids["id"], call.account.id)
    if record is None:
        return ()
    await take_away(tx, call, record, services)
    return [{"kind": KIND, "id": record.id, "what": "deleted"}]


async def restore_with_pal(
    tx: Transaction, call: Call, _outcome: Outcome, services: Services
) -> Sequence[Mapping[str, Any]]:
    """Bring back the skills that were deleted with their PAL."""
    found = await tx.get_with_deleted(KIND, call.ids["id"], call.account.id)
    if found is None or found[1] is None:
        return ()
    await bring_back_record(PAL_SKILLS, tx, call, found[0], services)
    return [{"kind": KIND, "id": found[0].id, "what": "restored"}]


def if_ever_attached(handler: Handler) -> Handler:
    """The handler of an operation on the history; a PAL that has had no skill yet has none."""

    async def checked(resource: Resource, call: Call, services: Services) -> Reply:
        tx = services.store.reading
        if await tx.get_with_deleted(KIND, call.ids["id"], call.account.id) is None:
            try:
                await remembered_record(services.kinds["pal"], tx, call, services)
            except ClientError as error:
                raise resource.unknown() from error
            raise SkillNotAttached("This PAL has had no skill yet, so there is no history of any.")
        return await handler(resource, call, services)

    return checked


# --- The resource -----------------------------------------------------------------------------------------------------

SKILL_ID = Parameter("skill_id", {"type": "string", "minLength": 1, "example": "magic_canvas"}, "The skill.", True)
ATTACHMENT = Attachment.model_json_schema()
ATTACHMENTS: Document = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "object", "additionalProperties": ATTACHMENT}},
}
CONFIG: Document = {"type": "object", "description": "See the skill for its members."}
NO_PAL = "`PAL not found`: unknown, or not yours"
PUT_SCHEMA: Document = {"type": "object", "additionalProperties": False, "properties": {"config": CONFIG}}
DIFFERS_IN_DEFAULTS = (
    "Members of a configuration that have a default are stored and shown with it when they are left out."
)
DIFFERS_IN_DOCUMENTS = (
    "The `document_ids` of `presentation` are not looked up, because documents are not served yet; any text is taken."
)
DIFFERS_IN_CANVAS = (
    "`magic_canvas` is strictly validated, but the flat members that older clients write (`scheduling`, "
    "`scheduling_provider`, `scheduling_booking_link`) are taken and kept as they are."
)

HISTORY = tuple(
    replace(
        endpoint,
        path=endpoint.path.replace("/{id}/", "/{id}/skills-history/"),
        handler=if_ever_attached(endpoint.handler),
        answers={**endpoint.answers, 400: f"{NO_PAL}; or the request is not valid.", 404: "There is no such revision."},
    )
    for endpoint in verbs.history_endpoints("the PAL skills")
    if not endpoint.path.endswith("/restore")
)

PAL_SKILLS = Resource(
    kind=KIND,
    names=Names(
        "pals",
        "PAL skills",
        "the PAL skills",
        "pal_id",
        "p",
        "pcb7a34da5fe",
        legacy=Legacy("persona_skills", "personas", aliases({"pal_id": "persona_id"})),
    ),
    wording=Wording(unknown=(400, "PAL not found"), stock="PAL not found"),
    model=PalSkills,
    example={},
    endpoints=(
        Endpoint(
            "GET",
            "/{id}/skills",
            "listPalSkills",
            "List the skills of a PAL",
            "What is attached, by the ids of the skills.",
            list_attached,
            answers={200: "The skills of the PAL.", 400: f"{NO_PAL}."},
            answer_schema=ATTACHMENTS,
        ),
        Endpoint(
            "PUT",
            "/{id}/skills",
            "replacePalSkills",
            "Replace the skills of a PAL",
            "Attaches these skills, or configures them anew, and detaches all others.",
            put_all,
            answers={
                200: "The skills of the PAL.",
                400: f"{NO_PAL}; or a configuration does not fit.",
                404: "`Unknown skill`.",
            },
            body="object",
            body_schema={
                "type": "object",
                "required": ["skills"],
                "additionalProperties": False,
                "properties": {"skills": {"type": "object", "additionalProperties": PUT_SCHEMA}},
            },
            answer_schema=ATTACHMENTS,
            examples={
                "two skills": {
                    "skills": {"internet_search": {}, "magic_canvas": {"config": {"components": {"chart": {}}}}}
                }
            },
            differs=("An unknown skill in the body is 404, as it is in the path.",),
        ),
        Endpoint(
            "GET",
            "/{id}/skills/{skill_id}",
            "getPalSkill",
            "Get a skill of a PAL",
            "One attachment with its configuration.",
            read_attached,
            answers={200: "The attachment.", 400: f"{NO_PAL}.", 404: "The PAL does not have this skill."},
            parameters=(SKILL_ID,),
            answer_schema=ATTACHMENT,
        ),
        Endpoint(
            "PUT",
            "/{id}/skills/{skill_id}",
            "attachPalSkill",
            "Attach a skill to a PAL",
            "Attaches the skill, or gives an attached one another configuration.",
            put_one,
            answers={
                200: "The attachment.",
                400: f"{NO_PAL}; or the configuration does not fit.",
                404: "`Unknown skill`.",
            },
            body="optional",
            body_schema=PUT_SCHEMA,
            parameters=(SKILL_ID,),
            answer_schema=ATTACHMENT,
            examples={"without a configuration": {"config": {}}},
            differs=(DIFFERS_IN_DEFAULTS, DIFFERS_IN_DOCUMENTS, DIFFERS_IN_CANVAS),
        ),
        Endpoint(
            "PATCH",
            "/{id}/skills/{skill_id}",
            "updatePalSkill",
            "Change the configuration of a skill",
            "Replaces the members that are sent, each as a whole; a member that is sent as null is taken away.",
            patch_one,
            answers={
                200: "The attachment.",
                304: "Nothing was changed.",
                400: f"{NO_PAL}; or the configuration would not fit.",
                404: "`Unknown skill`, or the PAL does not have it.",
            },
            body="object",
            body_schema={**PUT_SCHEMA, "required": ["config"]},
            parameters=(SKILL_ID,),
            answer_schema=ATTACHMENT,
            examples={"one more member": {"config": {"usage_guidance": "Show a card for every price."}}},
        ),
        Endpoint(
            "DELETE",
            "/{id}/skills/{skill_id}",
            "detachPalSkill",
            "Detach a skill from a PAL",
            "Takes the skill, and its configuration, from the PAL.",
            detach,
            answers={204: "Detached.", 400: f"{NO_PAL}.", 404: "The PAL does not have this skill."},
            parameters=(SKILL_ID,),
        ),
        *HISTORY,
    ),
)
