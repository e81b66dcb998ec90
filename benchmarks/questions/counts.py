"""What many PALs in the store cost: 100, 10,000 and 1,000,000 of them, filled with the server's own rows."""

import random
from functools import partial
from typing import Any

from benchmarks.bench import Bench, Load, Pals, milliseconds
from benchmarks.client import Client, timed
from benchmarks.fill import fill_postgres, fill_sqlite, new_id
from benchmarks.workload import new_pal

ASKED = 20_000
"""The most PALs that requests are spread over: enough that each finds its page for the first time."""
LISTS = 40
CONTENDERS = ("palace", "palace-postgres")


def ask(bench: Bench) -> dict[str, Any]:
    """For each database and number of PALs: cells of PATCH and GET, and the times of pages of the list."""
    cells, lists = [], []
    for name in CONTENDERS:
        if name not in bench.options.available:
            continue
        pals = {f"{name} with {count}": _filled(bench, name, count) for count in bench.options.counts}
        loads = [Load(kind, connections) for kind in ("PATCH", "GET") for connections in bench.options.alone_and_busy]
        found = bench.in_turns(pals, loads, bench.options.rounds)
        lists += _lists(bench, name)
        for count in bench.options.counts:
            label = f"{name} with {count}"
            cells += [{**cell, "server": name, "pals": count} for cell in found if cell["server"] == label]
            bench.verify(label)
            bench.close(label)
    return {"cells": cells, "lists": lists}


def _filled(bench: Bench, name: str, count: int) -> Pals:
    """A server with so many PALs, and those that are asked for."""
    label = f"{name} with {count}"
    server = bench.open(name, label)
    body = new_pal(0)
    first = server.create(body)
    server.stop()
    place = server.places[0]
    if place.database is not None:
        fill_postgres(place.database, first, body["pal_name"], count - 1)
    else:
        fill_sqlite(place.data / "palace.db", first, body["pal_name"], count - 1)
    bench.servers[label] = server.start_again()
    numbers = range(1, count)
    chosen = random.Random(7).sample(numbers, min(ASKED, len(numbers)))
    return Pals([new_id(number) for number in chosen], body)


def _lists(bench: Bench, name: str) -> list[dict[str, Any]]:
    """The first page of ten, and one in the middle; the stores take turns."""
    rows = []
    for count in bench.options.counts:
        client = Client(bench.servers[f"{name} with {count}"])
        pages = {"first": "/v2/pals?limit=10", "middle": f"/v2/pals?limit=10&page={max(1, count // 20)}"}
        for page, path in pages.items():
            times = timed(partial(client.request, "GET"), [path] * LISTS)
            rows.append({"server": name, "pals": count, "page": page, **milliseconds(times)})
    return rows
