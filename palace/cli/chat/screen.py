"""What a conversation looks like in a terminal, in a pipe, and as lines of JSON."""

import sys
import threading
from typing import Any, Protocol

import orjson
from rich.console import Console

from palace.cli.remote import console, printable

PROMPT = "> "
CLEAR_LINE = "\r\x1b[K"


class Screen(Protocol):
    """Shows what happens."""

    def show(self, message: dict[str, Any]) -> None:
        """An app message has come."""

    def note(self, text: str) -> None:
        """A remark beside the conversation."""


class JsonLines:
    """Every app message as a line of JSON; remarks go to standard error."""

    def show(self, message: dict[str, Any]) -> None:
        """See Screen."""
        sys.stdout.buffer.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()

    def note(self, text: str) -> None:
        """See Screen."""
        print(f"palace: {_printable(text)}", file=sys.stderr)


class Text:
    """What the PAL says, as it is written. People in a terminal also see what happens beside."""

    def __init__(self, *, is_terminal: bool, shows_tools: bool) -> None:
        self._console: Console = console()
        self._is_terminal = is_terminal
        self._shows_tools = shows_tools
        self._written = ""
        """what is on the line of the utterance that is being written"""
        self._done = ""
        """the id of the utterance that is written to its end"""
        self._typed_before: list[str] = []
        self._lock = threading.RLock()
        self.is_prompting = False

    def show(self, message: dict[str, Any]) -> None:
        """See Screen."""
        with self._lock:
            self._show(message, message.get("properties") or {})

    def _show(self, message: dict[str, Any], said: dict[str, Any]) -> None:
        match message.get("event_type"):
            case "conversation.utterance.streaming" if said.get("role") == "pal" and not self.is_prompting:
                if message.get("inference_id") != self._done:
                    self._write(said["speech"])
            case "conversation.utterance" if said.get("role") == "pal":
                self._finish(said["speech"], str(message.get("inference_id")), bool(said.get("interrupted")))
            case "conversation.utterance" if said.get("role") == "user":
                self._somebody_said(said["speech"])
            case "conversation.tool_call" if self._shows_tools:
                self.note(f"{said['name']} {said['arguments']}")

    def typed(self, text: str) -> None:
        """What comes back as said by a person was typed here, and is not shown again."""
        self._typed_before.append(text)

    def note(self, text: str) -> None:
        """See Screen. In a pipe, remarks go to standard error."""
        with self._lock:
            self._break()
            if self._is_terminal:
                self._aside(f"[{text}]", "dim")
            else:
                print(f"palace: {_printable(text)}", file=sys.stderr)

    def _write(self, speech: str) -> None:
        """As much of an utterance as is there; what was written of it already stays."""
        text = speech.strip()
        if not text.startswith(self._written):
            self._break()
        new = text[len(self._written) :]
        if new:
            self._console.print(_printable(new), end="")
            self._written = text

    def _finish(self, speech: str, id: str, was_interrupted: bool) -> None:
        self._done = id
        if self.is_prompting:
            self._aside(speech.strip(), "")
            return
        self._write(speech)
        if was_interrupted and self._is_terminal:
            self._console.print(" [interrupted]", end="", style="dim")
        self._break()

    def _somebody_said(self, speech: str) -> None:
        if speech in self._typed_before:
            self._typed_before.remove(speech)
        elif self._is_terminal:
            self._break()
            self._aside(f"(somebody) {speech}", "bold")

    def _break(self) -> None:
        if self._written:
            self._console.print()
            self._written = ""

    def _aside(self, text: str, style: str) -> None:
        """A line of its own; what a person is typing is put below it."""
        if not self.is_prompting:
            self._console.print(_printable(text), style=style)
            return
        sys.stdout.write(CLEAR_LINE)
        self._console.print(_printable(text), style=style)
        sys.stdout.write(PROMPT + typed_so_far())
        sys.stdout.flush()


def typed_so_far() -> str:
    """What stands on the line that a person is typing; nothing in a Python without a line editor."""
    try:
        import readline
    except ImportError:
        return ""
    return readline.get_line_buffer()


def _printable(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))
