"""What the model is given: the system's text, context that comes meanwhile, and as much of the talk as has room."""

from collections.abc import Callable

import pytest

from palace.conversation.brain import MOST_ADDED
from palace.conversation.events import SensitivitySet
from palace.conversation.prompt import GO_ON, messages_for, tokens_of
from palace.conversation.state import State, stored_state
from tests.conversation.scene import Scene, check_messages, guardrail, objective, scene, script, tool, wants


def test_the_systems_text_says_all_that_the_pal_goes_by() -> None:
    call = scene(
        context="It is winter.",
        language="spanish",
        objectives=[objective("name", variables=("first",))],
        guardrails=[guardrail("prices")],
    )
    call.more_context("The pool is closed.").visitor("Hello")
    assert call.prompt.split("\n\n") == [
        "You keep a hotel.",
        "It is winter.",
        "The pool is closed.",
        "Your present objective is name: Reach name. Find out: first.\n"
        "As soon as it is reached, and not before, call complete_objective; then go on talking.",
        "Keep to these guardrails. When one is touched, call report_guardrail and keep to it:\n- prices: Never prices.",
        "Speak spanish.",
    ]


def test_the_systems_text_stands_there_once() -> None:
    call = scene(context="It is winter.").visitor("Hello")
    assert [one["role"] for one in call.asked.messages] == ["system", "user"]


def test_a_new_context_takes_the_place_of_all_that_was_there() -> None:
    call = scene(context="It is winter.").more_context("The pool is closed.").new_context("It is summer.")
    call.more_context("The pool is open.").visitor("Hello")
    assert call.prompt.split("\n\n") == ["You keep a hotel.", "It is summer.", "The pool is open."]
    assert call.new_context("").visitor("Hello").prompt == "You keep a hotel."


def test_of_much_context_the_newest_is_kept() -> None:
    call = scene()
    for number in range(12):
        call.more_context(f"{number} {'x' * 9_900}")
    assert [piece.split(" ")[0] for piece in call.state.added] == [str(number) for number in range(2, 12)]
    call.more_context("y" * MOST_ADDED)
    assert call.state.added == ["y" * MOST_ADDED]


def test_many_small_pieces_of_context_are_bounded_too() -> None:
    call = scene()
    call.state.added = ["x"] * MOST_ADDED
    assert len(stored_state(call.more_context("y").state)) < 2 * MOST_ADDED


@pytest.mark.parametrize("give", [Scene.more_context, Scene.new_context])
def test_one_piece_of_context_is_cut(give: Callable[[Scene, str], Scene]) -> None:
    assert len(give(scene(), "x" * 3 * MOST_ADDED).visitor("Hello").prompt) < MOST_ADDED + 100


def test_more_context_is_no_reason_to_speak() -> None:
    call = scene().visitor("Hello").model("Hi.").more_context("The pool is open.")
    assert (call.latest, call.request) == ([], None)


def test_that_a_job_is_completed_is_told() -> None:
    call = scene().visitor("Book it.").model("I will.").more_context("Room 7 is booked.", "completed")
    assert call.prompt.endswith("Room 7 is booked.")
    assert call.talk[-1] == ("system", GO_ON)
    call.model("It is booked.")
    assert call.heard() == ["I will.", "It is booked."]


@pytest.mark.parametrize("status", ["", "failed", "COMPLETED"])
def test_any_other_status_is_context_only(status: str) -> None:
    assert scene().more_context("Hm.", status).request is None


def test_a_job_that_is_completed_while_the_pal_speaks_is_told_afterwards() -> None:
    call = scene().visitor("A pool?").model_writes("Yes").more_context("Room 7 is booked.", "completed")
    assert call.latest == []
    call.model("Yes.")
    assert (call.asked.purpose, len(call.turns())) == ("reply", 0)
    assert call.model("And it is booked.").turns()[0]["rounds"] == 2


