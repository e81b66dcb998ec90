"""The tables of `tests/data/mends`, and a PAL without a server to try patches on."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from palace.errors import ClientError
from palace.json_patch import DEFAULT_LIMITS, Limits
from palace.judging import judge, writable
from palace.masks import Refs, settle_secrets
from palace.resource import Problem
from palace.resources.pals import PAL, prepared
from palace.validation import refuse
from palace.verbs.patching import applied_patch, compiled_patch
from palace.verbs.writing import framed
from tests.serving import STOCK_FACE

FOLDER = Path(__file__).parent / "data/mends"
ID = "p0a1b2c3d4e5"
STAMPS = {"pal_id": ID, "created_at": "2026-10-09T10:00:00.000000Z", "updated_at": "2026-10-09T10:00:00.000000Z"}
DEFAULT = {
    "pal_name": "Night Desk",
    "system_prompt": "Answer briefly.",
    "greeting": "Good evening.",
    "default_face_id": STOCK_FACE,
    "layers": {
        "llm": {"model": "tavus-gemma-4", "speculative_inference": True},
        "stt": {"stt_engine": "tavus-auto"},
    },
}


@dataclass(frozen=True)
class Row:
    """One failing patch: what it meets, what is told, and the patch that succeeds instead (or why there is none)."""

    name: str
    patch: Any
    status: int
    details: list[dict[str, Any]]
    corrected: list[dict[str, Any]] | None
    why: str = ""
    before: dict[str, Any] = field(default_factory=dict)
    family: str = "pals"

    @property
    def members(self) -> dict[str, Any]:
        """The members of the PAL to make first."""
        return deepcopy(DEFAULT) | deepcopy(self.before)


def rows() -> Iterator[Row]:
    """Every row of every table."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for row in yaml.safe_load(path.read_text()):
            yield Row(**row)


def is_said(expected: Any, said: Any) -> bool:
    """Whether what is said has all that is expected; an object may have more members, an array no more elements."""
    if isinstance(expected, Mapping):
        return isinstance(said, Mapping) and all(
            name in said and is_said(value, said[name]) for name, value in expected.items()
        )
    return bool(expected == said)


class StoredPal:
    """A PAL as a store would keep it, and patches tried on it as PATCH tries them, storing nothing."""

    def __init__(self, members: dict[str, Any], limits: Limits = DEFAULT_LIMITS) -> None:
        settled = settle_secrets(PAL, members, before={}, refs={})
        self.document = framed(PAL, judge(PAL, settled.document, settled.problems).stored, 1, STAMPS)
        self.refs: Refs = dict.fromkeys(settled.fresh, "its-id")
        self.limits = limits
        self.attempts = 0

    async def attempt(self, patch: Any) -> ClientError | None:
        """What PATCH would refuse this patch with; None when it would succeed."""
        self.attempts += 1
        try:
            self._check(patch)
        except ClientError as error:
            return error
        return None

    def _check(self, patch: Any) -> None:
        operations = compiled_patch(patch, self.limits)
        applied = applied_patch(self.document, prepared(operations, self.document), self.limits)
        if not applied.changed:
            return
        fields, problems = writable(PAL, self.document, applied.document)
        settled = settle_secrets(PAL, fields, before=self.document, refs=self.refs)
        judged = judge(PAL, settled.document, [*problems, *settled.problems], operations)
        face = judged.stored["default_face_id"]
        if face not in (None, STOCK_FACE):
            unknown = Problem(("default_face_id",), "unknown_reference", "Invalid replica_uuid", form="bare")
            raise refuse([unknown], operations)
