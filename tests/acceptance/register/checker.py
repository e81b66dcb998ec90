"""Finds what must not be in a history: each function looks for one thing, and returns all it finds. Pure."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.acceptance.register.history import Attempt, History, Pal, Revision, effect

EXPECTED = {0, 200, 204, 304, 400, 408, 409, 412, 422, 429, 503, 504}
NEIGHBOURS = 3


@dataclass(frozen=True)
class Violation:
    """Something that was promised never to happen, and where to look."""

    kind: str
    text: str
    pal: str | None = None
    token: str | None = None
    revision: int | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def check(history: History) -> list[Violation]:
    """Every violation in the history, those that say most first."""
    found: list[Violation] = []
    for look in (lost, applied_twice, refused_but_done, overwritten_unseen, two_answers, remembered_otherwise,
                 read_otherwise, unchanged_wrongly, out_of_order, audited_otherwise, unexpected):  # fmt: skip
        found += look(history)
    return found


def lost(history: History) -> Iterator[Violation]:
    """An acknowledged write that the server does not remember, or not as it was acknowledged."""
    kept = {revision.token: (pal, revision) for pal in history.pals.values() for revision in pal.revisions}
    for attempt in history.attempts:
        if attempt.write is None or attempt.outcome != "done":
            continue
        write, where = attempt.write, (attempt.pal, attempt.write.token, attempt.revision)
        if write.token not in kept:
            yield Violation("lost", f"{attempt}, and no revision has it.", *where)
            continue
        pal, revision = kept[write.token]
        told = (attempt.pal, attempt.revision or revision.number, attempt.etag or revision.etag)
        if told != (pal.id, revision.number, revision.etag):
            yield Violation("acknowledged_otherwise", f"{attempt}, but it is {revision} of {pal.id}.", *where)


def applied_twice(history: History) -> Iterator[Violation]:
    """A write that made two revisions."""
    times = Counter(revision.token for pal in history.pals.values() for revision in pal.revisions)
    for pal in history.pals.values():
        for revision in pal.revisions:
            if times[revision.token] > 1:
                text = f"{revision} of {pal.id} is one of {times[revision.token]} with this token."
                yield Violation("applied_twice", text, pal.id, revision.token, revision.number)


def refused_but_done(history: History) -> Iterator[Violation]:
    """A revision made by a write of which every answer says that nothing was changed."""
    for pal in history.pals.values():
        for revision in pal.revisions:
            attempts = history.writes.get(revision.token or "", [])
            if attempts and all(attempt.outcome in ("refused", "unchanged") for attempt in attempts):
                text = f"{attempts[-1]}, but {revision} of {pal.id} has it."
                yield Violation("refused_but_done", text, pal.id, revision.token, revision.number)


def overwritten_unseen(history: History) -> Iterator[Violation]:
    """A guarded write on top of another state than the one it named; a guard that refused the very state it named."""
    for pal in history.pals.values():
        for before, revision in zip(pal.revisions, pal.revisions[1:], strict=False):
            attempts = history.writes.get(revision.token or "", [])
            guard = attempts[0].write.if_match if attempts and attempts[0].write else None
            if guard is not None and guard != before.etag:
                text = f"{revision} was to be made only on {guard}, but it stands on {before} of {pal.id}."
                yield Violation("overwritten_unseen", text, pal.id, revision.token, revision.number)
    for attempt in history.attempts:
        if attempt.status == 412 and attempt.write and attempt.etag == attempt.write.if_match:
            where = (attempt.pal, attempt.write.token, attempt.revision)
            yield Violation("refused_for_nothing", f"{attempt}: the guard names the state there is.", *where)


def two_answers(history: History) -> Iterator[Violation]:
    """Attempts under one idempotency key that were answered differently, or carried out more than once."""
    for token, attempts in history.writes.items():
        final = [attempt for attempt in attempts if attempt.is_final and attempt.write and attempt.write.key]
        answers = {(attempt.status, attempt.pal, attempt.revision, attempt.etag) for attempt in final}
        if len(answers) > 1:
            yield Violation("two_answers", f"{final[0]}, and again: {final[-1]}.", final[0].pal, token)
        elif sum(not attempt.is_replay for attempt in final) > 1:
            text = f"{final[0]}, and again without being a replay: {final[-1]}."
            yield Violation("carried_out_twice", text, final[0].pal, token)


def remembered_otherwise(history: History) -> Iterator[Violation]:
    """Revisions with gaps, and such as no client's write makes of the one before."""
    for pal in history.pals.values():
        numbers = [revision.number for revision in pal.revisions]
        if numbers != list(range(1, len(numbers) + 1)):
            yield Violation("gap", f"The revisions of {pal.id} are {numbers}.", pal.id)
        for place, revision in enumerate(pal.revisions):
            problem = _problem_with(history, pal.revisions[:place], revision)
            if problem:
                text = f"{revision} of {pal.id} {problem}."
                yield Violation("not_what_was_sent", text, pal.id, revision.token, revision.number)
        final = pal.revisions[-1]
        if pal.last is not None and not _is_told(pal.last, final):
            yield Violation("last_read", f"{pal.last}, but the last one is {final}.", pal.id, final.token, final.number)


