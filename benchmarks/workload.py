"""What is asked of every server: one PAL of 3 KB, and a patch of three operations that changes it every time."""

import copy
import json
from typing import Any, Literal

Kind = Literal["PATCH", "GET"]

FACE_ID = "r4067604db72"

_PROMPT = (
    "You are the night porter of Wren House, a small hotel by the sea. Answer questions about rooms, breakfast, the "
    "harbour ferry and late arrivals in two or three short sentences, in the language the guest uses. Never quote a "
    "price that is not in your documents; offer to have the day desk call back instead. When somebody is locked out, "
    "ask for the name of the booking and the street door they are standing at, then call the tool that opens the "
    "door. Be calm, be brief, and do not repeat what the guest has just said. If a guest sounds unwell or afraid, "
    "say that help is on its way, give the emergency number, and stay in the conversation until someone arrives. "
    "Breakfast is from seven to half past ten in the garden room; the kitchen can prepare a packed breakfast when "
    "it is asked for before midnight. The ferry leaves at eight, eleven, two and five, and not at all in a storm. "
    "Rooms are held until two in the morning for guests who have called, and until midnight for those who have not. "
    "Dogs sleep in the boot room unless the booking says otherwise. The garden gate is locked at eleven, the harbour "
    "door never. When you do not know something, say so plainly and write it down for the day desk."
)

_OPEN_DOOR: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "open_street_door",
        "description": "Opens the street door for a guest whose booking has been found.",
        "parameters": {
            "type": "object",
            "properties": {
                "booking_name": {"type": "string", "description": "Family name on the booking"},
                "door": {"type": "string", "enum": ["harbour", "garden"], "description": "Where the guest stands"},
            },
            "required": ["booking_name", "door"],
        },
    },
}


def new_pal(number: int) -> dict[str, Any]:
    """The body that creates PAL `number`: about 3 KB of JSON with five layers."""
    return {
        "pal_name": f"Night Desk {number:04d}",
        "pal_description": "Answers guests of Wren House between ten in the evening and six in the morning.",
        "system_prompt": _PROMPT,
        "context": "The day desk opens at six. Tonight the lift is out of order; the back stairs are lit.",
        "greeting": "Good evening, this is Wren House. How can I help?",
        "pipeline_mode": "full",
        "default_face_id": FACE_ID,
        "document_tags": ["wren-house", "night-desk", "ferry"],
        "disclosure_type": "auto",
        "layers": {
            "llm": {
                "model": "tavus-gemma-4",
                "speculative_inference": True,
                "extra_body": {"temperature": 0.4, "top_p": 0.9},
                "tools": [_OPEN_DOOR],
            },
            "tts": {
                "tts_engine": "cartesia",
                "tts_model_name": "sonic-3",
                "tts_emotion_control": True,
                "voice_settings": {"speed": "normal", "emotion": ["calm:high", "friendly:medium"]},
            },
            "stt": {"stt_engine": "tavus-auto", "hotwords": "Wren House, harbour ferry, garden room, packed breakfast"},
            "conversational_flow": {
                "turn_detection_model": "sparrow-2",
                "turn_taking_patience": "high",
                "turn_commitment": "medium",
                "pal_interruptibility": "medium",
                "voice_isolation": "near",
                "idle_engagement": "patient",
            },
            "perception": {
                "perception_model": "raven-1",
                "visual_awareness_queries": ["Is the guest outdoors?", "Does the guest hold a key card?"],
                "audio_awareness_queries": ["Does the guest sound afraid or unwell?"],
                "perception_analysis_queries": ["Was the guest let in during the conversation?"],
                "emotion_recognition": "auto",
            },
        },
    }


_GREETING = "Good evening, this is Wren House, line {}. How can I help?"
_HOTWORDS = "Wren House, harbour ferry, garden room, room {}"
_TEMPERATURE = "0.1{}"

ID = "<id>"
NUMBER = "<number>"
"""Marks in the text of a request: where the id of the PAL belongs, and the twelve digits of the patch."""


def grown(pal: dict[str, Any], size: int) -> dict[str, Any]:
    """The same PAL with as many tools in its llm layer as make about `size` bytes of JSON; never a smaller one."""
    result = copy.deepcopy(pal)
    missing = size - len(json.dumps(pal))
    tools = round(missing / len(json.dumps(_OPEN_DOOR)))
    result["layers"]["llm"]["tools"] += [
        {"type": "function", "function": {**_OPEN_DOOR["function"], "name": f"open_street_door_{number}"}}
        for number in range(tools)
    ]
    return result


def operations_text(root: str = "") -> str:
    """The patch as JSON, with NUMBER in three places; the document lies at the pointer `root` of what is patched."""
    operations = [
        {"op": "replace", "path": f"{root}/greeting", "value": _GREETING.format(NUMBER)},
        {"op": "replace", "path": f"{root}/layers/stt/hotwords", "value": _HOTWORDS.format(NUMBER)},
        {"op": "add", "path": f"{root}/layers/llm/extra_body/temperature", "value": _TEMPERATURE.format(NUMBER)},
    ]
    return _with_number(json.dumps(operations))


def patched_text(pal: dict[str, Any]) -> str:
    """The whole PAL as the patch leaves it, as JSON with NUMBER in three places."""
    result = copy.deepcopy(pal)
    result["greeting"] = _GREETING.format(NUMBER)
    result["layers"]["stt"]["hotwords"] = _HOTWORDS.format(NUMBER)
    result["layers"]["llm"]["extra_body"]["temperature"] = _TEMPERATURE.format(NUMBER)
    return _with_number(json.dumps(result))


def _with_number(text: str) -> str:
    """The temperature is a number, so its quotation marks go."""
    temperature = _TEMPERATURE.format(NUMBER)
    return text.replace(f'"{temperature}"', temperature)


def patch_number(number: int) -> bytes:
    """The twelve digits that make patch `number` differ from every other."""
    return f"{number:012d}".encode()


def differences(pal: dict[str, Any], number: int) -> list[str]:
    """One sentence for each of the three places where the PAL a client reads is not what patch `number` wrote."""
    digits = patch_number(number).decode()
    layers = pal.get("layers", {})
    places = (
        ("/greeting", pal.get("greeting"), _GREETING.format(digits)),
        ("/layers/stt/hotwords", layers.get("stt", {}).get("hotwords"), _HOTWORDS.format(digits)),
        (
            "/layers/llm/extra_body/temperature",
            layers.get("llm", {}).get("extra_body", {}).get("temperature"),
            float(_TEMPERATURE.format(digits)),
        ),
    )
    return [f"{path} is {found!r}, not {written!r}" for path, found, written in places if found != written]
