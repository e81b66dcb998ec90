"""Seeing what happened in conversations: turns with their times, calls, transcripts, percentiles, search, the end."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palace.resources.conversations import looking
from palace.resources.pals.latency import percentiles
from palace.talking.words import words_of
from tests.api.collector import collector
from tests.rows import change, rows
from tests.serving import Palace, start_palace
from tests.talks import begin, end, new_pal, new_tool, say
from tests.waiting import wait_until

SCRIPT = {
    "rules": [
        {"when": {"user": "room"}, "call": {"tool": "find_room", "arguments": {"beds": 2}}},
        {"when": "tool_result", "say": "There is room 7. It is quiet."},
        {"when": {"user": "fail"}, "fail": "refused"},
        {"when": {"user": "."}, "say": "I know a Zeppelin in Groß-Berlin. 東京都 is far."},
    ]
}
SCRIPTED = {"llm": {"model": "scripted", "extra_body": {"script": SCRIPT}}}
PARTS = ("context_built", "first_token", "first_sentence", "last_token", "delivered")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palace]:
    data = tmp_path_factory.mktemp("seeing") / "data"
    with start_palace(data, "--pal-scripts") as palace, palace.client() as client:
        members = {"on_call": "passthrough", "on_resolve": "generate_response"}
        new_tool(client, "find_room", parameters={"type": "object"}, **members)
        yield palace


@pytest.fixture
def api(served: Palace) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def pal(api: httpx.Client) -> str:
    [tool] = [one["tool_id"] for one in api.get("/v2/tools?type=user").json()["data"]]
    return new_pal(api, tool, layers=SCRIPTED, system_prompt="You keep a hotel.")


def seen(api: httpx.Client, conversation: str, what: str, **query: Any) -> Any:
    answer = api.get(f"/v2/conversations/{conversation}/{what}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def with_a_room(api: httpx.Client, pal: str, seconds: float = 0.2) -> str:
    """A conversation in which the client's tool took this time."""
    conversation = begin(api, pal)
    waiting = say(api, conversation, "A room, please.")
    assert waiting["status"] == "waiting_for_tool_result"
    time.sleep(seconds)
    result = {"tool_call_id": waiting["tool_calls"][0]["tool_call_id"], "output": "Room 7."}
    message = {"event_type": "conversation.tool_result", "properties": result}
    assert api.post(f"/v2/conversations/{conversation}/messages", json=message).status_code == 200
    wait_until(lambda: seen(api, conversation, "turns")["data"])
    return conversation


# --- One conversation -------------------------------------------------------------------------------------------------


def test_each_part_of_a_turn_comes_after_the_one_before_and_tools_are_told_apart(api, pal):
    conversation = with_a_room(api, pal)
    [turn] = seen(api, conversation, "turns")["data"]
    times = [turn[f"{part}_ms"] for part in PARTS]
    assert times == sorted(times)
    assert turn["context_built_ms"] > 0
    assert turn["first_sentence_ms"] - turn["first_token_ms"] >= 200, "the tool was called in between"
    assert turn["first_sentence_ms"] > turn["tools_ms"] >= 200
    assert (turn["rounds"], turn["interrupted"], turn["turn_idx"]) == (2, False, 1)


def test_a_call_is_told_with_what_the_model_wrote_and_what_came_back(api, pal):
    conversation = with_a_room(api, pal)
    [call] = seen(api, conversation, "tool_calls")["data"]
    assert call["ms"] >= 200
    told = {name: call[name] for name in ("name", "arguments", "status", "output", "request", "problem")}
    assert told == {
        "name": "find_room",
        "arguments": '{"beds": 2}',
        "status": "success",
        "output": "Room 7.",
        "request": None,
        "problem": None,
    }


