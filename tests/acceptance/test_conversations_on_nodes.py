"""One conversation at several nodes: whoever speaks where, everybody hears it; a node that dies takes nothing along."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.acceptance.several import new_pal, nodes
from tests.lines import Frame, begun, is_utterance, line, refusal, stored
from tests.postgres import new_database
from tests.serving import Palace
from tests.waiting import wait_until


@pytest.fixture
def two(tmp_path) -> Iterator[list[Palace]]:
    with nodes(tmp_path, new_database(), 2) as running:
        yield running


def at(node: Palace, conversation: Frame) -> Frame:
    """The same conversation, by way of this node."""
    return {**conversation, "conversation_url": f"{node.url}/c/{conversation['conversation_id']}"}


def test_a_line_at_one_node_hears_what_is_said_at_the_other(two):
    here, there = two
    with here.client() as api, there.client() as other:
        call = begun(api, new_pal(api, greeting="Welcome."))
        path = f"/v2/conversations/{call['conversation_id']}/respond"
        with line(at(here, call), after=0) as it:
            assert it.answer() == "Welcome."
            for number in range(3):
                turn = other.post(path, json={"text": f"Question {number}"}).json()
                assert turn["status"] == "ready"
                assert it.answer() == turn["text"]
                it.say(f"Mine {number}")
                mine = it.answer()
                wait_until(lambda mine=mine: mine in other.get(path.replace("respond", "messages")).text)
            kept = stored(other, call)
            it.until(lambda frame: frame == kept[-1])
            known = {frame["seq"] for frame in kept}
            assert [frame for frame in it.heard if frame.get("seq") in known] == kept


def test_who_hangs_on_a_node_that_dies_goes_on_at_the_other(two):
    here, there = two
    with here.client() as api, there.client() as other:
        call = begun(api, new_pal(api, greeting="Welcome."), properties={"participant_left_timeout": 60})
        with line(at(here, call), after=0, participant="ann") as it:
            it.answer()
            after = it.heard[-1]["seq"]
            here.kill()
        with line(at(there, call), after=after, participant="ann") as it:
            it.say("Are you there?")
            it.until(is_utterance("user"))
            it.answer()
            assert min(frame["seq"] for frame in it.heard if "seq" in frame) > after
        assert other.get(f"/v2/conversations/{call['conversation_id']}").json()["status"] == "active"


def test_what_a_node_was_thinking_when_it_died_is_thought_by_the_other_and_what_takes_long_is_left_alone(tmp_path):
    words = {"a short word": "Five words are quickly said.", "a long one": " ".join(["word"] * 20)}
    with (
        nodes(tmp_path, new_database(), 2, "--scripted-model", slow_model(tmp_path, words)) as (here, there),
        here.client() as api,
        there.client() as other,
    ):
        pal = new_pal(api, greeting="Welcome.")
        short, long = begun(api, pal), begun(api, pal)
        for node, call, text in ((other, long, "a long one"), (api, short, "a short word")):
            path = f"/v2/conversations/{call['conversation_id']}/respond"
            assert node.post(path, json={"text": text, "timeout_s": 1}).json()["status"] == "pending"
        here.kill()
        for call, said in zip((short, long), words.values(), strict=True):
            wait_until(lambda call=call: said_by_pal(other, call)[1:], seconds=60)
            assert said_by_pal(other, call) == ["Welcome.", said]
            [turn] = other.get(f"/v2/conversations/{call['conversation_id']}/turns").json()["data"]
            assert turn["rounds"] == 1


def said_by_pal(api: httpx.Client, call: Frame) -> list[str]:
    return [frame["properties"]["speech"] for frame in stored(api, call) if is_utterance("pal")(frame)]


def slow_model(folder: Path, words: dict[str, str]) -> str:
    """A model that says one word a second."""
    rules = [{"when": {"user": heard}, "say": said} for heard, said in words.items()]
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump({"tokens_per_second": 1, "rules": rules}))
    return str(path)


def test_an_end_at_one_node_closes_the_lines_at_the_other(two):
    here, there = two
    with here.client() as api, there.client() as other:
        call = begun(api, new_pal(api))
        with line(at(here, call)) as it:
            it.next()
            began = time.monotonic()
            other.post(f"/v2/conversations/{call['conversation_id']}/end")
            assert it.closed() == (1000, "end_conversation_endpoint_hit")
            assert time.monotonic() - began < 5


def test_the_door_counts_the_people_of_all_nodes(two):
    here, there = two
    with here.client() as api:
        call = begun(api, new_pal(api), max_participants=3)
        with line(at(here, call), participant="ann") as one, line(at(there, call), participant="ben") as two_:
            one.next()
            two_.next()
            for node in two:
                assert refusal(at(node, call), participant="cleo") == (403, "conversation_full")
