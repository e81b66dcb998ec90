"""How many durable PATCHes and GETs a second, how long each takes, and what it costs: everybody side by side."""

from typing import Any

from benchmarks.bench import Bench, Load, Pals, weigh

PALS = 128
BUSY = 32
"""The number of connections that the aims speak of; it gets all rounds, the others get fewer."""


def ask(bench: Bench) -> dict[str, Any]:
    """Cells for every server, request and number of connections; what each server weighs; what was verified."""
    options = bench.options
    servers: dict[str, dict[str, Any]] = {}
    pals: dict[str, Pals] = {}
    for name in options.contenders:
        servers[name] = weigh(bench.open(name))
        pals[name] = bench.create(name, PALS)
    cells: list[dict[str, Any]] = []
    for connections in options.connections:
        rounds = options.rounds if connections == BUSY else max(1, options.rounds // 2)
        cells += bench.in_turns(pals, [Load("PATCH", connections), Load("GET", connections)], rounds)
    for name, found in servers.items():
        found["memory_after_load_mib"] = round(bench.servers[name].memory_mib(), 1)
        found["verified_pals"] = bench.verify(name)
        bench.close(name)
    return {"cells": cells, "servers": servers}
