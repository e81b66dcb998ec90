"""What a fresh server holds: the stock objects whose ids shipped clients and the published pages use (contract 2.8).

Ids are facts of the wire; names and prompts are ours.
"""

from palace.call import STOCK_OWNER
from palace.resource import Document, Resource, Services
from palace.resources.faces import FACE
from palace.resources.pals import PAL
from palace.resources.tools import TOOL
from palace.storage import IdTaken
from palace.verbs import plant

DEFAULT_FACE = "r4067604db72"

STOCK: tuple[tuple[Resource, str, Document], ...] = (
    (FACE, DEFAULT_FACE, {"face_name": "Stock face: studio"}),
    (FACE, "r90bbd427f71", {"face_name": "Stock face: office"}),
    (FACE, "rf4e9d9790f0", {"face_name": "Stock face: library"}),
    (FACE, "rc9cff32ceba", {"face_name": "Stock face: clinic"}),
    (PAL, "pb87e71797da", {"pal_name": "Stock PAL: echo", "pipeline_mode": "echo", "default_face_id": DEFAULT_FACE}),
    (PAL, "pipecat0", {"pal_name": "Stock PAL: Pipecat", "pipeline_mode": "echo", "default_face_id": DEFAULT_FACE}),
    (
        PAL,
        "pipecat-stream",
        {"pal_name": "Stock PAL: Pipecat stream", "pipeline_mode": "echo", "default_face_id": DEFAULT_FACE},
    ),
    (
        PAL,
        "pa5ad6596ef5",
        {
            "pal_name": "Stock PAL: medical intake",
            "system_prompt": "You take the history of a patient before a visit. Ask one question at a time, kindly.",
            "default_face_id": "rc9cff32ceba",
            "layers": {"stt": {"stt_engine": "tavus-deepgram-medical"}},
        },
    ),
    (
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
"""Readable by every account, changed by none."""

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
    """Make sure that all stock objects exist."""
    for resource, id, document in STOCK:
        if await services.store.reading.read(resource.kind, id, STOCK_OWNER) is None:
            await plant(resource, id, STOCK_OWNER, document, services)


async def plant_sample(account: int, services: Services) -> None:
    """Give the sample PAL to an account that was just made; nothing happens when somebody has it."""
    try:
        await plant(PAL, SAMPLE_PAL_ID, account, SAMPLE_PAL, services)
    except IdTaken:
        return
