"""A stage on which a conversation is played: a scene reads like a script of the call. The clock moves when told to.

After every event the laws of the brain are checked: see `Scene.happens`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from palace.conversation import Event, Script, opened, react
from palace.conversation.commands import (
    AskModel,
    CallBack,
    CallTool,
    Close,
    Command,
    Emit,
    NoteCall,
    NoteTurn,
    Remember,
    Report,
    StopModel,
)
from palace.conversation.events import (
    ContextAdded,
    ContextReplaced,
    EchoAsked,
    EndAsked,
    InterruptAsked,
    Joined,
    Left,
    Lost,
    ModelAnswered,
    ModelFailed,
    ModelSpoke,
    ObjectiveConfirmed,
    Said,
    TimeCame,
    ToolAnswered,
    Wish,
)
from palace.conversation.script import Guardrail, Objective, Tool
from palace.conversation.state import state_of, stored_state

START = 1_000_000.0
Message = Mapping[str, Any]


def tool(
    name: str = "look_up", on_call: str = "passthrough", on_resolve: str = "generate_response", **more: Any
) -> Tool:
    return Tool(name, f"Does {name}.", {"type": "object"}, f"t_{name}", on_call, on_resolve, **more)  # type: ignore[arg-type]


def objective(name: str, **more: Any) -> Objective:
    return Objective(name, f"Reach {name}.", **more)


def guardrail(name: str, **more: Any) -> Guardrail:
    return Guardrail(name, f"g_{name}", f"Never {name}.", **more)


def wants(name: str, id: str = "", raw: str | None = None, **arguments: Any) -> Wish:
    """A call that the model wants made; `raw` is what it wrote as arguments, however badly."""
    return Wish(id or f"call_{name}", name, json.dumps(arguments) if raw is None else raw)


def script(**more: Any) -> Script:
    facts: dict[str, Any] = {"prompt": "You keep a hotel.", "is_chat": True, "started_at": START, **more}
    return Script("c1", "p1", "f1", **{name: tuple(v) if isinstance(v, list) else v for name, v in facts.items()})


class Scene:
    """One conversation from its first moment on, everything that it did, and what its model is asked just now."""

    def __init__(self, **more: Any) -> None:
        self.now = START
        self.script = script(**more)
        self.state, self.lines, commands = opened(self.script, self.now)
        self.done: list[Command] = []
        self.latest: list[Command] = []
        self.request: AskModel | None = None
        self._take(commands)

    # --- What happens -------------------------------------------------------------------------------------------------

    def happens(self, what: Any) -> "Scene":
        """One event. It comes to the same when the state was stored and read in between, whatever happens."""
        twin, lines = state_of(stored_state(self.state)), list(self.lines)
        assert twin == self.state
        commands = react(self.script, self.state, self.lines, Event(what, self.now))
        assert react(self.script, twin, lines, Event(what, self.now)) == commands
        assert (twin, lines) == (self.state, self.lines)
        if (
            isinstance(what, ModelAnswered | ModelFailed)
            and self.request
            and what.inference_id == self.request.inference_id
        ):
            self.request = None
        self._take(commands)
        return self

    def _take(self, commands: Sequence[Command]) -> None:
        before = [command.message["seq"] for command in self.done if isinstance(command, Emit)]
        was_closed = any(isinstance(command, Close) for command in self.done)
        assert not (was_closed and commands), "nothing happens after the end"
        for command in commands:
            orjson.dumps(asdict(command))
            match command:
                case AskModel():
                    assert self.request is None, "one request at a time"
                    self.request = command
                    check_messages(command.messages)
                    names = [one["function"]["name"] for one in command.tools]
                    assert len(set(names)) == len(names)
                case StopModel(inference_id):
                    assert self.request is not None and self.request.inference_id == inference_id
                    self.request = None
        seqs = [command.message["seq"] for command in commands if isinstance(command, Emit)]
        assert [*before[-1:], *seqs] == sorted({*before[-1:], *seqs}), "seq rises"
        assert (self.request and self.request.inference_id) == (
            self.state.thinking and self.state.thinking.inference_id
        )
        assert self.state.thinking or not self.state.is_speaking
        self.latest = list(commands)
        self.done += commands

    def visitor_joins(self, name: str = "ann") -> "Scene":
        return self.happens(Joined(name))

    def visitor_leaves(self, name: str = "ann") -> "Scene":
        return self.happens(Left(name))

    def visitor(self, text: str) -> "Scene":
        return self.happens(Said(text))

    def interrupts(self) -> "Scene":
        return self.happens(InterruptAsked())

    def echo(self, text: str, id: str = "", done: bool = True) -> "Scene":
        return self.happens(EchoAsked(text, id, done))

    def new_context(self, text: str) -> "Scene":
        return self.happens(ContextReplaced(text))

    def more_context(self, text: str, job_status: str = "") -> "Scene":
        return self.happens(ContextAdded(text, job_status))

    def confirms(self, name: str = "") -> "Scene":
        return self.happens(ObjectiveConfirmed(name))

    def model_writes(self, text: str) -> "Scene":
        return self.happens(ModelSpoke(self.asked.inference_id, text))

    def model(self, text: str, *wishes: Wish, tokens: tuple[int, int] = (0, 0)) -> "Scene":
        return self.happens(ModelAnswered(self.asked.inference_id, text, wishes, "m", *tokens))

    def model_fails(self, reason: str = "unreachable") -> "Scene":
        return self.happens(ModelFailed(self.asked.inference_id, reason, "It is away."))

    def tool_answers(self, name: str, output: str, *, is_error: bool = False, by_client: bool = False) -> "Scene":
        """The newest call of this tool has its result."""
        return self.happens(ToolAnswered(self.id_of(name), output, is_error, by_client))

    def restarts(self) -> "Scene":
        self.request = None if self.state.thinking else self.request
        return self.happens(Lost())

    def ends(self, reason: str = "end_conversation_endpoint_hit") -> "Scene":
        return self.happens(EndAsked(reason))

    def after(self, seconds: float) -> "Scene":
        """Time goes by; whatever is due meanwhile happens when it is. All that came of it is in `latest`."""
        until, came = self.now + seconds, []
        while (at := self.state.wake_at) is not None and at <= until:
            self.now = max(at, self.now)
            self.happens(TimeCame(min(self.state.timers, key=self.state.timers.__getitem__)))
            came += self.latest
        self.now, self.latest = until, came
        return self

    # --- What is to be seen -------------------------------------------------------------------------------------------

    @property
    def asked(self) -> AskModel:
        """What the model is asked just now."""
        assert self.request is not None, "nobody asks the model"
        return self.request

    @property
    def prompt(self) -> str:
        """The system's text in what the model is asked just now."""
        return str(self.asked.messages[0]["content"])

    @property
    def talk(self) -> list[tuple[str, str]]:
        """Role and content of what the model is given behind the system's text."""
        return [(one["role"], one["content"]) for one in self.asked.messages[1:]]

    @property
    def functions(self) -> list[str]:
        return [one["function"]["name"] for one in self.asked.tools]

    def messages(self, event_type: str = "", *, all: bool = True) -> list[Message]:
        """The app messages so far, or of the latest event; of one type, if it is named."""
        commands = self.done if all else self.latest
        emitted = [command.message for command in commands if isinstance(command, Emit)]
        return [one for one in emitted if not event_type or one["event_type"] == event_type]

    def sent(self) -> list[str]:
        """The types of the app messages of the latest event."""
        return [one["event_type"].removeprefix("conversation.") for one in self.messages(all=False)]

    def facts(self, event_type: str) -> list[Mapping[str, Any]]:
        return [one.get("properties", {}) for one in self.messages(f"conversation.{event_type}")]

    def heard(self, *, all: bool = True) -> list[str]:
        """Everything that the PAL said; what was cut off ends with a dash."""
        spoken = [one["properties"] for one in self.messages("conversation.utterance", all=all)]
        return [one["speech"] + ("-" if "interrupted" in one else "") for one in spoken if one["role"] == "pal"]

    def just_heard(self) -> list[str]:
        return self.heard(all=False)

    def of(self, kind: type[Any]) -> list[Any]:
        """All commands of one kind."""
        return [command for command in self.done if isinstance(command, kind)]

    def turns(self) -> list[Mapping[str, Any]]:
        return [command.turn for command in self.of(NoteTurn)]

    def notes(self) -> list[Mapping[str, Any]]:
        return [command.call for command in self.of(NoteCall)]

    def called_back(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(command.url, command.body) for command in self.of(CallBack)]

    def reports(self) -> list[str]:
        return [command.event_type for command in self.of(Report)]

    def delivered(self) -> list[CallTool]:
        return self.of(CallTool)

    def client_calls(self) -> list[str]:
        return [one["name"] for one in self.facts("tool_call")]

    def transcript(self) -> list[tuple[str, str]]:
        """Role and content of every line but the system's."""
        assert self.lines == [command.line for command in self.of(Remember)]
        return [(line["role"], line["content"]) for line in self.lines if line["role"] != "system"]

    def id_of(self, name: str) -> str:
        rows = [row for line in self.lines for row in line.get("tool_calls", ())]
        return str(next(row["id"] for row in reversed(rows) if row["name"] == name))

    @property
    def ended(self) -> str:
        """Why it is over; empty while it goes on."""
        return self.state.shutdown_reason


