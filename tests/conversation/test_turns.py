"""Turns: hearing, thinking, speaking piece by piece, holding back, being interrupted."""

import pytest

from palace.conversation.commands import Emit
from palace.conversation.events import ModelAnswered, ModelFailed, ModelSpoke
from tests.conversation.scene import Scene, scene, tool, wants


def test_what_a_person_says_is_answered() -> None:
    call = scene().visitor("Is there a room?")
    assert call.asked.purpose == "reply"
    assert call.talk == [("user", "Is there a room?")]
    call.model("Yes.")
    assert call.heard() == ["Yes."]
    assert call.transcript() == [("user", "Is there a room?"), ("assistant", "Yes.")]
    call.visitor("Book it.")
    assert call.talk == [("user", "Is there a room?"), ("assistant", "Yes."), ("user", "Book it.")]


def test_every_event_of_a_turn_has_its_number_and_each_generation_its_id() -> None:
    call = scene(greeting="Welcome.")
    call.visitor("One").model_writes("First")
    call.model("First.")
    call.visitor("Two").model("Second.")
    spoken = [(one["turn_idx"], one["properties"]["speech"]) for one in call.messages("conversation.utterance")]
    assert spoken == [(0, "Welcome."), (1, "One"), (1, "First."), (2, "Two"), (2, "Second.")]
    ids = [one["inference_id"] for one in call.messages("conversation.utterance")]
    assert len(set(ids)) == 5
    pieces = call.messages("conversation.utterance.streaming")
    assert [one["inference_id"] for one in pieces] == [ids[2], ids[2], ids[4]]
    assert [one["seq"] for one in call.messages()] == list(range(1, len(call.messages()) + 1))


def test_an_utterance_has_the_contents_that_readers_of_every_age_look_for() -> None:
    call = scene().visitor("Hello").model("Hi.")
    assert call.facts("utterance") == [
        {"role": "user", "speech": "Hello", "text": "Hello"},
        {"role": "pal", "speech": "Hi.", "text": "Hi."},
    ]
    envelope = call.messages("conversation.utterance")[-1]
    assert {**envelope, "properties": {}, "inference_id": ""} == {
        "message_type": "conversation",
        "event_type": "conversation.utterance",
        "conversation_id": "c1",
        "timestamp": call.now,
        "seq": 4,
        "turn_idx": 1,
        "inference_id": "",
        "properties": {},
    }


def test_what_the_pal_says_grows_and_is_told_whole_at_the_end() -> None:
    call = scene().visitor("Hello")
    call.model_writes("Good").model_writes("Good evening").model("Good evening.")
    streamed = [(one["speech"], one["final"], one["is_interrupted"]) for one in call.facts("utterance.streaming")]
    assert streamed == [("Good", False, False), ("Good evening", False, False), ("Good evening.", True, False)]
    pieces = [one for one in call.of(Emit) if "streaming" in one.message["event_type"]]
    assert [one.lasts for one in pieces] == [False, False, True]


@pytest.mark.parametrize("is_chat", [True, False])
def test_where_there_is_sound_beginning_and_ending_to_speak_are_told(is_chat: bool) -> None:
    call = scene(is_chat=is_chat).visitor("Hello").model_writes("Good")
    call.after(2.5).model("Good evening.")
    told = [(one["event_type"], one["properties"]) for one in call.messages() if "speaking" in one["event_type"]]
    assert told == (
        []
        if is_chat
        else [
            ("conversation.started_speaking", {"role": "pal"}),
            ("conversation.stopped_speaking", {"role": "pal", "interrupted": False, "duration": 2.5}),
        ]
    )


def test_blank_beginnings_are_not_speech() -> None:
    call = scene(is_chat=False, tools=[tool()]).visitor("Hello").model_writes("\n\n")
    assert call.latest == []
    call.model("", wants("look_up"))
    assert call.sent() == ["tool_call"]
    assert not call.state.is_speaking


