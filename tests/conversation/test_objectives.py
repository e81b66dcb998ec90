"""What the PAL is to reach step by step, and what it is never to do."""

import pytest

from palace.conversation.objectives import PENDING, TAKEN
from tests.conversation.scene import Scene, guardrail, objective, scene, wants

CHECK_IN = [
    objective("name", variables=("first", "last"), next="dates"),
    objective("dates", is_manual=True, variables=("arrival",), next="bed"),
    objective("bed", callback_url="https://hotel.example/bed?key=1"),
]


def reached(variables: object = None, **more: object) -> object:
    return wants("complete_objective", **({} if variables is None else {"output_variables": variables}), **more)


def events(call: Scene) -> list[tuple[str, object]]:
    """The app messages about objectives: what happened, and to which."""
    found = [one for one in call.messages() if ".objective." in one["event_type"]]
    return [(one["event_type"].rpartition(".")[2], one["properties"]["objective_name"]) for one in found]


def test_the_first_objective_begins_with_the_first_person() -> None:
    call = Scene(objectives=CHECK_IN)
    assert events(call) == []
    call.visitor_joins("ann").visitor_joins("bob")
    assert events(call) == [("activated", "name")]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_first_objective_is_the_one_that_no_other_leads_to(order: tuple[int, ...]) -> None:
    assert scene(objectives=[CHECK_IN[place] for place in order]).state.objective == "name"


def test_where_objectives_go_in_circles_the_first_one_is_first() -> None:
    call = scene(objectives=[objective("ask", next="tell"), objective("tell", next="ask")]).visitor("Hello")
    for name in ("ask", "tell", "ask"):
        assert f"Your present objective is {name}:" in call.prompt
        call.model("So.", reached()).visitor("Go on")
    assert events(call)[-3:] == [("activated", "ask"), ("completed", "ask"), ("activated", "tell")]


def test_the_model_is_told_what_it_is_to_reach_and_how_to_say_so() -> None:
    call = scene(objectives=CHECK_IN).visitor("Hello")
    assert "Your present objective is name: Reach name. Find out: first, last." in call.prompt
    function = next(one["function"] for one in call.asked.tools if one["function"]["name"] == "complete_objective")
    assert function["parameters"]["properties"]["output_variables"]["required"] == ["first", "last"]


def test_an_objective_that_is_reached_leads_to_the_next() -> None:
    call = scene(objectives=CHECK_IN).visitor("I am Ann Lee.")
    call.model("", reached({"first": "Ann", "last": "Lee", "age": 7}))
    assert events(call) == [("activated", "name"), ("completed", "name"), ("activated", "dates")]
    assert call.facts("objective.completed")[0]["output_variables"] == {"first": "Ann", "last": "Lee"}
    assert call.client_calls() == [], "no matter of the client"
    assert (call.talk[-1], call.asked.purpose) == (("tool", TAKEN), "reply")
    assert "Your present objective is dates:" in call.prompt


def test_what_is_said_beside_the_call_is_the_answer() -> None:
    call = scene(objectives=CHECK_IN).visitor("I am Ann Lee.")
    call.model("Hello Ann.", reached({"first": "Ann", "last": "Lee"}))
    assert (call.heard(), call.request) == (["Hello Ann."], None)


@pytest.mark.parametrize(
    "variables", [None, {}, [], "Ann", {"first": "Ann"}, {"first": "Ann", "last": ""}, {"first": "Ann", "last": None}]
)
def test_an_objective_whose_variables_are_missing_is_not_reached(variables: object) -> None:
    call = scene(objectives=CHECK_IN).visitor("I am Ann.").model("Hello Ann.", reached(variables))
    assert events(call) == [("activated", "name")]
    assert call.talk[-1][1].startswith("error: name is not reached yet; find out: ")
    assert call.asked.purpose == "reply", "it is told at once"


def pending() -> Scene:
    call = scene(objectives=CHECK_IN[1:]).visitor("On friday.").model("", reached({"arrival": "friday"}))
    assert events(call) == [("activated", "dates"), ("pending", "dates")]
    return call


def test_a_manual_objective_waits_for_a_person() -> None:
    call = pending()
    assert call.facts("objective.pending")[0]["output_variables"] == {"arrival": "friday"}
    assert (call.talk[-1], "complete_objective" in call.functions) == (("tool", PENDING), False)
    call.model("Shall we say friday?").after(300)
    assert events(call)[-1] == ("pending", "dates")


@pytest.mark.parametrize("name", ["", "dates"])
def test_a_person_confirms_what_is_pending(name: str) -> None:
    call = pending().confirms(name)
    assert events(call)[2:] == [("completed", "dates"), ("activated", "bed")]
    assert call.facts("objective.completed")[0]["output_variables"] == {"arrival": "friday"}
    assert call.confirms(name).latest == []


def test_confirming_another_objective_changes_nothing() -> None:
    assert pending().confirms("bed").latest == []
    assert scene(objectives=CHECK_IN).confirms("name").latest == []
    assert scene().confirms().latest == []


