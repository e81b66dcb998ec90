"""The difference of two texts, line by line, in the unified format; pure, and quick however much differs."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

CONTEXT_LINES = 3
MOST_COMPARISONS = 1_000_000
"""Lines of one text times lines of the other, where they differ: comparing a million takes a tenth of a second."""

Opcode = tuple[str, int, int, int, int]
"""As `difflib` has them: what happens, from line to line of the old text, from line to line of the new one."""


def unified(old: Sequence[str], new: Sequence[str], old_name: str, new_name: str) -> str:
    """The hunks that lead from one text to the other under the names of both; empty when they are equal.

    Where too much differs to compare every line, all between the first and the last line that differ is one change.
    """
    matcher = SequenceMatcher[str]()
    matcher.opcodes = _opcodes(old, new)  # type: ignore[attr-defined]
    lines = [line for hunk in matcher.get_grouped_opcodes(CONTEXT_LINES) for line in _hunk(hunk, old, new)]
    return "\n".join([f"--- {old_name}", f"+++ {new_name}", *lines]) if lines else ""


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[Opcode]:
    shorter = min(len(old), len(new))
    start = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    most = shorter - start
    same = next((at for at in range(most) if old[-1 - at] != new[-1 - at]), most)
    old_end, new_end = len(old) - same, len(new) - same
    if (old_end - start) * (new_end - start) > MOST_COMPARISONS:
        between: list[Opcode] = [("replace", start, old_end, start, new_end)]
    else:
        found = SequenceMatcher(None, old[start:old_end], new[start:new_end]).get_opcodes()
        between = [(what, a + start, b + start, c + start, d + start) for what, a, b, c, d in found]
    around: list[Opcode] = [("equal", 0, start, 0, start), ("equal", old_end, len(old), new_end, len(new))]
    return [code for code in (around[0], *between, around[1]) if code[1] < code[2] or code[3] < code[4]]


def _hunk(codes: Sequence[Opcode], old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    if all(code[0] == "equal" for code in codes):
        return
    yield f"@@ -{_span(codes[0][1], codes[-1][2])} +{_span(codes[0][3], codes[-1][4])} @@"
    for what, old_start, old_end, new_start, new_end in codes:
        if what == "equal":
            yield from (" " + line for line in old[old_start:old_end])
        else:
            yield from ("-" + line for line in old[old_start:old_end])
            yield from ("+" + line for line in new[new_start:new_end])


def _span(start: int, end: int) -> str:
    if end - start == 1:
        return str(start + 1)
    return f"{start + 1 if end > start else start},{end - start}"
