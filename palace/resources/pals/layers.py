"""The layers of a PAL: how it thinks, speaks, listens, takes turns and sees (contract 3).

A layer is absent until it is set, and so is each of its members, except in `conversational_flow`, where setting one
member fills in the others.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from palace.engines.table import DEFAULT_MODEL
from palace.validation import Model

Level = Literal["low", "medium", "high"]
Sensitivity = Literal["high", "medium", "low", "verylow", "superlow"]
FreeForm = dict[str, Any]

HOSTED_MODEL_PREFIX = "tavus-"
USERNAME_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9._-]*[a-zA-Z0-9]$"
LONGEST_USERNAME = 64


class InlineFunction(Model):
    """The function of an inline tool, as OpenAI's API describes functions."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, StringConstraints(min_length=1)]
    description: str | None = None
    parameters: FreeForm = Field(default_factory=dict)


class InlineTool(Model):
    """A tool written into the PAL itself; deprecated in favour of /v2/tools."""

    model_config = ConfigDict(extra="allow")

    type: Literal["function"]
    function: InlineFunction


InlineTools = list[InlineTool]


class Llm(Model):
    """The language model."""

    model: str = DEFAULT_MODEL
    """A hosted model (`tavus-…`, or one that the operator names), or any when `base_url` and `api_key` are given."""
    base_url: str = ""
    """An OpenAI-compatible endpoint; goes together with `api_key`."""
    api_key: str = ""
    """Shown as `********`; sending the mask back keeps the stored key."""
    speculative_inference: bool = True
    tools: InlineTools = Field(default_factory=list)
    headers: FreeForm = Field(default_factory=dict)
    extra_body: FreeForm = Field(default_factory=dict)
    """Parameters of the request; for hosted models `temperature` is 0 to 2 and `top_p` 0 to 1."""
    default_query: FreeForm = Field(default_factory=dict)
    disable_vision: bool | None = None
    enable_llm_proxy: bool | None = None
    is_custom: bool | None = None
    model_name: str | None = None
    endpoint: str | None = None


class Tts(Model):
    """The voice."""

    tts_engine: Literal["tavus-auto", "cartesia", "elevenlabs", "azure", "playht"] = "tavus-auto"
    api_key: str = ""
    """For private voices of the provider. Shown as `********`."""
    external_voice_id: str = ""
    """A voice of the provider; not together with `voice_id`."""
    voice_id: str = ""
    """A voice of this server; not together with `external_voice_id`."""
    voice_settings: FreeForm = Field(default_factory=dict)
    """For the provider; elevenlabs takes `speed` 0.7 to 1.2, `stability`, `similarity_boost` and `style` 0 to 1."""
    tts_emotion_control: Annotated[bool, Field(strict=False)] = True
    tts_model_name: str = ""
    pronunciation_dictionary_id: str | None = None
    playht_user_id: str = ""


class Stt(Model):
    """The ears: speech to text."""

    stt_engine: Literal[
        "tavus-auto",
        "tavus-parakeet",
        "tavus-soniox",
        "tavus-whisper",
        "tavus-deepgram-medical",
        "tavus-advanced",
        "tavus-turbo",
    ] = "tavus-auto"
    hotwords: str = ""
    """Words that are likely to be said, such as names."""
    participant_pause_sensitivity: Sensitivity = "medium"
    participant_interrupt_sensitivity: Sensitivity = "medium"
    smart_turn_detection: bool | None = None


class ConversationalFlow(Model):
    """Whose turn it is, and what happens in silence."""

    turn_detection_model: Literal["sparrow-2", "sparrow-1", "sparrow-0", "timebased", "time-based"] = "sparrow-2"
    turn_taking_patience: Level = "medium"
    turn_commitment: Level = "medium"
    pal_interruptibility: Literal["verylow", "low", "medium", "high"] = "medium"
    active_listening: str | None = None
    voice_isolation: Literal["off", "near", "far"] = "near"
    noise_cancellation: str | None = None
    wake_phrase: str | None = None
    sleep_phrase: str | None = None
    idle_engagement: Literal["off", "patient", "eager"] = "off"
    idle_end_behavior: Literal["wait", "end_conversation"] = "wait"

    @model_validator(mode="after")
    def fill_in(self) -> "ConversationalFlow":
        """One member given, all of them set (contract 3.4)."""
        self.__pydantic_fields_set__.update(FILLED_IN)
        return self


FILLED_IN = frozenset(ConversationalFlow.model_fields) - {"active_listening", "noise_cancellation"}
"""Members of `conversational_flow` that have a default; the other two are set only when a client sets them."""


class Perception(Model):
    """The eyes: what is noticed in the picture and the sound."""

    perception_model: Literal["raven-1", "raven-0", "raven-2", "off"] = "raven-1"
    visual_awareness_queries: list[str] = Field(default_factory=list)
    audio_awareness_queries: list[str] = Field(default_factory=list)
    screen_awareness_queries: list[str] = Field(default_factory=list)
    perception_analysis_queries: list[str] = Field(default_factory=list)
    visual_tool_prompt: str = ""
    audio_tool_prompt: str = ""
    visual_tools: InlineTools = Field(default_factory=list)
    audio_tools: InlineTools = Field(default_factory=list)
    screen_tools: InlineTools = Field(default_factory=list)
    emotion_recognition: Literal["full", "limited", "auto"] = "auto"
    """`limited`: no emotion is inferred from face or voice (EU AI Act)."""
    ambient_awareness_queries: list[str] = Field(default_factory=list)
    perception_tool_prompt: str = ""
    perception_tools: InlineTools = Field(default_factory=list)
    tool_prompt: str = ""


class Conferencing(Model):
    """How the PAL is invited to meetings. Patched on its own: never together with other members."""

    username: (
        Annotated[
            str, StringConstraints(pattern=USERNAME_PATTERN, to_lower=True, min_length=2, max_length=LONGEST_USERNAME)
        ]
        | None
    ) = None
    """Unique over all PALs, stored in lower case; the PAL's address is `<username>@tavusinvite.com`."""
    allowlist: list[str] = Field(default_factory=list)
    """E-mail addresses or regular expressions of those who may invite it; empty: everybody."""
    whitelabel: bool = False


class Capabilities(Model):
    """Switches of the agent."""

    mcp_enabled: bool | None = None
    search_enabled: bool | None = None
    activity_log_enabled: bool | None = None
    search_results_prompt_injection_prevention_enabled: bool | None = None


class KnowledgeBase(Model):
    """How documents are searched."""

    rag_score_threshold: float | None = None
    rag_n_chunks: int | None = None
    rag_surrounding_chunk_radius: int | None = None
    enable_rag_observability_app_messages: bool | None = None
    use_procedure_goalchain: bool | None = None


class Layers(Model):
    """The layers that are set. A layer sent as null is a layer that is not set."""

    llm: Llm | None = None
    tts: Tts | None = None
    stt: Stt | None = None
    conversational_flow: ConversationalFlow | None = None
    perception: Perception | None = None
    conferencing: Conferencing | None = None
    capabilities: Capabilities | None = None
    knowledge_base: KnowledgeBase | None = None
    transport: FreeForm | None = None
    sts: FreeForm | None = None

    @model_validator(mode="after")
    def leave_out_null(self) -> "Layers":
        """Null and absent are the same layer."""
        given = self.__pydantic_fields_set__
        given.difference_update([name for name in given if getattr(self, name) is None])
        return self
