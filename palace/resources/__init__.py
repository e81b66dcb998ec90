"""What exists: the list of all resources. One file tells everything about one of them."""

from palace.resources.faces import FACE
from palace.resources.pals import PAL
from palace.resources.pronunciation_dictionaries import PRONUNCIATION_DICTIONARY
from palace.resources.voices import VOICE

RESOURCES = (PAL, FACE, PRONUNCIATION_DICTIONARY, VOICE)

__all__ = ["FACE", "PAL", "PRONUNCIATION_DICTIONARY", "RESOURCES", "VOICE"]
