"""What a conversation was given when it began, and keeps: the PAL as it was then, and all that it refers to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

OnCall = Literal["generate_filler", "static_filler", "silent", "passthrough"]
OnResolve = Literal["generate_response", "response_in_result", "add_to_context", "fire_and_forget"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call. Without a `tool_id` it is one of those written into the PAL itself."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    tool_id: str = ""
    on_call: OnCall = "passthrough"
    on_resolve: OnResolve = "generate_response"
    static_filler: str = ""
    is_api: bool = False


@dataclass(frozen=True, slots=True)
class Objective:
    """One step that the PAL is to reach."""

    name: str
    prompt: str
    is_manual: bool = False
    variables: tuple[str, ...] = ()
    next: str | None = None
    next_if: Mapping[str, str] = field(default_factory=dict)
    """names of objectives, each with the condition under which it follows"""
    callback_url: str = ""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Something that the PAL is never to do, or a topic that it is to notice."""

    name: str
    id: str
    prompt: str
    callback_url: str = ""
    is_told: bool = True
    """whether clients are told when it is hit"""


@dataclass(frozen=True, slots=True)
class Script:
    """What the brain goes by. Times are in seconds.

    0 for `max_call_seconds` or `absent_seconds` is no limit; for `left_seconds` it ends with the last one leaving.
    """

    conversation_id: str
    pal_id: str
    face_id: str | None = None
    started_at: float = 0.0
    prompt: str = ""
    context: str = ""
    greeting: str = ""
    is_greeting_dynamic: bool = False
    is_chat: bool = False
    is_echo: bool = False
    language: str = ""
    tools: tuple[Tool, ...] = ()
    objectives: tuple[Objective, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    idle_engagement: Literal["off", "patient", "eager"] = "off"
    ends_when_idle: bool = False
    max_call_seconds: int = 3600
    left_seconds: int = 0
    absent_seconds: int = 300
    context_tokens: int = 32_000
    most_people: int = 0

    def tool(self, name: str) -> Tool | None:
        """The tool with this name."""
        return next((tool for tool in self.tools if tool.name == name), None)

    def objective(self, name: str | None) -> Objective | None:
        """The objective with this name."""
        return next((one for one in self.objectives if one.name == name), None)

    @property
    def first_objective(self) -> Objective | None:
        """The objective that no other leads to; where they go in circles, the first one."""
        follow = {one.next for one in self.objectives} | {name for one in self.objectives for name in one.next_if}
        roots = (one for one in self.objectives if one.name not in follow)
        return next(roots, self.objectives[0] if self.objectives else None)


@cache
def _form() -> TypeAdapter[Script]:
    """Built when it is first needed: that takes as long as everything else of this package."""
    return TypeAdapter(Script)


def script_of(stored: bytes) -> Script:
    """The script as it was stored; members that it does not have yet have their defaults."""
    return _form().validate_json(stored)


def stored_script(script: Script) -> bytes:
    """The script as JSON."""
    return _form().dump_json(script)
