"""Rehearsals on the server: of what is live, a revision, a draft; replays; reports; what survives."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.drafting import drafted
from tests.api.rehearsing import ASKS, GREETS, SUITE, begun, finished, new_desk, new_suite, rehearsed, script_file
from tests.api.test_jobs import forget_who_worked
from tests.api.wire import patch, refused, replace
from tests.rows import change, rows
from tests.serving import Palace, start_palace
from tests.waiting import wait_until

SLOW = {"rules": [{"when": "any", "say": "night desk " * 100}], "tokens_per_second": 1}
"""Minutes for whatever the PAL says."""
LATE = replace("/greeting", "You call late.")
MANY = {"name": "x", "visitors": [{"name": f"{n}", "steps": [{}]} for n in range(26)]}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    folder = tmp_path_factory.mktemp("desk")
    with start_palace(folder / "data", "--scripted-model", script_file(folder), "--pal-scripts") as running:
        yield running


@pytest.fixture(scope="module")
def client(desk: Palace) -> Iterator[httpx.Client]:
    with desk.client() as running:
        yield running


@pytest.fixture
def pal(client: httpx.Client) -> str:
    return new_desk(client)


# --- Suites -----------------------------------------------------------------------------------------------------------


def test_a_suite_is_patched_and_has_a_history(client: httpx.Client) -> None:
    path = f"/v2/rehearsal-suites/{new_suite(client)}"
    answer = client.patch(path, json=[{"op": "add", "path": "/visitors/0/steps/-", "value": {"say": "Bye"}}])
    assert answer.status_code == 200, answer.text
    assert [step.get("say") for step in answer.json()["visitors"][0]["steps"]] == [None, "What is the price?", "Bye"]
    assert client.post(f"{path}/rollback", json={"to": 1}).json()["visitors"] == SUITE["visitors"]


def test_everything_that_is_wrong_with_a_suite_is_told_at_once(client: httpx.Client) -> None:
    steps = [{"say": "Hello", "expect": {"matches": ["("]}}, {"expect": {}}]
    answer = client.post("/v2/rehearsal-suites", json={"name": "x", "visitors": [{"name": "a", "steps": steps}]})
    details = refused(answer, 400)
    assert {detail["pointer"]: detail["code"] for detail in details} == {
        "/visitors/0/steps/0/expect/matches/0": "pattern",
        "/visitors/0/steps/1/say": "missing",
    }


def test_a_list_of_suites_leaves_out_what_they_say(client: httpx.Client) -> None:
    id = new_suite(client, name="For the list")
    [found] = client.get("/v2/rehearsal-suites", params={"name_or_uuid": id}).json()["data"]
    assert (found["name"], found["visitors_count"]) == ("For the list", 1)
    assert "visitors" not in found


# --- What is rehearsed ------------------------------------------------------------------------------------------------


def test_a_rehearsal_of_what_is_live_is_green(client: httpx.Client, pal: str) -> None:
    found = rehearsed(client, pal, suite_id=new_suite(client), runs=3)
    assert (found["status"], found["pass_rate"], found["progress"], found["runs"]) == ("completed", 1.0, "3/3", 3)
    report = found["report"]
    assert report["visitors"] == [
        {"name": "asks for a price", "runs": 3, "passed": 3, "pass_rate": 1.0, "is_flaky": False}
    ]
    assert report["coverage"]["tools"] == [{"name": "rate_of_rooms", "called": 3}]
    assert report["tokens"]["model"]["completion"] > 0
    assert report["tokens"]["judge"]["completion"] == 9


def test_a_revision_and_a_draft_are_rehearsed_as_they_are(client: httpx.Client, pal: str) -> None:
    assert patch(client, pal, LATE).status_code == 200
    drafted(client, pal, replace("/greeting", "Good morning, night desk."))
    suite = new_suite(client)
    etag = client.get(f"/v2/pals/{pal}/revisions/1").json()["etag"]
    first = rehearsed(client, pal, suite_id=suite, revision=1)
    assert (first["pass_rate"], first["pal_revision"], f'"{first["pal_etag"]}"') == (1.0, 1, etag)
    live = rehearsed(client, pal, suite_id=suite)
    assert (live["pass_rate"], live["pal_revision"]) == (0.0, 2)
    draft = rehearsed(client, pal, suite_id=suite, draft=True)
    assert (draft["pass_rate"], draft["pal_revision"], draft["pal_draft"]) == (1.0, 2, 1)
    assert f'"{draft["pal_etag"]}"' == client.get(f"/v2/pals/{pal}/draft").headers["etag"]


def test_what_was_asked_for_is_rehearsed_whatever_is_changed_meanwhile(client: httpx.Client, pal: str) -> None:
    suite = new_suite(client)
    receipt = begun(client, pal, suite_id=suite, runs=10)
    assert patch(client, pal, LATE).status_code == 200
    assert client.delete(f"/v2/rehearsal-suites/{suite}").status_code == 204
    assert finished(client, pal, receipt["rehearsal_id"])["pass_rate"] == 1.0


def test_a_failure_is_shown_with_what_was_said(client: httpx.Client, pal: str) -> None:
    visitor = {"name": "asks", "steps": [{"say": "Is there a pool?", "expect": {"matches": ["pool"]}}]}
    found = rehearsed(client, pal, suite=SUITE | {"visitors": [visitor]})
    [talk] = found["report"]["talks"]
    assert talk["failures"] == [{"step": 1, "code": "matches", "problem": "“pool” is not found in “I cannot tell.”."}]
    assert [line["content"] for line in talk["transcript"]][1:] == ["Is there a pool?", "I cannot tell."]


def test_a_judge_that_denies_fails_a_talk(client: httpx.Client, pal: str) -> None:
    visitor = {"name": "asks", "steps": [{"say": "Hello", "expect": {"judge": ["The answer is helpful."]}}]}
    [talk] = rehearsed(client, pal, suite=SUITE | {"visitors": [visitor]})["report"]["talks"]
    assert talk["failures"][0]["code"] == "judge"


def test_a_suite_that_is_sent_counts_like_a_stored_one_that_says_the_same(client: httpx.Client, pal: str) -> None:
    stored = begun(client, pal, suite_id=new_suite(client))
    assert begun(client, pal, suite=SUITE)["suite_tag"] == stored["suite_tag"]
    assert begun(client, pal, suite=SUITE | {"runs": 2})["suite_tag"] != stored["suite_tag"]


def test_a_model_of_the_pal_s_own_is_asked_with_its_secret(client: httpx.Client, pal: str) -> None:
    rules = [{"when": "any", "say": "180, night desk, says the script of the PAL."}]
    own = {"model": "scripted", "extra_body": {"script": {"rules": rules}}}
    scripted = new_desk(client, layers={"llm": own})
    visitor = {"name": "asks", "steps": [{"say": "Hello", "expect": {"matches": ["script of the PAL"]}}]}
    assert rehearsed(client, scripted, suite=SUITE | {"visitors": [visitor]})["pass_rate"] == 1.0


REFUSED = [
    ({}, 400, "/suite_id", "missing"),
    ({"suite_id": "rs000"}, 400, "/suite_id", "unknown_reference"),
    ({"suite": SUITE, "suite_id": "rs000"}, 400, "/suite", "exclusive"),
    ({"suite": SUITE, "draft": True, "revision": 1}, 400, "/draft", "exclusive"),
    ({"suite": SUITE, "runs": 21}, 400, "/runs", "out_of_range"),
    ({"suite": MANY, "runs": 20}, 400, "/runs", "out_of_range"),
    ({"suite": SUITE, "run": 2}, 400, "/run", "unknown_field"),
    ({"suite": {"name": "x"}}, 400, "/visitors", "missing"),
    ({"suite": SUITE, "revision": 99}, 404, None, "no_such_revision"),
    ({"suite": SUITE, "draft": True}, 404, None, "no_draft"),
    ({"conversation_id": "c000"}, 400, "/conversation_id", "unknown_reference"),
    ({"conversation_id": "c000", "runs": 2}, 400, "/runs", "exclusive"),
]


@pytest.mark.parametrize(("body", "status", "pointer", "code"), REFUSED)
def test_what_cannot_be_rehearsed_is_refused(
    client: httpx.Client, pal: str, body: Any, status: int, pointer: str | None, code: str
) -> None:
    [detail] = refused(client.post(f"/v2/pals/{pal}/rehearsals", json=body), status)
    assert (detail.get("pointer"), detail["code"]) == (pointer, code)
    assert client.get(f"/v2/pals/{pal}/rehearsals").json() == {"data": [], "total_count": 0}


# --- Looking ----------------------------------------------------------------------------------------------------------


def test_rehearsals_are_listed_newest_first_without_reports(client: httpx.Client, pal: str) -> None:
    ids = [rehearsed(client, pal, suite=SUITE)["rehearsal_id"] for _ in range(3)]
    page = client.get(f"/v2/pals/{pal}/rehearsals", params={"limit": "2"}).json()
    assert [one["rehearsal_id"] for one in page["data"]] == [ids[2], ids[1]]
    assert page["total_count"] == 3
    assert "report" not in page["data"][0]


def test_a_rehearsal_is_only_that_of_its_pal_and_its_account(desk: Palace, client: httpx.Client, pal: str) -> None:
    id = rehearsed(client, pal, suite=SUITE)["rehearsal_id"]
    refused(client.get(f"/v2/pals/{new_desk(client)}/rehearsals/{id}"), 400, "Invalid rehearsal_id")
    refused(client.get(f"/v2/pals/{pal}/rehearsals/rh000"), 400, "Invalid rehearsal_id")
    with desk.client(desk.new_key("rehearsals-stranger")) as stranger:
        for path in (f"/v2/pals/{pal}/rehearsals", f"/v2/pals/{pal}/rehearsals/{id}", f"/v2/pals/{pal}/rehearsal-gate"):
            refused(stranger.get(path), 400, "Invalid pal_id")
        refused(stranger.post(f"/v2/pals/{pal}/rehearsals", json={"suite": SUITE}), 400, "Invalid pal_id")
        suite = new_suite(client)
        stock = stranger.get("/v2/pals", params={"pal_type": "system"}).json()["data"][0]["pal_id"]
        refused(stranger.post(f"/v2/pals/{stock}/rehearsals", json={"suite_id": suite}), 400, "Invalid suite_id")


def test_rehearsals_go_with_their_pal(client: httpx.Client, pal: str) -> None:
    rehearsed(client, pal, suite=SUITE)
    assert client.delete(f"/v2/pals/{pal}").status_code == 204
    assert client.post(f"/v2/pals/{pal}/restore").status_code == 200
    assert client.get(f"/v2/pals/{pal}/rehearsals").json()["total_count"] == 0


def test_a_preview_begins_nothing(desk: Palace, client: httpx.Client, pal: str) -> None:
    answer = client.post(f"/v2/pals/{pal}/rehearsals", json={"suite": SUITE}, params={"dry_run": "true"})
    assert answer.json()["dry_run"] is True
    assert client.get(f"/v2/pals/{pal}/rehearsals").json()["total_count"] == 0


# --- Replays ----------------------------------------------------------------------------------------------------------


def held(client: httpx.Client, pal: str) -> str:
    """A conversation in which somebody asked for a price, and said goodbye."""
    id: str = client.post("/v2/conversations", json={"pal_id": pal, "chat": True}).json()["conversation_id"]
    client.post(f"/v2/conversations/{id}/respond", json={"text": "What is the price?", "timeout_s": 0})
    deadline, calls = time.monotonic() + 10, []
    while not calls:
        assert time.monotonic() < deadline
        messages = client.get(f"/v2/conversations/{id}/messages").json()["data"]
        calls = [one["properties"] for one in messages if one["event_type"] == "conversation.tool_call"]
    result = {"tool_call_id": calls[0]["tool_call_id"], "output": "170 euros"}
    told = {"event_type": "conversation.tool_result", "properties": result}
    assert client.post(f"/v2/conversations/{id}/messages", json=told).status_code == 200
    turn = client.get(f"/v2/conversations/{id}/respond", params={"timeout_s": "10"}).json()
    assert "170 euros" in turn["text"]
    client.post(f"/v2/conversations/{id}/respond", json={"text": "Bye"})
    return id


def test_a_conversation_is_replayed_against_a_draft(client: httpx.Client, pal: str) -> None:
    conversation = held(client, pal)
    same = rehearsed(client, pal, conversation_id=conversation)
    assert (same["pass_rate"], same["report"]["kind"], same["report"]["differs"]) == (None, "replay", 0)
    drafted(client, pal, LATE)
    found = rehearsed(client, pal, conversation_id=conversation, draft=True)
    greeting, asked, bye = found["report"]["turns"]
    assert greeting["differs"]
    assert (greeting["before"]["said"], greeting["after"]["said"]) == ("Good evening, night desk.", "You call late.")
    assert (asked["visitor"], bye["visitor"]) == ("What is the price?", "Bye")
    assert asked["after"]["said"] == "It is 170 euros."
    assert found["report"]["differs"] == 1


def test_tools_of_a_suite_come_before_what_tools_answered_then(client: httpx.Client, pal: str) -> None:
    conversation = held(client, pal)
    found = rehearsed(client, pal, conversation_id=conversation, suite=SUITE)
    assert found["report"]["turns"][1]["after"]["said"] == "It is 180 euros."
    assert found["suite_tag"] is None


# --- Whatever happens -------------------------------------------------------------------------------------------------


def test_a_rehearsal_survives_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    states = "SELECT state FROM jobs WHERE kind = 'rehearse'"
    suite = {"name": "slow", "visitors": [{"name": "a", "steps": [GREETS, {"say": "Hello"}]}]}
    with start_palace(data, "--scripted-model", script_file(tmp_path, **SLOW)) as palace, palace.client() as client:
        pal = new_desk(client)
        id = begun(client, pal, suite=suite)["rehearsal_id"]
        wait_until(lambda: rows(data, states) == [("running",)])
        palace.kill()
    assert rows(data, states) == [("running",)]
    forget_who_worked(data)
    with start_palace(data, "--scripted-model", script_file(tmp_path)) as palace, palace.client() as client:
        assert finished(client, pal, id)["pass_rate"] == 1.0


def test_a_rehearsal_that_ends_the_server_each_time_is_given_up_and_proves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start_palace(data, "--scripted-model", script_file(tmp_path, **SLOW)) as palace, palace.client() as client:
        pal, suite = new_desk(client), new_suite(client)
        client.put(f"/v2/pals/{pal}/rehearsal-gate", json={"suite_id": suite})
        drafted(client, pal, LATE)
        id = begun(client, pal, suite_id=suite, draft=True)["rehearsal_id"]
        [detail] = refused(client.post(f"/v2/pals/{pal}/publish"), 409)
        assert (detail["code"], detail["rehearsal_id"]) == ("rehearsal_running", id)
        palace.kill()
    change(data, "UPDATE jobs SET attempts = 6, leased_until = ''")
    with start_palace(data) as palace, palace.client() as client:
        found = finished(client, pal, id)
        problem = "The server could not finish this; its log tells why."
        assert (found["status"], found["error_message"], found["report"]) == ("error", problem, None)
        [detail] = refused(client.post(f"/v2/pals/{pal}/publish"), 409)
        assert detail["code"] == "rehearsal_failed"
        assert problem in detail["problem"]


def test_a_report_that_is_larger_than_what_is_kept_ends_in_an_error(tmp_path: Path) -> None:
    flags = ("--scripted-model", script_file(tmp_path), "--max-document-bytes", "12000")
    visitor = {"name": "asks", "steps": [{"say": f"Hello {n}?", "expect": {"matches": ["never"]}} for n in range(20)]}
    with start_palace(tmp_path / "data", *flags) as palace, palace.client() as client:
        found = rehearsed(client, new_desk(client), suite={"name": "x", "visitors": [visitor]})
        assert (found["status"], found["report"]) == ("error", None)
        assert "max_document_bytes" in found["error_message"]


def test_only_the_newest_hundred_of_a_pal_are_kept(client: httpx.Client, pal: str) -> None:
    first = begun(client, pal, suite=SUITE)["rehearsal_id"]
    for _ in range(100):
        begun(client, pal, suite={"name": "x", "visitors": [{"name": "a", "steps": [{}]}]})
    assert client.get(f"/v2/pals/{pal}/rehearsals").json()["total_count"] == 100
    refused(client.get(f"/v2/pals/{pal}/rehearsals/{first}"), 400, "Invalid rehearsal_id")


def test_a_judge_of_the_operator_s_choice_judges(tmp_path: Path) -> None:
    """The PAL brings a script of its own, in which nobody judges; the server's scripted model does."""
    rules = [{"when": "any", "say": "I never judge."}]
    layers = {"llm": {"model": "scripted", "extra_body": {"script": {"rules": rules}}}}
    visitor = {"name": "asks", "steps": [ASKS | {"expect": {"judge": ["The answer is polite."]}}]}
    flags = ("--scripted-model", script_file(tmp_path), "--pal-scripts", "--judge-model", "scripted")
    with start_palace(tmp_path / "data", *flags) as palace, palace.client() as client:
        found = rehearsed(client, new_desk(client, layers=layers), suite=SUITE | {"visitors": [visitor]})
        assert found["pass_rate"] == 1.0
