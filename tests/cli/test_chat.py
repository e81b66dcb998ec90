"""`palace chat`: through a pipe, as JSON, with commands for tools, over a line that breaks."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from subprocess import PIPE
from typing import Any

import pytest

from tests.cli.commands import ok, refused, run, variables
from tests.cuts import cutting
from tests.quick import Quick

ROOMS = "import json, sys; print(json.load(sys.stdin)['nights'], 'nights: 90')"
COMMAND = f'{sys.executable} -c "{ROOMS}"'


@pytest.fixture
def pal(new_pal) -> str:
    return new_pal(system_prompt="You are the night porter.")


@pytest.fixture
def pal_with_tool(api, new_pal, new_tool) -> Iterator[tuple[str, str]]:
    """A PAL, and the name of a tool that its client answers."""
    tool_id = new_tool(on_call="silent", on_resolve="generate_response")
    yield new_pal(tool_ids=[tool_id]), api.get(f"/v2/tools/{tool_id}").json()["name"]


def conversations(api, pal: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/v2/conversations", params={"pal_id": pal}).json()["data"]
    return found


def transcript(api, id: str) -> list[tuple[str, str]]:
    """Who said what in a conversation that has ended."""
    events = api.get(f"/v2/conversations/{id}", params={"verbose": "true"}).json()["events"]
    [lines] = [one["properties"]["transcript"] for one in events if "transcript" in one["properties"]]
    return [(line["role"], line["content"]) for line in lines]


# --- Text -------------------------------------------------------------------------------------------------------------


def test_each_line_is_a_turn_and_the_answers_are_plain_text(palace, api, pal):
    said = ok(palace, "chat", pal, "--greeting", "Good evening.", stdin="Is there a room?\n\n  And a view?\n")
    greeting, first, second = said.splitlines()
    assert greeting == "Good evening."
    assert first.startswith("You said: “Is there a room?”.")
    assert second.startswith("You said: “And a view?”.")
    [conversation] = conversations(api, pal)
    assert conversation["status"] == "ended"
    spoken = transcript(api, conversation["conversation_id"])
    assert [text for role, text in spoken if role == "user"] == ["Is there a room?", "And a view?"]
    assert [text for role, text in spoken if role == "assistant"] == [greeting, first, second]


def test_a_greeting_that_the_model_writes_comes_before_the_first_line(palace, new_pal):
    said = ok(palace, "chat", new_pal(dynamic_greeting=True), stdin="Hello\n").splitlines()
    assert said[0].startswith("Hello! I am a scripted model")
    assert said[1].startswith("You said: “Hello”.")


def test_the_pal_knows_the_context_beside_its_prompt(palace, api, pal):
    ok(palace, "chat", pal, "--context", "Only room 12 is free.", stdin="Hello\n")
    [conversation] = conversations(api, pal)
    [(_, prompt)] = [line for line in transcript(api, conversation["conversation_id"]) if line[0] == "system"]
    assert prompt == "You are the night porter.\n\nOnly room 12 is free."


def test_nothing_said_is_a_conversation_too(palace, api, pal):
    assert ok(palace, "chat", pal, "--greeting", "Good evening.") == "Good evening.\n"
    assert [one["status"] for one in conversations(api, pal)] == ["ended"]


def test_what_would_steer_a_terminal_is_not_printed(palace, pal):
    said = ok(palace, "chat", pal, "--greeting", "one\x1b[2J\ntwo\x07")
    assert said == "one\N{REPLACEMENT CHARACTER}[2J\ntwo\N{REPLACEMENT CHARACTER}\n"


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_every_app_message_is_a_line_of_json(palace, pal):
    lines = ok(palace, "chat", pal, "--json", "--greeting", "Good evening.", stdin="Hello\n").splitlines()
    messages = [json.loads(line) for line in lines]
    numbers = [message["seq"] for message in messages if "seq" in message]
    assert numbers == sorted(numbers)
    said = [
        (message["properties"]["role"], message["properties"]["speech"][:17])
        for message in messages
        if message["event_type"] == "conversation.utterance"
    ]
    assert said == [
        ("pal", "Good evening."),
        ("replica", "Good evening."),
        ("user", "Hello"),
        ("pal", "You said: “Hello”"),
        ("replica", "You said: “Hello”"),
    ]
    assert messages[-1]["event_type"] == "system.shutdown"


# --- Leaving and coming again -----------------------------------------------------------------------------------------


def test_a_conversation_that_is_kept_goes_on_later(palace, api, pal):
    ok(palace, "chat", pal, "--keep", stdin="The first\n")
    [conversation] = conversations(api, pal)
    assert conversation["status"] == "active"
    began = time.monotonic()
    again = ok(palace, "chat", "--conversation", conversation["conversation_id"], stdin="The second\n")
    assert again.startswith("You said: “The second”.")
    assert time.monotonic() - began < 8, "nobody waits for what is old"
    spoken = transcript(api, conversation["conversation_id"])
    assert [text for role, text in spoken if role == "user"] == ["The first", "The second"]


def test_a_conversation_that_the_pal_ends_ends_the_command(palace, pal):
    assert ok(palace, "chat", pal, stdin="use end_call\n") == ""
    said = refused(palace, "chat", pal, stdin="use end_call\nOne more thing\n")
    assert said == "palace: The conversation has ended (end_call_tool); 'One more thing' was not said.\n"


# --- Tools ------------------------------------------------------------------------------------------------------------


def test_a_command_answers_the_calls_of_a_tool(palace, pal_with_tool):
    pal, tool = pal_with_tool
    said = ok(palace, "chat", pal, "--tool", f"{tool}={COMMAND}", stdin=f'use {tool} {{"nights": 2}}\n')
    assert said == "The tool answered: “2 nights: 90”.\n"


def test_calls_are_shown_on_request_and_not_among_what_the_pal_says(palace, pal_with_tool):
    pal, tool = pal_with_tool
    words = ("chat", pal, "--show-tools", "--tool", f"{tool}={COMMAND}")
    done = run(palace, *words, stdin=f'use {tool} {{"nights": 2}}\n')
    assert done.stdout == "The tool answered: “2 nights: 90”.\n"
    assert done.stderr == f'palace: {tool} {{"nights": 2}}\n'


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (f"{sys.executable} -c 'raise SystemExit(\"No rooms.\")'", "No rooms."),
        (f"{sys.executable} -c 'raise SystemExit(3)'", "The command ended with 3."),
        ("/nowhere/rooms", "The command '/nowhere/rooms' cannot be started: No such file or directory."),
    ],
    ids=["fails", "fails without a word", "is not there"],
)
def test_a_command_that_fails_is_told_to_the_pal_and_to_the_person(palace, pal_with_tool, command, problem):
    pal, tool = pal_with_tool
    done = run(palace, "chat", pal, "--tool", f"{tool}={command}", stdin=f'use {tool} {{"nights": 2}}\n')
    assert done.returncode == 0
    assert done.stdout == f"The tool answered: “error: {problem}”.\n"
    assert done.stderr == f"palace: {tool}: {problem}\n"


def test_arguments_are_never_a_part_of_a_command(palace, pal_with_tool):
    pal, tool = pal_with_tool
    echo = f"{sys.executable} -c 'import sys; print(len(sys.argv), sys.stdin.read())'"
    said = ok(palace, "chat", pal, "--tool", f"{tool}={echo}", stdin=f'use {tool} {{"nights": "; exit 3 #"}}\n')
    assert said == 'The tool answered: “1 {"nights": "; exit 3 #"}”.\n'


def test_a_call_that_no_command_answers_is_told_and_another_client_may_answer_it(palace, api, pal_with_tool):
    pal, tool = pal_with_tool
    command = [sys.executable, "-m", "palace", "chat", pal]
    with Quick(command, env=variables(palace), stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as chat:
        chat.stdin.write(f"use {tool}\n")
        chat.stdin.close()
        assert chat.stderr.readline() == (
            f"palace: The PAL waits for the result of {tool}, and goes on without it in some seconds. "
            f"--tool {tool}=COMMAND answers it.\n"
        )
        [conversation] = conversations(api, pal)
        path = f"/v2/conversations/{conversation['conversation_id']}/messages"
        messages = api.get(path).json()["data"]
        [call] = [one["properties"] for one in messages if one["event_type"] == "conversation.tool_call"]
        result = {"tool_call_id": call["tool_call_id"], "output": "Two are free."}
        assert api.post(path, json={"event_type": "conversation.tool_result", "properties": result}).is_success
        assert chat.stdout.read() == "The tool answered: “Two are free.”.\n"
        assert chat.stderr.read() == ""


# --- What goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["chat"], "Whom to talk to? Name a PAL of `palace pal list`, or a conversation with --conversation."),
        (["chat", "p00000000000"], "Invalid pal_id: there is no such PAL, or it is not yours. "),
        (["chat", "--conversation", "c00000000000"], "Invalid conversation_id: there is no such conversation, or it "),
        (["chat", "--conversation", "../pals"], "'../pals' is no id of a conversation."),
        (
            ["chat", "--conversation", "c1", "--greeting", "Hello"],
            "--greeting and --context are for a new conversation",
        ),
        (["chat", "p1", "--tool", "rooms"], "--tool takes NAME=COMMAND, such as free_rooms='python rooms.py'; it is "),
        (["chat", "p1", "--tool", "rooms='a"], "--tool rooms: the command has an open quote."),
        (["chat", "p1", "--key", "a-wrong-key"], "does not know this API key"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_a_line(palace, words, problem):
    said = refused(palace, *words, stdin="Hello\n")
    assert problem in said
    assert said.count("\n") == 1


def test_only_an_open_conversation_of_the_same_pal_goes_on(palace, api, pal, new_pal):
    other = new_pal()
    id = api.post("/v2/conversations", json={"pal_id": pal, "chat": True}).json()["conversation_id"]
    assert f"is one of the PAL {pal}, not of {other}." in refused(palace, "chat", other, "--conversation", id)
    api.post(f"/v2/conversations/{id}/end")
    assert "has ended. Leave --conversation out" in refused(palace, "chat", "--conversation", id)


def test_a_message_that_the_server_does_not_take_is_told(palace, pal):
    said = refused(palace, "chat", pal, stdin="x" * 1_100_000 + "\nHello\n")
    assert said == "palace: What was said is larger than a message to the server may be.\n"


def test_a_text_that_the_server_does_not_take_is_told(palace, pal):
    said = refused(palace, "chat", pal, stdin="x" * 100_001 + "\nHello\n")
    assert "may have 100,000 characters; these are 100,001." in said


def test_where_no_model_answers_the_command_says_so_and_fails(palace, new_pal):
    nowhere = {"model": "m", "base_url": "https://127.0.0.1:1/v1", "api_key": "k"}
    done = run(palace, "chat", new_pal(layers={"llm": nowhere}), stdin="Hello\nAnd now?\n")
    assert done.returncode == 1
    assert done.stderr.startswith("palace: No model answers: ")
    assert "I am sorry" in done.stdout


def test_a_line_that_breaks_again_and_again_loses_nothing_and_repeats_nothing(palace, api, pal):
    after = [1500, 300, 2500, 700, 1200]
    with cutting(palace.url, after) as proxy:
        done = run(palace, "chat", pal, "--greeting", "Good evening.", "--json", "--url", proxy.url, stdin="Hello\n")
    assert done.returncode == 0, done.stderr
    assert proxy.lines == len(after) + 1
    heard = [json.loads(line) for line in done.stdout.splitlines()]
    [conversation] = conversations(api, pal)
    kept = api.get(f"/v2/conversations/{conversation['conversation_id']}/messages").json()["data"]
    numbers = {message["seq"] for message in kept}
    assert [message for message in heard if message.get("seq") in numbers] == kept
    assert "palace: The line broke; trying again.\n" in done.stderr


def test_when_nobody_reads_any_more_the_conversation_is_ended(palace, api, pal):
    script = f"yes Hello | {sys.executable} -m palace chat {pal} --greeting 'Good evening.' | true"
    subprocess.run(["bash", "-c", script], env=variables(palace), timeout=60, capture_output=True, check=True)
    assert [one["status"] for one in conversations(api, pal)] == ["ended"]
