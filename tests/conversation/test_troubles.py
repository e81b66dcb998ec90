"""A model that fails, a server that is restarted, and the end, at each stage of a conversation."""

from collections.abc import Callable

import pytest

from palace.conversation.brain import UNKNOWN_OUTCOME
from palace.conversation.commands import Close, Report, StopModel
from palace.conversation.events import (
    AtWork,
    ContextAdded,
    ContextReplaced,
    EchoAsked,
    EndAsked,
    InterruptAsked,
    Joined,
    Left,
    Lost,
    ModelAnswered,
    ModelFailed,
    ModelSpoke,
    ObjectiveConfirmed,
    Said,
    SensitivitySet,
    TimeCame,
    ToolAnswered,
)
from palace.conversation.prompt import GO_ON
from palace.conversation.turns import MODEL_DOWN, MODEL_SECONDS
from tests.conversation.scene import Scene, scene, tool, wants

TOOLS = [tool("ask_client", on_call="generate_filler"), tool("ask_address", is_api=True), tool("pay", is_api=True)]


def play() -> Scene:
    return scene(tools=TOOLS, is_chat=False)


STAGES: dict[str, Callable[[], Scene]] = {
    "nobody is there": lambda: Scene(tools=TOOLS),
    "somebody is there": play,
    "greeting": lambda: Scene(is_greeting_dynamic=True, tools=TOOLS).visitor_joins(),
    "thinking": lambda: play().visitor("A room?"),
    "speaking": lambda: play().visitor("A room?").model_writes("There"),
    "answered": lambda: play().visitor("A room?").model("There is."),
    "waiting for the client": lambda: play().visitor("A room?").model("Wait.", wants("ask_client")),
    "waiting for an address": lambda: play().visitor("A room?").model("", wants("ask_address")),
    "waiting for two": lambda: play().visitor("A room?").model("", wants("ask_address"), wants("pay")),
    "writing a filler": lambda: play().visitor("A room?").model("", wants("ask_client")),
    "saying a filler": lambda: play().visitor("A room?").model("", wants("ask_client")).model_writes("Let"),
    "filler, waiting for an address": lambda: (
        play().visitor("A room?").model("", wants("ask_client"), wants("ask_address"))
    ),
    "late": lambda: play().visitor("A room?").model("", wants("ask_address")).visitor("A pool?"),
    "half an echo": lambda: play().echo("Good", "e1", done=False),
    "silent": lambda: scene(idle_engagement="eager").after(12),
}
stages = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)

# --- The model fails --------------------------------------------------------------------------------------------------


def test_when_no_model_can_answer_the_pal_says_so_and_the_conversation_goes_on() -> None:
    call = scene().visitor("Hello").model_fails("rate_limited")
    assert call.sent() == ["model_unavailable", "utterance"]
    assert call.facts("model_unavailable") == [{"reason": "rate_limited", "problem": "It is away."}]
    assert call.transcript()[-1] == ("assistant", MODEL_DOWN)
    assert len(call.turns()) == 1
    call.visitor("Hello?").model("Hello.")
    assert call.heard() == [MODEL_DOWN, "Hello."]


def test_a_model_that_fails_while_it_speaks_is_cut_off() -> None:
    call = scene(is_chat=False).visitor("Hello").model_writes("Good eve").model_fails("broken_stream")
    assert call.sent() == ["model_unavailable", "utterance.streaming", "utterance", "stopped_speaking"]
    assert (call.heard(), call.of(StopModel)) == (["Good eve-"], [])
    assert call.turns()[-1]["interrupted"] is True


def test_a_model_that_fails_behind_a_tool_is_told() -> None:
    call = scene(tools=[tool()]).visitor("A room?").model("", wants("look_up")).tool_answers("look_up", "7")
    assert call.model_fails().just_heard() == [MODEL_DOWN]


@pytest.mark.parametrize("text", ["", "Good eve"])
def test_a_model_that_never_finishes_is_stopped(text: str) -> None:
    call = scene().visitor("Hello")
    if text:
        call.model_writes(text)
    asked = call.asked.inference_id
    call.after(MODEL_SECONDS - 1)
    assert call.latest == []
    call.after(1)
    assert (call.of(StopModel), call.facts("model_unavailable")[0]["reason"]) == ([StopModel(asked)], "timeout")
    assert call.heard() == [f"{text}-" if text else MODEL_DOWN]


@stages
def test_a_failure_at_any_stage_leaves_a_conversation_that_goes_on(stage: Callable[[], Scene]) -> None:
    call = stage()
    if call.request:
        call.model_fails()
    goes_on(call)


def goes_on(call: Scene) -> None:
    """Whatever was before, the next question is answered, and nothing is left open by the answer."""
    call.visitor_joins("zoe").visitor("And now?")
    assert ("user", "And now?") in call.talk
    call.model("Now it works.")
    assert call.heard()[-1] == "Now it works."
    assert (call.request, call.state.turn, call.state.is_speaking, call.state.is_waiting) == (None, None, False, False)


# --- The server is restarted ------------------------------------------------------------------------------------------


@stages
def test_a_restart_at_any_stage_leaves_a_conversation_that_goes_on(stage: Callable[[], Scene]) -> None:
    goes_on(stage().restarts())
    goes_on(stage().restarts().restarts())


def test_what_was_being_thought_is_thought_anew() -> None:
    call = scene().visitor("Hello")
    first = call.asked
    call.restarts()
    assert (call.asked.messages, call.asked.purpose) == (first.messages, "reply")
    assert call.asked.inference_id != first.inference_id
    call.model("Hi.")
    assert (call.heard(), len(call.turns())) == (["Hi."], 1)


