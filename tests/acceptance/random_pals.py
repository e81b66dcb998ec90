"""Random members of a PAL: small alphabets, so that values come back, and names that JSON Pointers have to escape."""

from typing import Any

from hypothesis import strategies as st

ODD_NAMES = ("a", "b", "a/b", "~", "", "~1", "ключ", "0", "-")

names = st.sampled_from(ODD_NAMES)
words = st.sampled_from(["", "Wren House", "Zoë", "夜", "a/b", '"', "x" * 900])
voices = st.sampled_from(["", "v1f73c4a86a76", "v2b81d0e57c9"])
"""stock voices"""
small = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.sampled_from([1.0, 0.5, -0.0, 2**63]), words)
free_values = st.recursive(
    small, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
free_forms = st.dictionaries(names, free_values, max_size=4)
tags = st.lists(st.sampled_from("abcdef"), max_size=6)
TEXTS = ("pal_name", "pal_description", "greeting", "context", "verbal_disclosure")
LISTS = ("languages", "document_tags", "memories")
FREE_FORMS = ("llm/headers", "llm/extra_body", "llm/default_query", "tts/voice_settings", "transport", "sts")
LAYERS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "llm": {
        "model": st.sampled_from(["tavus-gemma-4", "tavus-gpt-oss"]),
        "headers": free_forms,
        "extra_body": free_forms.map(lambda form: {**form, "seed": 1}),
        "speculative_inference": st.booleans(),
    },
    "tts": {"voice_settings": free_forms, "voice_id": voices, "tts_emotion_control": st.booleans()},
    "stt": {"hotwords": words, "smart_turn_detection": st.none() | st.booleans()},
    "conversational_flow": {"turn_taking_patience": st.sampled_from(["low", "high"]), "wake_phrase": words},
    "perception": {"visual_awareness_queries": tags, "tool_prompt": words},
    "knowledge_base": {"rag_n_chunks": st.integers(0, 3), "rag_score_threshold": st.sampled_from([1, 1.0, 0.5])},
}
layer_names = st.sampled_from(sorted(LAYERS))
KEYS = st.sampled_from(["sk-one", "sk-two", "sk-three"])
URLS = st.sampled_from(["https://one.example/v1", "https://two.example/v1"])
SHAPES: dict[str, tuple[Any, ...]] = {
    "stt": ({}, {"hotwords": ""}, {"hotwords": "Wren House"}, {"smart_turn_detection": None}),
    "perception": ({}, {"tool_prompt": ""}, {"tool_prompt": "Look.", "visual_tools": []}),
    "transport": ({}, {"a": {}}, {"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}, {"a": 5}, {"a": [1]}),
    "sts": ({"a": 1}, {"a": 1.0}, {"a": True}, {"a": 1, "b": 1}, {"b": 1, "a": 1}, {"a": [1]}, {"a": [True]}),
}
"""For each of some layers, states that are easily taken for one another."""
whole_layers = st.fixed_dictionaries(
    {}, optional={name: st.fixed_dictionaries({}, optional=members) for name, members in LAYERS.items()}
)
