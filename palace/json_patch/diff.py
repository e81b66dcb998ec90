"""The patch that leads from one document to another."""

from palace.json_patch.equality import equal
from palace.json_patch.limits import DEFAULT_LIMITS, Limits
from palace.json_patch.pointer import format_pointer
from palace.json_patch.values import Json, sorted_text, text_bytes

_ALIGNMENT_CELLS = 200_000
"""comparisons of two array elements that one diff may spend on finding what moved apart"""

_Step = dict[str, Json]


def diff(before: Json, after: Json, limits: Limits = DEFAULT_LIMITS) -> list[_Step]:
    """A small patch of add, remove and replace operations that turns `before` into `after`; [] when they are equal.

    Arrays are aligned, so an element put in or taken out in the middle is one operation. The patch stays within the
    limits and is never longer than replacing the whole document, which it does where nothing else would be shorter.
    """
    whole: list[_Step] = [{"op": "replace", "path": "", "value": after}]
    steps: list[_Step] = []
    cells = _ALIGNMENT_CELLS
    pending = [("", before, after)]
    while pending:
        pointer, old, new = pending.pop()
        if equal(old, new):
            continue
        if pointer.count("/") >= limits.pointer_tokens:
            return whole
        if type(old) is dict and type(new) is dict and (not old or not new or old.keys() & new.keys()):
            steps.extend({"op": "remove", "path": pointer + format_pointer((name,))} for name in old if name not in new)
            for name, value in new.items():
                path = pointer + format_pointer((name,))
                if name in old:
                    pending.append((path, old[name], value))
                else:
                    steps.append({"op": "add", "path": path, "value": value})
        elif type(old) is list and type(new) is list:
            pairs, cells = _align(old, new, cells)
            steps.extend(_moved_apart(pointer, old, new, pairs))
            # Every element that stays is in its final place by now, so its pointer has the new index.
            pending.extend((f"{pointer}/{j}", old[i], new[j]) for i, j in pairs)
        else:
            steps.append({"op": "replace", "path": pointer, "value": new})
        if len(steps) > limits.operations:
            return whole
    if any(len(step["path"]) > limits.pointer_characters for step in steps):
        return whole
    return whole if steps and text_bytes(whole) < text_bytes(steps) else steps


def _moved_apart(pointer: str, old: list[Json], new: list[Json], pairs: list[tuple[int, int]]) -> list[_Step]:
    """Remove every element without a partner, then add the new ones: from the end, so that indexes stay true."""
    steps: list[_Step] = []
    end_old, end_new = len(old), len(new)
    for i, j in [*reversed(pairs), (-1, -1)]:
        steps.extend({"op": "remove", "path": f"{pointer}/{index}"} for index in range(end_old - 1, i, -1))
        steps.extend(
            {"op": "add", "path": f"{pointer}/{i + 1}", "value": new[index]} for index in range(end_new - 1, j, -1)
        )
        end_old, end_new = i, j
    return steps


def _align(old: list[Json], new: list[Json], cells: int) -> tuple[list[tuple[int, int]], int]:
    """Which old element becomes which new one, in ascending order, and how many of the cells are left."""
    shortest = min(len(old), len(new))
    head = 0
    while head < shortest and equal(old[head], new[head]):
        head += 1
    tail = 0
    while tail < shortest - head and equal(old[-1 - tail], new[-1 - tail]):
        tail += 1
    rows, columns = len(old) - head - tail, len(new) - head - tail
    kept: list[tuple[int, int]] = []
    if 1 < rows * columns <= cells:
        cells -= rows * columns
        kept = _longest_common(old[head : head + rows], new[head : head + columns])
    pairs = [(index, index) for index in range(head)]
    i = j = 0
    for next_i, next_j in [*kept, (rows, columns)]:
        # Between two kept elements, old and new ones are paired in order: a small change is likelier than a new value.
        pairs.extend((head + i + step, head + j + step) for step in range(min(next_i - i, next_j - j)))
        if next_i < rows:
            pairs.append((head + next_i, head + next_j))
        i, j = next_i + 1, next_j + 1
    pairs.extend((len(old) - index, len(new) - index) for index in range(tail, 0, -1))
    return pairs, cells


def _longest_common(old: list[Json], new: list[Json]) -> list[tuple[int, int]]:
    """The longest sequence of elements that both have in the same order, as pairs of indexes."""
    old_texts = [sorted_text(item) for item in old]
    new_texts = [sorted_text(item) for item in new]
    lengths = [[0] * (len(new) + 1)]
    for text in reversed(old_texts):
        below, row = lengths[-1], [0]
        for index in range(len(new) - 1, -1, -1):
            row.append(below[len(new) - 1 - index] + 1 if text == new_texts[index] else max(row[-1], below[len(row)]))
        lengths.append(row)
    pairs = []
    i = j = 0
    while i < len(old) and j < len(new):
        if old_texts[i] == new_texts[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif lengths[len(old) - i - 1][len(new) - j] >= lengths[len(old) - i][len(new) - j - 1]:
            i += 1
        else:
            j += 1
    return pairs
