"""Tools: what is called, what the PAL says beside it, whose result counts, and what it makes of it."""

import pytest

from palace.conversation.calls import DISPATCHED, ENDED_BY_PAL, MOST_CALLS, MOST_OPEN, NOT_AN_OBJECT, TOO_MANY
from palace.conversation.commands import CallTool
from palace.conversation.events import ToolAnswered, Wish
from palace.conversation.prompt import NO_RESULT_YET
from palace.conversation.turns import MOST_ROUNDS
from tests.conversation.scene import Scene, asked_for_a_room, guardrail, objective, scene, tool, wants


def test_a_call_is_handed_to_the_client() -> None:
    call = asked_for_a_room()
    message = call.messages("conversation.tool_call")[0]
    assert message["properties"] == {
        "name": "look_up",
        "arguments": '{"day": "friday"}',
        "tool_call_id": "call_look_up",
    }
    user = next(one for one in call.messages("conversation.utterance") if one["properties"]["role"] == "user")
    assert message["inference_id"] == user["inference_id"], "that of what the person said"
    assert message["turn_idx"] == 1


def test_a_call_without_arguments_is_handed_over_with_an_empty_object() -> None:
    call = scene(tools=[tool()]).visitor("A room?").model("", wants("look_up", raw=""))
    assert call.facts("tool_call")[0]["arguments"] == "{}"


def test_the_result_is_given_to_the_model_next_to_its_call() -> None:
    call = asked_for_a_room().tool_answers("look_up", "Room 7.")
    assert [(one["role"], one["content"]) for one in call.asked.messages[1:]] == [
        ("user", "Is there a room?"),
        ("assistant", None),
        ("tool", "Room 7."),
    ]
    call.model("Room 7 is free.")
    assert call.heard() == ["Room 7 is free."]


# --- What is said beside a call, and what becomes of its result -------------------------------------------------------

ASK, SAY, KEEP = "the model answers", "the result is said", "nothing is said"
BESIDE = {
    ("passthrough", ""): [],
    ("passthrough", "Let me see."): ["Let me see."],
    ("silent", ""): [],
    ("silent", "Let me see."): [],
    ("static_filler", ""): ["One moment."],
    ("static_filler", "Let me see."): ["One moment."],
    ("generate_filler", ""): ["(filler)"],
    ("generate_filler", "Let me see."): ["Let me see."],
}
AFTERWARDS = {
    ("generate_response", False): ASK,
    ("generate_response", True): ASK,
    ("response_in_result", False): SAY,
    ("response_in_result", True): ASK,
    ("add_to_context", False): KEEP,
    ("add_to_context", True): ASK,
    ("fire_and_forget", False): KEEP,
    ("fire_and_forget", True): KEEP,
}


@pytest.mark.parametrize("is_api", [False, True], ids=["client", "address"])
@pytest.mark.parametrize(("on_resolve", "is_error"), AFTERWARDS)
@pytest.mark.parametrize(("on_call", "text"), BESIDE)
def test_every_way_to_call_with_every_way_to_resolve(
    on_call: str, text: str, on_resolve: str, is_error: bool, is_api: bool
) -> None:
    called = tool(on_call=on_call, on_resolve=on_resolve, static_filler="One moment.", is_api=is_api)
    call = scene(tools=[called]).visitor("Is there a room?").model(text, wants("look_up"))
    assert (call.client_calls(), call.delivered()) == (
        ([], [CallTool("call_look_up", "t_look_up", {})]) if is_api else (["look_up"], [])
    )
    if call.request:
        assert call.asked.purpose == "filler"
        call.model("(filler)")
    beside = BESIDE[on_call, text]
    assert call.heard() == beside
    is_awaited = on_resolve in ("generate_response", "response_in_result")
    assert bool(call.turns()) != is_awaited
    call.tool_answers("look_up", "Room 7.", is_error=is_error)
    said = "error: Room 7." if is_error else "Room 7."
    row = DISPATCHED if on_resolve == "fire_and_forget" else said
    assert ("tool", row) in call.transcript()
    match AFTERWARDS[on_resolve, is_error]:
        case "the model answers":
            assert ("tool", said) in call.talk
            call.model("So.")
            assert call.heard() == [*beside, "So."]
        case "the result is said":
            assert call.heard() == [*beside, "Room 7."]
            assert call.transcript()[-1] == ("assistant", "Room 7.")
        case _:
            assert call.heard() == beside
    assert (call.request, len(call.turns()), call.state.calls) == (None, 1, {})
    call.visitor("And?")
    assert ("tool", row) in call.talk


def test_what_was_heard_was_said_though_the_tool_is_silent() -> None:
    call = scene(tools=[tool(on_call="silent")]).visitor("A room?").model_writes("Let me see. It")
    call.model("Let me see. It may be.", wants("look_up"))
    assert call.heard() == ["Let me see. It may be."]


def test_a_result_that_is_said_is_streamed_too() -> None:
    call = asked_for_a_room(on_resolve="response_in_result").tool_answers("look_up", "Room 7.")
    assert call.sent() == ["utterance", "utterance.streaming"]


