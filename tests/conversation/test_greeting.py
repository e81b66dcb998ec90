"""The first moments: the PAL is there, somebody comes in, the conversation is opened."""

import pytest

from palace.conversation.commands import Report
from palace.conversation.prompt import ASKED_FOR
from tests.conversation.scene import START, Scene, objective, scene


def test_the_pal_is_there_before_anybody_comes_in() -> None:
    call = Scene(greeting="Welcome.")
    assert [(one["event_type"], one["properties"], one["seq"]) for one in call.messages()] == [
        ("system.replica_joined", {"replica_id": "f1"}, 1),
        ("system.pal_joined", {"face_id": "f1"}, 2),
    ]
    assert all("turn_idx" not in one and one["message_type"] == "system" for one in call.messages())
    assert call.of(Report) == [
        Report("system.replica_joined", "system", {"replica_id": "f1"}),
        Report("system.pal_joined", "system", {"face_id": "f1"}),
    ]
    assert call.lines == [
        {"role": "system", "content": "You keep a hotel.", "timestamp": START, "seconds_from_start": 0.0}
    ]


def test_the_line_of_the_system_is_the_prompt_and_the_context() -> None:
    assert Scene(context="It is winter.").lines[0]["content"] == "You keep a hotel.\n\nIt is winter."
    assert Scene(prompt=" ", context="").lines == []


def test_a_greeting_is_said_word_for_word_as_soon_as_somebody_is_there() -> None:
    call = Scene(greeting="Welcome.")
    call.visitor_joins()
    assert call.just_heard() == ["Welcome."]
    assert call.sent() == ["utterance"], "a greeting has no streaming counterpart"
    assert call.transcript() == [("assistant", "Welcome.")]
    assert call.request is None


def test_a_greeting_is_said_once() -> None:
    call = Scene(greeting="Welcome.", left_seconds=60)
    call.visitor_joins("ann").visitor_joins("bob").visitor_joins("ann").visitor_leaves("ann").visitor_leaves("bob")
    call.visitor_joins("ann")
    assert call.heard() == ["Welcome."]


def test_a_model_may_write_the_greeting() -> None:
    call = Scene(is_greeting_dynamic=True).visitor_joins()
    assert call.asked.purpose == "greeting"
    assert call.talk == [("system", ASKED_FOR["greeting"])]
    assert call.functions == [], "nothing is called before anybody has said anything"
    call.model_writes("Good").model("Good evening.")
    assert call.heard() == ["Good evening."]
    call.visitor("Hello.")
    assert call.talk == [("assistant", "Good evening."), ("user", "Hello.")]


def test_a_greeting_that_is_written_goes_before_one_that_a_model_would_write() -> None:
    call = Scene(greeting="Welcome.", is_greeting_dynamic=True).visitor_joins()
    assert (call.heard(), call.request) == (["Welcome."], None)


def test_without_a_greeting_the_pal_waits() -> None:
    call = scene()
    assert (call.heard(), call.request) == ([], None)


@pytest.mark.parametrize("greeting", [{"greeting": "Welcome."}, {"is_greeting_dynamic": True}])
def test_in_echo_mode_nobody_is_greeted(greeting: dict[str, object]) -> None:
    call = scene(is_echo=True, objectives=[objective("a")], **greeting)
    assert (call.latest, call.request) == ([], None)


@pytest.mark.parametrize("greeting", [{"greeting": "Welcome."}, {"is_greeting_dynamic": True}])
def test_who_has_spoken_already_is_not_greeted_any_more(greeting: dict[str, object]) -> None:
    call = Scene(**greeting).visitor("Is anybody there?")
    call.model_writes("I am")
    call.visitor_joins()
    assert call.latest == []
    call.model("I am.")
    assert call.heard() == ["I am."]


def test_a_dynamic_greeting_that_fails_leaves_the_first_word_to_the_visitor() -> None:
    call = Scene(is_greeting_dynamic=True).visitor_joins().model_fails()
    assert call.sent() == ["model_unavailable"]
    call.visitor("Hello?").model("Hello.")
    assert call.heard() == ["Hello."]
