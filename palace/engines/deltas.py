"""What a model streams, put together: chunks of OpenAI's chat completions become text and tool calls. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from palace.engines.base import Answer, Usage, Wish
from palace.ids import Ids


class NotAChunk(Exception):
    """What was streamed is not a chunk of a chat completion."""


class Gathered:
    """All of an answer that has come so far. Chunks are JSON values that nobody has checked.

    A model may stream the two halves of a character apart (`\\ud83d`, then `\\ude00`): they are put together, and what
    no text can hold becomes U+FFFD.
    """

    def __init__(self, model: str, ids: Ids) -> None:
        self._model = model
        self._ids = ids
        self._texts: list[str] = []
        self._half = ""
        """the first half of a character whose other half may come"""
        self._wishes: list[dict[str, str]] = []
        self._by_index: dict[int, dict[str, str]] = {}
        self._usage = Usage()
        self.has_begun = False
        """whether there is text, or a tool call"""
        self.is_finished = False
        """whether the model said that this is the end"""

    def take(self, chunk: Any) -> str:
        """Add a chunk; returns the text that it brings, "" for none. Raises NotAChunk."""
        said = _mapping(chunk)
        if isinstance(model := said.get("model"), str) and model:
            self._model = model
        if said.get("usage") is not None:
            usage = _mapping(said["usage"])
            self._usage = Usage(_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))
        text = ""
        for choice in _list(said.get("choices")):
            if _mapping(choice).get("index", 0) == 0:
                text += self._take_choice(choice)
        return self._told(text)

    def whole(self) -> Answer:
        """The answer. Calls that have no id get one; those that have no name are none."""
        wishes = tuple(
            Wish(
                whole_characters(wish["id"]) or self._ids.new("call_", 24),
                whole_characters(wish["name"]),
                whole_characters(wish["arguments"]) or "{}",
            )
            for wish in self._wishes
            if wish["name"]
        )
        text = "".join((*self._texts, whole_characters(self._half)))
        return Answer(text, wishes, self._usage, whole_characters(self._model))

    def _told(self, text: str) -> str:
        """The text that a chunk brings, without half a character at its end, which waits for the next one."""
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] < "\udc00" else ""
        text = whole_characters(text[: len(text) - len(self._half)])
        if text:
            self._texts.append(text)
        return text

    def _take_choice(self, choice: Mapping[str, Any]) -> str:
        delta = _mapping(choice.get("delta") or {})
        text = delta.get("content") or ""
        if not isinstance(text, str):
            raise NotAChunk
        for call in _list(delta.get("tool_calls")):
            self._take_call(_mapping(call))
        self.has_begun = self.has_begun or bool(text or self._wishes)
        self.is_finished = self.is_finished or bool(choice.get("finish_reason"))
        return text

    def _take_call(self, call: Mapping[str, Any]) -> None:
        """A part of a call belongs to the one with its index; one that has another id, or no index, is a new one."""
        function = _mapping(call.get("function") or {})
        id, name, arguments = call.get("id") or "", function.get("name") or "", function.get("arguments") or ""
        if isinstance(arguments, dict):
            arguments = json.dumps(arguments)
        if not all(isinstance(part, str) for part in (id, name, arguments)):
            raise NotAChunk
        index = call.get("index")
        wish = self._by_index.get(index) if isinstance(index, int) else None
        if wish is None and not isinstance(index, int) and not id and not name and self._wishes:
            wish = self._wishes[-1]
        if wish is None or (id and wish["id"] and id != wish["id"]):
            wish = {"id": "", "name": "", "arguments": ""}
            self._wishes.append(wish)
            if isinstance(index, int):
                self._by_index[index] = wish
        wish["id"] = wish["id"] or id
        wish["name"] = wish["name"] or name
        wish["arguments"] += arguments


def whole_characters(text: str) -> str:
    """The text with its surrogate pairs put together, and U+FFFD for every half alone and for U+0000."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\x00", "\ufffd")


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise NotAChunk
    return value


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise NotAChunk
    return value


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value >= 0 else 0
