"""`kill -9` in the middle of many conversations whose model is slow: each goes on with its whole history, or has ended
with a published reason; every callback arrives as it was written; who comes back is sent no number that he has had.
"""

import json
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.several import nodes
from tests.postgres import new_database
from tests.receiver import Receiver, receiver
from tests.rows import rows
from tests.serving import Palace, start_palace
from tests.talks import begin, end, new_pal, say
from tests.waiting import wait_until

MANY = 50
FLAGS = ("--pal-scripts", "--allow-private-addresses", "127.0.0.0/8", "--no-log-requests")
ANSWER = "One two three four five six seven eight nine ten. You said {text}"
SCRIPT = {
    "tokens_per_second": 12,
    "rules": [{"when": {"user": "quick"}, "say": "At once."}, {"when": {"user": "."}, "say": ANSWER}],
}
JOINED, ENDED = {"system.replica_joined", "system.pal_joined"}, {"system.shutdown", "application.transcription_ready"}
REASON = "end_conversation_endpoint_hit"


@dataclass
class Talk:
    """A conversation as one client knows it: what it said and what was acknowledged, and how far it has heard."""

    id: str
    acknowledged: int = 0
    seq: int = 0
    is_ended: bool = False

    def speak(self, client: httpx.Client, text: str) -> None:
        message = {"event_type": "conversation.respond", "properties": {"text": text}}
        answer = client.post(f"/v2/conversations/{self.id}/messages", json=message)
        assert answer.status_code == 200, answer.text
        self.acknowledged += 1

    def hear(self, client: httpx.Client) -> list[Any]:
        """What is new; numbers only ever grow."""
        answer = client.get(f"/v2/conversations/{self.id}/messages?after={self.seq}").json()
        numbers = [one["seq"] for one in answer["data"]]
        assert numbers == sorted(numbers)
        assert all(number > self.seq for number in numbers)
        self.seq = max([self.seq, *numbers])
        return list(answer["data"])

    def said(self, client: httpx.Client) -> list[str]:
        lines = client.get(f"/v2/conversations/{self.id}/transcript").json()["data"]
        return [line["content"] for line in lines if line["role"] == "user"]


def until_killed(client: httpx.Client, talk: Talk, number: int) -> None:
    """Say one thing after the other and listen, or end it, until nobody answers."""
    with suppress(httpx.TransportError):
        for turn in range(99):
            talk.speak(client, f"text {turn} of {number}.")
            for _ in range(4 + number % 5):
                time.sleep(0.05)
                talk.hear(client)
            if number % 5 == 0 and turn == 2:
                end(client, talk.id)
                talk.is_ended = True
                return


def talk_and_kill(palace: Palace, client: httpx.Client, hook: Receiver) -> list[Talk]:
    pal = new_pal(client, layers={"llm": {"model": "scripted", "extra_body": {"script": SCRIPT}}})
    talks = [Talk(begin(client, pal, callback_url=hook.url(f"/{number}"))) for number in range(MANY)]
    with ThreadPoolExecutor(MANY) as pool:
        done = [pool.submit(until_killed, client, talk, number) for number, talk in enumerate(talks)]
        wait_until(lambda: all(talk.acknowledged >= 2 and talk.seq for talk in talks))
        palace.kill()
        for one in done:
            one.result()
    assert any(not talk.is_ended for talk in talks)
    return talks


def check_history(client: httpx.Client, talk: Talk, number: int) -> None:
    """All that was acknowledged is there, once and in order; one more may have been stored and not acknowledged."""
    said = talk.said(client)
    wanted = [f"text {turn} of {number}." for turn in range(len(said))]
    assert said == wanted
    assert talk.acknowledged <= len(said) <= talk.acknowledged + 1


def check_goes_on(client: httpx.Client, talk: Talk, number: int) -> None:
    shown = client.get(f"/v2/conversations/{talk.id}?verbose=true").json()
    if shown["status"] == "ended":
        assert shown["shutdown_reason"] == REASON
        return
    assert not talk.is_ended
    talk.hear(client)
    check_history(client, talk, number)
    assert say(client, talk.id, "quick")["text"] == "At once."
    heard = [one["properties"] for one in talk.hear(client) if one["event_type"] == "conversation.utterance"]
    assert heard[-1]["speech"] == "At once."
    end(client, talk.id)


def check_callbacks(client: httpx.Client, talks: list[Talk], hook: Receiver) -> None:
    """Each is delivered, with the bytes that are stored; in order, apart from those that came twice."""
    wait_until(lambda: client.get("/v2/webhooks/deliveries?status=waiting").json()["total_count"] == 0, 60)
    came: dict[str, list[bytes]] = defaultdict(list)
    told: dict[str, list[str]] = defaultdict(list)
    for call in hook.calls:
        came[call.id].append(call.body)
        if call.said["event_type"] not in told[call.said["conversation_id"]]:
            told[call.said["conversation_id"]].append(call.said["event_type"])
    assert all(len(set(bodies)) == 1 for bodies in came.values())
    for talk in talks:
        listed = client.get(f"/v2/webhooks/deliveries?conversation_id={talk.id}").json()["data"]
        assert {one["status"] for one in listed} == {"delivered"}
        assert {one["event_type"] for one in listed} == JOINED | ENDED
        for one in listed:
            body = client.get(f"/v2/webhooks/deliveries/{one['delivery_id']}").json()["body"]
            assert came[one["delivery_id"]][0] == body.encode()
        assert set(told[talk.id][:2]) == JOINED
        assert told[talk.id][2:] == ["system.shutdown", "application.transcription_ready"]


@pytest.mark.about_the_file("where others may be at work, what a server left open is taken over when it is late")
def test_after_a_kill_each_conversation_goes_on_by_itself_or_has_ended_and_every_callback_arrives(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with receiver() as hook:
        with start_palace(data, *FLAGS) as palace, palace.client() as client:
            talks = talk_and_kill(palace, client, hook)
        with start_palace(data, *FLAGS) as palace, palace.client() as client:
            for talk in talks:  # What the model was writing is written anew, and heard by whoever comes back.
                wait_until(
                    lambda talk=talk: client.get(f"/v2/conversations/{talk.id}/respond").json()["status"] == "ready"
                )
            for number, talk in enumerate(talks):
                check_goes_on(client, talk, number)
            check_callbacks(client, talks, hook)
        states = rows(data, "SELECT state FROM conversations")
        assert {json.loads(state)["status"] for (state,) in states} == {"ended"}
        assert len(states) == MANY


@pytest.mark.about_the_file("this one has a database of its own")
def test_when_one_of_two_nodes_is_killed_the_other_one_goes_on_with_its_conversations(tmp_path: Path) -> None:
    with receiver() as hook, nodes(tmp_path, new_database(), 2, *FLAGS) as (one, other), other.client() as client:
        with one.client() as first:
            talks = talk_and_kill(one, first, hook)
        for number, talk in enumerate(talks):
            check_goes_on(client, talk, number)
        check_callbacks(client, talks, hook)
