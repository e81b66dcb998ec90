"""What a second node on the same PostgreSQL brings: one node, two nodes, and two workers behind one port."""

from typing import Any

from benchmarks.bench import Bench, Load

PALS = 128
NODES = ("palace-postgres", "palace-two-nodes", "palace-two-workers")


def ask(bench: Bench) -> dict[str, Any]:
    """Cells for each of them; every connection has PALs of its own, so that no two nodes write the same one."""
    options = bench.options
    names = [name for name in NODES if name in options.available]
    for name in names:
        bench.open(name)
    pals = {name: bench.create(name, PALS) for name in names}
    loads = [Load(kind, connections) for connections in options.busy for kind in ("PATCH", "GET")]
    cells = bench.in_turns(pals, loads, options.rounds)
    verified = {name: bench.verify(name) for name in names}
    for name in names:
        bench.close(name)
    return {"cells": cells, "verified_pals": verified}