def scene(**more: Any) -> Scene:
    """A conversation that somebody has come into, without a greeting."""
    return Scene(**more).visitor_joins()


def asked_for_a_room(*, text: str = "", **more: str) -> Scene:
    """The person asks, the model calls the tool, perhaps with words beside it."""
    call = scene(tools=[tool(**more)]).visitor("Is there a room?")
    return call.model(text, wants("look_up", day="friday"))


def check_messages(messages: Sequence[Message]) -> None:
    """Whether a server of OpenAI's chat completions takes this."""
    assert messages[0]["role"] == "system"
    waiting: list[str] = []
    known: set[str] = set()
    for one in messages:
        assert one["role"] in ("system", "user", "assistant", "tool")
        if one["role"] == "tool":
            assert one["tool_call_id"] == waiting.pop(0), "results stand behind their calls"
            assert isinstance(one["content"], str)
            continue
        assert not waiting, "every call has a result"
        if calls := one.get("tool_calls"):
            assert one["role"] == "assistant"
            waiting = [call["id"] for call in calls]
            assert len(set(waiting)) == len(waiting)
            assert not known & set(waiting)
            known |= set(waiting)
            for call in calls:
                assert call["type"] == "function"
                assert 0 < len(call["id"]) <= 40
                assert re.fullmatch("[a-zA-Z0-9_-]{1,64}", call["function"]["name"])
                assert isinstance(json.loads(call["function"]["arguments"]), dict)
        else:
            assert isinstance(one["content"], str)
    assert not waiting
