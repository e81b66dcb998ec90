"""The registry of skills: what PALs can have beyond talking (contract 7). It is data: see `palace/skills.py`."""

import orjson

from palace.call import Call, Reply
from palace.errors import UnknownSkill
from palace.resource import Endpoint, Names, Parameter, Resource, Services, Wording
from palace.skills import Skill as Registered
from palace.validation import Model


class Skill(Model):
    """What is shown of a skill."""

    skill_id: str
    display_name: str
    description: str


def enabled_skill(id: str, services: Services) -> Registered:
    """The skill with this id, if PALs can have it here. Raises UnknownSkill."""
    skill = services.skills.get(id)
    if skill is None:
        raise UnknownSkill([id])
    if not skill.enabled:
        problem = "This skill is switched off here; the operator of the server can enable it in the skills file."
        raise UnknownSkill([id], problem)
    return skill


async def list_skills(_resource: Resource, _call: Call, services: Services) -> Reply:
    """`{data}`: every skill that a PAL can have here."""
    return Reply(200, orjson.dumps({"data": [skill.shown for skill in services.skills.values() if skill.enabled]}))


async def read_skill(_resource: Resource, call: Call, services: Services) -> Reply:
    """One skill. Raises UnknownSkill."""
    return Reply(200, orjson.dumps(enabled_skill(call.ids["skill_id"], services).shown))


SCHEMA = Skill.model_json_schema()

SKILL = Resource(
    kind="skill",
    names=Names("skills", "Skills", "a skill", "skill_id", "", "internet_search"),
    wording=Wording(unknown=(404, "Unknown skill")),
    model=Skill,
    example={"skill_id": "internet_search", "display_name": "Internet search", "description": "Looks things up."},
    endpoints=(
        Endpoint(
            "GET",
            "",
            "listSkills",
            "List skills",
            "What a PAL can have on this server; an operator can add skills.",
            list_skills,
            answers={200: "All skills."},
            answer_schema={
                "type": "object",
                "required": ["data"],
                "properties": {"data": {"type": "array", "items": SCHEMA}},
            },
        ),
        Endpoint(
            "GET",
            "/{skill_id}",
            "getSkill",
            "Get a skill",
            "One skill of the registry.",
            read_skill,
            answers={200: "The skill.", 404: "`Unknown skill`: there is none, or it is switched off on this server."},
            parameters=(
                Parameter(
                    "skill_id", {"type": "string", "minLength": 1, "example": "internet_search"}, "The skill.", True
                ),
            ),
            answer_schema=SCHEMA,
            differs=(
                "`browser_use` is switched off until the operator of the server enables it in the skills file; until "
                "then it is answered like a skill that does not exist, with 404 instead of 403.",
            ),
        ),
    ),
)
