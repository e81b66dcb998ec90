"""Which objective leads to which, as a graph of numbers: where it begins, and whether it leads back to itself."""

from collections.abc import Iterator, Sequence

NEW, OPEN, DONE = range(3)
"""A node that nobody came to; one on the way that is walked now; one from where every way was walked."""


def roots(leads_to: Sequence[Sequence[int]]) -> list[int]:
    """The nodes that no other node leads to. `leads_to` has the numbers of the nodes that each node leads to."""
    reached = {target for node, targets in enumerate(leads_to) for target in targets if target != node}
    return [node for node in range(len(leads_to)) if node not in reached]


def loops(leads_to: Sequence[Sequence[int]]) -> list[list[int]]:
    """Loops, each as the nodes along it, of which the last one leads to the first; none where there is no loop.

    There is at least one for every part of the graph that leads back to itself. Each edge is walked once.
    """
    state = [NEW] * len(leads_to)
    return [loop for start in range(len(leads_to)) if state[start] == NEW for loop in _walk(start, leads_to, state)]


def _walk(start: int, leads_to: Sequence[Sequence[int]], state: list[int]) -> Iterator[list[int]]:
    """The loops that close on a walk in depth from `start`, which goes only where nobody was."""
    way, ahead = [start], [iter(leads_to[start])]
    state[start] = OPEN
    while way:
        for target in ahead[-1]:
            if state[target] == OPEN:
                yield way[way.index(target) :]
            elif state[target] == NEW:
                state[target] = OPEN
                way.append(target)
                ahead.append(iter(leads_to[target]))
                break
        else:
            state[way.pop()] = DONE
            ahead.pop()