def _problem_with(history: History, past: Sequence[Revision], revision: Revision) -> str | None:
    attempts = history.writes.get(revision.token or "", [])
    if not attempts or attempts[0].write is None:
        return "was made by nobody"
    if revision.etag_before != (past[-1].etag if past else None):
        return f"does not stand on {past[-1] if past else 'nothing'}"
    wanted = effect(attempts[0].write, past)
    if wanted != revision.state:
        return f"should say {wanted}, as it was sent by {attempts[0]}"
    return None


def read_otherwise(history: History) -> Iterator[Violation]:
    """An answer that shows a state which the PAL never had under that number."""
    for attempt in history.attempts:
        pal = history.pals.get(attempt.pal or "")
        if pal is None or attempt.revision is None or attempt.outcome == "unknown":
            continue
        revision = pal.at(attempt.revision)
        if revision is None or not _is_told(attempt, revision):
            token = attempt.write.token if attempt.write else None
            text = f"{attempt} {attempt.state or ''}, but that is {revision or 'no revision at all'}."
            yield Violation("read_otherwise", text, pal.id, token, attempt.revision)


def unchanged_wrongly(history: History) -> Iterator[Violation]:
    """A write that was told to change nothing, on a state that it would have changed."""
    for attempt in history.attempts:
        pal = history.pals.get(attempt.pal or "")
        revision = pal.at(attempt.revision) if pal else None
        if pal and revision and attempt.write and attempt.outcome == "unchanged":
            wanted = effect(attempt.write, pal.revisions[: revision.number])
            if wanted != revision.state:
                where = (pal.id, attempt.write.token, revision.number)
                yield Violation("unchanged_wrongly", f"{attempt}, but it would make {wanted} of {revision}.", *where)


def _is_told(attempt: Attempt, revision: Revision) -> bool:
    if revision.state.is_deleted and attempt.is_gone:
        return True
    told = (attempt.revision, attempt.etag, attempt.state or revision.state._replace(is_deleted=False))
    return told == (revision.number, revision.etag, revision.state._replace(is_deleted=False))


# --- Order ------------------------------------------------------------------------------------------------------------


class _Seen(NamedTuple):
    """An attempt that speaks of the revision `number`, or, as a write, made it."""

    number: int
    attempt: Attempt
    made_it: bool


def out_of_order(history: History) -> Iterator[Violation]:
    """An answer that knows less than one that was complete before its request was sent, on whatever connection."""
    by_pal: dict[str, list[Attempt]] = {}
    for attempt in history.attempts:
        if attempt.pal is not None:
            by_pal.setdefault(attempt.pal, []).append(attempt)
    for id, attempts in by_pal.items():
        if id in history.pals:
            yield from _out_of_order(history.pals[id], attempts)


def _out_of_order(pal: Pal, attempts: Sequence[Attempt]) -> Iterator[Violation]:
    made = {revision.token: revision.number for revision in pal.revisions}
    deletions = [revision.number for revision in pal.revisions if revision.state.is_deleted]
    first = _first_attempts(attempts)
    pending: list[tuple[float, int, _Seen]] = []
    newest: dict[int | None, _Seen] = {}
    for place, attempt in enumerate(sorted(attempts, key=lambda attempt: attempt.began)):
        while pending and pending[0][0] < attempt.began:
            seen = heapq.heappop(pending)[2]
            for whose in (None, seen.attempt.connection):
                if whose not in newest or newest[whose].number < seen.number:
                    newest[whose] = seen
        seen = _seen(attempt, made)
        if attempt.is_gone and not attempt.is_replay and None in newest:
            if not any(number >= newest[None].number for number in deletions):
                text = f"{attempt}, but before that: {newest[None].attempt}."
                yield Violation("stale", text, pal.id, revision=newest[None].number)
        elif seen is not None and not attempt.is_replay and (not seen.made_it or first[attempt.write] is attempt):
            yield from _late(pal, seen, newest)
        if seen is not None and attempt.outcome != "unknown":
            heapq.heappush(pending, (attempt.ended, place, seen))


