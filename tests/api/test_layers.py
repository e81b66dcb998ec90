"""The members of a PAL and of its layers: what each may be, what it is by default, what goes with what."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.wire import add, document, patch, refused, replace
from tests.serving import STOCK_FACE

NewPal = Callable[..., str]
CUSTOM_LLM = "Bad Request. Please ensure both base_url and api_key are included in order to use a custom llm."
LEVELS = "low medium high"
SENSITIVITIES = "high medium low verylow superlow"
FLOW = "layers/conversational_flow"


def create(api: httpx.Client, **members: Any) -> httpx.Response:
    body = {"system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE}
    return api.post("/v2/pals", json=body | members)


def nested(place: str, value: Any) -> dict[str, Any]:
    """`{"layers": {"stt": {"hotwords": value}}}` for `layers/stt/hotwords`."""
    for token in reversed(place.split("/")):
        value = {token: value}
    return value


ENUMS = {
    "pipeline_mode": "full echo speech-to-speech",
    "disclosure_type": "always auto off",
    "layers/tts/tts_engine": "cartesia elevenlabs tavus-auto azure playht",
    "layers/stt/stt_engine": "tavus-auto tavus-parakeet tavus-soniox tavus-whisper tavus-deepgram-medical "
    "tavus-advanced tavus-turbo",
    "layers/stt/participant_pause_sensitivity": SENSITIVITIES,
    "layers/stt/participant_interrupt_sensitivity": SENSITIVITIES,
    f"{FLOW}/turn_detection_model": "sparrow-2 sparrow-1 sparrow-0 timebased time-based",
    f"{FLOW}/turn_taking_patience": LEVELS,
    f"{FLOW}/turn_commitment": LEVELS,
    f"{FLOW}/pal_interruptibility": LEVELS,
    f"{FLOW}/voice_isolation": "off near far",
    f"{FLOW}/idle_engagement": "off patient eager",
    f"{FLOW}/idle_end_behavior": "wait end_conversation",
    "layers/perception/perception_model": "raven-1 raven-0 raven-2 off",
    "layers/perception/emotion_recognition": "full limited auto",
}


@pytest.mark.parametrize("place", ENUMS)
def test_an_enum_takes_each_of_its_words_and_lists_them_when_it_gets_another(
    api: httpx.Client, new_pal: NewPal, place: str
) -> None:
    pal = new_pal()
    parent = "/" + place.rpartition("/")[0]
    setup = [add(parent, {})] if parent.count("/") == 2 else []
    for word in ENUMS[place].split():
        answer = patch(api, pal, *setup, add(f"/{place}", word))
        assert answer.status_code in (200, 304), answer.text
    for wrong in ("loud", "", 5, ["off"], True):
        details = refused(patch(api, pal, *setup, add(f"/{place}", wrong)), 400)
        assert [(detail["pointer"], detail["operation"]) for detail in details] == [(f"/{place}", len(setup))]
        if wrong == "loud":
            assert set(ENUMS[place].split()) <= set(details[0]["allowed"])
            assert details[0]["problem"] == f"Must be one of: {', '.join(details[0]['allowed'])}."
            assert details[0]["problem"] in patch(api, pal, *setup, add(f"/{place}", wrong)).json()["message"]


TYPES: list[Any] = [
    ("string", ["x", ""], [5, True, [], {}], "Not a valid string.",
     "pal_name pal_description context greeting verbal_disclosure visual_disclosure "
     "layers/llm/model_name layers/llm/endpoint layers/tts/external_voice_id layers/stt/hotwords "
     "layers/tts/tts_model_name layers/tts/playht_user_id layers/perception/visual_tool_prompt "
     "layers/perception/audio_tool_prompt layers/perception/perception_tool_prompt layers/perception/tool_prompt "
     f"{FLOW}/active_listening {FLOW}/noise_cancellation {FLOW}/wake_phrase {FLOW}/sleep_phrase"),
    ("string", ["v1f73c4a86a76", ""], [5, True, [], {}], "Not a valid string.", "layers/tts/voice_id"),
    ("boolean", [True, False], [1, 0, "yes", [], {}], "Not a valid boolean.",
     "dynamic_greeting is_template layers/llm/speculative_inference layers/llm/disable_vision "
     "layers/llm/enable_llm_proxy layers/llm/is_custom layers/stt/smart_turn_detection layers/conferencing/whitelabel "
     "layers/capabilities/mcp_enabled layers/capabilities/search_enabled layers/capabilities/activity_log_enabled "
     "layers/capabilities/search_results_prompt_injection_prevention_enabled "
     "layers/knowledge_base/enable_rag_observability_app_messages layers/knowledge_base/use_procedure_goalchain"),
    ("list", [[], ["x"]], ["x", 5, {}], "Not a valid list.",
     "languages document_ids document_tags guardrail_tags memories "
     "layers/perception/visual_awareness_queries layers/perception/audio_awareness_queries "
     "layers/perception/screen_awareness_queries layers/perception/perception_analysis_queries "
     "layers/perception/ambient_awareness_queries layers/conferencing/allowlist"),
    ("string or null", ["", None], [5, True, [], {}], "Not a valid string.", "objectives_id guardrails_id"),
    ("list of ids", [[]], ["x", 5, {}], "Not a valid list.", "guardrail_ids"),
    ("object", [{}, {"x": [1]}], ["x", 5, [], True], "Not a valid mapping type.",
     "layers/llm/headers layers/llm/extra_body layers/llm/default_query layers/tts/voice_settings layers/transport "
     "layers/sts"),
    ("integer", [0, 3], [1.5, "3", True, []], "Not a valid integer.",
     "layers/knowledge_base/rag_n_chunks layers/knowledge_base/rag_surrounding_chunk_radius"),
    ("number", [0, 0.5], ["3", True, []], "Not a valid number.", "layers/knowledge_base/rag_score_threshold"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "right", "wrong", "problem"),
    [
        pytest.param(place, right, wrong, problem, id=f"{place} is of type {kind}")
        for kind, right, wrong, problem, places in TYPES
        for place in places.split()
    ],
)
def test_a_member_has_one_type(api: httpx.Client, place: str, right: list[Any], wrong: list[Any], problem: str) -> None:
    for value in right:
        answer = create(api, **nested(place, value))
        assert answer.status_code == 200, answer.text
        assert api.delete(f"/v2/pals/{answer.json()['pal_id']}").status_code == 204
    for value in wrong:
        details = refused(create(api, **nested(place, value)), 400)
        assert [(detail["pointer"], detail["problem"]) for detail in details] == [(f"/{place}", problem)]


NOT_NULL = """system_prompt context dynamic_greeting pipeline_mode languages guardrail_ids tool_ids disclosure_type
is_template layers layers/llm/model layers/llm/headers layers/tts/tts_engine layers/stt/hotwords
layers/conversational_flow/turn_commitment layers/perception/visual_tools layers/conferencing/allowlist""".split()


@pytest.mark.parametrize("place", NOT_NULL)
def test_null_is_refused_where_there_is_no_null(api: httpx.Client, place: str) -> None:
    details = refused(create(api, **nested(place, None)), 400)
    assert [(detail["pointer"], detail["problem"]) for detail in details] == [(f"/{place}", "Field may not be null.")]


LAYERS = "llm tts stt conversational_flow perception conferencing capabilities knowledge_base".split()


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_has_no_unknown_members(api: httpx.Client, layer: str) -> None:
    sentence = f"Bad Request. {{'layers': {{'{layer}': {{'volume': ['Unknown field.']}}}}}}"
    refused(create(api, layers={layer: {"volume": 11}}), 400, sentence)
    refused(create(api, layers={layer: 5}), 400)


def test_there_is_no_unknown_layer(api: httpx.Client) -> None:
    refused(create(api, layers={"smell": {}}), 400, "Bad Request. {'layers': {'smell': ['Unknown field.']}}")


def test_null_layers_are_layers_that_are_not_set(api: httpx.Client) -> None:
    pal = create(api, layers=dict.fromkeys([*LAYERS, "transport", "sts"])).json()["pal_id"]
    assert document(api, pal)["layers"] == {}


# --- Defaults ---------------------------------------------------------------------------------------------------------

FLOW_DEFAULTS = {
    "turn_detection_model": "sparrow-2",
    "turn_taking_patience": "medium",
    "turn_commitment": "medium",
    "pal_interruptibility": "medium",
    "voice_isolation": "near",
    "wake_phrase": None,
    "sleep_phrase": None,
    "idle_engagement": "off",
    "idle_end_behavior": "wait",
}


def test_one_member_of_the_conversational_flow_brings_the_others(api: httpx.Client, new_pal: NewPal) -> None:
    flow = {"turn_taking_patience": "high"}
    shown = document(api, new_pal(layers={"conversational_flow": flow}))
    assert shown["layers"]["conversational_flow"] == FLOW_DEFAULTS | flow
    answer = patch(api, new_pal(), add("/layers/conversational_flow", {"idle_engagement": "eager"}))
    assert answer.json()["layers"]["conversational_flow"] == FLOW_DEFAULTS | {"idle_engagement": "eager"}


def test_removing_a_member_of_the_conversational_flow_brings_its_default_back(
    api: httpx.Client, new_pal: NewPal
) -> None:
    pal = new_pal(layers={"conversational_flow": {"turn_taking_patience": "high"}})
    operation = {"op": "remove", "path": "/layers/conversational_flow/turn_taking_patience"}
    answer = patch(api, pal, operation)
    assert (answer.status_code, answer.json()["layers"]["conversational_flow"]) == (200, FLOW_DEFAULTS)
    assert patch(api, pal, operation).status_code == 304


def test_other_layers_show_only_what_was_set(api: httpx.Client, new_pal: NewPal) -> None:
    layers = {"llm": {}, "tts": {"tts_model_name": "m"}, "stt": {"hotwords": ""}, "perception": {"visual_tools": []}}
    assert document(api, new_pal(layers=layers))["layers"] == layers


# --- What goes with what ----------------------------------------------------------------------------------------------

RULES: list[Any] = [
    pytest.param("llm", {"base_url": "https://x/v1"}, CUSTOM_LLM, id="a base_url needs an api_key"),
    pytest.param("llm", {"api_key": "sk-1"}, CUSTOM_LLM, id="an api_key needs a base_url"),
    pytest.param("llm", {"model": "gpt-4o"}, None, id="a hosted model begins with tavus"),
    pytest.param("llm", {"model": ""}, None, id="a model has a name"),
    pytest.param("llm", {"extra_body": {"temperature": 2.1}}, None, id="the temperature is at most 2"),
    pytest.param("llm", {"extra_body": {"temperature": -0.1}}, None, id="the temperature is at least 0"),
    pytest.param("llm", {"extra_body": {"top_p": 1.1}}, None, id="top_p is at most 1"),
    pytest.param("llm", {"extra_body": {"top_p": "1"}}, None, id="top_p is a number"),
    pytest.param("tts", {"voice_id": "v1", "external_voice_id": "x"}, None, id="one voice, not two"),
    pytest.param("tts", {"tts_engine": "elevenlabs", "voice_settings": {"speed": 1.3}}, None, id="not too fast"),
    pytest.param("tts", {"tts_engine": "elevenlabs", "voice_settings": {"speed": 0.6}}, None, id="not too slow"),
    pytest.param("tts", {"tts_engine": "elevenlabs", "voice_settings": {"stability": 2}}, None, id="stability to 1"),
    pytest.param("tts", {"tts_engine": "elevenlabs", "voice_settings": {"style": "a"}}, None, id="style is a number"),
    pytest.param(
        "tts", {"tts_engine": "elevenlabs", "voice_settings": {"use_speaker_boost": "a"}}, None, id="boost is a switch"
    ),
    pytest.param("perception", {"visual_tools": [{"type": "function"}]}, None, id="a tool has a function"),
    pytest.param("llm", {"tools": [{"type": "function", "function": {}}]}, None, id="a function has a name"),
    pytest.param("llm", {"tools": ["room_rate"]}, None, id="a tool is an object"),
]


@pytest.mark.parametrize(("layer", "members", "sentence"), RULES)
def test_a_rule_between_members_is_kept(
    api: httpx.Client, layer: str, members: dict[str, Any], sentence: str | None
) -> None:
    details = refused(create(api, layers={layer: members}), 400, sentence)
    assert len(details) == 1
    assert details[0]["pointer"].startswith(f"/layers/{layer}")


ALLOWED: list[Any] = [
    pytest.param(
        "llm", {"base_url": "https://x/v1", "api_key": "sk-1", "model": "m", "extra_body": {"temperature": 9}},
        id="a custom llm takes anything",
    ),
    pytest.param("llm", {"model": "tavus-claude-haiku-4.5", "extra_body": {"temperature": 2}}, id="a hosted model"),
    pytest.param("llm", {"base_url": "", "api_key": ""}, id="explicit empties, as older PALs show them"),
    pytest.param("tts", {"voice_id": "", "external_voice_id": "x"}, id="an empty voice_id is none"),
    pytest.param("tts", {"tts_engine": "cartesia", "voice_settings": {"speed": "fast"}}, id="cartesia takes words"),
    pytest.param("tts", {"tts_engine": "elevenlabs", "voice_settings": {"speed": 0.7}}, id="as slow as it goes"),
    pytest.param("tts", {"tts_emotion_control": "true"}, id="a switch as the docs once spell it"),
    pytest.param("tts", {"pronunciation_dictionary_id": None}, id="no dictionary"),
    pytest.param("conversational_flow", {"sleep_phrase": "Good night"}, id="a phrase to sleep and none to wake"),
    pytest.param(
        "perception", {"perception_model": "raven-0", "audio_awareness_queries": ["Is it loud?"]},
        id="raven-0 asked what it hears",
    ),
    pytest.param(
        "llm",
        {"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}]},
        id="an inline tool with members of OpenAI",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "members"), ALLOWED)
def test_what_the_rules_allow_is_accepted(api: httpx.Client, layer: str, members: dict[str, Any]) -> None:
    answer = create(api, layers={layer: members})
    assert answer.status_code == 200, answer.text


def test_a_switch_spelled_as_text_is_stored_as_a_switch(api: httpx.Client, new_pal: NewPal) -> None:
    pal = new_pal(layers={"tts": {"tts_emotion_control": "false"}})
    assert document(api, pal)["layers"]["tts"] == {"tts_emotion_control": False}
    assert patch(api, pal, replace("/layers/tts/tts_emotion_control", "false")).status_code == 304


def new_guardrail(api: httpx.Client) -> str:
    answer = api.post(
        "/v2/guardrails", json={"guardrail_name": "no_prices", "guardrail_prompt": "Never quote a price."}
    )
    uuid: str = answer.json()["uuid"]
    return uuid


@pytest.mark.parametrize("member", ["tool_ids", "guardrail_ids"])
def test_fifty_may_be_attached_and_no_more(
    api: httpx.Client, new_pal: NewPal, new_tool: Callable[..., str], member: str
) -> None:
    ids = [new_tool() if member == "tool_ids" else new_guardrail(api) for _ in range(51)]
    pal = new_pal(**{member: ids[:50]})
    details = refused(patch(api, pal, add(f"/{member}/-", ids[50])), 400)
    assert [(detail["pointer"], detail["operation"]) for detail in details] == [(f"/{member}", 0)]
    assert len(document(api, pal)[member]) == 50
    details = refused(create(api, **{member: ["a", "", 5]}), 400)
    assert [detail["pointer"] for detail in details] == [f"/{member}/1", f"/{member}/2"]
