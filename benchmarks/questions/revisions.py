"""What a long history costs: a PAL with 1, 100 and 10,000 revisions, to patch, to read, and to look into."""

import random
from collections.abc import Callable
from typing import Any

from benchmarks.bench import Bench, Load, milliseconds, note
from benchmarks.client import Client, timed
from benchmarks.servers import Server

SAMPLES = 40
CONTENDERS = ("palace", "palace-postgres")


def ask(bench: Bench) -> dict[str, Any]:
    """For each database and number of revisions: cells of PATCH and GET on one connection, and times of each look."""
    cells, looks = [], []
    for name in CONTENDERS:
        if name not in bench.options.available:
            continue
        server = bench.open(name)
        for revisions in bench.options.revisions:
            pals = bench.create(name, 1)
            note(f"writing {revisions:,} revisions on {name}")
            _write(server, pals.ids[0], revisions)
            times = _look(server, pals.ids[0], revisions)
            looks += [
                {"server": name, "revisions": revisions, "action": action, **milliseconds(taken)}
                for action, taken in times.items()
            ]
            found = bench.in_turns({name: pals}, [Load("GET", 1), Load("PATCH", 1)], max(1, bench.options.rounds // 2))
            cells += [{"revisions": revisions, **cell} for cell in found]
        bench.verify(name)
        bench.close(name)
    return {"cells": cells, "looks": looks}


def _write(server: Server, pal: str, revisions: int) -> None:
    """Patch the new PAL until it has so many revisions."""
    client = Client(server)
    for number in range(revisions - 1):
        client.request("PATCH", f"/v2/pals/{pal}", _edit(number))


def _edit(number: int) -> list[dict[str, Any]]:
    """An edit as people make them: the greeting, a word, a number."""
    return [
        {"op": "replace", "path": "/greeting", "value": f"Good evening, line {number}. How can I help?"},
        {"op": "replace", "path": "/layers/stt/hotwords", "value": f"Wren House, harbour ferry, room {number}"},
        {"op": "add", "path": "/layers/llm/extra_body/temperature", "value": number % 100 / 100},
    ]


def _look(server: Server, pal: str, revisions: int) -> dict[str, list[float]]:
    """Seconds of each way of looking into the history; of a PAL with one revision there is only the list."""
    client, place = Client(server), f"/v2/pals/{pal}"
    times = {"list the newest page": timed(lambda _: client.request("GET", f"{place}/revisions"), range(SAMPLES))}
    if revisions < 3:
        return times
    chosen = random.Random(7).sample(range(2, revisions), min(SAMPLES, revisions - 2))
    actions: dict[str, Callable[[int], Any]] = {
        "read a revision": lambda number: client.request("GET", f"{place}/revisions/{number}"),
        "compare with the newest": lambda number: client.request("GET", f"{place}/diff?from={number}"),
        "roll back": lambda number: client.request("POST", f"{place}/rollback", {"to": number}),
    }
    return times | {title: timed(act, chosen) for title, act in actions.items()}
