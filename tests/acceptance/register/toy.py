"""A store in memory that behaves, unless it is told not to; clients that work on it in a made-up time.

It is there to prove the checker: what is broken here must be found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

from tests.acceptance.register.choosing import Choice, Chooser, Garden
from tests.acceptance.register.history import Attempt, History, Pal, Revision, State, Write, effect

DEFECTS = (
    "loses_an_acknowledged_write",
    "writes_though_it_refuses",
    "writes_twice",
    "forgets_keys",
    "ignores_guards",
    "guards_against_nothing",
    "reads_old_states",
    "shows_what_is_not_stored",
    "numbers_with_gaps",
    "stores_something_else",
    "stores_half",
    "says_unchanged",
    "rolls_back_to_another_revision",
    "forgets_the_audit_log",
    "deletes_nothing",
)


@dataclass
class Toy:
    """The store. `defect` is what is wrong with it, once in a while."""

    random: Random
    defect: str = ""
    pals: dict[str, list[Revision]] = field(default_factory=dict)
    answers: dict[str, dict[str, object]] = field(default_factory=dict)
    audited: list[tuple[str, int]] = field(default_factory=list)
    etags: Iterator[int] = field(default_factory=count)

    def is_hit(self, defect: str) -> bool:
        """Whether this defect shows now."""
        return self.defect == defect and self.random.random() < 0.2

    def read(self, pal: str) -> dict[str, object]:
        """The members of an attempt that reads."""
        past = self.pals[pal]
        shown = past[-3:][0] if self.is_hit("reads_old_states") else past[-1]
        if shown.state.is_deleted:
            return {"outcome": "refused", "status": 400, "is_gone": True}
        state = shown.state._replace(greeting="?") if self.is_hit("shows_what_is_not_stored") else shown.state
        return {"outcome": "done", "status": 200, "revision": shown.number, "etag": shown.etag, "state": state}

    def write(self, pal: str | None, write: Write) -> dict[str, object]:
        """The members of an attempt that writes."""
        if write.key in self.answers and not self.is_hit("forgets_keys"):
            return {**self.answers[write.key], "is_replay": True}
        said = self._written(pal or f"p{len(self.pals)}", write)
        if write.key:
            self.answers[write.key] = said
        return said

    def _written(self, pal: str, write: Write) -> dict[str, object]:
        past = self.pals.setdefault(pal, [])
        wanted = effect(write, past)
        if wanted is None:
            return {"pal": pal, "outcome": "refused", "status": 400, "is_gone": write.kind != "restore"}
        now = {"pal": pal, "revision": past[-1].number, "etag": past[-1].etag} if past else {"pal": pal}
        is_stale = write.if_match is not None and write.if_match != past[-1].etag
        if past and (wanted == past[-1].state or self.is_hit("says_unchanged")):
            return {**now, "outcome": "unchanged", "status": 304}
        if (is_stale and not self.is_hit("ignores_guards")) or (
            write.if_match and not is_stale and self.is_hit("guards_against_nothing")
        ):
            return {**now, "outcome": "refused", "status": 412}
        for _ in range(1 + self.is_hit("writes_twice")):
            made = self._store(pal, write, self._spoilt(write, wanted, past))
        if len(past) > 1 and self.is_hit("writes_though_it_refuses"):
            return {"pal": pal, "outcome": "refused", "status": 503}
        if len(past) > 1 and self.is_hit("loses_an_acknowledged_write"):
            past.pop()
            self.audited.pop()
        answer = {"pal": pal, "outcome": "done", "status": 200}
        return answer if write.kind == "delete" else {**answer, "revision": made.number, "etag": made.etag}

    def _spoilt(self, write: Write, wanted: State, past: list[Revision]) -> State:
        if self.is_hit("stores_something_else"):
            return wanted._replace(tags=wanted.tags[:-1]) if wanted.tags else wanted._replace(greeting=None)
        if write.kind == "both" and self.is_hit("stores_half"):
            return wanted._replace(context=past[-1].state.context)
        if write.kind == "rollback" and self.is_hit("rolls_back_to_another_revision"):
            return past[0].state
        if write.kind == "delete" and self.is_hit("deletes_nothing"):
            return past[-1].state
        return wanted

    def _store(self, pal: str, write: Write, state: State) -> Revision:
        past = self.pals[pal]
        number = len(past) + 1 + self.is_hit("numbers_with_gaps")
        before = past[-1].etag if past else None
        past.append(Revision(number, write.kind, write.token, f"e{next(self.etags)}", before, state))
        if not self.is_hit("forgets_the_audit_log"):
            self.audited.append((pal, number))
        return past[-1]


def lived(seed: str, defect: str = "", rounds: int = 300, clients: int = 4) -> History:
    """The history of some clients with such a store. Answers get lost, and requests are refused unread."""
    random = Random(seed)
    toy, garden, attempts = Toy(random, defect), Garden(2), []
    minds = [Chooser(f"{seed}-{number}", garden) for number in range(clients)]
    clock = count(1)
    for _ in range(rounds):
        overlapping = random.sample(range(clients), random.randint(1, clients))
        began = {number: float(next(clock)) for number in overlapping}
        for number in overlapping:
            choice = minds[number].next()
            for attempt in _carried_out(toy, random, number, choice, began[number], lambda: float(next(clock))):
                minds[number].learn(attempt)
                attempts.append(attempt)
    pals = {id: Pal(id, revisions) for id, revisions in toy.pals.items() if revisions}
    return History(attempts, pals, toy.audited)


def _carried_out(
    toy: Toy, random: Random, number: int, choice: Choice, began: float, clock: Callable[[], float]
) -> Iterator[Attempt]:
    for _ in range(1 + choice.is_sent_twice + choice.is_repeated_later + 2 * choice.is_insisting):
        where = {"client": number, "connection": number, "node": 0, "pal": choice.pal, "write": choice.write}
        fate = random.random()
        if fate < 0.05:
            said: dict[str, object] = {"outcome": "refused", "status": 503, "text": "Nothing was changed."}
        else:
            said = toy.read(choice.pal or "") if choice.write is None else toy.write(choice.pal, choice.write)
        if fate > 0.95:
            said = {"outcome": "unknown", "text": "no answer"}
        attempt = Attempt(**{**where, "began": began, "ended": clock(), **said})  # type: ignore[arg-type]
        yield attempt
        if attempt.is_final and not (choice.is_sent_twice or choice.is_repeated_later):
            return
        began = clock()
