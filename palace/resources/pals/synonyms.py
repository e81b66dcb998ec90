"""Other names that people write into patches of PALs: from conversations, from other services, from older pages.

Only for explanations: such a name is never accepted, but the answer tells the right one. Names that differ from the
right one in spelling only, or that only one place of the model has, need no entry.
"""

from collections.abc import Iterable, Mapping


def _below(place: str, names: Iterable[str]) -> dict[str, str]:
    """Names written beside `place` that belong into it."""
    beside = place.rpartition("/")[0]
    return {f"{beside}/{name}": f"{place}/{name}" for name in names}


def _all(target: str, *others: str) -> dict[str, str]:
    beside = target.rpartition("/")[0]
    return dict.fromkeys([other if other.startswith("/") else f"{beside}/{other}" for other in others], target)


SERVERS_OWN = ("uuid", "owner_id", "session_id", "registration_id", "pal_settings_id", "source_template_id", "is_draft")
DRAFTS_OWN = ("is_draft_view", "has_unpublished_changes", "live_pal_id", "draft_pal_id", "publish_url", "edit_target")

SYNONYMS: Mapping[str, str] = {
    **_all("/system_prompt", "prompt", "instructions", "system_message", "system", "role_prompt"),
    **_all("/greeting", "custom_greeting", "first_message", "opening_line", "welcome_message", "initial_message"),
    **_all("/context", "conversational_context", "background"),
    **_all("/pal_name", "name"),
    **_all("/pal_description", "description"),
    **_all("/default_face_id", "face_id", "face", "replica_id", "replica", "default_replica", "avatar_id"),
    **_all("/pipeline_mode", "mode", "pipeline"),
    **_all("/objectives_id", "objectives"),
    **_all("/document_ids", "documents"),
    **_below(
        "/layers/llm/extra_body",
        ("temperature", "top_p", "top_k", "max_tokens", "presence_penalty", "frequency_penalty", "stop", "seed"),
    ),
    **_all("/layers/llm/base_url", "url", "api_base", "api_url", "base_path"),
    **_all("/layers/llm/api_key", "key", "token"),
    **_all("/layers/llm/model", "llm_model", "model_id", "name", "llm"),
    **_all("/layers/llm/headers", "default_headers", "extra_headers"),
    **_below("/layers/tts/voice_settings", ("speed", "stability", "similarity_boost", "style", "use_speaker_boost")),
    **_all("/layers/tts/tts_engine", "engine", "provider", "tts_provider"),
    **_all("/layers/tts/tts_model_name", "model", "model_name", "tts_model", "model_id"),
    **_all("/layers/tts/tts_emotion_control", "emotion_control", "emotion"),
    **_all("/layers/tts/voice_settings", "settings"),
    **_all("/layers/stt/stt_engine", "engine", "provider", "model", "stt_model"),
    **_all("/layers/stt/hotwords", "keywords", "keyterms", "boost_words", "vocabulary"),
    **_all("/layers/conversational_flow/turn_detection_model", "turn_detection", "model"),
    **_all("/layers/conversational_flow/turn_taking_patience", "patience"),
    **_all("/layers/conversational_flow/turn_commitment", "commitment"),
    **_all("/layers/conversational_flow/pal_interruptibility", "interruptibility"),
    **_all("/layers/perception/perception_model", "model"),
    **_all("/layers/llm", "language_model"),
    **_all("/layers/tts", "voice", "text_to_speech", "speech"),
    **_all("/layers/stt", "asr", "speech_to_text", "transcription"),
    **_all("/layers/conversational_flow", "flow", "turn_taking", "conversation_flow"),
    **_all("/layers/perception", "vision"),
    **dict.fromkeys((f"/{name}" for name in (*SERVERS_OWN, *DRAFTS_OWN)), ""),
}
