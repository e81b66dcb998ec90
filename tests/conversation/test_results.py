"""Results that are late, come twice or from an address, and what the PAL says while it waits for one."""

import pytest

from palace.conversation.commands import CallTool
from palace.conversation.events import ToolAnswered
from palace.conversation.prompt import ASKED_FOR, GO_ON, NO_RESULT_YET
from palace.conversation.turns import MODEL_DOWN
from tests.conversation.scene import Scene, asked_for_a_room, scene, tool, wants

# --- Results that are late, come twice, or were never asked for -------------------------------------------------------


def test_after_the_soft_window_the_pal_goes_on_without_the_result() -> None:
    call = asked_for_a_room().after(7.9)
    assert call.request is None
    call.after(0.1)
    assert call.talk[-1] == ("tool", NO_RESULT_YET)
    call.model("It takes a little longer.")
    assert (call.transcript()[-2:], len(call.turns())) == (
        [("tool", NO_RESULT_YET), ("assistant", "It takes a little longer.")],
        1,
    )


@pytest.mark.parametrize("on_resolve", ["generate_response", "response_in_result"])
def test_a_late_result_is_told_as_soon_as_the_pal_is_free(on_resolve: str) -> None:
    call = asked_for_a_room(on_resolve=on_resolve).after(8).model("It takes a little longer.").after(30)
    call.tool_answers("look_up", "Room 7.")
    row = next(line for line in call.lines if line.get("tool_call_id") == "call_look_up_result")
    assert row["content"] == "Room 7."
    if on_resolve == "generate_response":
        assert call.talk[-1] == ("system", "The result of call call_look_up has come: Room 7.")
        call.model("Room 7.")
    assert call.heard() == ["It takes a little longer.", "Room 7."]


@pytest.mark.parametrize("on_resolve", ["generate_response", "response_in_result"])
def test_a_late_result_waits_until_the_pal_has_answered_something_else(on_resolve: str) -> None:
    call = asked_for_a_room(on_resolve=on_resolve).visitor("Is there a pool?")
    call.model_writes("Yes").tool_answers("look_up", "Room 7.")
    assert call.just_heard() == []
    call.model("Yes, a pool.")
    if on_resolve == "generate_response":
        assert call.talk[-3:] == [
            ("system", "The result of call call_look_up has come: Room 7."),
            ("assistant", "Yes, a pool."),
            ("system", GO_ON),
        ]
        call.model("Room 7.")
    assert call.heard() == ["Yes, a pool.", "Room 7."]


def test_a_late_result_to_be_said_is_said_when_the_model_fails_meanwhile() -> None:
    call = asked_for_a_room(on_resolve="response_in_result").visitor("Is there a pool?")
    call.tool_answers("look_up", "Room 7.").model_fails()
    assert (call.heard(), len(call.turns())) == (["Room 7.", MODEL_DOWN], 2)


def test_a_late_result_is_said_behind_an_answer_that_breaks_off() -> None:
    call = asked_for_a_room(on_resolve="response_in_result").visitor("Is there a pool?").model_writes("Yes")
    assert call.tool_answers("look_up", "Room 7.").model_fails().heard() == ["Yes-", "Room 7."]


def test_what_comes_late_only_to_be_kept_is_kept() -> None:
    call = asked_for_a_room(on_resolve="add_to_context").visitor("Is there a pool?").model("Yes.")
    assert call.tool_answers("look_up", "Room 7.").messages(all=False) == []
    call.visitor("And?")
    assert ("system", "The result of call call_look_up has come: Room 7.") in call.talk


def test_a_late_error_is_acknowledged() -> None:
    call = asked_for_a_room(on_resolve="add_to_context").interrupts()
    call.tool_answers("look_up", "It is away.", is_error=True)
    assert call.talk[-1][1].endswith("error: It is away.")


def test_after_an_interruption_the_call_has_a_placeholder_and_later_a_result() -> None:
    call = asked_for_a_room().interrupts().tool_answers("look_up", "Room 7.")
    rows = [(line["tool_call_id"], line["content"]) for line in call.lines if line["role"] == "tool"]
    assert rows == [("call_look_up", NO_RESULT_YET), ("call_look_up_result", "Room 7.")]


@pytest.mark.parametrize("on_resolve", ["generate_response", "response_in_result", "add_to_context", "fire_and_forget"])
def test_a_second_answer_is_dropped(on_resolve: str) -> None:
    call = asked_for_a_room(on_resolve=on_resolve).tool_answers("look_up", "Room 7.")
    assert call.tool_answers("look_up", "Room 8.").latest == []


@pytest.mark.parametrize("id", ["", "call_of_nobody", "call_look_up_result", "\ud800"])
def test_an_answer_that_nobody_asked_for_is_dropped(id: str) -> None:
    assert asked_for_a_room().happens(ToolAnswered(id, "Room 7.")).latest == []


