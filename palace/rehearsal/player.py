"""One talk, played against the brain on a clock of its own: the model is awaited, all other time is only counted.

The visitor says the next thing once the PAL is silent and everything that was called has answered.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from palace.conversation import Command, Event, Line, Script, State, opened, react
from palace.conversation.commands import AskModel, CallTool, Emit, StopModel
from palace.conversation.events import (
    Joined,
    ModelAnswered,
    ModelFailed,
    ModelSpoke,
    TimeCame,
    ToolAnswered,
    What,
    Wish,
)
from palace.conversation.foreign import object_of
from palace.conversation.prompt import END_CALL, REPORT_GUARDRAIL, is_own
from palace.engines import Answer, Ask, LanguageModel, ModelDown, Piece
from palace.rehearsal.expecting import Called, Seen, fixture_for
from palace.rehearsal.suite import Fixture

VISITOR = "visitor"
NO_ANSWER = "The model's answer ended without an end."
MOST_TIMERS = 1000


class TooLong(Exception):
    """The PAL does not come to rest: the model was asked more often than the suite allows."""


@dataclass(frozen=True, slots=True)
class Due:
    """What a tool will answer, and when."""

    at: float
    answered: ToolAnswered


@dataclass(slots=True)
class Talk:
    """A talk that goes on, and everything that was seen of it."""

    script: Script
    model: LanguageModel
    fixtures: Sequence[Fixture]
    most_turns: int
    now: float
    state: State = field(default_factory=State)
    lines: list[Line] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    """of the part that goes on"""
    whole: Seen = field(default_factory=Seen)
    problems: list[str] = field(default_factory=list)
    """what went wrong besides expectations: a tool without a fixture, a model that was down"""
    asked: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    _question: AskModel | None = None
    _due: list[Due] = field(default_factory=list)
    _calls: dict[str, Called] = field(default_factory=dict)

    # --- What the visitor does ----------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """The visitor comes in, and the PAL greets. Raises TooLong."""
        self.state, self.lines, commands = opened(self.script, self.now)
        self._follow(commands)
        await self.happen(Joined(VISITOR))

    async def happen(self, what: What) -> None:
        """Something happens, and the PAL does what it does about it, until it is silent. Raises TooLong."""
        self.part()
        self._feed(what)
        await self._settle()

    async def wait(self, seconds: float) -> None:
        """The visitor says nothing for a time. Raises TooLong."""
        self.part()
        until = self.now + seconds
        for _ in range(MOST_TIMERS):
            timer = self._next_timer()
            if timer is None or self.state.timers[timer] > until:
                break
            await self._ring(timer)
        self.now = max(self.now, until)

    def part(self) -> None:
        """A new part begins."""
        self.seen = Seen(reached=self.seen.reached, touched=self.seen.touched)

    @property
    def is_over(self) -> bool:
        """Whether the conversation has ended."""
        return self.state.is_over

    # --- What the brain wants -----------------------------------------------------------------------------------------

    def _feed(self, what: What) -> None:
        self._follow(react(self.script, self.state, self.lines, Event(what, self.now)))
        self.seen.reached = self.whole.reached = list(self.state.reached)

    def _follow(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case AskModel():
                    self._question = command
                case StopModel():
                    self._question = None
                case CallTool(id, tool_id, arguments):
                    name = next((tool.name for tool in self.script.tools if tool.tool_id == tool_id), tool_id)
                    self._call(id, name, arguments)
                case Emit(message):
                    self._hear(message)
                case _:
                    """Nothing to do in a rehearsal."""

    def _hear(self, message: Mapping[str, Any]) -> None:
        said = message.get("properties", {})
        if message["event_type"] == "conversation.utterance" and said["role"] == "pal":
            self.seen.said.append(said["speech"])
            self.whole.said.append(said["speech"])
        elif message["event_type"] == "conversation.tool_call":
            self._call(said["tool_call_id"], said["name"], object_of(said["arguments"]) or {})

    def _call(self, id: str, name: str, arguments: Mapping[str, Any]) -> None:
        called = Called(name, arguments)
        self.seen.calls.append(called)
        self.whole.calls.append(called)
        tool = self.script.tool(name)
        if tool is None or name == END_CALL:  # Which nobody carries out.
            return
        is_awaited = tool.on_resolve != "fire_and_forget"
        fixture = fixture_for(name, arguments, self.fixtures)
        if fixture is None and is_awaited:
            said = json.dumps(arguments, ensure_ascii=False)
            self.problems.append(f"There is no fixture for {name}({said}): add one to the tools of the suite.")
            fixture = Fixture(tool=name, error="The rehearsal has no answer for this call.")
        if fixture is None or not (is_awaited or tool.is_api):
            return
        output = fixture.output if isinstance(fixture.output, str) else json.dumps(fixture.output, ensure_ascii=False)
        called.output, called.is_error = fixture.error or output, fixture.error is not None
        answered = ToolAnswered(id, called.output, is_error=called.is_error, by_client=not tool.is_api)
        self._due.append(Due(self.now + fixture.after_seconds, answered))

    # --- Until it is silent -------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Let the model answer, tools answer and time pass, until nothing is under way. Raises TooLong."""
        while not self.is_over:
            if self._question is not None:
                await self._think()
                continue
            due = min(self._due, key=lambda one: one.at, default=None)
            timer = self._next_timer() if due is not None or self._waits_for_tools else None
            if timer is not None and (due is None or self.state.timers[timer] <= due.at):
                self._ring_now(timer)
            elif due is not None:
                self._due.remove(due)
                self.now = max(self.now, due.at)
                self._feed(due.answered)
            else:
                return

    @property
    def _waits_for_tools(self) -> bool:
        return self.state.turn is not None and "tools" in self.state.timers

    def _next_timer(self) -> str | None:
        return min(self.state.timers, key=lambda name: self.state.timers[name], default=None)

    async def _ring(self, timer: str) -> None:
        self._ring_now(timer)
        await self._settle()

    def _ring_now(self, timer: str) -> None:
        self.now = max(self.now, self.state.timers[timer])
        self._feed(TimeCame(timer))

    async def _think(self) -> None:
        """Ask the model, and let its answer happen."""
        question, self._question = self._question, None
        assert question is not None
        if self.asked >= self.most_turns:
            raise TooLong(f"The PAL did not come to rest: the model was asked {self.asked} times (most_turns).")
        self.asked += 1
        await asyncio.sleep(0)  # A model that is no other server never waits, and others must have their turn.
        id = question.inference_id
        try:
            answer = await answer_of(self.model, Ask(question.messages, question.tools))
        except ModelDown as error:
            self.problems.append(f"The model was down ({error.reason}): {error.text}")
            self._feed(ModelFailed(id, error.reason, error.text))
            return
        self.prompt_tokens += answer.usage.prompt_tokens
        self.completion_tokens += answer.usage.completion_tokens
        self._note_guardrails(answer)
        if answer.text.strip():
            self._feed(ModelSpoke(id, answer.text))
        wishes = tuple(Wish(wish.id, wish.name, wish.arguments) for wish in answer.wishes)
        usage = answer.usage
        told = ModelAnswered(id, answer.text, wishes, answer.model, usage.prompt_tokens, usage.completion_tokens)
        self._feed(replace(told, first_token_at=self.now))

    def _note_guardrails(self, answer: Answer) -> None:
        """Guardrails that the model tells to be touched, also those of which no client is told."""
        known = {guardrail.name for guardrail in self.script.guardrails}
        for wish in answer.wishes if is_own(self.script, REPORT_GUARDRAIL) else ():
            said = (object_of(wish.arguments) or {}) if wish.name == REPORT_GUARDRAIL else {}
            name = str(said.get("guardrail_name"))
            if name in known:
                self.seen.touched_here.append(name)
                self.whole.touched_here.append(name)
                if name not in self.whole.touched:
                    self.whole.touched.append(name)
        self.seen.touched = list(self.whole.touched)


async def answer_of(model: LanguageModel, ask: Ask) -> Answer:
    """The whole answer of a model. Raises ModelDown."""
    text, answer = "", None
    async with aclosing(model.stream(ask)) as stream:
        async for item in stream:
            if isinstance(item, Piece):
                text += item.text
            else:
                answer = item
    if answer is None:
        raise ModelDown(NO_ANSWER, "broken_stream")
    return answer if answer.text or not text else Answer(text, answer.wishes, answer.usage, answer.model)


def transcript_of(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """What was said and called, without the prompt."""
    members = ("role", "content", "tool_calls", "tool_call_id", "seconds_from_start")
    return [{name: line[name] for name in members if name in line} for line in lines if line["role"] != "system"]
