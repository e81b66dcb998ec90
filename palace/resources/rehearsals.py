"""Rehearsals: one suite, or one conversation, played to one state of a PAL. The operations are those of the PAL.

A rehearsal is asked for, played as a job, and then is its report. The newest hundred of a PAL are kept.
"""

from typing import Any

from palace.resource import Document, Names, Resource, Stamp
from palace.validation import Model

KIND = "rehearsal"
JOB = "rehearse"
MOST_KEPT = 100
"""of one PAL"""


class Rehearsal(Model):
    """What is rehearsed, as it was when it was asked for."""

    pal_id: str
    pal_revision: int
    """The revision; of a draft the one that it is made of."""
    pal_draft: int | None = None
    """The number of the draft."""
    pal_etag: str
    """The tag of what was rehearsed: a draft keeps it when it is published."""
    parts_tag: str = ""
    """What the tools, objectives and guardrails said that it names, in short."""
    suite_id: str | None = None
    suite_tag: str | None = None
    """What the suite said, in short: two suites with this tag say the same."""
    conversation_id: str | None = None
    """The conversation whose visitor is replayed."""
    runs: int = 1


TEXT: dict[str, Any] = {"type": "string"}
STAMPS = (
    Stamp("status", {"enum": ["running", "completed", "error"]}, initial="running"),
    Stamp("progress", {**TEXT, "description": "How many talks are over, as in `3/9`."}, initial="0/0"),
    Stamp("pass_rate", {"type": ["number", "null"], "description": "The part of the talks in which all held."}),
    Stamp("report", {"type": ["object", "null"], "description": "See the guide on rehearsals."}),
    Stamp("error_message", {"type": ["string", "null"]}),
)
EXAMPLE: Document = {
    "pal_id": "pcb7a34da5fe",
    "pal_revision": 3,
    "pal_draft": 1,
    "pal_etag": "6f1c7ac8b1f9d2e04a5b3c21",
    "parts_tag": "9e0b7c5d3a1f2e4c6b8a0d1f",
    "suite_id": "rs0a1b2c3d4e5",
    "suite_tag": "1c1f0e7a9b3d5e7f9a1b3c5d",
    "conversation_id": None,
    "runs": 3,
}

REHEARSAL = Resource(
    kind=KIND,
    names=Names("rehearsals", "Rehearsals", "a rehearsal", "rehearsal_id", "rh", "rh0a1b2c3d4e5"),
    model=Rehearsal,
    example=EXAMPLE,
    stamps=STAMPS,
    labels={
        "pal": ("pal_id",),
        "pal_etag": ("pal_etag",),
        "suite_tag": ("suite_tag",),
        "conversation": ("conversation_id",),
    },
    endpoints=(),
)
