"""One conversation as a person at a terminal has it: what comes is shown while it comes, and each turn has an end."""

import threading
from collections.abc import Callable
from typing import Any

from palace.cli.chat.screen import Screen
from palace.cli.chat.tools import Commands, outcome
from palace.client import Line, Remote, RemoteError

SECONDS_TO_BE_HEARD = 30
SECONDS_TO_COME_IN = 30
SECONDS_TO_CATCH_UP = 10
SECONDS_BETWEEN_LOOKS = 0.2
SIGNS_OF_THE_PAL = ("system.pal_present", "system.pal_joined")


class Talk:
    """Listens on a thread of its own, and speaks from the caller's. Raises RemoteError when it goes on no more."""

    def __init__(self, remote: Remote, line: Line, screen: Screen, commands: Commands) -> None:
        self._remote = remote
        self._line = line
        self._screen = screen
        self._commands = commands
        self._moved = threading.Condition()
        self._seq = 0
        self._turn_idx = 0
        self._has_met_pal = False
        self._unanswered: dict[str, str] = {}
        """names of tools by the ids of calls of this turn that no command answers"""
        self._failure: RemoteError | None = None
        self.is_over = False
        """whether the conversation has ended, or was left"""
        self.reason = ""
        """why the conversation has ended"""
        self.problem = ""
        """what went wrong in the newest turn: no model, or a message that the server did not understand"""
        self.on_end: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._listen, name="listening", daemon=True)

    # --- Speaking -----------------------------------------------------------------------------------------------------

    def come_in(self) -> None:
        """Join, and hear the greeting, or what is being said just now; what is older is not waited for."""
        if not self._line.hears_what_is_old:
            self._seq = _newest(self._remote.turn(self._line.conversation_id, 0))
        self._thread.start()
        self._wait(lambda: self._has_met_pal or self.is_over, SECONDS_TO_COME_IN, "The PAL is not there.")
        self.hear()

    def say(self, text: str) -> None:
        """Say something, and wait until the turn is over and all of it is shown."""
        before, self.problem = self._turn_idx, ""
        self._unanswered.clear()
        self._line.send("conversation.respond", text=text)
        self._wait(
            lambda: self._turn_idx > before or self.is_over or bool(self.problem),
            SECONDS_TO_BE_HEARD,
            "The server did not take what was said.",
        )
        if self._turn_idx > before:
            self.hear()

    def hear(self) -> None:
        """Wait until the PAL says nothing more by itself, and all of it is shown."""
        while not self.is_over:
            turn = self._turn()
            if turn.get("status") == "waiting_for_tool_result":
                self._tell_unanswered()
            elif turn.get("status") == "ready" and turn["turn_idx"] >= self._turn_idx:
                self._catch_up(_newest(turn), with_end=turn["conversation_status"] == "ended")
                return
            self._wait(lambda: self.is_over, SECONDS_BETWEEN_LOOKS)

    def _turn(self) -> dict[str, Any]:
        """The newest turn; nothing while the server does not answer: the line tells when that lasts too long."""
        try:
            return self._remote.turn(self._line.conversation_id)
        except RemoteError as error:
            if 0 < error.status < 500:
                raise
            return {}

    def _catch_up(self, seq: int, *, with_end: bool) -> None:
        self._wait(lambda: self.is_over or (self._seq >= seq and not with_end), SECONDS_TO_CATCH_UP)

    def interrupt(self) -> None:
        """Have the PAL stop what it is saying."""
        self._line.send("conversation.interrupt")

    def leave(self, *, ends_it: bool) -> None:
        """Go; without a person the conversation ends by itself after a while."""
        try:
            if ends_it and not self.is_over:
                self._remote.end(self._line.conversation_id)
                if self._thread.is_alive():
                    self._thread.join(SECONDS_TO_CATCH_UP)  # What comes last is shown, too.
        finally:
            self._line.close()

    @property
    def is_done(self) -> bool:
        """Whether nothing comes any more."""
        return self.is_over or self._failure is not None

    def check(self) -> None:
        """Raise RemoteError when something is wrong with the line."""
        if self._failure is not None:
            raise self._failure

    def _wait(self, is_so: Callable[[], bool], seconds: float, otherwise: str = "") -> None:
        with self._moved:
            came = self._moved.wait_for(lambda: is_so() or self._failure is not None, seconds)
        self.check()
        if not came and otherwise:
            raise RemoteError(otherwise)

    def _tell_unanswered(self) -> None:
        unanswered, self._unanswered = self._unanswered, {}
        for name in unanswered.values():
            self._screen.note(
                f"The PAL waits for the result of {name}, and goes on without it in some seconds. "
                f"--tool {name}=COMMAND answers it."
            )

    # --- Listening ----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        try:
            for message in self._line.messages(lambda: self._screen.note("The line broke; trying again.")):
                with self._moved:
                    self._take(message)
                    self._moved.notify_all()
        except RemoteError as error:
            self._failure = error
        except (BrokenPipeError, SystemExit):  # The latter is what becomes of the former where text is coloured.
            self._failure = RemoteError("Nobody reads what is printed any more.")
        else:
            self.is_over = True
        finally:
            with self._moved:
                self._moved.notify_all()
            self.on_end()

    def _take(self, message: dict[str, Any]) -> None:
        said = message.get("properties") or {}
        self._screen.show(message)
        self._seq = max(self._seq, message.get("seq", 0))
        match message.get("event_type"):
            case kind if kind in SIGNS_OF_THE_PAL:
                self._has_met_pal = True
            case "conversation.utterance" if said.get("role") == "user":
                self._turn_idx = max(self._turn_idx, message.get("turn_idx", 0))
            case "conversation.tool_call":
                self._call(said)
            case "conversation.model_unavailable":
                self.problem = f"No model answers: {said.get('problem')}"
            case "system.error":
                self.problem = str(said.get("problem") or said.get("message") or "The server did not understand that.")
            case "system.shutdown":
                self.reason = str(said.get("shutdown_reason") or "")

    def _call(self, said: dict[str, Any]) -> None:
        name, id = str(said.get("name")), str(said.get("tool_call_id") or "")
        if name in self._commands:
            threading.Thread(target=self._carry_out, args=(name, id, str(said.get("arguments"))), daemon=True).start()
        else:
            self._unanswered[id] = name

    def _carry_out(self, name: str, id: str, arguments: str) -> None:
        output, status = outcome(self._commands[name], arguments)
        if status == "error":
            self._screen.note(f"{name}: {output}")
        try:
            self._line.send("conversation.tool_result", tool_call_id=id, name=name, output=output, status=status)
        except RemoteError as error:
            self._screen.note(f"The result of {name} is lost: {error}")


def _newest(turn: dict[str, Any]) -> int:
    return max((message["seq"] for message in turn["messages"]), default=0)