def test_while_one_is_pending_none_can_be_reached() -> None:
    call = pending().model("", reached({"arrival": "saturday"}))
    assert call.talk[-1] == ("tool", "error: no objective is open.")


def test_the_last_objective_leaves_none() -> None:
    call = scene(objectives=CHECK_IN[2:]).visitor("A big one.").model("", reached())
    assert events(call) == [("activated", "bed"), ("completed", "bed")]
    assert ("complete_objective" in call.functions, "objective" in call.prompt) == (False, False)
    facts = {"objective_name": "bed", "output_variables": {}}
    about = {"event_type": "conversation.objective.completed", "message_type": "conversation", "conversation_id": "c1"}
    assert call.called_back() == [("https://hotel.example/bed?key=1", {**about, **facts, "properties": facts})]


FORK = [
    objective("ask", next_if={"book": "They want a room.", "leave": "They do not."}),
    objective("book"),
    objective("leave"),
]


def test_the_model_chooses_which_objective_follows() -> None:
    call = scene(objectives=FORK).visitor("No, thank you.")
    function = next(one["function"] for one in call.asked.tools if one["function"]["name"] == "complete_objective")
    assert function["parameters"]["properties"]["next"]["enum"] == ["book", "leave"]
    call.model("", reached(next="leave"))
    assert events(call)[1:] == [("completed", "ask"), ("activated", "leave")]


@pytest.mark.parametrize("follows", [None, "", "ask", "nowhere", 7, ["book"], {"book": 1}])
def test_only_what_may_follow_follows(follows: object) -> None:
    call = scene(objectives=FORK).visitor("Hm").model("", reached(next=follows))
    assert call.talk[-1] == ("tool", "error: next must be one of: book, leave.")


def test_where_nothing_is_to_be_chosen_the_model_chooses_nothing() -> None:
    call = scene(objectives=CHECK_IN).visitor("Ann Lee").model("", reached({"first": "Ann", "last": "Lee"}, next="bed"))
    assert events(call)[-1] == ("activated", "dates")


def test_without_objectives_none_is_reached() -> None:
    call = scene().visitor("Hello").model("", reached())
    assert call.talk[-1] == ("tool", "error: no objective is open.")


# --- Guardrails -------------------------------------------------------------------------------------------------------


def test_the_model_knows_the_guardrails() -> None:
    call = scene(guardrails=[guardrail("prices"), guardrail("rivals")]).visitor("Hello")
    assert "- prices: Never prices.\n- rivals: Never rivals." in call.prompt
    function = next(one["function"] for one in call.asked.tools if one["function"]["name"] == "report_guardrail")
    assert function["parameters"]["properties"]["guardrail_name"]["enum"] == ["prices", "rivals"]


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("url", ["", "https://hotel.example/prices"])
def test_a_guardrail_that_is_touched_is_told_to_whom_it_concerns(is_told: bool, url: str) -> None:
    call = scene(guardrails=[guardrail("prices", is_told=is_told, callback_url=url)]).visitor("What does it cost?")
    call.model("", wants("report_guardrail", guardrail_name="prices", reason="They asked."))
    told = {"guardrail": "prices", "guardrail_uuid": "g_prices", "reason": "They asked."}
    assert call.facts("guardrail.triggered") == ([{**told, "guardrail_name": "prices"}] if is_told else [])
    assert [(to, body["conversation_id"], body["properties"]) for to, body in call.called_back()] == (
        [(url, "c1", told)] if url else []
    )
    assert call.talk[-1] == ("tool", "Noted. Keep to it: Never prices.")


@pytest.mark.parametrize("name", [None, "", "others", 7, ["prices"], {"a": 1}, "x" * 1000])
def test_a_guardrail_that_there_is_not_is_told_to_the_model(name: object) -> None:
    call = (
        scene(guardrails=[guardrail("prices")]).visitor("Hm").model("", wants("report_guardrail", guardrail_name=name))
    )
    assert call.talk[-1][1].startswith("error: there is no guardrail ")
    assert (len(call.talk[-1][1]) < 200, call.facts("guardrail.triggered")) == (True, [])


@pytest.mark.parametrize("reason", [None, ["a"], {"a": 1}, 7])
def test_a_reason_is_always_a_text(reason: object) -> None:
    call = scene(guardrails=[guardrail("prices")]).visitor("Hm")
    call.model("", wants("report_guardrail", guardrail_name="prices", reason=reason))
    assert isinstance(call.facts("guardrail.triggered")[0]["reason"], str)


@pytest.mark.parametrize("name", ["complete_objective", "report_guardrail"])
def test_what_the_model_tells_badly_is_told_back(name: str) -> None:
    call = scene(objectives=CHECK_IN, guardrails=[guardrail("g")]).visitor("Hm").model("", wants(name, raw="[1]"))
    assert call.talk[-1][1].startswith("error: the arguments are not a JSON object")
