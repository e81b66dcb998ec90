"""Actions after a conversation (contract 6): once each, arguments from the talk, recorded whatever comes of them."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palace.jobs.runner import LEASE_SECONDS
from tests.api.test_fetching_tls import certificate
from tests.receiver import Receiver, receiver
from tests.serving import Palace
from tests.talks import begin, calls, end, events, new_pal, new_tool, say, talking_palace
from tests.thinking import Mind, mind
from tests.tool_delivery.tool_server import HOST, Asked, Handler, ToolServer, tool_server
from tests.waiting import wait_until

EXECUTED = "application.post_call_action_executed"
PARAMETERS = {
    "type": "object",
    "required": ["summary", "source"],
    "properties": {"summary": {"type": "string"}, "source": {"const": "night desk"}},
}
TEMPLATE = {"summary": "{summary}", "source": "{source}", "id": "{tavus_tool_call_id}", "of": "{tavus_conversation_id}"}
SUMMARY = {"summary": "Ann wants room 7."}


def thinks(asked: Any) -> Any:
    """Fills in when the conversation is over; says one word while it goes on."""
    if "over" in asked["messages"][0]["content"]:
        return "", [("save", SUMMARY)]
    return "Yes.", ()


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), HOST)


@pytest.fixture(scope="module")
def model() -> Iterator[Mind]:
    with mind() as running:
        yield running


@pytest.fixture
def thinking(model: Mind) -> Mind:
    model.think = thinks
    model.asked.clear()
    return model


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, pem: Path, model: Mind) -> Iterator[Palace]:
    data = tmp_path_factory.mktemp("post_call") / "data"
    with talking_palace(data, pem, model, "--allow-private-addresses", "127.0.0.0/8") as palace:
        yield palace


@pytest.fixture
def api(served: Palace) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def tools(pem: Path) -> Iterator[ToolServer]:
    with tool_server(pem) as running:
        yield running


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def action(api: httpx.Client, tools: ToolServer, **members: Any) -> str:
    """The id of a tool named `save`; the name may be had again once the test is over."""
    known = {one["name"]: one["tool_id"] for one in api.get("/v2/tools?type=user&limit=100").json()["data"]}
    if "save" in known:
        assert api.delete(f"/v2/tools/{known['save']}?cascade=true").status_code == 204
    delivery = {"api": {"url": tools.url("/save"), "body_template": TEMPLATE}}
    return new_tool(
        api, "save", **{"trigger_type": "post_call", "parameters": PARAMETERS, "delivery": delivery} | members
    )


def held(api: httpx.Client, tool: str, *texts: str, **members: Any) -> str:
    """A conversation in which this was said, that is over."""
    conversation = begin(api, new_pal(api, tool), **members)
    for text in texts:
        say(api, conversation, text)
    end(api, conversation)
    return conversation


def executed(api: httpx.Client, conversation: str, seconds: float = 30) -> Any:
    [event] = wait_until(lambda: events(api, conversation, EXECUTED), seconds)
    return event


def test_open_arguments_follow_from_the_talk_fixed_ones_are_fixed_and_the_tool_is_called_once(api, tools, thinking):
    conversation = held(api, action(api, tools), "I want room 7. My name is Ann.")
    event = executed(api, conversation)
    [asked] = tools.asked
    sent = json.loads(asked.body)
    assert sent == {**SUMMARY, "source": "night desk", "id": sent["id"], "of": conversation}
    [filling] = [one for one in thinking.asked if "over" in one["messages"][0]["content"]]
    assert filling["messages"][1]["content"] == "Person: I want room 7. My name is Ann.\nPAL: Yes."
    assert filling["tool_choice"] == {"type": "function", "function": {"name": "save"}}
    assert list(filling["tools"][0]["function"]["parameters"]["properties"]) == ["summary"]
    assert (event["status"], event["tool_name"], event["response"]) == ("success", "save", '{"price": 90}')
    assert json.loads(event["request"]["body"]) == sent


def test_while_it_goes_on_the_model_does_not_see_it(api, tools, thinking):
    held(api, action(api, tools), "Hello.")
    talk = [one for one in thinking.asked if "over" not in one["messages"][0]["content"]]
    assert "save" not in json.dumps([one.get("tools") for one in talk])


def test_it_is_told_to_the_callback_url_and_stands_in_verbose_reading_and_among_the_calls(api, tools, thinking, hook):
    tool = action(api, tools)
    conversation = held(api, tool, "Room 7, please.", callback_url=hook.url("/hook?token=t"))
    event = executed(api, conversation)
    called = wait_until(lambda: [call.said for call in hook.calls if call.said["event_type"] == EXECUTED])
    assert called[0]["properties"] == event
    envelope = {name: called[0][name] for name in ("conversation_id", "webhook_url", "message_type")}
    wanted = {"conversation_id": conversation, "webhook_url": hook.url("/hook?token=t"), "message_type": "application"}
    assert envelope == wanted
    assert {"tool_id", "tool_name", "status", "request", "response"} == set(event)
    [call] = calls(api, conversation)
    assert (call["tool_id"], call["status"], call["request"]["response_status"]) == (tool, "success", 200)
    assert json.loads(call["arguments"]) == SUMMARY


@pytest.mark.parametrize("sent", [{"summary": "s", "source": "the kitchen"}, {"summary": "s", "source": None}])
def test_what_the_model_says_of_fixed_arguments_does_not_count(api, tools, thinking, sent):
    thinking.think = lambda asked: ("", [("save", sent)]) if "over" in asked["messages"][0]["content"] else ("Yes.", ())
    executed(api, held(api, action(api, tools), "Hello."))
    assert json.loads(tools.asked[0].body)["source"] == "night desk"


def test_where_every_argument_is_fixed_no_model_is_asked(api, tools, thinking):
    parameters = {"type": "object", "properties": {"source": {"const": "night desk"}}}
    delivery = {"api": {"url": tools.url("/save")}}
    conversation = held(api, action(api, tools, parameters=parameters, delivery=delivery), "Hello.")
    assert json.loads(executed(api, conversation)["request"]["body"]) == {"source": "night desk"}
    assert not [one for one in thinking.asked if "over" in one["messages"][0]["content"]]


def test_without_a_dialogue_nothing_is_done(api, tools, thinking, hook):
    silent = held(api, action(api, tools), callback_url=hook.url(), custom_greeting="Good evening.")
    wait_until(lambda: [call for call in hook.calls if call.said["event_type"] == "application.transcription_ready"])
    talked = held(api, action(api, tools), "Hello.")
    executed(api, talked)
    assert events(api, silent, EXECUTED) == calls(api, silent) == []
    assert len(tools.asked) == 1


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        pytest.param({"summary": 7}, "summary", id="that do not fit"),
        pytest.param("no JSON", "no valid JSON", id="that are none"),
    ],
)
def test_arguments_that_cannot_be_used_are_recorded_and_nothing_is_sent(api, tools, thinking, written, problem):
    thinking.think = lambda asked: (
        ("", [("save", written)]) if "over" in asked["messages"][0]["content"] else ("Yes.", ())
    )
    conversation = held(api, action(api, tools), "Hello.")
    event = executed(api, conversation)
    assert event["status"] == "error"
    assert problem in event["response"]
    assert event["request"]["body"] == (written if isinstance(written, str) else json.dumps(written))
    assert tools.asked == []
    assert calls(api, conversation)[0]["problem"] == event["response"]


def test_a_model_that_does_not_call_the_tool_is_recorded(api, tools, thinking):
    thinking.think = lambda _asked: ("I would rather not.", ())
    event = executed(api, held(api, action(api, tools), "Hello."))
    assert (event["status"], event["response"]) == ("error", "The model did not call the tool.")


def test_a_tool_that_fails_is_recorded_with_what_was_sent(api, tools, thinking):
    tools.answers = [(404, {}, b"nobody")]
    conversation = held(api, action(api, tools), "Hello.")
    event = executed(api, conversation)
    assert event["status"] == "error"
    assert "404" in event["response"]
    assert json.loads(event["request"]["body"])["summary"] == SUMMARY["summary"]
    assert calls(api, conversation)[0]["problem"] == "The server answered 404 Not Found."


def test_while_the_model_is_down_it_is_tried_again(api, tools, thinking):
    failures = iter([503] * 3)  # As often as a question is asked at once.

    def think(asked: Any) -> Any:
        if "over" in asked["messages"][0]["content"]:
            return next(failures, None) or thinks(asked)
        return thinks(asked)

    thinking.think = think
    assert executed(api, held(api, action(api, tools), "Hello."))["status"] == "success"
    assert len(tools.asked) == 1


def test_each_action_of_a_pal_is_carried_out_by_itself(api, tools, thinking):
    save = action(api, tools)
    parameters = {"type": "object", "properties": {"source": {"const": "x"}}}
    delivery = {"api": {"url": tools.url("/other")}}
    other = new_tool(api, "save_too", trigger_type="post_call", parameters=parameters, delivery=delivery)
    conversation = begin(api, new_pal(api, save, other))
    say(api, conversation, "Hello.")
    end(api, conversation)
    found = wait_until(lambda: (found := events(api, conversation, EXECUTED)) and len(found) == 2 and found)
    assert sorted(one["tool_name"] for one in found) == ["save", "save_too"]
    assert sorted(one.path for one in tools.asked) == ["/other", "/save"]


def test_after_a_crash_between_the_call_and_the_commit_it_is_called_again_under_the_same_id(
    tmp_path, pem, model, thinking
):
    came, is_dead = threading.Event(), threading.Event()

    def stuck(handler: Handler, _asked: Asked) -> None:
        came.set()
        is_dead.wait(20)
        handler.close_connection = True

    with tool_server(pem) as tools:
        tools.answers = [stuck, (200, {}, b"saved")]
        data = tmp_path / "data"
        with talking_palace(data, pem, model) as first, first.client() as client:
            conversation = held(client, action(client, tools), "Hello.")
            assert came.wait(20)
            first.kill()
        is_dead.set()
        with talking_palace(data, pem, model) as second, second.client() as client:
            event = executed(
                client, conversation, LEASE_SECONDS * 3
            )  # Where others may be at work, that is waited for.
        assert (event["status"], event["response"]) == ("success", "saved")
        ids = [json.loads(one.body)["id"] for one in tools.asked]
        assert len(ids) == 2
        assert ids[0] == ids[1]
