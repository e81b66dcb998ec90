"""The gate of a PAL: what goes live has passed a suite before, that very content with that very suite."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.drafting import drafted
from tests.api.rehearsing import SUITE, new_desk, new_suite, rehearsed, script_file
from tests.api.wire import patch, preview, refused, replace
from tests.serving import Palace, start_palace

MORNING = replace("/greeting", "Good morning, night desk.")
LATE = replace("/greeting", "You call late.")
PROMPTED = replace("/system_prompt", "You are the night desk of a small hotel.")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    folder = tmp_path_factory.mktemp("gates")
    with start_palace(folder / "data", "--scripted-model", script_file(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def client(desk: Palace) -> Iterator[httpx.Client]:
    with desk.client() as running:
        yield running


@pytest.fixture
def suite(client: httpx.Client) -> str:
    return new_suite(client)


@pytest.fixture
def pal(client: httpx.Client, suite: str) -> str:
    """A PAL with a gate."""
    id = new_desk(client)
    answer = client.put(f"/v2/pals/{id}/rehearsal-gate", json={"suite_id": suite})
    assert (answer.status_code, answer.json()["pass_rate"]) == (200, 1.0)
    return id


def publish(client: httpx.Client, pal: str, **query: str) -> httpx.Response:
    return client.post(f"/v2/pals/{pal}/publish", params=query)


def greeting(client: httpx.Client, pal: str) -> str:
    said: str = client.get(f"/v2/pals/{pal}").json()["greeting"]
    return said


# --- The gate ---------------------------------------------------------------------------------------------------------


def test_a_gate_is_set_up_changed_read_and_removed(client: httpx.Client, pal: str, suite: str) -> None:
    path = f"/v2/pals/{pal}/rehearsal-gate"
    shown = client.get(path)
    assert (shown.json()["suite_id"], shown.json()["pass_rate"]) == (suite, 1.0)
    assert client.get(path, headers={"if-none-match": shown.headers["etag"]}).status_code == 304
    assert client.put(path, json={"suite_id": suite, "pass_rate": 0.5}).json()["pass_rate"] == 0.5
    assert client.put(path, json={"suite_id": suite}).json()["pass_rate"] == 1.0
    assert client.put(path, json={"suite_id": suite}, headers={"if-match": '"x"'}).status_code == 200
    refused(client.put(path, json={"suite_id": suite, "pass_rate": 0.9}, headers={"if-match": '"x"'}), 412)
    assert client.delete(path).status_code == 204
    refused(client.get(path), 404, "This PAL has no rehearsal gate")
    refused(client.delete(path), 404)
    refused(client.put(path, json={"suite_id": suite}, headers={"if-match": '"x"'}), 412)
    assert client.put(path, json={"suite_id": suite}).status_code == 200


WRONG: list[tuple[Any, str, str]] = [
    ({}, "/suite_id", "missing"),
    ({"suite_id": "rs000"}, "/suite_id", "unknown_reference"),
    ({"suite_id": None, "pass_rate": 2}, "/suite_id", "null"),
    ({"suite_id": "rs000", "pass_rate": 0}, "/pass_rate", "out_of_range"),
    ({"suite_id": "rs000", "suites": 1}, "/suites", "unknown_field"),
    ([], "", "wrong_type"),
]


@pytest.mark.parametrize(("body", "pointer", "code"), WRONG)
@pytest.mark.parametrize("is_new", [True, False])
def test_what_is_no_gate_is_refused(
    client: httpx.Client, pal: str, body: Any, pointer: str, code: str, is_new: bool
) -> None:
    id = new_desk(client) if is_new else pal
    details = refused(client.put(f"/v2/pals/{id}/rehearsal-gate", json=body), 400)
    assert (pointer, code) in [(one.get("pointer"), one["code"]) for one in details]


def test_no_published_document_has_a_member_for_the_gate(client: httpx.Client, pal: str) -> None:
    assert "gate" not in client.get(f"/v2/pals/{pal}").text


def test_the_gate_goes_and_comes_back_with_its_pal(client: httpx.Client, pal: str, suite: str) -> None:
    assert client.delete(f"/v2/pals/{pal}").status_code == 204
    refused(client.get(f"/v2/pals/{pal}/rehearsal-gate"), 400, "Invalid pal_id")
    assert client.post(f"/v2/pals/{pal}/restore").status_code == 200
    assert client.get(f"/v2/pals/{pal}/rehearsal-gate").json()["suite_id"] == suite


def test_a_suite_that_a_gate_names_is_not_deleted_by_the_way(client: httpx.Client, pal: str, suite: str) -> None:
    [detail] = refused(client.delete(f"/v2/rehearsal-suites/{suite}"), 409)
    assert (detail["code"], detail["kind"], detail["id"]) == ("in_use", "rehearsal_gate", pal)
    assert client.delete(f"/v2/rehearsal-suites/{suite}", params={"cascade": "true"}).status_code == 204
    drafted(client, pal, MORNING)
    [detail] = refused(publish(client, pal), 409)
    assert detail["code"] == "rehearsal_missing"
    assert "is deleted" in detail["problem"]
    assert client.post(f"/v2/rehearsal-suites/{suite}/restore").status_code == 200


# --- What it holds up -------------------------------------------------------------------------------------------------


def test_a_draft_is_published_once_it_has_passed(client: httpx.Client, pal: str, suite: str) -> None:
    drafted(client, pal, MORNING)
    [detail] = refused(publish(client, pal), 409)
    assert (detail["code"], detail["suite_id"], detail["pass_rate"]) == ("rehearsal_missing", suite, 1.0)
    assert f'POST /v2/pals/{pal}/rehearsals {{"suite_id":"{suite}","draft":true}}' in detail["problem"]
    assert greeting(client, pal) == "Good evening, night desk."
    assert client.get(f"/v2/pals/{pal}/draft").json()["state"] == "open"
    assert rehearsed(client, pal, suite_id=suite, draft=True)["pass_rate"] == 1.0
    answer = publish(client, pal)
    assert (answer.status_code, answer.json()["greeting"]) == (200, "Good morning, night desk.")


def test_a_draft_that_fails_is_not_published_and_the_failure_is_told(
    client: httpx.Client, pal: str, suite: str
) -> None:
    drafted(client, pal, LATE)
    found = rehearsed(client, pal, suite_id=suite, draft=True)
    [detail] = refused(publish(client, pal), 409)
    assert (detail["code"], detail["rehearsal_id"]) == ("rehearsal_failed", found["rehearsal_id"])
    assert (detail["failed"], detail["actual"]) == (["asks for a price"], 0.0)


def test_a_preview_is_refused_as_the_real_thing_would_be(client: httpx.Client, pal: str, suite: str) -> None:
    drafted(client, pal, MORNING)
    refused(publish(client, pal, dry_run="true"), 409)
    rehearsed(client, pal, suite_id=suite, draft=True)
    assert preview(client, "POST", f"/v2/pals/{pal}/publish")["changed"] is True


def test_a_draft_that_changed_since_is_rehearsed_anew(client: httpx.Client, pal: str, suite: str) -> None:
    drafted(client, pal, MORNING)
    rehearsed(client, pal, suite_id=suite, draft=True)
    drafted(client, pal, PROMPTED)
    [detail] = refused(publish(client, pal), 409)
    assert detail["code"] == "rehearsal_missing"


def test_a_suite_that_changed_since_proves_nothing_any_more(client: httpx.Client, pal: str, suite: str) -> None:
    drafted(client, pal, MORNING)
    rehearsed(client, pal, suite_id=suite, draft=True)
    path = f"/v2/rehearsal-suites/{suite}"
    assert client.patch(path, json=[replace("/runs", 2)]).status_code == 200
    [detail] = refused(publish(client, pal), 409)
    assert detail["code"] == "rehearsal_missing"
    assert client.patch(path, json=[replace("/runs", 1)]).status_code == 200
    assert publish(client, pal).status_code == 200


def test_a_guardrail_that_was_edited_since_is_rehearsed_anew(client: httpx.Client, pal: str, suite: str) -> None:
    rule = {"guardrail_name": "no_prices", "guardrail_prompt": "Never name a price."}
    path = f"/v2/guardrails/{client.post('/v2/guardrails', json=rule).json()['uuid']}"
    drafted(client, pal, MORNING, {"op": "add", "path": "/guardrail_ids", "value": [path.rpartition("/")[2]]})
    rehearsed(client, pal, suite_id=suite, draft=True)
    edited = client.patch(path, json=[replace("/guardrail_prompt", "Name any price.")])
    assert edited.status_code == 200
    [detail] = refused(publish(client, pal), 409)
    assert "nor since a tool, objective or guardrail that it names was edited" in detail["problem"]
    client.patch(path, json=[replace("/guardrail_prompt", rule["guardrail_prompt"])])
    assert publish(client, pal).status_code == 200


def test_a_suite_that_is_sent_and_says_the_same_is_proof(client: httpx.Client, pal: str) -> None:
    drafted(client, pal, MORNING)
    rehearsed(client, pal, suite=SUITE, draft=True)
    assert publish(client, pal).status_code == 200


def test_another_suite_is_no_proof(client: httpx.Client, pal: str) -> None:
    drafted(client, pal, MORNING)
    rehearsed(client, pal, suite=SUITE | {"name": "Another"}, draft=True)
    refused(publish(client, pal), 409)


def test_a_rehearsal_of_another_pal_is_no_proof(client: httpx.Client, pal: str, suite: str) -> None:
    drafted(client, pal, MORNING)
    other = new_desk(client, greeting="Good morning, night desk.")
    rehearsed(client, other, suite_id=suite)
    refused(publish(client, pal), 409)


def test_a_lower_rate_may_be_enough(client: httpx.Client, pal: str, suite: str) -> None:
    fails = {"name": "asks for a pool", "steps": [{"say": "A pool?", "expect": {"matches": ["pool"]}}]}
    both = new_suite(client, visitors=[*SUITE["visitors"], fails])
    path = f"/v2/pals/{pal}/rehearsal-gate"
    client.put(path, json={"suite_id": both, "pass_rate": 0.6})
    drafted(client, pal, MORNING)
    assert rehearsed(client, pal, suite_id=both, draft=True)["pass_rate"] == 0.5
    [detail] = refused(publish(client, pal), 409)
    assert "passed 50.00% of its talks, and 60.00% are needed. Failed: asks for a pool." in detail["problem"]
    client.put(path, json={"suite_id": both, "pass_rate": 0.5})
    assert publish(client, pal).status_code == 200


def test_fewer_runs_than_the_suite_says_are_no_proof_and_more_are(client: httpx.Client, pal: str, suite: str) -> None:
    assert client.patch(f"/v2/rehearsal-suites/{suite}", json=[replace("/runs", 2)]).status_code == 200
    drafted(client, pal, MORNING)
    assert rehearsed(client, pal, suite_id=suite, draft=True, runs=1)["pass_rate"] == 1.0
    [detail] = refused(publish(client, pal), 409)
    assert (detail["code"], detail["runs"]) == ("rehearsal_missing", 2)
    assert "was rehearsed with fewer runs than the 2 of the suite" in detail["problem"]
    rehearsed(client, pal, suite_id=suite, draft=True, runs=3)
    assert publish(client, pal).status_code == 200


def test_going_back_needs_a_green_revision(client: httpx.Client, pal: str, suite: str) -> None:
    assert patch(client, pal, LATE).status_code == 200, "a patch of the live PAL is not held up"
    [detail] = refused(client.post(f"/v2/pals/{pal}/rollback", json={"to": 1}), 409)
    assert f'{{"suite_id":"{suite}","revision":1}}' in detail["problem"]
    assert greeting(client, pal) == "You call late."
    assert rehearsed(client, pal, suite_id=suite, revision=1)["pass_rate"] == 1.0
    assert client.post(f"/v2/pals/{pal}/rollback", json={"to": 1}).status_code == 200
    assert greeting(client, pal) == "Good evening, night desk."


def test_taking_a_change_back_needs_proof_of_the_result(client: httpx.Client, pal: str, suite: str) -> None:
    assert patch(client, pal, LATE).status_code == 200
    [detail] = refused(client.post(f"/v2/pals/{pal}/revisions/2/revert"), 409)
    assert "Make the change in a draft" in detail["problem"]
    rehearsed(client, pal, suite_id=suite, revision=1)  # Which is what the result says.
    assert client.post(f"/v2/pals/{pal}/revisions/2/revert").status_code == 200


def test_what_changes_nothing_needs_no_proof(client: httpx.Client, pal: str) -> None:
    assert client.post(f"/v2/pals/{pal}/rollback", json={"to": 1}).status_code == 304
    assert publish(client, pal).status_code == 200


def test_without_a_gate_nothing_is_held_up(client: httpx.Client, pal: str) -> None:
    drafted(client, pal, LATE)
    refused(publish(client, pal), 409)
    assert client.delete(f"/v2/pals/{pal}/rehearsal-gate").status_code == 204
    assert publish(client, pal).status_code == 200