def test_an_empty_result_to_be_said_is_silence() -> None:
    call = asked_for_a_room(on_resolve="response_in_result").tool_answers("look_up", " ")
    assert (call.heard(), call.request, len(call.turns())) == ([], None, 1)


# --- Several at once, several after one another -----------------------------------------------------------------------


def test_the_pal_waits_for_all_calls_of_a_round() -> None:
    call = scene(tools=[tool("a"), tool("b"), tool("c", is_api=True)]).visitor("All?")
    call.model("", wants("a"), wants("b"), wants("c"))
    call.tool_answers("c", "C").tool_answers("a", "A")
    assert call.request is None
    call.tool_answers("b", "B")
    assert [content for role, content in call.talk if role == "tool"] == ["A", "B", "C"]


def test_a_result_to_be_said_does_not_wait_for_the_others() -> None:
    call = scene(tools=[tool("a", on_resolve="response_in_result"), tool("b")]).visitor("Both?")
    call.model("", wants("a"), wants("b")).tool_answers("a", "A.")
    assert (call.just_heard(), call.request) == (["A."], None)
    call.tool_answers("b", "B").model("B.")
    assert call.heard() == ["A.", "B."]


def test_what_is_only_kept_is_not_waited_for() -> None:
    call = scene(tools=[tool("a", on_resolve="add_to_context"), tool("b")]).visitor("Both?")
    call.model("", wants("a"), wants("b")).tool_answers("b", "B")
    assert ("tool", NO_RESULT_YET) in call.talk
    call.model("B.").tool_answers("a", "A")
    assert call.request is None
    call.visitor("And?")
    assert ("tool", "A") in call.talk


def test_a_model_may_call_in_several_rounds_but_not_for_ever() -> None:
    call = scene(tools=[tool()]).visitor("A room?")
    for number in range(MOST_ROUNDS):
        assert "look_up" in call.functions
        call.model("", wants("look_up", id=f"call_{number}")).tool_answers("look_up", f"Not yet {number}.")
    assert call.functions == [], "now it has to speak"
    call.model("", wants("look_up", id="once_more"))
    assert (call.client_calls().count("look_up"), len(call.turns())) == (MOST_ROUNDS, 1)
    assert call.turns()[0]["rounds"] == MOST_ROUNDS + 1
    call.visitor("And now?")
    assert "look_up" in call.functions


def test_late_results_do_not_let_a_model_call_for_ever_either() -> None:
    call = scene(tools=[tool()]).visitor("A room?")
    for number in range(MOST_ROUNDS):
        call.model("", wants("look_up", id=f"call_{number}"))
        call.interrupts().tool_answers("look_up", "Late.")
    assert call.functions == []


@pytest.mark.parametrize("is_api", [True, False])
def test_a_restart_is_no_round(is_api: bool) -> None:
    call = scene(tools=[tool(is_api=is_api)]).visitor("A room?").model("", wants("look_up"))
    call.visitor("A pool?")
    for _ in range(MOST_ROUNDS + 1):
        call.restarts()
    assert "look_up" in call.functions
    assert call.model("Yes.").turns()[-1]["rounds"] == 1


def test_more_calls_at_once_than_the_most_are_refused() -> None:
    call = scene(tools=[tool()]).visitor("Rooms?")
    call.model("", *(wants("look_up", id=f"call_{number}") for number in range(MOST_CALLS + 2)))
    assert len(call.client_calls()) == MOST_CALLS
    assert [content for role, content in call.transcript() if role == "tool"] == [TOO_MANY] * 2
    for number in range(MOST_CALLS):
        call.happens(ToolAnswered(f"call_{number}", "Full."))
    assert call.asked.purpose == "reply"


def test_calls_that_are_never_answered_fall_out_of_the_context() -> None:
    call = scene(tools=[tool(on_resolve="add_to_context")])
    for number in range(MOST_OPEN + 10):
        call.visitor("A room?").model("", wants("look_up", id=f"call_{number}"))
    assert len(call.state.calls) == MOST_OPEN
    assert call.happens(ToolAnswered("call_0", "Room 7.")).latest == []


# --- Calls that cannot be made ----------------------------------------------------------------------------------------

BAD_ARGUMENTS = [
    "{",
    "friday",
    "[1]",
    "null",
    '"friday"',
    '{"day": NaN}',
    '{"day": 1e999}',
    '{"day": -Infinity}',
    '{"day": "\\ud800"}',
    '{"day": "\\u0000"}',
    '{"\\udfff": 1}',
    '{"day": 99999999999999999999}',
    '{"day": ' + "9" * 5000 + "}",
    '{"a":' * 40 + "1" + "}" * 40,
    "[" * 100_000,
]


@pytest.mark.parametrize("raw", BAD_ARGUMENTS, ids=range(len(BAD_ARGUMENTS)))
def test_bad_arguments_are_told_to_the_model_at_once(raw: str) -> None:
    call = scene(tools=[tool()]).visitor("A room?").model("", wants("look_up", raw=raw))
    assert (call.client_calls(), call.talk[-1]) == ([], ("tool", NOT_AN_OBJECT))
    assert call.asked.messages[-2]["tool_calls"][0]["function"]["arguments"] == "{}", (
        "no server refuses the next request"
    )
    call.model("Which day?")
    assert call.heard() == ["Which day?"]


