"""What exists: the list of all resources. One file tells everything about one of them."""

from palace.resources.faces import FACE
from palace.resources.pals import PAL

RESOURCES = (PAL, FACE)

__all__ = ["FACE", "PAL", "RESOURCES"]