def _first_attempts(attempts: Sequence[Attempt]) -> dict[object, Attempt]:
    first: dict[object, Attempt] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.began):
        first.setdefault(attempt.write, attempt)
    return first


def _seen(attempt: Attempt, made: dict[str | None, int]) -> _Seen | None:
    if attempt.write is not None and attempt.write.token in made and attempt.outcome in ("done", "unknown"):
        return _Seen(made[attempt.write.token], attempt, made_it=True)
    return None if attempt.revision is None else _Seen(attempt.revision, attempt, made_it=False)


def _late(pal: Pal, seen: _Seen, newest: dict[int | None, _Seen]) -> Iterator[Violation]:
    for whose, kind in ((seen.attempt.connection, "backwards"), (None, "stale")):
        known = newest.get(whose)
        if known is not None and seen.number < known.number + seen.made_it:
            is_own = kind == "backwards" and known.made_it and not seen.made_it
            token = seen.attempt.write.token if seen.attempt.write else None
            text = f"{seen.attempt} (revision {seen.number}), but before that: {known.attempt}."
            yield Violation("own_write_unseen" if is_own else kind, text, pal.id, token, seen.number)
            return


# --- The audit log, and answers ---------------------------------------------------------------------------------------


def audited_otherwise(history: History) -> Iterator[Violation]:
    """A revision without exactly one row of the audit log, or a row without a revision."""
    if history.audited is None:
        return
    rows = Counter(history.audited)
    made = {(pal.id, revision.number): revision for pal in history.pals.values() for revision in pal.revisions}
    for (id, number), revision in made.items():
        if rows[id, number] != 1:
            text = f"{revision} of {id} has {rows[id, number]} rows in the audit log."
            yield Violation("audited_otherwise", text, id, revision.token, number)
    for id, number in rows.keys() - made.keys():
        yield Violation("audited_otherwise", f"Row without a revision: {id} {number}.", id, revision=number)


def unexpected(history: History) -> Iterator[Violation]:
    """An answer that no fault excuses, such as 500."""
    for attempt in history.attempts:
        if attempt.status not in EXPECTED:
            token = attempt.write.token if attempt.write else None
            yield Violation("unexpected_answer", str(attempt), attempt.pal, token, attempt.revision)


# --- For people -------------------------------------------------------------------------------------------------------


def excerpt(history: History, violation: Violation) -> str:
    """The few attempts and revisions that a violation is about, with those around them."""
    attempts = sorted((one for one in history.attempts if one.pal == violation.pal), key=lambda one: one.began)
    about = {
        place
        for place, attempt in enumerate(attempts)
        if (attempt.write is not None and attempt.write.token == violation.token)
        or (violation.revision is not None and attempt.revision == violation.revision)
    }
    shown = sorted({near for place in about for near in range(place - NEIGHBOURS, place + NEIGHBOURS + 1)})
    seen = [attempts[place] for place in shown if 0 <= place < len(attempts)][:40]
    began, ended = min((one.began for one in seen), default=0), max((one.ended for one in seen), default=0)
    troubles = [trouble for trouble in history.troubles if trouble.began <= ended and trouble.ended >= began - 1]
    lines = [str(one) for one in sorted([*seen, *troubles], key=lambda one: one.began)]
    pal = history.pals.get(violation.pal or "")
    if pal is not None:
        numbers = {revision.number for revision in pal.revisions if revision.token == violation.token}
        numbers |= {violation.revision} if violation.revision is not None else set()
        around = {near for number in numbers for near in range(number - 2, number + 3)}
        lines += [str(revision) for revision in pal.revisions if revision.number in around]
    return "\n".join([str(violation), *(f"    {line}" for line in lines)])
