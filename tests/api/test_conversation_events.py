"""Server-sent events of conversations: a turn while it is written, and all that happens."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.api.wire import refused
from tests.cli.test_commands import palace as run
from tests.lines import begun, line, stored
from tests.serving import start_palace

EVENTS = {"accept": "text/event-stream"}
ENDED = "end_conversation_endpoint_hit"


class Told(NamedTuple):
    """One event; `id` is empty where it has none."""

    name: str
    id: str
    data: dict[str, Any]


def events(answer: httpx.Response) -> Iterator[Told]:
    fields: dict[str, str] = {}
    for text in answer.iter_lines():
        if not text and "data" in fields:
            yield Told(fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"]))
        if not text:
            fields = {}
        name, _, value = text.partition(": ")
        if name:
            fields[name] = value


@contextmanager
def hearing(api: httpx.Client, call: dict[str, Any], after: int | None = None, **headers: str) -> Iterator[Any]:
    query = "" if after is None else f"?after={after}"
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    with api.stream("GET", f"/v2/conversations/{call['conversation_id']}/events{query}", headers=told) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield events(answer)


@pytest.fixture
def call(api, new_pal):
    return begun(api, new_pal(greeting="Welcome."))


def path(call: dict[str, Any], of: str) -> str:
    return f"/v2/conversations/{call['conversation_id']}/{of}"


def test_a_turn_is_told_while_it_is_written_and_then_as_a_whole(api, call):
    body = {"text": "Is there a room?"}
    with api.stream("POST", path(call, "respond"), json=body, headers=EVENTS) as answer:
        told = list(events(answer))
    *messages, turn = told
    kinds = [one.data["event_type"] for one in messages]
    assert kinds[0] == "conversation.utterance"
    assert "conversation.utterance.streaming" in kinds
    assert {one.name for one in messages} == {"message"}
    assert turn.name == "turn"
    assert (turn.data["status"], "Is there a room?" in turn.data["text"]) == ("ready", True)
    assert turn.data == api.get(path(call, "respond")).json(), "the same as the plain answer"
    kept = stored(api, call, after=messages[0].data["seq"] - 1)
    assert [one.data for one in messages if one.data["seq"] in {one["seq"] for one in kept}] == kept


def test_only_the_last_copy_of_a_message_has_its_number_as_id(api, call):
    with api.stream("POST", path(call, "respond"), json={"text": "Hello"}, headers=EVENTS) as answer:
        *messages, _ = events(answer)
    for one, following in zip(messages, [*messages[1:], None], strict=True):
        is_last = following is None or following.data["seq"] != one.data["seq"]
        assert one.id == (str(one.data["seq"]) if is_last else "")


def test_without_the_header_the_answer_is_plain(api, call):
    answer = api.post(path(call, "respond"), json={"text": "Hello"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "ready"


def test_who_hears_misses_nothing_whoever_speaks(api, call):
    with hearing(api, call, after=0) as told, line(call) as it:
        it.say("One.")
        it.answer()
        api.post(path(call, "end"))
        heard = list(told)
    assert heard[-1].data["event_type"] == "system.shutdown"
    kept = stored(api, call)
    assert [one.data for one in heard if one.data["seq"] in {frame["seq"] for frame in kept}] == kept


def test_who_was_cut_off_goes_on_behind_what_it_had(api, call):
    with line(call) as it:
        it.answer()
    with hearing(api, call, after=0) as told:
        first = next(told)
    with hearing(api, call, last_event_id=first.id) as told:
        assert next(told).data["seq"] == int(first.id) + 1


def test_without_after_only_what_is_new_is_told(api, call):
    with line(call) as it:
        it.answer()
        newest = stored(api, call)[-1]["seq"]
        with hearing(api, call) as told:
            it.say("News.")
            assert next(told).data["seq"] == newest + 1


def test_of_an_ended_conversation_what_is_left_is_told_and_then_there_is_nothing(api, call):
    api.post(path(call, "end"))
    with hearing(api, call, after=0) as told:
        assert [one.data for one in told] == stored(api, call)
    assert api.get(path(call, "events")).status_code == 204
    assert api.get(path(call, "events") + "?after=1000").status_code == 204
    details = refused(api.post(path(call, "respond"), json={"text": "Hello?"}, headers=EVENTS), 400)
    assert details[0]["code"] == "conversation_ended"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        pytest.param({"last-event-id": "x"}, "", id="the header"),
        pytest.param({}, "?after=-1", id="the parameter"),
    ],
)
def test_what_is_no_number_is_refused(api, call, headers, query):
    assert refused(api.get(path(call, "events") + query, headers=headers), 400)[0]["code"] == "invalid_after"


def test_others_hear_nothing(api, neighbour, call):
    refused(neighbour.get(path(call, "events")), 400, "Invalid conversation_id")
    refused(neighbour.post(path(call, "respond"), json={"text": "Hi"}, headers=EVENTS), 400, "Invalid conversation_id")


def test_a_head_of_the_stream_has_no_end_to_wait_for(api, call):
    assert api.head(path(call, "events")).status_code == 200


def test_a_deletion_ends_the_stream(api, call):
    with hearing(api, call) as told:
        api.delete(f"/v2/conversations/{call['conversation_id']}?hard=true")
        assert [one.data["event_type"] for one in told] == ["system.shutdown"]
    refused(api.get(path(call, "events")), 400, "Invalid conversation_id")


def test_a_server_that_stops_ends_the_stream(tmp_path: Path):
    with start_palace(tmp_path / "data") as server, server.client() as client:
        body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72"}
        made = begun(client, client.post("/v2/pals", json=body).json()["pal_id"])
        with hearing(client, made) as told:
            began = time.monotonic()
            server.process.terminate()
            assert list(told) == []
            assert time.monotonic() - began < 5
        assert server.process.wait(timeout=10) == 0


def test_streams_count_as_lines(tmp_path: Path):
    with start_palace(tmp_path / "data", "--most-lines", "1") as server, server.client() as client:
        body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72"}
        made = begun(client, client.post("/v2/pals", json=body).json()["pal_id"])
        with hearing(client, made), server.client() as other:
            for answer in (
                other.get(path(made, "events")),
                other.post(path(made, "respond"), json={"text": "Hi"}, headers=EVENTS),
            ):
                assert refused(answer, 503)[0]["code"] == "too_many_lines"
            assert other.post(path(made, "respond"), json={"text": "Hi"}).status_code == 200


def test_requests_are_answered_while_more_clients_listen_than_requests_may_run(tmp_path: Path):
    with start_palace(tmp_path / "data", "--most-requests", "2") as server, server.client() as client:
        body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72"}
        made = begun(client, client.post("/v2/pals", json=body).json()["pal_id"])
        with line(made), line(made), hearing(client, made), server.client() as other:
            assert other.get("/v2/pals").status_code == 200
            assert "palace_requests_in_flight 1" in other.get("/metrics").text


def test_a_revoked_key_does_not_listen_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = tmp_path / "data"
    with start_palace(data, program="tests.impatient") as server:
        key = server.new_key("visitor")
        with server.client(key) as client:
            body = {"system_prompt": "Answer.", "default_face_id": "r4067604db72"}
            made = begun(client, client.post("/v2/pals", json=body).json()["pal_id"])
            with hearing(client, made) as told:
                listed = run("keys", "list", "--data", data, COLUMNS="200").stdout
                key_id = next(line.split()[0] for line in listed.splitlines() if key[-4:] in line)
                assert run("keys", "revoke", key_id, "--data", data).returncode == 0
                ended = threading.Event()
                threading.Thread(target=lambda: (list(told), ended.set()), daemon=True).start()
                assert ended.wait(20)