def test_the_transcript_is_there_while_it_goes_on_and_the_same_when_it_is_over(api, pal):
    conversation = with_a_room(api, pal)
    going_on = seen(api, conversation, "transcript")
    assert going_on["status"] == "active"
    assert [line["role"] for line in going_on["data"]] == ["system", "user", "assistant", "tool", "assistant"]
    end(api, conversation)
    over = seen(api, conversation, "transcript")
    [ready] = [
        one["properties"]["transcript"]
        for one in api.get(f"/v2/conversations/{conversation}?verbose=true").json()["events"]
        if one["event_type"] == "application.transcription_ready"
    ]
    assert (over["data"], over["status"], over["next"]) == (ready, "ended", None)
    assert over["data"] == going_on["data"]


def test_what_is_long_comes_page_by_page(served, api, pal):
    conversation = begin(api, pal)
    [(document,)] = rows(served.data, "SELECT seq FROM documents WHERE id = ?", conversation)
    count = looking.ROWS_ON_A_PAGE + 2
    for number in range(count):
        change(
            served.data,
            "INSERT INTO conversation_log (document, step, place, kind, seq, body) VALUES (?, ?, ?, 'turn', 0, ?)",
            document,
            1000 + number // 3,
            number % 3,
            b'{"turn_idx":%d}' % number,
        )
    first = seen(api, conversation, "turns")
    assert len(first["data"]) == looking.ROWS_ON_A_PAGE
    second = seen(api, conversation, "turns", after=first["next"])
    found = [one["turn_idx"] for one in (*first["data"], *second["data"])]
    assert (found, second["next"]) == (list(range(count)), None)
    assert seen(api, conversation, "turns", after=10**17)["data"] == []
    assert api.get(f"/v2/conversations/{conversation}/turns?after=x").status_code == 400


def test_of_a_conversation_in_test_mode_there_is_nothing_to_see(api, pal):
    conversation = begin(api, pal, test_mode=True)
    for what in ("turns", "tool_calls", "transcript"):
        assert seen(api, conversation, what) == {"data": [], "next": None, "status": "ended"}


# --- A PAL ------------------------------------------------------------------------------------------------------------


def latency(api: httpx.Client, pal: str, **query: Any) -> Any:
    answer = api.get(f"/v2/pals/{pal}/latency", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_percentiles_are_told_by_the_revision_that_conversations_keep(served, api, pal):
    assert latency(api, pal)["data"] == []
    older = begin(api, pal)
    say(api, older, "Hello.")
    change_prompt = [{"op": "replace", "path": "/system_prompt", "value": "You keep an inn."}]
    assert api.patch(f"/v2/pals/{pal}", json=change_prompt).status_code == 200
    newer = begin(api, pal)
    for conversation in (older, newer, newer):
        say(api, conversation, "Hello again.")
    said = latency(api, pal)
    assert [(one["revision"], one["turns"]) for one in said["data"]] == [(2, 2), (1, 2)]
    [turn] = [one for one in seen(api, newer, "turns")["data"] if one["turn_idx"] == 1]
    assert said["data"][0]["parts"]["last_token"]["p50_ms"] <= turn["last_token_ms"] + 1000
    assert all(said["data"][0]["parts"][part]["count"] == 2 for part in PARTS)
    change(served.data, "UPDATE conversation_turns SET at = '2020-01-01T00:00:00.000000Z' WHERE revision = ?", 1)
    assert [one["revision"] for one in latency(api, pal, days=1)["data"]] == [2]
    assert latency(api, pal, days=10**9)["data"] == latency(api, pal, days=366)["data"]


def test_the_older_routes_tell_it_in_the_older_words(api, pal):
    answer = api.get(f"/v2/personas/{pal}/latency").json()
    assert answer["persona_id"] == pal
    assert api.get("/v2/pals/pnobody/latency").status_code == 400


def test_a_pal_of_stock_may_be_looked_at(api):
    [stock] = [one["pal_id"] for one in api.get("/v2/pals?pal_type=system&limit=1").json()["data"]]
    assert latency(api, stock)["is_cut"] is False


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        ([], (0, None, None, None, None)),
        ([5], (1, 5.0, 5.0, 5.0, 5.0)),
        (list(range(1, 101)), (100, 50.0, 90.0, 95.0, 99.0)),
        ([9, 1], (2, 1.0, 9.0, 9.0, 9.0)),
    ],
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(milliseconds, told):
    assert tuple(percentiles([one * 1000 for one in milliseconds]).values()) == told


