"""The PAL as pydantic models: what a client may write, what it reads back, and one JSON Patch operation."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Level = Literal["low", "medium", "high"]
Sensitivity = Literal["high", "medium", "low", "verylow", "superlow"]


class Strict(BaseModel):
    """A model that refuses members it does not know."""

    model_config = ConfigDict(extra="forbid")


class LlmLayer(Strict):
    model: str = "tavus-gemma-4"
    base_url: str | None = None
    api_key: str | None = None
    speculative_inference: bool = True
    tools: list[dict[str, Any]] = []
    headers: dict[str, str] = {}
    extra_body: dict[str, Any] = {}
    default_query: dict[str, str] = {}

    @model_validator(mode="after")
    def custom_llm_is_complete(self) -> Self:
        if bool(self.base_url) != bool(self.api_key):
            raise ValueError("Please ensure both base_url and api_key are included in order to use a custom llm.")
        return self


class TtsLayer(Strict):
    tts_engine: Literal["cartesia", "elevenlabs", "tavus-auto", "azure", "playht"] = "tavus-auto"
    api_key: str | None = None
    external_voice_id: str = ""
    voice_id: str | None = None
    voice_settings: dict[str, Any] = {}
    tts_emotion_control: bool = True
    tts_model_name: str | None = None
    pronunciation_dictionary_id: str | None = None


class SttLayer(Strict):
    stt_engine: Literal[
        "tavus-auto", "tavus-parakeet", "tavus-soniox", "tavus-whisper", "tavus-deepgram-medical", "tavus-advanced"
    ] = "tavus-auto"
    hotwords: str = ""
    participant_pause_sensitivity: Sensitivity = "medium"
    participant_interrupt_sensitivity: Sensitivity = "medium"


class ConversationalFlowLayer(Strict):
    turn_detection_model: Literal["sparrow-2", "sparrow-1", "sparrow-0", "time-based"] = "sparrow-2"
    turn_taking_patience: Level = "medium"
    turn_commitment: Level = "medium"
    pal_interruptibility: Level = "medium"
    voice_isolation: Literal["off", "near", "far"] = "near"
    wake_phrase: str | None = None
    sleep_phrase: str | None = None
    idle_engagement: Literal["off", "patient", "eager"] = "off"
    idle_end_behavior: Literal["wait", "end_conversation"] = "wait"


class PerceptionLayer(Strict):
    perception_model: Literal["raven-1", "raven-0", "raven-2", "off"] = "raven-1"
    visual_awareness_queries: list[str] = []
    audio_awareness_queries: list[str] = []
    screen_awareness_queries: list[str] = []
    perception_analysis_queries: list[str] = []
    visual_tool_prompt: str = ""
    audio_tool_prompt: str = ""
    visual_tools: list[dict[str, Any]] = []
    audio_tools: list[dict[str, Any]] = []
    emotion_recognition: Literal["full", "limited", "auto"] = "auto"


class Layers(Strict):
    llm: LlmLayer | None = None
    tts: TtsLayer | None = None
    stt: SttLayer | None = None
    conversational_flow: ConversationalFlowLayer | None = None
    perception: PerceptionLayer | None = None
    transport: dict[str, Any] | None = None


class PalDocument(Strict):
    """What a client writes: the body of a create, and what a patch must leave valid."""

    pal_name: str | None = None
    pal_description: str | None = None
    system_prompt: str | None = None
    context: str | None = None
    greeting: str | None = None
    dynamic_greeting: bool = False
    pipeline_mode: Literal["full", "echo", "speech-to-speech"] = "full"
    default_face_id: str
    languages: list[str] = []
    document_ids: list[str] = []
    document_tags: list[str] = []
    objectives_id: str | None = None
    guardrail_ids: list[str] = Field(default=[], max_length=50)
    guardrail_tags: list[str] = []
    tool_ids: list[str] = Field(default=[], max_length=50)
    disclosure_type: Literal["always", "auto", "off"] = "auto"
    verbal_disclosure: str | None = None
    visual_disclosure: str | None = None
    layers: Layers = Layers()

    @model_validator(mode="after")
    def full_pipeline_has_a_prompt(self) -> Self:
        if self.pipeline_mode == "full" and self.system_prompt is None:
            raise ValueError("system_prompt is required when pipeline_mode is full.")
        return self


class PalRead(PalDocument):
    """What a client reads: the document with its id and its times."""

    pal_id: str
    created_at: datetime
    updated_at: datetime


class PalCreated(BaseModel):
    pal_id: str
    pal_name: str | None
    created_at: datetime


class Operation(BaseModel):
    """One JSON Patch operation (RFC 6902, section 4); members that are not given stay unset."""

    op: Literal["add", "remove", "replace", "copy", "move", "test"]
    path: str = Field(pattern=r"^(/.*)?$")
    value: Any = None
    from_: str | None = Field(default=None, alias="from", pattern=r"^(/.*)?$")
