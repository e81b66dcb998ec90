"""Explain and mend: what is wrong with a patch that was refused, what was meant, and a patch that succeeds.

Pure: a patch is tried with a function that the caller brings, and nothing is stored. No remedy is a guess between two
things that may have been meant.
"""

from palace.mending.explain import Attempt, Mend, explain, mend_leniently, mended_header
from palace.mending.names import with_nearest

__all__ = ["Attempt", "Mend", "explain", "mend_leniently", "mended_header", "with_nearest"]
