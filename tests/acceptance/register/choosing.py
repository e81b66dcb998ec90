"""What a client does next: random, and the same for the same seed and the same answers. Pure."""

from dataclasses import dataclass, field
from random import Random

from tests.acceptance.register.history import Attempt, Write

REVISIONS_OF_ONE_PAL = 120
"""After so many a PAL is left alone and another one made, so that documents stay small."""

KINDS = {"put": 5, "append": 6, "both": 3, "rollback": 2, "delete": 0.4}


@dataclass(frozen=True)
class Known:
    """What a client knows of a PAL."""

    revision: int = 0
    etag: str | None = None
    is_gone: bool = False


@dataclass(frozen=True)
class Choice:
    """What to send; a write may go to two nodes at once, and be sent again when nothing is known of it."""

    pal: str | None
    write: Write | None
    is_sent_twice: bool = False
    is_insisting: bool = False
    is_repeated_later: bool = False


@dataclass
class Garden:
    """The PALs that all clients work on."""

    size: int
    ids: list[str] = field(default_factory=list)

    def learn(self, attempt: Attempt) -> None:
        """New PALs are taken in, old ones left alone."""
        if attempt.write and attempt.write.kind == "create" and attempt.pal and attempt.pal not in self.ids:
            self.ids.append(attempt.pal)
        if attempt.revision and attempt.revision >= REVISIONS_OF_ONE_PAL and attempt.pal in self.ids:
            self.ids.remove(attempt.pal)


class Chooser:
    """The mind of one client."""

    def __init__(self, seed: str, garden: Garden) -> None:
        self.random = Random(seed)
        self._name = seed
        self._garden = garden
        self._count = 0
        self._known: dict[str, Known] = {}

    def learn(self, attempt: Attempt) -> None:
        """Take in what an answer says."""
        self._garden.learn(attempt)
        if attempt.pal is None or attempt.outcome == "unknown" or attempt.is_replay:
            return
        if attempt.is_gone:
            self._known[attempt.pal] = Known(is_gone=True)
        elif attempt.revision is not None:
            self._known[attempt.pal] = Known(attempt.revision, attempt.etag)

    def next(self) -> Choice:
        """The next thing to do."""
        random = self.random
        if len(self._garden.ids) < self._garden.size:
            return self._written(None, "create", Known())
        pal = random.choice(self._garden.ids)
        known = self._known.get(pal, Known())
        if known.is_gone and random.random() < 0.5:
            return self._written(pal, "restore", Known())
        if random.random() < 0.35 or known.etag is None:
            return Choice(pal, None)
        [kind] = random.choices([*KINDS], [*KINDS.values()])
        return self._written(pal, kind, known)

    def _written(self, pal: str | None, kind: str, known: Known) -> Choice:
        random = self.random
        self._count += 1
        token = f"{self._name}-{self._count}"
        is_keyed, is_guarded = random.random() < 0.6, random.random() < 0.4
        write = Write(
            kind,  # type: ignore[arg-type]
            token,
            to=random.randint(max(1, known.revision - 6), max(1, known.revision)) if kind == "rollback" else 0,
            if_match=known.etag if is_guarded and kind != "restore" else None,
            key=f"key-{token}" if is_keyed else None,
        )
        twice, insists, later = (is_keyed and random.random() < share for share in (0.15, 0.8, 0.1))
        return Choice(pal, write, twice, insists, later)
