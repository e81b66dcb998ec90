"""The MCP server of `tavus-cli`, as it is published: its tools for configuration, over standard input and output."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.clients.apart import Mcp
from tests.serving import STOCK_FACE, Palace

NewPal = Callable[..., str]


def new(mcp: Mcp, **members: Any) -> str:
    """The id of a new PAL."""
    seed = {"system_prompt": "Answer briefly.", "pal_name": "Night Desk", "default_face_id": STOCK_FACE}
    pal_id: str = mcp("tavus_pal_create", **seed | members)["pal_id"]
    return pal_id


def test_it_offers_its_tools(mcp: Mcp) -> None:
    tools = {tool["name"] for tool in mcp.ask("tools/list")["tools"]}
    assert {"tavus_patch_pal", "tavus_tool_create", "tavus_quickstart"} <= tools


def test_its_health_check_reaches_the_server(mcp: Mcp, palace: Palace) -> None:
    health = mcp("tavus_mcp_health_check")
    assert (health["ok"], health["public_api_base_url"]) == (True, f"{palace.url}/v2")
    assert health["checks"]["tavus_api"]["response_shape"] == "paginated"
    assert health["checks"]["tavus_api"]["item_count"] == 1


def test_what_it_says_of_itself_does_no_harm(mcp: Mcp) -> None:
    """Each call may tell why, percent-encoded in a header."""
    assert mcp("tavus_pal_list", limit=1, intent="Find the PAL of the night desk — 100 % sure.")["returned_count"] == 1


# --- PALs, faces, voices ----------------------------------------------------------------------------------------------


def test_a_pal_is_created_read_patched_listed_and_deleted(mcp: Mcp) -> None:
    pal_id = new(mcp, layers={"stt": {"hotwords": "Wren House"}}, memories=["Closed on Mondays."])
    pal = mcp("tavus_pal_get", pal_id=pal_id, include_settings=True)
    assert (pal["layers"]["stt"]["hotwords"], pal["memories"]) == ("Wren House", ["Closed on Mondays."])
    change = [{"op": "replace", "path": "/layers/llm/model", "value": "tavus-gpt-oss"}]
    assert mcp("tavus_patch_pal", pal_id=pal_id, ops=change)["layers"]["llm"]["model"] == "tavus-gpt-oss"
    assert mcp("tavus_patch_pal", pal_id=pal_id, ops=change) is None
    newest = mcp("tavus_pal_list", pal_type="user", sort="desc", limit=1)["data"]
    assert [(item["pal_id"], item["name"]) for item in newest] == [(pal_id, "Night Desk")]
    mcp("tavus_pal_delete", pal_id=pal_id)
    assert "failed with 400" in mcp.refused("tavus_pal_get", pal_id=pal_id)


def test_quickstart_and_preview_make_a_pal_and_find_it(mcp: Mcp) -> None:
    made = mcp("tavus_quickstart", system_prompt="Answer briefly.", pal_name="Night Desk")
    pal_id = made["pal"]["pal_id"]
    assert mcp("tavus_pal_preview", pal_id=pal_id)["pal_name"] == "Night Desk"


def test_a_pal_from_a_template_keeps_its_context(mcp: Mcp, api: httpx.Client) -> None:
    words = {"template": "tutor", "business_context": "A small hotel.", "default_face_id": STOCK_FACE}
    pal_id = mcp("tavus_pal_from_template", **words)["pal_id"]
    assert api.get(f"/v2/pals/{pal_id}").json()["system_prompt"].endswith("Business context:\nA small hotel.")


def test_a_pal_is_prepared_for_meetings_and_what_was_saved_is_read_back(mcp: Mcp) -> None:
    pal_id = new(mcp)
    phrases = {"wake_phrase": "Wake up, desk", "sleep_phrase": "Good night, desk"}
    ready = mcp("tavus_meeting_configure", pal_id=pal_id, **phrases)
    assert ready["settings_verified"] is True
    assert ready["conferencing"]["username"] == f"pal-{pal_id}"
    assert {name: ready[name] for name in phrases} == phrases
    again = mcp("tavus_meeting_configure", pal_id=pal_id, sleep_phrase="Sleep well")
    assert (again["wake_phrase"], again["sleep_phrase"]) == ("Wake up, desk", "Sleep well")


def test_knowledge_is_kept_on_the_pal(mcp: Mcp) -> None:
    pal_id = new(mcp)
    mcp("tavus_pal_knowledge_add", pal_id=pal_id, document_tags=["house", "rates"])
    mcp("tavus_pal_knowledge_remove", pal_id=pal_id, document_tags=["rates"])
    mcp("tavus_pal_knowledge_settings_patch", pal_id=pal_id, rag_n_chunks=4)
    shown = mcp("tavus_pal_knowledge_list", pal_id=pal_id)
    assert (shown["document_tags"], shown["knowledge_base"]) == (["house"], {"rag_n_chunks": 4})


def test_faces_and_voices_are_listed(mcp: Mcp) -> None:
    assert STOCK_FACE in [face["face_id"] for face in mcp("tavus_face_list", stock=True)["data"]]
    voices = mcp("tavus_voice_list", limit=2, sort="asc")
    assert 0 < len(voices["data"]) <= 2
    one = voices["data"][0]["voice_name"]
    assert one in [voice["voice_name"] for voice in mcp("tavus_voice_list", search=one)["data"]]
    assert mcp("tavus_voice_list", tags=["no such tag"])["data"] == []
    assert mcp("tavus_resource_list", resource="voices", limit=1)["data"]


# --- Tools and skills -------------------------------------------------------------------------------------------------


def test_a_tool_is_created_read_patched_listed_and_deleted(mcp: Mcp) -> None:
    parameters = {"type": "object", "properties": {"nights": {"type": "integer"}}}
    auth = {"type": "bearer", "token": "s3cr3t"}
    api = {"url": "https://api.example.org/rate/{nights}", "method": "GET", "auth": auth}
    words = {"name": "mcp_rate", "description": "Price of a room.", "parameters": parameters}
    tool = mcp("tavus_tool_create", **words, delivery={"api": api}, on_call="silent")
    tool_id = tool["tool_id"]
    shown = mcp("tavus_tool_get", tool_id=tool_id)
    assert (shown["delivery"]["api"]["auth"]["token"], shown["on_call"]) == ("********", "silent")
    assert mcp("tavus_tool_patch", tool_id=tool_id, description="The price.")["description"] == "The price."
    listed = mcp("tavus_tool_list", type="all")
    assert {"tool_id": tool_id, "name": "mcp_rate", "is_system_tool": False} in listed["data"]
    assert listed["returned_count"] == listed["total_count"]
    mcp("tavus_tool_delete", tool_id=tool_id)
    assert "failed with 400" in mcp.refused("tavus_tool_get", tool_id=tool_id)


def test_attaching_a_tool_that_sees_switches_perception_on(mcp: Mcp) -> None:
    pal_id = new(mcp, layers={"perception": {"perception_model": "off"}})
    tool_id = mcp("tavus_tool_create", name="mcp_sees", description="Somebody waves.", origin="vision")["tool_id"]
    attached = mcp("tavus_pal_tools_attach", pal_id=pal_id, tool_ids=[tool_id])
    assert attached["_perception_model_bumped_to_raven_1"] is True
    pal = mcp("tavus_pal_get", pal_id=pal_id)
    assert (pal["layers"]["perception"]["perception_model"], pal["tool_ids"]) == ("raven-1", [tool_id])
    assert [tool["tool_id"] for tool in mcp("tavus_pal_tools_list", pal_id=pal_id)["data"]] == [tool_id]
    mcp("tavus_pal_tools_detach", pal_id=pal_id, tool_id=tool_id)
    assert mcp("tavus_pal_tools_list", pal_id=pal_id)["data"] == []


def test_a_skill_is_attached_changed_and_detached(mcp: Mcp) -> None:
    pal_id = new(mcp)
    skills = mcp("tavus_skill_list")
    assert "memory" in [skill["skill_id"] for skill in (skills["data"] if isinstance(skills, dict) else skills)]
    assert mcp("tavus_skill_get", skill_id="magic_canvas")["skill_id"] == "magic_canvas"
    mcp("tavus_pal_skill_attach", pal_id=pal_id, skill_id="magic_canvas", config={"usage_guidance": "Be brief."})
    mcp("tavus_pal_skill_patch", pal_id=pal_id, skill_id="magic_canvas", config={"usage_guidance": "Be kind."})
    mcp("tavus_pal_capability_attach", pal_id=pal_id, capability_id="web_search")
    attached = mcp("tavus_pal_skills_list", pal_id=pal_id)["data"]
    assert {id: skill["config"] for id, skill in attached.items()} == {
        "magic_canvas": {"usage_guidance": "Be kind."},
        "internet_search": {},
    }
    mcp("tavus_pal_skill_detach", pal_id=pal_id, skill_id="magic_canvas")
    mcp("tavus_pal_capability_detach", pal_id=pal_id, capability_id="web_search")
    assert mcp("tavus_pal_capabilities_list", pal_id=pal_id)["raw_skills"] == {}


# --- Objectives, guardrails, pronunciation dictionaries ---------------------------------------------------------------

STEPS = [
    {"objective_name": "ask_name", "objective_prompt": "Ask for the name.", "next_required_objective": "ask_dates"},
    {"objective_name": "ask_dates", "objective_prompt": "Ask for the dates.", "output_variables": ["arrive", "leave"]},
]


def test_objectives_are_validated_created_patched_listed_and_deleted(mcp: Mcp) -> None:
    mcp("tavus_objective_validate", data=STEPS, name="Check-in")
    unlinked = [{**STEPS[0], "next_required_objective": None}, STEPS[1]]
    assert "failed with 400" in mcp.refused("tavus_objective_validate", data=unlinked)
    id = mcp("tavus_objective_create", data=STEPS, name="Check-in")["objectives_id"]
    step = {"objective_name": "say_bye", "objective_prompt": "Say goodbye."}
    ops = [
        {"op": "add", "path": "/data/-", "value": step},
        {"op": "add", "path": "/data/1/next_required_objective", "value": "say_bye"},
    ]
    assert mcp("tavus_objective_patch", objectives_id=id, ops=ops) == {"message": "Objective updated successfully"}
    shown = mcp("tavus_objective_get", objectives_id=id)
    assert [item["objective_name"] for item in shown["data"]] == ["ask_name", "ask_dates", "say_bye"]
    found = mcp("tavus_objective_list", name_or_uuid=id)
    assert [item["objectives_id"] for item in found["data"]] == [id]
    mcp("tavus_objective_delete", objectives_id=id)
    assert "failed with 404" in mcp.refused("tavus_objective_get", objectives_id=id)


def test_guardrails_are_created_patched_listed_and_deleted(mcp: Mcp) -> None:
    words = {"guardrail_name": "mcp_no_prices", "guardrail_prompt": "Never quote a price.", "tags": ["mcp tag"]}
    id = mcp("tavus_guardrail_create", **words)["uuid"]
    patched = mcp("tavus_guardrail_patch", guardrail_id=id, tags=["mcp tag", "night"], tool_call={"name": "note"})
    assert (patched["tags"], patched["tool_call"]) == (["mcp tag", "night"], {"name": "note"})
    assert mcp("tavus_guardrail_get", guardrail_id=id, verbose=True)["guardrail_name"] == "mcp_no_prices"
    listed = mcp("tavus_guardrail_list", tags="mcp tag", page=0)
    assert [item["uuid"] for item in listed["data"]] == [id]
    assert mcp("tavus_guardrail_tags", search="mcp tag")["total_count"] == 1
    mcp("tavus_guardrail_delete", guardrail_id=id)
    assert "failed with 404" in mcp.refused("tavus_guardrail_get", guardrail_id=id)


def test_dictionaries_are_created_patched_listed_and_deleted(mcp: Mcp) -> None:
    rules = [{"text": "Wren", "pronunciation": "ren", "type": "alias"}]
    id = mcp("tavus_pronunciation_dictionary_create", name="Names", rules=rules)["pronunciation_dictionary_id"]
    more = [*rules, {"text": "Nguyen", "pronunciation": "ŋwiən", "type": "ipa"}]
    patched = mcp("tavus_pronunciation_dictionary_patch", dictionary_id=id, rules=more)
    assert patched["rules_count"] == 2
    assert mcp("tavus_pronunciation_dictionary_get", dictionary_id=id) == patched
    assert mcp("tavus_pronunciation_dictionary_list")["data"][0]["pronunciation_dictionary_id"] == id
    mcp("tavus_pronunciation_dictionary_delete", dictionary_id=id)
    assert "failed with 404" in mcp.refused("tavus_pronunciation_dictionary_get", dictionary_id=id)


# --- Conversations ----------------------------------------------------------------------------------------------------


def test_it_talks_to_a_pal(mcp: Mcp, api: httpx.Client) -> None:
    pal_id = new(mcp)
    words = {"custom_greeting": "Good evening.", "conversation_name": "Night desk"}
    started = mcp("tavus_chat_start", pal_id=pal_id, **words)
    id = started["conversation_id"]
    assert (started["status"], started["conversation_name"]) == ("active", "Night desk")
    assert "Is there a room?" in mcp("tavus_chat_turn", conversation_id=id, text="Is there a room?")["text"]
    second = mcp("tavus_chat_turn", conversation_id=id, text="And a view?")["text"]
    assert "And a view?" in second
    assert "Good evening." not in second
    mcp("tavus_chat_end", conversation_id=id)
    assert api.get(f"/v2/conversations/{id}").json()["status"] == "ended"


def test_a_pal_is_sent_into_a_meeting_as_far_as_the_rest_goes(mcp: Mcp, api: httpx.Client) -> None:
    words = {"pal_id": new(mcp), "meeting_url": "https://meet.example/abc", "conversation_name": "Round table"}
    id = mcp("tavus_conversation_create", **words)["conversation_id"]
    assert api.get(f"/v2/conversations/{id}").json()["conversation_name"] == "Round table"
    mcp("tavus_conversation_end", conversation_id=id)


# --- Not there yet ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        pytest.param("tavus_document_list", {}, id="documents"),
        pytest.param("tavus_deployment_list", {}, id="deployments"),
        pytest.param("tavus_describe_pal_options", {"pal_id": "pb87e71797da"}, id="options, which list documents"),
    ],
)
def test_what_is_not_there_yet_is_an_error_that_says_404(mcp: Mcp, tool: str, arguments: dict[str, Any]) -> None:
    assert "failed with 404" in mcp.refused(tool, **arguments)
