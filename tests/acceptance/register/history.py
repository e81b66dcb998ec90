"""What clients saw of some PALs, and what the server remembers of them in the end. Pure.

Each PAL is a register: a greeting, a context and a list of tags. Every write carries a token of its own, in what it
writes and as the comment of its revision, so that each revision names the one write that made it. What became of a
write may be unknown: an answer that never came says neither yes nor no.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Kind = Literal["create", "put", "append", "both", "rollback", "delete", "restore"]
Outcome = Literal["done", "unchanged", "refused", "unknown"]
"""`refused`: nothing was changed. `unknown`: there is no answer, or one that does not know."""

WAIT_AND_REPEAT = {408, 409, 429, 503}
"""Refusals that are not remembered under an idempotency key: the same request may succeed later."""


class State(NamedTuple):
    """What a PAL says, as far as the register goes."""

    greeting: str | None = None
    context: str | None = None
    tags: tuple[str, ...] = ()
    is_deleted: bool = False

    def __str__(self) -> str:
        tags = f"{len(self.tags)} tags, the last {self.tags[-1]}" if self.tags else "no tags"
        return f"({self.greeting}, {self.context}, {tags}{', deleted' if self.is_deleted else ''})"


class Write(NamedTuple):
    """What a client wants to be written. `key` is its idempotency key; whatever has the same one is the same write."""

    kind: Kind
    token: str
    to: int = 0
    """the revision that a rollback goes back to"""
    if_match: str | None = None
    key: str | None = None


class Attempt(NamedTuple):
    """One request, and the answer as far as there was one. Times are seconds on one clock for all clients."""

    client: int
    connection: int
    node: int
    began: float
    ended: float
    pal: str | None
    """None for a create without an answer"""
    write: Write | None
    """None for a read"""
    outcome: Outcome
    status: int = 0
    revision: int | None = None
    etag: str | None = None
    state: State | None = None
    is_replay: bool = False
    is_gone: bool = False
    """whether the answer was that there is no such PAL"""
    text: str = ""
    """the sentence of a refusal, or why there is no answer"""

    @property
    def is_final(self) -> bool:
        """Whether the answer is one that an idempotency key stands for from then on."""
        return self.outcome in ("done", "unchanged") or (
            self.outcome == "refused" and self.status >= 400 and self.status not in WAIT_AND_REPEAT
        )

    def __str__(self) -> str:
        asked = "read" if self.write is None else _told(self.write)
        said = f"{self.outcome} {self.status or ''}".strip()
        facts = [f"revision {self.revision}"] if self.revision is not None else []
        facts += [name for name, is_so in (("replayed", self.is_replay), ("gone", self.is_gone)) if is_so]
        facts += [self.text[:80]] if self.text else []
        where = f"client {self.client}, connection {self.connection}, node {self.node}"
        return f"{self.began:8.3f} to {self.ended:8.3f} s {where}: {asked} → {said} {', '.join(facts)}".rstrip()


def _told(write: Write) -> str:
    goal = f" to revision {write.to}" if write.kind == "rollback" else ""
    guard = f" if {write.if_match}" if write.if_match else ""
    return f"{write.kind} {write.token}{goal}{guard}{' under a key' if write.key else ''}"


class Revision(NamedTuple):
    """One revision as the server remembers it. `token` is its comment."""

    number: int
    action: str
    token: str | None
    etag: str
    etag_before: str | None
    state: State

    def __str__(self) -> str:
        return f"revision {self.number}: {self.action} {self.token}, {self.etag_before} → {self.etag}, {self.state}"


@dataclass
class Pal:
    """What the server remembers of one PAL, oldest revision first, and what it answers to a last read."""

    id: str
    revisions: Sequence[Revision]
    last: Attempt | None = None

    def at(self, number: int | None) -> Revision | None:
        """The revision with this number."""
        if number is None or not 1 <= number <= len(self.revisions):
            return None
        revision = self.revisions[number - 1]
        return revision if revision.number == number else None


class Trouble(NamedTuple):
    """One fault, and from when to when."""

    name: str
    began: float
    ended: float

    def __str__(self) -> str:
        return f"{self.began:8.3f} to {self.ended:8.3f} s {self.name}"


@dataclass
class History:
    """Everything that is known of one run."""

    attempts: Sequence[Attempt]
    pals: Mapping[str, Pal]
    audited: Sequence[tuple[str, int]] | None = None
    """PAL and revision of each row of the audit log that tells of one; None where there is no log"""
    troubles: Sequence[Trouble] = ()
    writes: dict[str, list[Attempt]] = field(default_factory=dict)
    """the attempts at each write, by its token"""

    def __post_init__(self) -> None:
        for attempt in self.attempts:
            if attempt.write is not None:
                self.writes.setdefault(attempt.write.token, []).append(attempt)


def effect(write: Write, past: Sequence[Revision]) -> State | None:
    """What a PAL with this past says after the write; None when the server should have refused it."""
    if write.kind == "create":
        return State(greeting=write.token) if not past else None
    if not past or past[-1].state.is_deleted != (write.kind == "restore"):
        return None
    now = past[-1].state
    match write.kind:
        case "put":
            return now._replace(greeting=write.token)
        case "append":
            return now._replace(tags=(*now.tags, write.token))
        case "both":
            return now._replace(greeting=write.token, context=write.token, tags=(*now.tags, write.token))
        case "rollback":
            return past[write.to - 1].state._replace(is_deleted=False) if 1 <= write.to <= len(past) else None
        case _:
            return now._replace(is_deleted=write.kind == "delete")
