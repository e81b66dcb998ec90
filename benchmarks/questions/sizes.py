"""What a larger document costs: PALs of 3, 30 and 300 KB, which grow by tools in their llm layer."""

from typing import Any

from benchmarks.bench import Bench, Load
from benchmarks.workload import grown, new_pal

CONNECTIONS = 8
PALS = 16
CONTENDERS = (
    "palace",
    "palace-postgres",
    "pocketbase",
    "conventional-history",
    "conventional-postgres-history",
    "kinto",
)


def ask(bench: Bench) -> dict[str, Any]:
    """Cells for each server, size and request."""
    options = bench.options
    names = [name for name in CONTENDERS if name in options.available]
    names = [name for name in names if name.startswith("palace")] if options.quick else names
    for name in names:
        bench.open(name)
    cells = []
    for size in options.sizes:
        body = grown(new_pal(0), size)
        pals = {name: bench.create(name, PALS, body) for name in names}
        loads = [Load("PATCH", CONNECTIONS), Load("GET", CONNECTIONS)]
        found = bench.in_turns(pals, loads, max(1, options.rounds // 2))
        cells += [{"document_bytes": size, **cell} for cell in found]
    verified = {name: bench.verify(name) for name in names}
    for name in names:
        bench.close(name)
    return {"cells": cells, "verified_pals": verified}