def test_what_was_heard_was_said_even_if_the_model_comes_to_nothing() -> None:
    call = scene(is_chat=False).visitor("Hello").model_writes("\nWell").model(" ")
    assert call.heard() == ["Well"]
    assert call.transcript()[-1] == ("assistant", "Well")
    assert not call.state.is_speaking


def test_an_answer_without_words_ends_the_turn_in_silence() -> None:
    call = scene().visitor("Hello").model("  ")
    assert (call.heard(), call.sent(), len(call.turns())) == ([], [], 1)


def test_what_an_old_request_brings_is_not_heard() -> None:
    call = scene().visitor("One")
    old = call.asked.inference_id
    call.visitor("Two")
    answers = (ModelSpoke(old, "Late"), ModelAnswered(old, "Late."), ModelFailed(old, "timeout", "Late."))
    for answer in answers:
        assert call.happens(answer).latest == []
    call.model("Both.")
    for answer in answers:
        assert call.happens(answer).latest == []


# --- Holding back -----------------------------------------------------------------------------------------------------

HELD = [
    ("Let me see", False),
    ("Let me see.", False),
    ("It costs 3.5", False),
    ("Let me see. I", True),
    ("Really? No", True),
    ("好。我", True),
]


@pytest.mark.parametrize("on_call", ["silent", "static_filler"])
@pytest.mark.parametrize(("text", "is_heard"), HELD)
def test_where_a_tool_is_quiet_the_first_sentence_waits(on_call: str, text: str, is_heard: bool) -> None:
    call = scene(tools=[tool(on_call=on_call, static_filler="One moment.")]).visitor("A room?").model_writes(text)
    assert bool(call.latest) == is_heard


@pytest.mark.parametrize("on_call", ["generate_filler", "passthrough"])
def test_where_no_tool_is_quiet_nothing_waits(on_call: str) -> None:
    assert scene(tools=[tool(on_call=on_call)]).visitor("A room?").model_writes("Let").sent() == ["utterance.streaming"]


def test_what_waited_is_said_when_no_tool_was_called() -> None:
    call = scene(tools=[tool(on_call="silent")]).visitor("A room?").model_writes("Yes").model("Yes.")
    assert call.just_heard() == ["Yes."]


def test_a_greeting_is_not_held_back_because_nothing_can_be_called_beside_it() -> None:
    call = Scene(is_greeting_dynamic=True, tools=[tool(on_call="silent")]).visitor_joins().model_writes("Wel")
    assert call.sent() == ["utterance.streaming"]


# --- Interruption -----------------------------------------------------------------------------------------------------


def test_interrupted_before_the_first_word_nothing_was_said() -> None:
    call = scene().visitor("Hello")
    call.interrupts()
    assert (call.sent(), call.heard(), call.request) == ([], [], None)
    assert call.transcript() == [("user", "Hello")]
    assert call.turns()[-1]["interrupted"] is True


def test_interrupted_in_the_middle_only_what_was_said_stays_in_memory() -> None:
    call = scene(is_chat=False).visitor("Hello").model_writes("Good eve")
    call.after(1).interrupts()
    assert call.sent() == ["utterance.streaming", "utterance", "stopped_speaking"]
    streaming, utterance, stopped = (one["properties"] for one in call.messages(all=False))
    assert (streaming["speech"], streaming["final"], streaming["is_interrupted"]) == ("Good eve", True, True)
    assert (utterance["speech"], utterance["interrupted"]) == ("Good eve", True)
    assert stopped == {"role": "pal", "interrupted": True, "duration": 1.0}
    call.visitor("Sorry?")
    assert call.talk == [("user", "Hello"), ("assistant", "Good eve"), ("user", "Sorry?")]


def test_a_new_utterance_interrupts_and_is_answered() -> None:
    call = scene().visitor("One").model_writes("Fir")
    first = call.asked.inference_id
    call.visitor("Two")
    assert call.just_heard() == ["Fir-"]
    assert call.asked.inference_id != first
    call.model("Second.")
    assert [(turn["turn_idx"], turn["interrupted"]) for turn in call.turns()] == [(1, True), (2, False)]


