"""What exists: the list of all resources. One file tells everything about one of them."""

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from palace.resource import Resource
from palace.resources.conversations import CONVERSATION
from palace.resources.faces import FACE
from palace.resources.guardrails import GUARDRAIL
from palace.resources.guardrails.sets import GUARDRAIL_SET
from palace.resources.objectives import OBJECTIVES
from palace.resources.pals import PAL
from palace.resources.pals import rules as rules_of_pals
from palace.resources.pals.gates import REHEARSAL_GATE
from palace.resources.pals.skills import PAL_SKILLS
from palace.resources.pronunciation_dictionaries import PRONUNCIATION_DICTIONARY
from palace.resources.rehearsal_suites import REHEARSAL_SUITE
from palace.resources.rehearsals import REHEARSAL
from palace.resources.skills import SKILL
from palace.resources.tools import TOOL
from palace.resources.voices import VOICE
from palace.resources.webhooks import WEBHOOK

RESOURCES = (
    PAL,
    FACE,
    GUARDRAIL,
    GUARDRAIL_SET,
    OBJECTIVES,
    PAL_SKILLS,
    PRONUNCIATION_DICTIONARY,
    SKILL,
    TOOL,
    VOICE,
    CONVERSATION,
    WEBHOOK,
    REHEARSAL_SUITE,
    REHEARSAL_GATE,
    REHEARSAL,
)


def resources_with(models: Collection[str]) -> tuple[Resource, ...]:
    """All resources on a server whose operator has language models of these names."""
    pal = replace(PAL, rules=partial(rules_of_pals, hosted=models))
    return tuple(pal if resource is PAL else resource for resource in RESOURCES)


__all__ = [
    "CONVERSATION",
    "FACE",
    "GUARDRAIL",
    "GUARDRAIL_SET",
    "OBJECTIVES",
    "PAL",
    "PAL_SKILLS",
    "PRONUNCIATION_DICTIONARY",
    "REHEARSAL",
    "REHEARSAL_GATE",
    "REHEARSAL_SUITE",
    "RESOURCES",
    "SKILL",
    "TOOL",
    "VOICE",
    "WEBHOOK",
    "resources_with",
]
