"""The checker of the register test finds every kind of violation, and none where there is none."""

from dataclasses import replace

import pytest

from tests.acceptance.register.checker import check, excerpt
from tests.acceptance.register.clients import said
from tests.acceptance.register.history import Attempt, History, Pal, Revision, State, Write
from tests.acceptance.register.toy import DEFECTS, lived
from tests.acceptance.register.wire import Answer

A, B, C = State("a"), State("b"), State("b", tags=("c",))
CREATED = Revision(1, "create", "a", "e1", None, A)
PUT = Revision(2, "patch", "b", "e2", "e1", B)
APPENDED = Revision(3, "patch", "c", "e3", "e2", C)


def attempt(began: float, write: Write | None = None, revision: int | None = None, **facts: object) -> Attempt:
    """A request that took half a second, and was carried out unless it is told otherwise."""
    etag = f"e{revision}" if revision else None
    told = {"client": 0, "connection": 0, "node": 0, "began": began, "ended": began + 0.5, "pal": "p", "write": write}
    return Attempt(**{**told, "outcome": "done", "status": 200, "revision": revision, "etag": etag, **facts})  # type: ignore[arg-type]


CREATE, WRITE, APPEND = Write("create", "a"), Write("put", "b"), Write("append", "c", if_match="e2", key="k")
GOOD = [attempt(1, CREATE, 1), attempt(2, WRITE, 2), attempt(3, APPEND, 3), attempt(4, None, 3, state=C)]
UNKNOWN = {"outcome": "unknown", "status": 0, "revision": None, "etag": None}
REFUSED = {"outcome": "refused", "status": 503, "revision": None, "etag": None}


def history(*attempts: Attempt, revisions: tuple[Revision, ...] = (CREATED, PUT, APPENDED)) -> History:
    """What the attempts were, and what is remembered."""
    return History(attempts, {"p": Pal("p", revisions)}, [("p", revision.number) for revision in revisions])


def test_a_good_history_has_no_violations() -> None:
    assert check(history(*GOOD)) == []


FINE = [
    pytest.param(history(GOOD[0], attempt(2, WRITE, **UNKNOWN), *GOOD[2:]), id="an unknown write that was done"),
    pytest.param(
        history(*GOOD[:2], attempt(3, APPEND, **UNKNOWN), revisions=(CREATED, PUT)), id="an unknown write that was not"
    ),
    pytest.param(
        history(*GOOD[:2], attempt(3, APPEND, **REFUSED), attempt(4, APPEND, 3)), id="refused for now, then done"
    ),
    pytest.param(history(*GOOD, attempt(5, APPEND, 3, is_replay=True)), id="a replay"),
    pytest.param(history(*GOOD[:3], attempt(3.2, None, 2, state=B)), id="a read beside a write, of what was before"),
    pytest.param(history(*GOOD[:3], attempt(2.6, None, 3, state=C, ended=3.1)), id="a read beside a write, of it"),
]


@pytest.mark.parametrize("good", FINE)
def test_what_may_happen_is_no_violation(good: History) -> None:
    assert check(good) == []


