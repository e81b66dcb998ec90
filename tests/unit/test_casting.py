"""By which script a conversation goes: what its request says, and what its PAL says, where both could."""

from typing import Any

import pytest

from palace.conversation.script import Script
from palace.resources.conversations.casting import script
from palace.resources.conversations.request import NewConversation
from palace.talking.given import Given, Pinned

PAL: dict[str, Any] = {
    "system_prompt": "Answer.",
    "context": "",
    "greeting": None,
    "dynamic_greeting": False,
    "pipeline_mode": "full",
    "languages": [],
    "layers": {},
}


def cast(pal: dict[str, Any], asked: dict[str, Any]) -> Script:
    given = Given(Pinned("pal", "p1", 1, PAL | pal, {}))
    return script(NewConversation.model_validate({"pal_id": "p1"} | asked), given, None, {}, "c1", 0.0)


WELCOME, WRITES = {"greeting": "Welcome."}, {"dynamic_greeting": True}


@pytest.mark.parametrize(
    ("pal", "asked", "greeting", "is_dynamic"),
    [
        (WELCOME, {}, "Welcome.", False),
        (WELCOME, {"dynamic_greeting": False}, "Welcome.", False),
        (WELCOME, {"dynamic_greeting": True}, "", True),
        (WELCOME, {"custom_greeting": "Good evening."}, "Good evening.", False),
        (WELCOME, {"custom_greeting": "Good evening.", "dynamic_greeting": True}, "Good evening.", False),
        (WRITES, {}, "", True),
        (WRITES, {"dynamic_greeting": False}, "", False),
        ({}, {}, "", False),
    ],
)
def test_who_greets_and_how(pal: dict[str, Any], asked: dict[str, Any], greeting: str, is_dynamic: bool) -> None:
    made = cast(pal, asked)
    assert (made.greeting, made.is_greeting_dynamic) == (greeting, is_dynamic)


SPANISH = "the language with the ISO code es"


@pytest.mark.parametrize(
    ("languages", "properties", "spoken"),
    [
        ([], {}, ""),
        (["es"], {}, SPANISH),
        (["es"], {"language": "french"}, "French"),
        (["es"], {"language": "multilingual"}, ""),
        (["es"], {"language": ""}, SPANISH),
        (["es"], {"languages": ["fr"]}, "the language with the ISO code fr"),
        (["es"], {"languages": []}, ""),
        (["fr"], {"languages": ["es"], "language": "german"}, SPANISH),
        ([], {"languages": ["es", "en"]}, f"{SPANISH} first; if the person prefers, also en"),
    ],
)
def test_what_the_pal_speaks(languages: list[str], properties: dict[str, Any], spoken: str) -> None:
    assert cast({"languages": languages}, {"properties": properties}).language == spoken
