"""The scripted model: says what a script tells, the same every time, and needs nothing from outside.

Without a script, or where no rule of it fits, it tells that it is a scripted model and what it was given.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from palace.engines.base import Answer, Ask, Means, Message, ModelDown, Piece, Stream, Usage, Wish, text_of
from palace.engines.scripts import Script, call_id, meet, turns_of

NAME = "scripted"
WORD = re.compile(r"\s*\S+\s*")
CALL = re.compile(r"\b(?:use|call)\s+(\w+)\s*(\{.*\})?", re.IGNORECASE | re.DOTALL)
LONGEST_QUOTE = 120


class ScriptedModel:
    """A language model that does not think."""

    def __init__(self, script: Script, means: Means) -> None:
        self._script = script
        self._means = means

    async def stream(self, ask: Ask) -> Stream:
        """See LanguageModel: word by word, then what the rule calls, unless it tells to fail."""
        met = meet(self._script, ask.messages)
        text, wishes = (met.text, met.wishes(ask.messages)) if met else _of_its_own(ask)
        words = WORD.findall(text)
        pace, began = self._script.tokens_per_second, self._means.clock.monotonic()
        for number, word in enumerate(words, 1):
            late = self._means.clock.monotonic() - began  # Sleeping a little too long each time must not add up.
            if pace and number / pace > late:
                await self._means.sleep(number / pace - late)
            yield Piece(word)
        if met and met.rule.fail:
            raise ModelDown(f"The scripted model fails, as its script says: {met.rule.fail}.", met.rule.fail)
        asked = sum(len(text_of(message).split()) for message in ask.messages)
        yield Answer("".join(words), wishes, Usage(asked, len(words)), NAME)

    async def close(self) -> None:
        """Nothing is held."""


def _of_its_own(ask: Ask) -> tuple[str, tuple[Wish, ...]]:
    """What it says without a rule: what it heard and was given, plainly. `use NAME {…}` calls a tool that it has."""
    turn = turns_of(ask.messages)[-1]
    if turn.occasion == "tool_result":
        return f"The tool answered: {_quoted(turn.text)}.", ()
    tools = [str(tool["function"]["name"]) for tool in ask.tools if isinstance(tool.get("function"), Mapping)]
    if turn.occasion == "greeting":
        return "Hello! I am a scripted model: I stand in for one that thinks. Say something.", ()
    call = CALL.search(turn.text)
    if call and call[1] in tools and (arguments := _object(call[2] or "{}")) is not None:
        return "", (Wish(call_id(ask.messages, 0), call[1], json.dumps(arguments)),)
    said = [f"You said: {_quoted(turn.text)}.", "I am a scripted model and do not think."]
    if prompt := _prompt(ask.messages):
        said.append(f"A real one would answer as I was told to: {_quoted(prompt)}.")
    if tools:
        said.append(f"Say “use {tools[0]}” to see me call a tool; I have {', '.join(tools)}.")
    return " ".join(said), ()


def _prompt(messages: Sequence[Message]) -> str:
    """The first sentence of the prompt."""
    prompt = next((text_of(message) for message in messages if message.get("role") == "system"), "")
    return re.split(r"(?<=[.!?])\s|\n", prompt.strip(), maxsplit=1)[0]


def _quoted(text: str) -> str:
    short = " ".join(text.split())
    return f"“{short[: LONGEST_QUOTE - 1]}…”" if len(short) > LONGEST_QUOTE else f"“{short}”"


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
