"""What happens by itself: silence, limits, and people who go."""

import pytest

from palace.conversation.brain import ABSENT, IDLE, LEFT, MAX_CALL
from palace.conversation.events import TimeCame
from palace.conversation.prompt import ASKED_FOR
from tests.conversation.scene import START, Scene, scene, tool, wants

# --- Limits -----------------------------------------------------------------------------------------------------------


def test_the_call_ends_when_its_time_is_over() -> None:
    call = scene(max_call_seconds=600).visitor("Hello").model("Hi.").after(599)
    assert not call.ended
    call.visitor("A room?").model_writes("There is").after(1)
    assert (call.ended, call.heard()) == (MAX_CALL, ["Hi.", "There is-"])


def test_it_ends_when_nobody_comes() -> None:
    call = Scene(absent_seconds=300).after(299)
    assert not call.ended
    assert call.after(1).ended == ABSENT


@pytest.mark.parametrize("comes", [Scene.visitor_joins, lambda call: call.visitor("Hello")])
def test_whoever_comes_or_speaks_is_there(comes: object) -> None:
    call = Scene(absent_seconds=300)
    comes(call)  # type: ignore[operator]
    assert not call.after(1000).ended


def test_without_limits_nothing_ends_by_itself() -> None:
    assert not Scene(max_call_seconds=0, absent_seconds=0).after(10**7).ended


def test_it_ends_some_time_after_the_last_one_went() -> None:
    call = scene(left_seconds=60).visitor_joins("bob").visitor_leaves("ann").after(1000)
    assert not call.ended
    call.visitor_leaves("bob").after(59)
    assert not call.ended
    assert call.after(1).ended == LEFT


def test_it_ends_at_once_where_no_time_is_given() -> None:
    assert scene(left_seconds=0).visitor_leaves().ended == LEFT


def test_who_comes_back_in_time_goes_on() -> None:
    call = scene(left_seconds=60).visitor("One").model("First.").visitor_leaves().after(30).visitor_joins("ann")
    assert not call.after(600).ended
    call.visitor("Two")
    assert call.talk == [("user", "One"), ("assistant", "First."), ("user", "Two")]


def test_who_was_never_there_cannot_go_and_who_is_there_does_not_come() -> None:
    call = scene(left_seconds=60)
    assert call.visitor_leaves("bob").latest == call.visitor_joins("ann").latest == []
    assert not call.after(600).ended


def test_a_time_that_was_forgotten_or_has_not_come_means_nothing() -> None:
    call = scene()
    for timer in ("absent", "call", "left", "idle", "tools", "model", "calls", "nonsense"):
        assert call.happens(TimeCame(timer)).latest == []


def test_it_is_told_when_something_is_due() -> None:
    call = Scene(absent_seconds=300, max_call_seconds=600)
    assert call.state.wake_at == START + 300
    call.visitor_joins()
    assert call.state.wake_at == START + 600


# --- Silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("idle_engagement", "seconds"), [("patient", 30), ("eager", 12)])
def test_in_silence_the_pal_takes_up_the_conversation_twice_at_most(idle_engagement: str, seconds: int) -> None:
    call = scene(idle_engagement=idle_engagement).visitor("Hm").model("Yes?")
    for _ in range(2):
        call.after(seconds - 1)
        assert call.request is None
        call.after(1)
        assert (call.asked.purpose, call.functions) == ("idle", [])
        assert call.talk[-1] == ("system", ASKED_FOR["idle"])
        call.model("Are you there?")
    call.after(600)
    assert (call.request, call.ended) == (None, "")
    call.visitor("Sorry!").model("No matter.").after(seconds)
    assert call.asked.purpose == "idle", "who speaks again is engaged again"


BEFORE_SILENCE = {
    "nothing was said": lambda call: call,
    "it was interrupted": lambda call: call.visitor("Hm").interrupts(),
    "an echo was said": lambda call: call.echo("Hm"),
    "the model failed": lambda call: call.visitor("Hm").model_fails(),
    "the last one went and came back": lambda call: call.visitor_leaves().after(40).visitor_joins(),
    "a result was not told": lambda call: (
        call.visitor("Hm").model("", wants("keep")).after(5).tool_answers("keep", "Kept.").after(-5)
    ),
}


@pytest.mark.parametrize("before", BEFORE_SILENCE.values(), ids=BEFORE_SILENCE)
def test_silence_is_noticed_whatever_was_before(before: object) -> None:
    tools = [tool("keep", on_resolve="add_to_context")]
    call = before(scene(idle_engagement="eager", left_seconds=60, tools=tools))  # type: ignore[operator]
    assert call.after(11.9).request is None
    assert call.after(0.1).asked.purpose == "idle"


def test_a_greeting_is_followed_by_silence_too() -> None:
    assert scene(greeting="Welcome.", idle_engagement="eager").after(12).asked.purpose == "idle"


def test_it_is_not_silent_while_the_pal_thinks_or_waits() -> None:
    call = scene(idle_engagement="eager", tools=[tool(is_api=True)]).visitor("A room?").after(30)
    assert call.latest == []
    call.model("", wants("look_up")).after(30)
    assert (call.latest, call.request) == ([], None)
    call.tool_answers("look_up", "Room 7.").model("Room 7.").after(12)
    assert call.asked.purpose == "idle"


def test_nobody_is_engaged_who_is_not_there() -> None:
    call = scene(idle_engagement="eager", left_seconds=600).visitor("Hm").model("Yes?").visitor_leaves().after(300)
    assert call.request is None


def test_in_echo_mode_the_model_is_not_asked_in_silence() -> None:
    assert scene(idle_engagement="eager", is_echo=True).echo("Hello").visitor("Hm").after(600).request is None


@pytest.mark.parametrize(("idle_engagement", "times"), [("off", 0), ("eager", 2), ("patient", 2)])
def test_the_call_may_end_in_silence_once_the_pal_has_tried(idle_engagement: str, times: int) -> None:
    call = scene(idle_engagement=idle_engagement, ends_when_idle=True).visitor("Hm").model("Yes?")
    for _ in range(times):
        call.after(30).model("Are you there?")
    assert not call.after(29).ended
    assert call.after(1).ended == IDLE


def test_a_model_that_is_away_does_not_keep_silence_from_ending() -> None:
    call = scene(idle_engagement="eager", ends_when_idle=True).after(12).model_fails().after(12).model_fails()
    assert call.heard() == [], "nobody asked it anything"
    assert call.after(30).ended == IDLE


def test_an_idle_word_that_is_interrupted_counts() -> None:
    call = scene(idle_engagement="eager").after(12).interrupts().after(12).interrupts().after(600)
    assert call.request is None