def test_a_job_that_is_completed_while_a_tool_is_awaited_is_told_with_its_result() -> None:
    call = scene(tools=[tool()]).visitor("A pool?").model("", wants("look_up"))
    assert call.more_context("Room 7 is booked.", "completed").request is None
    call.tool_answers("look_up", "A pool.").model("A pool, and it is booked.")
    assert call.request is None


def test_a_job_is_told_to_nobody_who_is_not_there() -> None:
    assert Scene().more_context("Done.", "completed").request is None
    assert scene(is_echo=True).more_context("Done.", "completed").request is None


def test_sensitivity_is_kept() -> None:
    call = scene().happens(SensitivitySet(pause="low")).happens(SensitivitySet(interrupt="high"))
    assert (call.state.pause_sensitivity, call.state.interrupt_sensitivity) == ("low", "high")


def test_an_empty_pal_talks_too() -> None:
    call = scene(prompt="").visitor("Hello")
    assert call.asked.messages == [{"role": "system", "content": ""}, {"role": "user", "content": "Hello"}]


# --- The budget -------------------------------------------------------------------------------------------------------


def long_talk(**more: object) -> Scene:
    call = scene(tools=[tool()], **more)
    for number in range(20):
        call.visitor(f"Question {number} {'?' * 80}").model("", wants("look_up", id=f"call_{number}"))
        call.tool_answers("look_up", f"Result {number} {'!' * 80}").model(f"Answer {number} {'.' * 80}")
    return call.visitor("The last one?")


@pytest.mark.parametrize("budget", range(0, 2000, 37))
def test_the_newest_part_of_the_talk_is_kept_and_what_belongs_together_stays_so(budget: int) -> None:
    call = long_talk()
    messages = messages_for(script(context_tokens=budget), call.state, call.lines, "reply")
    check_messages(messages)
    assert (messages[0]["content"], messages[-1]["content"]) == ("You keep a hotel.", "The last one?")
    whole = messages_for(call.script, call.state, call.lines, "reply")
    assert messages[1:] == whole[len(whole) - len(messages) + 1 :]
    assert len(messages) == 2 or sum(map(tokens_of, messages)) <= budget


def test_there_is_room_for_more_where_the_budget_is_larger() -> None:
    call = long_talk()
    sizes = [
        len(messages_for(script(context_tokens=size), call.state, call.lines, "reply")) for size in range(0, 5000, 100)
    ]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (2, len(call.asked.messages))


def test_a_result_that_is_larger_than_the_budget_is_cut_and_the_model_is_told() -> None:
    call = scene(tools=[tool()], context_tokens=1500).visitor("All of them?").model("", wants("look_up"))
    call.tool_answers("look_up", "room " * 10_000)
    *_, result = call.asked.messages
    text, _, note = result["content"].partition("\n")
    assert ("room " * 10_000).startswith(text)
    assert note == f"[Cut off: these are {len(text)} of 50000 characters.]"
    assert sum(map(tokens_of, call.asked.messages)) <= 1500 + 2 * 20, "but for the notes"
    assert call.lines[-1]["content"] == "room " * 10_000, "the transcript has all of it"


def test_what_a_person_says_is_cut_where_no_model_could_take_it() -> None:
    call = scene(context_tokens=100).visitor("why " * 10_000)
    assert call.talk[0][1].endswith("[Cut off: these are 2000 of 40000 characters.]")


def test_the_systems_text_is_never_cut() -> None:
    call = scene(prompt="Keep quiet. " * 1000, context_tokens=100).visitor("One").model("First.").visitor("Two")
    assert call.prompt == ("Keep quiet. " * 1000).strip()
    assert call.talk == [("user", "Two")]


def test_what_a_model_is_asked_for_has_its_room() -> None:
    state = State()
    messages = messages_for(script(context_tokens=0), state, [{"role": "user", "content": "Hm"}], "idle")
    assert [one["role"] for one in messages] == ["system", "user", "system"]