# --- Over HTTPS -------------------------------------------------------------------------------------------------------


def asked_an_address(**more: str) -> Scene:
    call = scene(tools=[tool(is_api=True, **more)]).visitor("A room?")
    return call.model("", wants("look_up", day="friday"))


def test_a_call_over_https_is_not_told_to_clients_and_has_no_soft_window() -> None:
    call = asked_an_address()
    assert (call.delivered(), call.client_calls()) == ([CallTool("call_look_up", "t_look_up", {"day": "friday"})], [])
    call.after(100)
    assert call.request is None
    call.tool_answers("look_up", "Room 7.").model("Room 7.")
    assert call.heard() == ["Room 7."]


def test_only_the_address_knows_the_result_of_a_call_over_https() -> None:
    call = asked_an_address()
    assert call.tool_answers("look_up", "Paid.", by_client=True).latest == []
    call.tool_answers("look_up", "Not paid.")
    assert call.talk[-1] == ("tool", "Not paid.")


def test_a_client_answers_its_own_calls() -> None:
    assert asked_for_a_room().tool_answers("look_up", "Room 7.", by_client=True).request is not None


def test_an_address_that_never_answers_does_not_stop_the_conversation() -> None:
    call = asked_an_address().after(150)
    assert call.talk[-1][1].startswith("error: No answer came in time")
    assert call.notes()[0]["status"] == "error"


def test_client_and_address_are_awaited_each_for_its_own_time() -> None:
    call = scene(tools=[tool("a"), tool("b", is_api=True)]).visitor("Both?").model("", wants("a"), wants("b")).after(20)
    assert call.request is None
    call.tool_answers("b", "B")
    assert [content for role, content in call.talk if role == "tool"] == [NO_RESULT_YET, "B"]


@pytest.mark.parametrize("is_api", [True, False])
def test_how_a_tool_was_called_and_what_came_of_it_is_kept(is_api: bool) -> None:
    call = scene(tools=[tool(is_api=is_api)]).visitor("A room?").model("", wants("look_up", day="friday"))
    asked_at = call.now
    call.after(1.5).tool_answers("look_up", "Room 7.")
    assert call.notes() == [
        {
            "tool_call_id": "call_look_up",
            "tool_id": "t_look_up",
            "name": "look_up",
            "arguments": '{"day": "friday"}',
            "status": "success",
            "output": "Room 7.",
            "request": None,
            "problem": None,
            "at": asked_at,
            "ms": 1500.0,
        }
    ]


# --- Fillers ----------------------------------------------------------------------------------------------------------


def test_a_filler_is_written_while_the_tool_works() -> None:
    call = asked_for_a_room(on_call="generate_filler")
    assert (call.asked.purpose, call.talk[-1], call.functions) == ("filler", ("system", ASKED_FOR["filler"]), [])
    call.model("Let me look.").tool_answers("look_up", "Room 7.").model("Room 7.")
    assert call.heard() == ["Let me look.", "Room 7."]
    assert call.turns()[0]["rounds"] == 2


@pytest.mark.parametrize(("on_resolve", "last"), [("generate_response", "(model)"), ("response_in_result", "Room 7.")])
@pytest.mark.parametrize("fails", [False, True])
def test_a_result_that_comes_during_the_filler_is_told_behind_it(on_resolve: str, last: str, fails: bool) -> None:
    call = asked_for_a_room(on_call="generate_filler", on_resolve=on_resolve).model_writes("Let me")
    call.tool_answers("look_up", "Room 7.")
    assert call.just_heard() == []
    if fails:
        call.model_fails()
    else:
        call.model("Let me look.")
    if call.request:
        assert call.asked.purpose == "reply"
        call.model("(model)")
    assert call.heard() == ["Let me-" if fails else "Let me look.", last]
    assert len(call.turns()) == 1


def test_the_soft_window_ends_behind_the_filler_too() -> None:
    call = asked_for_a_room(on_call="generate_filler").after(9).model("Let me look.")
    assert (call.asked.purpose, ("tool", NO_RESULT_YET) in call.talk) == ("reply", True)


def test_a_filler_that_fails_is_left_out() -> None:
    call = asked_for_a_room(on_call="generate_filler").model_fails()
    assert (call.heard(), call.sent()) == ([], ["model_unavailable"])
    call.tool_answers("look_up", "Room 7.").model("Room 7.")
    assert call.heard() == ["Room 7."]


def test_there_is_no_filler_where_the_answer_comes_at_once() -> None:
    call = scene(tools=[tool(on_call="generate_filler")]).visitor("A room?").model("", wants("look_up", raw="{"))
    assert call.asked.purpose == "reply"
