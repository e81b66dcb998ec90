"""How long conversations with a PAL make people wait, by the revision of the PAL that they keep."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson

from palace.call import Call, Reply
from palace.clock import timestamp
from palace.resource import Document, Endpoint, Parameter, Resource, Services
from palace.storage import PARTS
from palace.verbs.queries import whole_number

DAYS = 30
MOST_DAYS = 366
MOST_TURNS = 10_000
"""So many of the newest turns are looked at: 30 ms on SQLite."""
PERCENTILES = (50, 90, 95, 99)


async def latency(resource: Resource, call: Call, services: Services) -> Reply:
    """The times of the newest turns, by revision and part: 200. Raises InvalidId, BadRequest."""
    days = min(max(whole_number(call.query, "days", DAYS), 1), MOST_DAYS)
    since = timestamp(services.clock.now() - timedelta(days=days))
    async with services.store.reading.snapshot() as tx:
        pal = await tx.get(resource.kind, call.ids["id"], call.account.id)
        if pal is None:
            raise resource.unknown()
        found = await tx.conversations.times(call.account.id, pal.id, since, MOST_TURNS + 1)
    by_revision: dict[int, list[tuple[int | None, ...]]] = defaultdict(list)
    for times in found[:MOST_TURNS]:
        by_revision[times.revision].append(times.parts)
    said = {
        "pal_id": pal.id,
        "since": since,
        "is_cut": len(found) > MOST_TURNS,
        "data": [
            {"revision": revision, "turns": len(turns), "parts": _parts(turns)}
            for revision, turns in sorted(by_revision.items(), reverse=True)
        ],
    }
    return Reply(200, orjson.dumps(call.words.document(said)), is_spelled=True)


def _parts(turns: Sequence[tuple[int | None, ...]]) -> Document:
    columns = zip(PARTS, zip(*turns, strict=True), strict=True)
    return {name: percentiles([one for one in column if one is not None]) for name, column in columns}


def percentiles(microseconds: list[int]) -> Document:
    """How many there are, and for each percentile the smallest value, in ms, that so many percent do not exceed."""
    ordered = sorted(microseconds)
    count = len(ordered)
    places = {f"p{percent}_ms": -(-count * percent // 100) - 1 for percent in PERCENTILES}
    return {"count": count, **{name: ordered[at] / 1000 if count else None for name, at in places.items()}}


INTEGER: dict[str, Any] = {"type": "integer"}
PART: dict[str, Any] = {
    "type": "object",
    "required": ["count", *(f"p{percent}_ms" for percent in PERCENTILES)],
    "properties": {
        "count": {**INTEGER, "description": "Turns that have this part."},
        **{f"p{percent}_ms": {"type": ["number", "null"]} for percent in PERCENTILES},
    },
}
REVISION: dict[str, Any] = {
    "type": "object",
    "required": ["revision", "turns", "parts"],
    "properties": {
        "revision": INTEGER,
        "turns": INTEGER,
        "parts": {"type": "object", "required": list(PARTS), "properties": dict.fromkeys(PARTS, PART)},
    },
}
LATENCY = Endpoint(
    "GET",
    "/{id}/latency",
    "getPalLatency",
    "See how long the PAL takes",
    "Percentiles of the parts of turns in your conversations with the PAL, in milliseconds after somebody spoke, by "
    f"the revision that the conversations keep. Of the window, the newest {MOST_TURNS:,} turns are looked at; `is_cut` "
    "tells whether there are more.",
    latency,
    answers={200: "The times, newest revision first.", 400: "`Invalid pal_id`, or a query parameter is not valid."},
    parameters=(Parameter("days", {**INTEGER, "default": DAYS}, f"How far back; at most {MOST_DAYS} days."),),
    answer_schema={
        "title": "palLatency",
        "type": "object",
        "required": ["pal_id", "since", "is_cut", "data"],
        "properties": {
            "pal_id": {"type": "string"},
            "since": {"type": "string"},
            "is_cut": {"type": "boolean"},
            "data": {"type": "array", "items": REVISION},
        },
    },
    differs=("An operation of this server's own.",),
)
