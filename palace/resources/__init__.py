"""What exists: the list of all resources. One file tells everything about one of them."""

from palace.resources.faces import FACE
from palace.resources.guardrails import GUARDRAIL
from palace.resources.guardrails.sets import GUARDRAIL_SET
from palace.resources.objectives import OBJECTIVES
from palace.resources.pals import PAL
from palace.resources.pals.skills import PAL_SKILLS
from palace.resources.pronunciation_dictionaries import PRONUNCIATION_DICTIONARY
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
    WEBHOOK,
)

__all__ = [
    "FACE",
    "GUARDRAIL",
    "GUARDRAIL_SET",
    "OBJECTIVES",
    "PAL",
    "PAL_SKILLS",
    "PRONUNCIATION_DICTIONARY",
    "RESOURCES",
    "SKILL",
    "TOOL",
    "VOICE",
    "WEBHOOK",
]
