"""What a PAL's skills are, how a change makes others of them, and what a client may send for one; pure (contract 7)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from palace.errors import ClientError, SkillNotAttached
from palace.json_patch import equal, format_pointer
from palace.resource import MOST_PROBLEMS, Document, Problem
from palace.schemas import schema_problems, with_defaults
from palace.skills import Skill
from palace.validation import Model, not_an_object, refuse

Attachments = dict[str, dict[str, Any]]
"""What is attached, by the ids of the skills."""
Place = tuple[str | int, ...]


# --- Models -----------------------------------------------------------------------------------------------------------


class Attachment(Model):
    """A skill that a PAL has."""

    skill_id: str
    config: dict[str, Any] = Field(default_factory=dict)
    attached_at: str
    updated_at: str
    """When its configuration changed last."""


class PalSkills(Model):
    """Everything that is attached to one PAL, by the ids of the skills."""

    skills: dict[str, Attachment] = Field(default_factory=dict)


# --- Changes of a set of skills, pure ---------------------------------------------------------------------------------


def attached(skills: Attachments, skill: Skill, config: Document, now: str) -> Attachments:
    """The skills with one more, or with another configuration of it; its defaults are filled in."""
    complete, known = with_defaults(skill.schema, config), skills.get(skill.skill_id)
    if known is not None and equal(known["config"], complete):
        return skills
    attached_at = known["attached_at"] if known else now
    entry = {"skill_id": skill.skill_id, "config": complete, "attached_at": attached_at, "updated_at": now}
    return {**skills, skill.skill_id: entry}


def detached(skills: Attachments, id: str) -> Attachments:
    """The skills without one of them. Raises SkillNotAttached."""
    attachment_of(skills, id)
    return {other: entry for other, entry in skills.items() if other != id}


def attachment_of(skills: Attachments, id: str) -> dict[str, Any]:
    """One of the skills. Raises SkillNotAttached."""
    if id not in skills:
        raise SkillNotAttached("The PAL does not have this skill; PUT attaches it.")
    return skills[id]


def merged(before: Document, sent: Document) -> Document:
    """A configuration with the members that were sent in place of those it has; null takes one away."""
    return {name: value for name, value in {**before, **sent}.items() if name not in sent or value is not None}


# --- What is sent -----------------------------------------------------------------------------------------------------


def misfits(skill: Skill, config: Document) -> list[Problem]:
    """What is wrong with a configuration."""
    return schema_problems(skill.schema, with_defaults(skill.schema, config))


def misfit(problems: Sequence[Problem], place: Callable[[Place], Place]) -> ClientError:
    """The 400 for configurations, as this part of the API words it; `place` tells where in the body a problem is."""
    problems = problems[:MOST_PROBLEMS]
    refusal = refuse(problems)
    refusal.text = refusal.text.replace("Bad Request.", "Bad Request:", 1)
    located = zip(refusal.details, problems, strict=True)
    refusal.details = tuple(
        replace(detail, pointer=format_pointer(place(problem.pointer))) for detail, problem in located
    )
    return refusal


def member_of(sent: Any, name: str, place: Place = (), *, is_required: bool = False) -> Document:
    """The one member that a body, or a part of one at `place`, may have: an object. Raises InvalidDocument."""
    if sent is None and not is_required and not place:  # An empty body.
        return {}
    if not isinstance(sent, dict):
        raise refuse([_no_object(sent, place, name)])
    problems = [Problem((*place, other), "unknown_field", "Unknown field.") for other in sent if other != name]
    value = sent.get(name, {})
    if name not in sent and is_required:
        problems.append(Problem((*place, name), "missing", "Missing data for required field."))
    elif not isinstance(value, dict):
        problems.append(_no_object(value, (*place, name), name))
    if problems:
        raise refuse(problems)
    return value  # type: ignore[no-any-return]


def _no_object(sent: Any, place: Place, name: str) -> Problem:
    if sent is None:
        return Problem(place, "null", "Field may not be null.")
    return Problem(place, "wrong_type", "Not a valid mapping type.") if place else not_an_object(sent, name)
