"""What exists: the list of all resources. One file tells everything about one of them."""

from palace.resources.faces import FACE
from palace.resources.pal_skills import PAL_SKILLS
from palace.resources.pals import PAL
from palace.resources.pronunciation_dictionaries import PRONUNCIATION_DICTIONARY
from palace.resources.skills import SKILL

RESOURCES = (PAL, FACE, PAL_SKILLS, PRONUNCIATION_DICTIONARY, SKILL)

__all__ = ["FACE", "PAL", "PAL_SKILLS", "PRONUNCIATION_DICTIONARY", "RESOURCES", "SKILL"]