@pytest.mark.parametrize("purpose", ["greeting", "silent"])
def test_a_greeting_or_an_idle_word_is_thought_anew_as_such(purpose: str) -> None:
    call = STAGES[purpose]()
    before = call.asked.purpose
    assert call.restarts().asked.purpose == before


def test_what_people_have_heard_before_the_restart_was_said() -> None:
    call = STAGES["speaking"]().restarts()
    assert call.sent() == ["utterance.streaming", "utterance", "stopped_speaking"]
    assert call.talk == [("user", "A room?"), ("assistant", "There"), ("system", GO_ON)]


def test_a_call_over_https_is_not_repeated_because_nobody_knows_whether_it_was_carried_out() -> None:
    call = STAGES["waiting for two"]().restarts()
    assert [content for role, content in call.talk if role == "tool"] == [f"error: {UNKNOWN_OUTCOME}"] * 2
    assert len(call.delivered()) == 2
    call.model("I do not know whether that worked.")
    assert (call.request, len(call.turns())) == (None, 1)


def test_a_filler_is_not_thought_anew() -> None:
    assert STAGES["writing a filler"]().restarts().request is None
    assert STAGES["filler, waiting for an address"]().restarts().request is None


def test_the_client_may_still_answer_after_a_restart() -> None:
    call = STAGES["waiting for the client"]().restarts().tool_answers("ask_client", "Room 7.")
    assert call.talk[-1] == ("tool", "Room 7.")


@stages
def test_whoever_does_not_say_that_they_are_at_work_is_taken_for_gone(stage: Callable[[], Scene]) -> None:
    goes_on(stage().happens(AtWork(15.0)).after(16.0))


def test_what_nobody_works_at_any_more_is_thought_anew_and_the_other_one_is_to_stop() -> None:
    call = scene().visitor("Hello").happens(AtWork(15.0))
    slow = call.asked
    call.after(10.0).happens(AtWork(15.0)).after(14.0)
    assert call.asked == slow
    call.after(2.0)
    assert call.of(StopModel) == [StopModel(slow.inference_id)]
    assert (call.asked.messages, call.asked.inference_id == slow.inference_id) == (slow.messages, False)


def test_where_nothing_is_under_way_nobody_is_missed() -> None:
    call = scene().visitor("Hello").happens(AtWork(15.0)).model("Hi.").happens(AtWork(15.0))
    assert "work" not in call.state.timers
    assert call.after(20.0).latest == []


def test_a_model_that_takes_back_what_people_have_heard_has_said_it() -> None:
    call = scene().visitor("Hello").model_writes("Good evening.").model_writes("").model("")
    assert (call.heard(), call.state.is_speaking) == (["Good evening."], False)


# --- The end ----------------------------------------------------------------------------------------------------------


@stages
def test_the_end_at_any_stage(stage: Callable[[], Scene]) -> None:
    call = stage()
    asked, was_speaking = call.request, call.state.is_speaking
    call.ends("end_conversation_endpoint_hit")
    assert call.of(StopModel)[-1:] == ([StopModel(asked.inference_id)] if asked else [])
    assert ("stopped_speaking" in call.sent()) == was_speaking
    assert call.sent()[-1] == "system.shutdown"
    reason = {"shutdown_reason": "end_conversation_endpoint_hit", "reason": "end_conversation_endpoint_hit"}
    assert call.messages()[-1]["properties"] == reason
    both = {"replica_id": "f1", "face_id": "f1"}
    assert call.latest[-3:] == [
        Report("system.shutdown", "system", {**both, **reason}),
        Report("application.transcription_ready", "application", {**both, "transcript": call.lines}),
        Close("end_conversation_endpoint_hit"),
    ]
    assert (call.state.is_over, call.state.wake_at, call.state.calls, call.state.people) == (True, None, {}, [])


@stages
def test_nothing_happens_after_the_end(stage: Callable[[], Scene]) -> None:
    call = stage()
    asked = call.request.inference_id if call.request else ""
    ids = [*call.state.calls, "x"]
    call.ends()
    for what in (
        Joined("ann"),
        Left("ann"),
        Said("Hello?"),
        EchoAsked("Hello"),
        InterruptAsked(),
        ContextReplaced("x"),
        ContextAdded("x", "completed"),
        SensitivitySet("low", "high"),
        *(ToolAnswered(id, "x") for id in ids),
        ObjectiveConfirmed(),
        ModelSpoke(asked, "x"),
        ModelAnswered(asked, "x", (wants("pay"),)),
        ModelFailed(asked, "timeout", "x"),
        Lost(),
        *(TimeCame(timer) for timer in ("call", "absent", "left", "idle", "tools", "calls", "model", "work")),
        EndAsked("again"),
    ):
        assert call.happens(what).latest == []
    assert call.ended == "end_conversation_endpoint_hit"


def test_the_transcript_at_the_end_has_every_line() -> None:
    call = scene(tools=[tool()]).visitor("A room?").model("Wait.", wants("look_up")).tool_answers("look_up", "7")
    call.model_writes("Room 7 is").ends()
    transcript = call.of(Report)[-1].properties["transcript"]
    assert [line["role"] for line in transcript] == ["system", "user", "assistant", "tool", "assistant"]
    assert transcript[2]["tool_calls"] == [{"id": "call_look_up", "name": "look_up", "arguments": "{}"}]
    assert (transcript[-1]["content"], transcript[-1]["interrupted"]) == ("Room 7 is", True)
    assert "inference_id" in transcript[-1] and "inference_id" not in transcript[1]