@pytest.mark.parametrize("name", ["book", "", "look up!", "x" * 200, "é\ud800", "book\x00"])
def test_an_unknown_tool_is_told_to_the_model_at_once(name: str) -> None:
    call = scene(tools=[tool()]).visitor("A room?").model("", wants(name, id="call_1"))
    assert call.talk[-1][1].startswith("error: there is no tool ")
    assert len(call.talk[-1][1]) < 200


def test_a_refused_call_does_not_hide_the_result_of_the_other() -> None:
    call = scene(tools=[tool(on_resolve="response_in_result")]).visitor("A room?")
    call.model("", wants("look_up"), wants("book")).tool_answers("look_up", "Room 7.")
    assert call.just_heard() == ["Room 7."]
    assert [role for role, _ in call.talk] == ["user", "assistant", "tool", "tool", "assistant", "system"]


IDS = [("same", "same"), ("", ""), ("ends_with_result", "x_result"), ("x" * 41, "ok")]


@pytest.mark.parametrize(("first", "second"), IDS)
def test_every_call_has_an_id_of_its_own(first: str, second: str) -> None:
    call = scene(tools=[tool("a"), tool("b")]).visitor("Both?").model("", Wish(first, "a", ""), Wish(second, "b", ""))
    a, b = (one["tool_call_id"] for one in call.facts("tool_call"))
    assert a != b and all(0 < len(id) <= 40 and not id.endswith("_result") for id in (a, b))
    call.tool_answers("a", "A").tool_answers("b", "B")
    assert [content for role, content in call.talk if role == "tool"] == ["A", "B"]


def test_a_model_that_counts_anew_in_each_answer_confuses_nobody() -> None:
    call = scene(tools=[tool()])
    for number in range(3):
        call.visitor("A room?").model("", wants("look_up", id="call_0"))
        call.tool_answers("look_up", f"Room {number}.").model("There.")
    call.visitor("All of them?")
    assert [content for role, content in call.talk if role == "tool"] == ["Room 0.", "Room 1.", "Room 2."]


@pytest.mark.parametrize("purpose", ["greeting", "filler", "idle"])
def test_what_is_called_where_nothing_can_be_called_is_not_carried_out(purpose: str) -> None:
    tools = [tool(on_call="generate_filler")]
    if purpose == "greeting":
        call = Scene(tools=tools, is_greeting_dynamic=True).visitor_joins()
    elif purpose == "idle":
        call = scene(tools=tools, idle_engagement="eager").visitor("Hm").model("Yes?").after(12)
    else:
        call = scene(tools=tools).visitor("A room?").model("", wants("look_up", id="first"))
    assert call.asked.purpose == purpose
    before = call.client_calls()
    call.model("Well.", wants("look_up"), wants("end_call"))
    assert (call.client_calls(), call.heard()[-1], call.ended) == (before, "Well.", "")


# --- The end of the call ----------------------------------------------------------------------------------------------


def test_the_model_may_end_the_call() -> None:
    call = scene().visitor("Goodbye.").model("Goodbye!", wants("end_call"))
    assert call.sent()[:1] + call.sent()[-2:] == ["utterance", "tool_call", "system.shutdown"]
    assert (call.heard(), call.ended) == (["Goodbye!"], ENDED_BY_PAL)
    assert call.turns()[0]["interrupted"] is False


@pytest.mark.parametrize("tools", [[], [tool("end_call")]])
@pytest.mark.parametrize("raw", ["", "{", "[1]"])
def test_the_call_ends_whatever_stands_in_the_arguments(tools: list[object], raw: str) -> None:
    call = scene(tools=tools).visitor("Bye.")
    assert call.functions.count("end_call") == 1
    call.model("", wants("end_call", raw=raw))
    assert call.facts("tool_call") == [{"name": "end_call", "arguments": "{}", "tool_call_id": "call_end_call"}]
    assert call.ended == ENDED_BY_PAL


def test_what_is_called_beside_the_end_is_called() -> None:
    call = scene(tools=[tool(is_api=True)]).visitor("Bye.").model("Bye!", wants("look_up"), wants("end_call"))
    assert (len(call.delivered()), call.ended) == (1, ENDED_BY_PAL)


def test_an_end_beyond_the_most_calls_is_refused_like_any_other() -> None:
    call = scene(tools=[tool()]).visitor("Bye.")
    call.model("", *(wants("look_up", id=f"call_{number}") for number in range(MOST_CALLS)), wants("end_call"))
    assert call.ended == ""


@pytest.mark.parametrize("name", ["complete_objective", "report_guardrail"])
def test_a_tool_of_the_pal_goes_before_a_function_of_the_same_name(name: str) -> None:
    call = scene(tools=[tool(name)], objectives=[objective("a")], guardrails=[guardrail("g")]).visitor("Well?")
    assert call.functions.count(name) == 1
    assert call.model("", wants(name)).client_calls() == [name]
