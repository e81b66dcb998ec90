"""App messages from clients, as events (contract 3.3). Lenient where clients differ; what means nothing is told."""

import json
from collections.abc import Callable, Mapping
from typing import Any, get_args

from palace.conversation.events import (
    ContextAdded,
    ContextReplaced,
    EchoAsked,
    InterruptAsked,
    Level,
    ObjectiveConfirmed,
    Said,
    SensitivitySet,
    ToolAnswered,
    What,
)

Properties = Mapping[str, Any]
PREFIX = "conversation."
LEVELS = get_args(Level)
LONGEST_TEXT = 100_000
"""characters of a text that somebody says, or has said, or that is context: the same over HTTP"""
IGNORED = ("set_emotion", "realtime_api")
"""Known events that change nothing in writing."""


class NotUnderstood(Exception):
    """The message means nothing; the text says why."""


def heard(message: Any) -> list[What]:
    """What happened, by an app message of a client: one event, or none. Raises NotUnderstood."""
    if not isinstance(message, dict):
        raise NotUnderstood("An app message is a JSON object with event_type and properties.")
    kind = message.get("event_type")
    name = kind.removeprefix(PREFIX) if isinstance(kind, str) and kind.startswith(PREFIX) else ""
    properties = message.get("properties") or {}
    if not isinstance(properties, dict):
        raise NotUnderstood(f"{kind}: properties must be an object.")
    if name in IGNORED:
        return []
    read = READ.get(name)
    if read is None:
        known = ", ".join(PREFIX + one for one in READ)
        raise NotUnderstood(f"event_type must be one of: {known}.")
    return [read({**message, **properties})]


def _text(said: Properties, name: str, kind: str) -> str:
    text = said.get(name)
    if not isinstance(text, str) or not text.strip():
        raise NotUnderstood(f"{PREFIX}{kind}: properties.{name} must be a text that is not empty.")
    return _bounded(text, name, kind)


def _bounded(text: str, name: str, kind: str) -> str:
    if len(text) > LONGEST_TEXT:
        limit = f"may have {LONGEST_TEXT:,} characters; these are {len(text):,}"
        raise NotUnderstood(f"{PREFIX}{kind}: properties.{name} {limit}.")
    return text


def _echo(said: Properties) -> What:
    if said.get("modality", "text") != "text" or "audio" in said:
        raise NotUnderstood("conversation.echo: there is no audio in this conversation; send text.")
    text, id, done = said.get("text", ""), said.get("inference_id", ""), said.get("done", True)
    if not isinstance(text, str) or not isinstance(done, bool):
        raise NotUnderstood("conversation.echo: text must be a text, and done true or false.")
    return EchoAsked(_bounded(text, "text", "echo"), str(id or ""), done)


def _sensitivity(said: Properties) -> What:
    names = ("participant_pause_sensitivity", "participant_interrupt_sensitivity")
    pause, interrupt = (said.get(name) for name in names)
    for name, level in zip(names, (pause, interrupt), strict=True):
        if level is not None and level not in LEVELS:
            raise NotUnderstood(f"conversation.sensitivity: {name} must be one of: {', '.join(LEVELS)}.")
    if pause is None and interrupt is None:
        raise NotUnderstood(f"conversation.sensitivity: send {' or '.join(names)}.")
    return SensitivitySet(pause, interrupt)


def _tool_result(said: Properties) -> What:
    id, output = _text(said, "tool_call_id", "tool_result"), said.get("output")
    status = said.get("status", "success")
    if status not in ("success", "error"):
        raise NotUnderstood("conversation.tool_result: status must be success or error.")
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return ToolAnswered(id, text, is_error=status == "error", by_client=True)


def _confirmed(said: Properties) -> What:
    name = said.get("objective_name", "")
    if not isinstance(name, str):
        raise NotUnderstood("conversation.objective.confirm: objective_name must be a text.")
    return ObjectiveConfirmed(name)


READ: Mapping[str, Callable[[Properties], What]] = {
    "respond": lambda said: Said(_text(said, "text", "respond")),
    "echo": _echo,
    "interrupt": lambda _said: InterruptAsked(),
    "overwrite_llm_context": lambda said: ContextReplaced(
        _bounded(str(said.get("context") or ""), "context", "overwrite_llm_context")
    ),
    "append_llm_context": lambda said: ContextAdded(
        _text(said, "context", "append_llm_context"), str(said.get("job_status") or "")
    ),
    "sensitivity": _sensitivity,
    "tool_result": _tool_result,
    "objective.confirm": _confirmed,
}
"""By the event's name."""