OTHER_BODY = APPENDED._replace(state=State("b", tags=("x",)))
BAD = [
    pytest.param("lost", history(*GOOD[:3], revisions=(CREATED, PUT)), id="an acknowledged write is not there"),
    pytest.param(
        "acknowledged_otherwise", history(*GOOD[:2], attempt(3, APPEND, 4), GOOD[3]), id="it has another number"
    ),
    pytest.param(
        "applied_twice",
        history(*GOOD, revisions=(CREATED, PUT, APPENDED, APPENDED._replace(number=4, etag="e4", etag_before="e3"))),
        id="a write made two revisions",
    ),
    pytest.param("carried_out_twice", history(*GOOD[:3], attempt(4, APPEND, 3)), id="a repetition that is no replay"),
    pytest.param(
        "two_answers",
        history(*GOOD[:3], attempt(4, APPEND, 3, status=412, outcome="refused", is_replay=True)),
        id="one key, two answers",
    ),
    pytest.param(
        "refused_but_done", history(*GOOD[:2], attempt(3, APPEND, **REFUSED)), id="a refusal that changed something"
    ),
    pytest.param(
        "overwritten_unseen",
        history(*GOOD[:2], attempt(3, APPEND._replace(if_match="e1"), 3)),
        id="a guard that did not guard",
    ),
    pytest.param(
        "refused_for_nothing",
        history(*GOOD[:2], attempt(3, APPEND, 2, outcome="refused", status=412), revisions=(CREATED, PUT)),
        id="a guard that guards against nothing",
    ),
    pytest.param("gap", history(*GOOD, revisions=(CREATED, APPENDED)), id="a revision is missing"),
    pytest.param("not_what_was_sent", history(*GOOD[:1], revisions=(CREATED, PUT)), id="a write that nobody sent"),
    pytest.param(
        "not_what_was_sent", history(*GOOD[:3], revisions=(CREATED, PUT, OTHER_BODY)), id="something else was stored"
    ),
    pytest.param(
        "not_what_was_sent",
        history(*GOOD[:3], revisions=(CREATED, PUT, APPENDED._replace(etag_before="e1"))),
        id="a revision stands on another one",
    ),
    pytest.param("read_otherwise", history(*GOOD, attempt(5, None, 3, state=B)), id="a read shows something else"),
    pytest.param("read_otherwise", history(*GOOD, attempt(5, None, 9, state=B)), id="a read of no revision"),
    pytest.param(
        "unchanged_wrongly",
        history(*GOOD[:2], attempt(3, APPEND, 2, outcome="unchanged", status=304), revisions=(CREATED, PUT)),
        id="said to change nothing, and ignored",
    ),
    pytest.param("own_write_unseen", history(*GOOD[:3], attempt(4, None, 2, state=B)), id="its own write is unseen"),
    pytest.param(
        "backwards",
        history(*GOOD[:3], attempt(4, None, 3, connection=1), attempt(5, None, 2, connection=1)),
        id="reads go backwards on one connection",
    ),
    pytest.param("stale", history(*GOOD, attempt(5, None, 2, connection=1)), id="another connection reads old things"),
    pytest.param(
        "stale",
        history(GOOD[0], attempt(2, APPEND._replace(if_match=None), 3), attempt(3, WRITE, 2, connection=1)),
        id="a write lands before one that was done",
    ),
    pytest.param(
        "stale",
        history(*GOOD, attempt(5, None, outcome="refused", status=400, is_gone=True)),
        id="it is said to be gone, and nobody deleted it",
    ),
    pytest.param(
        "audited_otherwise", replace(history(*GOOD), audited=[("p", 1), ("p", 2)]), id="no row in the audit log"
    ),
    pytest.param(
        "audited_otherwise", replace(history(*GOOD), audited=[("p", n) for n in (1, 2, 3, 3)]), id="two rows for one"
    ),
    pytest.param(
        "audited_otherwise", replace(history(*GOOD), audited=[("p", n) for n in (1, 2, 3, 4)]), id="a row for nothing"
    ),
    pytest.param(
        "unexpected_answer", history(*GOOD, attempt(5, None, **{**UNKNOWN, "status": 500})), id="a bug of the server"
    ),
]


@pytest.mark.parametrize(("kind", "bad"), BAD)
def test_each_kind_of_violation_is_found(kind: str, bad: History) -> None:
    found = {violation.kind: violation for violation in check(bad)}
    assert kind in found
    assert kind in excerpt(bad, found[kind])


def test_a_good_store_passes_with_lost_answers_and_refusals() -> None:
    for seed in range(8):
        good = lived(f"good-{seed}")
        assert {attempt.outcome for attempt in good.attempts} == {"done", "unchanged", "refused", "unknown"}
        assert any(attempt.is_replay for attempt in good.attempts)
        assert check(good) == [], excerpt(good, check(good)[0])


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_store_that_is_broken_does_not_pass(defect: str) -> None:
    assert all(check(lived(f"{defect}-{seed}", defect, rounds=500)) for seed in range(3))


ANSWERS = [
    (503, "store_unavailable", "refused"),
    (503, "too_busy", "refused"),
    (503, "outcome_unknown", "unknown"),
    (504, "took_too_long", "unknown"),
    (500, "internal_error", "unknown"),
    (412, "changed_since", "refused"),
]


@pytest.mark.parametrize(("status", "code", "outcome"), ANSWERS)
def test_an_answer_that_does_not_know_is_no_refusal(status: int, code: str, outcome: str) -> None:
    body = f'{{"message": "No.", "details": [{{"code": "{code}"}}]}}'.encode()
    assert said(Answer(status, {}, body))["outcome"] == outcome
