"""Which word was meant: one clearly, or none; and what the model says about places."""

import pytest

from palace.mending.likeness import clearly_meant, ends_as, perhaps_meant
from palace.mending.places import find, tokens_of
from palace.mending.shapes import shape_at, shape_of
from palace.resources.pals import PAL, Pal

NAMES = ["pal_name", "system_prompt", "greeting", "dynamic_greeting", "guardrail_ids", "guardrails_id", "layers"]
ENGINES = ["tavus-auto", "cartesia", "elevenlabs", "raven-0", "raven-1", "low", "medium", "high"]


@pytest.mark.parametrize(
    ("word", "words", "meant"),
    [
        ("systemPrompt", NAMES, "system_prompt"),
        ("SYSTEM PROMPT", NAMES, "system_prompt"),
        ("sytem_prompt", NAMES, "system_prompt"),
        ("greting", NAMES, "greeting"),
        ("grateing", NAMES, None),
        ("guardrail_id", NAMES, None),
        ("prompt", NAMES, None),
        ("name", NAMES, None),
        ("", NAMES, None),
        ("x" * 1000, NAMES, None),
        ("Eleven Labs", ENGINES, "elevenlabs"),
        ("hihg", ENGINES, "high"),
        ("hi", ENGINES, None),
        ("lo", ENGINES, None),
        ("ravne-1", ENGINES, "raven-1"),
        ("raven-3", ENGINES, None),
        ("raven", ENGINES, None),
    ],
)
def test_a_word_is_meant_clearly_or_not_at_all(word: str, words: list[str], meant: str | None) -> None:
    assert clearly_meant(word, words) == meant


def test_a_word_may_be_the_end_of_the_one_allowed() -> None:
    assert ends_as("auto", ENGINES) == "tavus-auto"
    assert ends_as("tavus", ENGINES) is None
    assert ends_as("lab", ENGINES) is None


def test_words_that_resemble_it_come_likeliest_first() -> None:
    assert perhaps_meant("greting", NAMES) == ["greeting", "dynamic_greeting"]
    assert perhaps_meant("prompt", NAMES) == ["system_prompt"]
    assert perhaps_meant("colour", NAMES) == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("layers.llm.model", ("layers", "llm", "model")),
        ("$.tool_ids[0]", ("tool_ids", "0")),
        ("$['pal_name']", ("pal_name",)),
        ("#/greeting", ("greeting",)),
        ("layers/llm/headers/a.b", ("layers", "llm", "headers", "a.b")),
        (" greeting ", ("greeting",)),
        ("", ()),
        ("...", ()),
    ],
)
def test_other_notations_have_tokens_too(text: str, tokens: tuple[str, ...]) -> None:
    assert tokens_of(text) == tokens


@pytest.mark.parametrize(
    ("pointer", "clear"),
    [
        ("/layers/llm/modle", "/layers/llm/model"),
        ("/llm/model", "/layers/llm/model"),
        ("/layers.llm.model", "/layers/llm/model"),
        ("/model", "/layers/llm/model"),
        ("/layers/llm/temperature", "/layers/llm/extra_body/temperature"),
        ("/layers/voice/speed", "/layers/tts/voice_settings/speed"),
        ("/layers/llm/tool/0/function/name", "/layers/llm/tools/0/function/name"),
        ("/api_key", None),
        ("/nothing/at/all", None),
    ],
)
def test_a_pointer_that_leads_nowhere_leads_where_it_was_meant_to(pointer: str, clear: str | None) -> None:
    found = find(PAL, {}, tuple(pointer.split("/")[1:])).clear
    assert (found and "/" + "/".join(found)) == clear


def test_shapes_come_from_the_model() -> None:
    shape = shape_of(Pal)
    languages, engine = shape_at(shape, ("languages", "0")), shape_at(shape, ("layers", "tts", "tts_engine"))
    assert languages is not None
    assert engine is not None
    assert languages.kinds == {"string"}
    assert "cartesia" in engine.allowed
    assert shape_at(shape, ("layers", "tts", "colour")) is None
    assert shape_at(shape, ("layers", "llm", "headers", "x-anything")) is not None


def test_another_name_leads_to_a_place_of_the_model_and_is_none_itself() -> None:
    shape = shape_of(Pal)
    for other, place in PAL.synonyms.items():
        assert shape_at(shape, tuple(other.split("/")[1:])) is None, other
        assert not place or shape_at(shape, tuple(place.split("/")[1:])) is not None, place
