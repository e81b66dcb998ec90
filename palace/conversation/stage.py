"""What the parts of the brain work on while they react to one event, and what they say while they do."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from palace.conversation.commands import Command, Emit, Remember
from palace.conversation.script import Script
from palace.conversation.state import Line, State

A_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
Role = Literal["pal", "user"]


def uuid_of(text: str) -> str:
    """A UUID that follows from a text; one that is a UUID already stays (contract 3.3)."""
    if A_UUID.fullmatch(text):
        return text.lower()
    digits = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclass(slots=True)
class Stage:
    """One event being reacted to: `now` is when it happened, `commands` are what comes of it."""

    script: Script
    state: State
    lines: list[Line]
    now: float
    commands: list[Command] = field(default_factory=list)

    def do(self, command: Command) -> None:
        """One more command."""
        self.commands.append(command)

    def new_inference(self) -> str:
        """An id for what the model is asked next."""
        self.state.inferences += 1
        return uuid_of(f"{self.script.conversation_id}/{self.state.inferences}")

    # --- App messages (contract 3.2) ----------------------------------------------------------------------------------

    def emit(
        self,
        event_type: str,
        properties: dict[str, Any] | None = None,
        *,
        inference_id: str = "",
        in_turn: bool = True,
        lasts: bool = True,
    ) -> None:
        """Send an app message. `properties` are left out when there are none, and so is an empty `inference_id`."""
        self.state.seq += 1
        message: dict[str, Any] = {
            "message_type": event_type.partition(".")[0],
            "event_type": event_type,
            "conversation_id": self.script.conversation_id,
            "timestamp": self.now,
            "seq": self.state.seq,
        }
        if in_turn:
            message["turn_idx"] = self.state.turn_idx
        if inference_id:
            message["inference_id"] = inference_id
        if properties:
            message["properties"] = properties
        self.do(Emit(message, lasts))

    def utter(self, role: Role, speech: str, inference_id: str, *, interrupted: bool = False) -> None:
        """A finished turn of either side. `text` is there for clients that read that (contract 22, A21)."""
        said: dict[str, Any] = {"role": role, "speech": speech, "text": speech}
        if interrupted:
            said["interrupted"] = True
        self.emit("conversation.utterance", said, inference_id=inference_id)

    # --- The transcript (contract 2.3) --------------------------------------------------------------------------------

    def remember(self, role: str, content: str, **more: Any) -> None:
        """One more line, for the model and for the transcript; members that are None are left out."""
        line = {
            "role": role,
            "content": content,
            "timestamp": self.now,
            "seconds_from_start": round(self.now - self.script.started_at, 3),
            **{name: value for name, value in more.items() if value is not None},
        }
        self.lines.append(line)
        self.do(Remember(line))

    # --- Time ---------------------------------------------------------------------------------------------------------

    def wake_in(self, timer: str, seconds: float) -> None:
        """Be told when this time is over; a timer of the same name begins anew."""
        self.state.timers[timer] = self.now + seconds

    def forget(self, *timers: str) -> None:
        """Timers that are not wanted any more."""
        for timer in timers:
            self.state.timers.pop(timer, None)