# --- Finding one ------------------------------------------------------------------------------------------------------


def found(api: httpx.Client, search: str, **query: Any) -> list[str]:
    answer = api.get("/v2/conversations", params={"search": search, **query})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert answer.json()["total_count"] >= len(data)
    return [one["conversation_id"] for one in data]


def test_a_conversation_is_found_by_its_name_its_id_and_what_was_said(api, pal):
    conversation = begin(api, pal, conversation_name="Night desk, room 12")
    say(api, conversation, "Tell me of FLYING things.")
    assert found(api, "NIGHT de") == found(api, conversation) == [conversation]
    assert found(api, "zeppelin") == [], "it goes on"
    end(api, conversation)
    for search in ("zeppelin", "ZEPP flying night", "gross berlin", "Groß", "東京", "京都", "都"):
        assert conversation in found(api, search), search
    for search in ("zeppelins", "eppelin", "zeppelin airship", "hotel", "京東", "!?"):
        assert conversation not in found(api, search), search


def test_a_search_goes_with_the_other_parameters_and_has_a_limit(api, pal):
    word = f"word{pal}"
    made = [begin(api, pal, conversation_name=f"{word} {number}") for number in range(3)]
    end(api, made[0])
    assert found(api, word) == made[::-1]
    assert found(api, word, sort="asc", limit=2, page=2) == [made[2]]
    assert found(api, word, status="ended") == [made[0]]
    assert found(api, word, pal_id="pother") == []
    assert len(found(api, " ")) == 10, "nothing is looked for"
    answer = api.get("/v2/conversations", params={"search": " ".join(f"w{n}" for n in range(17))})
    assert (answer.status_code, "more than 16 words" in answer.text) == (400, True)


def test_words_are_those_of_people_whatever_they_write():
    assert words_of(["It's \uff21nn\u2019s na\u00efve \u00c9T\u00c9_2!"]) == [
        "it",
        "s",
        "ann",
        "na\u00efve",
        "\u00e9t\u00e9_2",
    ]
    assert words_of(["x" * 100]) == ["x" * 40]
    assert words_of(["abc東京"]) == ["abc", "東京", "京"]
    assert len(words_of([" ".join(map(str, range(9000)))])) == 5000


# --- The end ----------------------------------------------------------------------------------------------------------


def texts_left(data: Path, *texts: str) -> list[str]:
    kept = b"".join(path.read_bytes() for path in data.glob("palace.db*"))
    return [text for text in texts if text.encode() in kept]


@pytest.mark.about_the_file("PostgreSQL overwrites when it vacuums")
def test_after_a_hard_delete_no_byte_of_what_was_said_is_in_the_files(tmp_path):
    with start_palace(tmp_path / "data", "--pal-scripts") as palace, palace.client() as api:
        pal = new_pal(api)
        hook = {
            "callback_url": "http://127.0.0.1:9/gone",
        }
        gone = begin(api, pal, **hook, conversation_name="name-of-1 x", conversational_context="context-of-1 x")
        kept = begin(api, pal, **hook, conversation_name="name-of-2 x")
        for number, conversation in ((1, gone), (2, kept)):
            for turn in range(5):
                say(api, conversation, f"text-of-{number} in turn {turn}")
        end(api, kept)
        assert texts_left(palace.data, "text-of-1", "text-of-2") == ["text-of-1", "text-of-2"]
        again = api.post(f"/v2/pals/{pal}/rehearsals", json={"conversation_id": gone}).json()["rehearsal_id"]
        wait_until(lambda: api.get(f"/v2/pals/{pal}/rehearsals/{again}").json()["status"] == "completed")
        assert api.delete(f"/v2/conversations/{gone}?hard=true").status_code == 204
        assert api.get(f"/v2/pals/{pal}/rehearsals").json()["data"] == []
        wait_until(lambda: not texts_left(palace.data, "text-of-1", "name-of-1", "context-of-1"), 20)
        assert texts_left(palace.data, "text-of-2", "name-of-2") == ["text-of-2", "name-of-2"]
        assert seen(api, kept, "transcript")["data"]
        assert {one["conversation_id"] for one in api.get("/v2/webhooks/deliveries").json()["data"]} == {kept}


