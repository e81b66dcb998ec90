"""What a fresh server holds: the stock objects whose ids shipped clients and the published pages use (contract 2.8).

Ids are facts of the wire; names and prompts are ours.
"""

from palace.resource import Document, Services
from palace.resources.faces import FACE
from palace.resources.pals import PAL
from palace.resources.stock_voices import VOICES_OF_FACES, voices
from palace.resources.tools import TOOL
from palace.resources.voices import VOICE
from palace.storage import IdTaken
from palace.verbs import Planted, plant, plant_all

DEFAULT_FACE = "r4067604db72"


def _face(id: str, name: str) -> Planted:
    return Planted(FACE, id, {"face_name": name, "default_voice_id": VOICES_OF_FACES[id]})


def _echo(id: str, name: str) -> Planted:
    return Planted(PAL, id, {"pal_name": name, "pipeline_mode": "echo", "default_face_id": DEFAULT_FACE})


STOCK: tuple[Planted, ...] = (
    *(Planted(VOICE, id, document) for id, document in voices()),
    _face(DEFAULT_FACE, "Stock face: studio"),
    _face("r90bbd427f71", "Stock face: office"),
    _face("rf4e9d9790f0", "Stock face: library"),
    _face("rc9cff32ceba", "Stock face: clinic"),
    _echo("pb87e71797da", "Stock PAL: echo"),
    _echo("pipecat0", "Stock PAL: Pipecat"),
    _echo("pipecat-stream", "Stock PAL: Pipecat stream"),
    Planted(
        PAL,
        "pa5ad6596ef5",
        {
            "pal_name": "Stock PAL: medical intake",
            "system_prompt": "You take the history of a patient before a visit. Ask one question at a time, kindly.",
            "default_face_id": "rc9cff32ceba",
            "layers": {"stt": {"stt_engine": "tavus-deepgram-medical"}},
        },
    ),
    Planted(
        TOOL,
        "end_call",
        {
            "name": "end_call",
            "description": "Ends the conversation. Call it when the person has said goodbye or wants to stop.",
            "parameters": {"type": "object", "properties": {}},
            "on_call": "silent",
        },
    ),
)
"""Readable by every account, changed by none. What others refer to comes first."""

SAMPLE_PAL_ID = "pcb7a34da5fe"
SAMPLE_PAL: Document = {
    "pal_name": "Sample PAL",
    "pal_description": "The PAL of the published examples: patch it as you like.",
    "system_prompt": "You are a friendly guide who answers in one or two sentences.",
    "default_face_id": DEFAULT_FACE,
    "layers": {"llm": {"model": "tavus-gemma-4"}, "stt": {"stt_engine": "tavus-auto", "hotwords": "Palace, PAL"}},
}
"""Belongs to the first account, so that the published examples of Patch PAL work as they are printed."""


async def plant_stock(services: Services) -> None:
    """Make sure that all stock objects exist, as this version has them."""
    await plant_all(STOCK, services)


async def plant_sample(account: int, services: Services) -> None:
    """Give the sample PAL to an account that was just made; nothing happens when somebody has it."""
    try:
        await plant(PAL, SAMPLE_PAL_ID, account, SAMPLE_PAL, services)
    except IdTaken:
        return