def test_what_was_held_back_was_not_said() -> None:
    call = scene(tools=[tool(on_call="silent")]).visitor("A room?").model_writes("Let me").interrupts()
    assert (call.heard(), call.transcript()) == ([], [("user", "A room?")])


def test_interrupting_silence_changes_nothing() -> None:
    call = scene().visitor("Hello").model("Hi.")
    assert call.interrupts().latest == []


def test_interrupted_while_a_tool_is_awaited_the_pal_waits_no_longer() -> None:
    call = scene(tools=[tool()]).visitor("A room?").model("Let me see.", wants("look_up")).interrupts()
    assert call.turns()[-1]["interrupted"] is True
    assert call.after(60).latest == []
    call.visitor("Well?")
    assert [role for role, _ in call.talk] == ["user", "assistant", "tool", "user"]


# --- The ledger -------------------------------------------------------------------------------------------------------


def test_the_ledger_tells_when_each_part_of_a_turn_came() -> None:
    call = scene(tools=[tool()]).visitor("A room?")
    call.after(0.5).model("", wants("look_up"), tokens=(10, 2))
    call.after(2).tool_answers("look_up", "Room 7.")
    call.after(0.25).model_writes("Room")
    call.after(0.25).model("Room 7.", tokens=(20, 3))
    assert call.turns() == [
        {
            "turn_idx": 1,
            "received_at": call.now - 3,
            "context_built_ms": 0.0,
            "first_token_ms": 500.0,
            "first_sentence_ms": 3000.0,
            "last_token_ms": 3000.0,
            "delivered_ms": 3000.0,
            "tools_ms": 2000.0,
            "rounds": 2,
            "prompt_tokens": 30,
            "completion_tokens": 5,
            "interrupted": False,
        }
    ]


def test_tools_that_are_awaited_at_once_are_not_counted_twice() -> None:
    call = scene(tools=[tool("a"), tool("b")]).visitor("Both?").model("", wants("a"), wants("b"))
    call.after(1).tool_answers("a", "A")
    call.after(1).tool_answers("b", "B").model("A and B.")
    assert call.turns()[0]["tools_ms"] == 2000.0


def test_a_sentence_is_there_when_it_is_whole_and_delivery_is_when_all_of_it_is_sent() -> None:
    call = scene().visitor("A room?")
    call.after(0.5).model_writes("Room")
    call.after(0.5).model_writes("Room 7. It")
    call.after(0.5).model("Room 7. It is quiet.")
    [turn] = call.turns()
    assert [turn[name] for name in ("first_token_ms", "first_sentence_ms", "delivered_ms")] == [500.0, 1000.0, 1500.0]


def test_of_a_turn_that_is_interrupted_nothing_was_delivered() -> None:
    call = scene().visitor("A room?")
    call.after(0.5).model_writes("Room 7. It")
    call.after(0.5).visitor("Wait.")
    [turn] = call.turns()
    assert (turn["interrupted"], turn["first_sentence_ms"], turn["delivered_ms"]) == (True, 500.0, None)


def test_the_context_is_built_when_the_first_model_is_really_asked() -> None:
    call = scene(tools=[tool()]).visitor("A room?")
    began = call.now
    for seconds, wishes in ((0.25, [wants("look_up")]), (0.75, [])):
        assert call.request is not None
        call.after(1).happens(
            ModelAnswered(call.request.inference_id, "" if wishes else "7.", tuple(wishes), asked_at=began + seconds)
        )
        if wishes:
            call.tool_answers("look_up", "Room 7.")
    assert call.turns()[0]["context_built_ms"] == 250.0


def test_a_result_that_came_while_a_filler_was_written_was_waited_for_no_longer() -> None:
    call = scene(tools=[tool(on_call="generate_filler")]).visitor("A room?").model("", wants("look_up"))
    call.after(1).tool_answers("look_up", "Room 7.")
    call.after(2).model("Let me look.").model("Room 7.")
    assert call.turns()[0]["tools_ms"] == 1000.0