@pytest.mark.about_the_file("PostgreSQL overwrites when it vacuums")
def test_after_restore_days_and_after_keep_conversations_days_nothing_is_left_either(tmp_path):
    data, flags = tmp_path / "data", ("--pal-scripts", "--restore-days", "5", "--keep-conversations-days", "10")
    with start_palace(data, *flags) as palace, palace.client() as api:
        pal = new_pal(api)
        deleted, old, kept, going_on = (begin(api, pal) for _ in range(4))
        for number, conversation in enumerate((deleted, old, kept, going_on), 1):
            say(api, conversation, f"text-of-{number}")
        for conversation in (deleted, old, kept):
            end(api, conversation)
        assert api.delete(f"/v2/conversations/{deleted}").status_code == 204
    change(data, "UPDATE documents SET deleted_at = '2026-01-01T00:00:00.000000Z' WHERE id = ?", deleted)
    for id in (old, going_on):
        change(data, "UPDATE documents SET updated_at = '2026-01-01T00:00:00.000000Z' WHERE id = ?", id)
    with start_palace(data, *flags) as palace, palace.client() as api:
        texts = [f"text-of-{number}" for number in range(1, 5)]
        wait_until(lambda: texts_left(data, *texts) == texts[2:], 20)
        listed = {one["conversation_id"] for one in api.get("/v2/conversations").json()["data"]}
        assert listed == {kept, going_on}
        assert seen(api, going_on, "transcript")["status"] == "active"


# --- Metrics and traces -----------------------------------------------------------------------------------------------


def figures(api: httpx.Client) -> dict[str, float]:
    lines = [line for line in api.get("/metrics").text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0].removeprefix("palace_"): float(line.rpartition(" ")[2]) for line in lines}


def test_turns_calls_failures_and_first_tokens_are_counted(api, pal):
    before = figures(api)
    with_a_room(api, pal, 0)
    conversation = begin(api, pal)
    say(api, conversation, "Please fail.")
    now = figures(api)
    grown = {name: now[name] - before.get(name, 0) for name in now if now[name] != before.get(name, 0)}
    assert grown["turns_total"] == 2
    assert grown['tool_calls_total{outcome="success"}'] == 1
    assert grown['model_failures_total{reason="refused"}'] == 1
    assert grown["first_token_seconds_count"] == 1
    assert grown["conversations_active"] == 2


def test_a_turn_is_a_span_with_each_question_to_the_model_and_each_call_below_it(tmp_path):
    flags = ("--pal-scripts",)
    with collector() as sent:
        more = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
        with start_palace(tmp_path / "data", *flags, "--otlp-endpoint", sent.url, **more) as palace:
            with palace.client() as api:
                tool = new_tool(api, "find_room", on_call="passthrough", on_resolve="generate_response")
                pal = new_pal(api, tool, layers=SCRIPTED)
                conversation = with_a_room(api, pal, 0.1)
            span = sent.span("turn")
            wait_until(lambda: len([one for one in sent.spans if one.parent == span.id]) == 3)
        below = sorted((one for one in sent.spans if one.parent == span.id), key=lambda one: one.started)
        assert (span.parent, span.attributes["palace.conversation"]) == ("", conversation)
        assert (span.attributes["palace.pal"], span.attributes["palace.pal_revision"]) == (pal, 1)
        assert [one.name for one in below] == ["model", "tool", "model"]
        assert below[1].attributes == {"palace.tool": tool, "palace.outcome": "success"}
        assert below[0].attributes == {"palace.purpose": "reply", "palace.outcome": "answered"}
        assert below[1].ended - below[1].started >= 100_000_000
        assert all(span.started <= one.started <= one.ended <= span.ended + 5_000_000 for one in below)
        assert b"A room" not in b"".join(sent.raw), "no text is in a trace"
