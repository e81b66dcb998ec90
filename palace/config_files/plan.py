"""A plan: what `palace plan` saw and would do, kept in a file until `palace apply` does exactly that.

References to the environment stay references, so no secret is ever in a plan.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import orjson

from palace.config_files.members import Members, Patch

FORMAT = 1
OnDraft = Literal["refuse", "rebase", "discard"]


class StalePlan(Exception):
    """The plan cannot be carried out any more, or never could; `str()` says why."""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One file and what is to be sent for it: patches guarded with `etag`, or a new PAL (`create`)."""

    file: str
    pal_id: str | None
    name: str
    etag: str = ""
    patches: list[Patch] = field(default_factory=list)
    create: Members | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that `apply` needs. `files` maps each file to the digest it had; entries are those that change."""

    server: str
    created_at: str
    files: dict[str, str]
    entries: list[PlanEntry]
    on_draft: OnDraft = "refuse"

    def without(self, done: PlanEntry, files: Mapping[str, str]) -> "Plan":
        """The plan once an entry is done and the files are what they are now."""
        rest = [entry for entry in self.entries if entry != done]
        return replace(self, entries=rest, files=dict(files))

    def idempotency_key(self, entry: PlanEntry) -> str:
        """The same for every attempt to carry out the entry, so that a PAL is made once."""
        text = "\0".join((self.server, self.created_at, entry.file, self.files[entry.file]))
        return "palace-apply-" + digest(text)[:32]


def digest(text: str) -> str:
    """SHA-256 of a file's text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def dump_plan(plan: Plan) -> bytes:
    """The text of a plan's file."""
    return orjson.dumps({"palace_plan": FORMAT, **asdict(plan)}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def load_plan(text: bytes) -> Plan:
    """The plan in a file's text. Raises StalePlan when the text is none, or one of another version."""
    try:
        read: dict[str, Any] = orjson.loads(text)
        if read.pop("palace_plan") != FORMAT:
            raise StalePlan("The plan was made by another version of Palace.")
        entries = [PlanEntry(**entry) for entry in read.pop("entries")]
        return Plan(entries=entries, **read)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StalePlan("The file holds no plan.") from error


def check_plan(plan: Plan, server: str, files: Mapping[str, str]) -> None:
    """Raises StalePlan when the plan was made for another server, or the files are not those it was made from."""
    if plan.server != server:
        raise StalePlan(f"The plan was made for {plan.server}, and this is {server}.")
    names = {*plan.files, *files}
    changed = sorted(name for name in names if plan.files.get(name) != files.get(name))
    if changed:
        raise StalePlan(f"Changed since the plan was made: {', '.join(changed)}.")
