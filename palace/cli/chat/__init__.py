"""`palace chat`: talk to a PAL in the terminal or through a pipe."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Annotated

import typer

from palace.cli.chat.interrupts import noticed, wake_reader
from palace.cli.chat.screen import PROMPT, JsonLines, Text, typed_so_far
from palace.cli.chat.talk import Talk
from palace.cli.chat.tools import commands_of
from palace.cli.remote import DEFAULT_URL, Key, Url, connected, fail, name_of
from palace.client import Document, Line, Remote, RemoteError

BROKEN_OFF = 130
"""The exit code of a command that Ctrl-C ended."""
HOW_TO_LEAVE = "Ctrl-C interrupts the PAL; Ctrl-D, or Ctrl-C twice, leaves."


def chat(
    pal_id: Annotated[
        str, typer.Argument(metavar="PAL_ID", help="An id of `palace pal list`.", show_default=False)
    ] = "",
    conversation: Annotated[
        str, typer.Option(metavar="ID", show_default=False, help="Go on with a conversation instead of a new one.")
    ] = "",
    greeting: Annotated[str, typer.Option(show_default=False, help="What the PAL says first, word for word.")] = "",
    context: Annotated[str, typer.Option(show_default=False, help="What the PAL knows besides its prompt.")] = "",
    tool: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COMMAND",
            help="Answer calls of a tool: COMMAND reads the arguments as JSON and prints the result.",
        ),
    ] = None,
    show_tools: Annotated[bool, typer.Option("--show-tools", help="Show every call of a tool.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not end the conversation when leaving it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print every app message as a line of JSON.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = "",
) -> None:
    """Talk to a PAL, here or through a pipe.

    Each line of standard input is a turn.
    """
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    commands = commands_of(tool or [])
    if conversation and (greeting or context):
        raise fail("--greeting and --context are for a new conversation: they do not go with --conversation.")
    text = Text(is_terminal=is_terminal, shows_tools=show_tools)
    with connected(url, key) as remote:
        id = _resumed(remote, conversation, pal_id) if conversation else _begun(remote, pal_id, greeting, context)
        talk = Talk(
            remote,
            Line(remote.url, remote.key, id, -1 if conversation else 0),
            JsonLines() if as_json else text,
            commands,
        )
        with _left(talk, id, keep=keep):
            if is_terminal:
                with noticed():
                    _in_terminal(talk, text)
            else:
                _in_pipe(talk, text)


def _begun(remote: Remote, pal_id: str, greeting: str, context: str) -> str:
    """The id of a new conversation. Raises typer.Exit and RemoteError."""
    if not pal_id:
        raise fail("Whom to talk to? Name a PAL of `palace pal list`, or a conversation with --conversation.")
    pal = remote.document(pal_id)
    members: Document = {"pal_id": pal_id, "chat": True}
    members |= {"custom_greeting": greeting} if greeting else {}
    members |= {"conversational_context": context} if context else {}
    made = remote.begin(members)
    if sys.stderr.isatty():
        typer.echo(f"{name_of(pal)}, conversation {made['conversation_id']}. {HOW_TO_LEAVE}", err=True)
    return str(made["conversation_id"])


def _resumed(remote: Remote, id: str, pal_id: str) -> str:
    """The id of a conversation that goes on. Raises RemoteError."""
    found = remote.conversation(id)
    if pal_id and found["pal_id"] != pal_id:
        raise RemoteError(f"Conversation {id} is one of the PAL {found['pal_id']}, not of {pal_id}.")
    if found["status"] != "active":
        raise RemoteError(f"Conversation {id} has ended. Leave --conversation out to begin another one.")
    if sys.stderr.isatty():
        typer.echo(f"Conversation {id} goes on. {HOW_TO_LEAVE}", err=True)
    return id


@contextmanager
def _left(talk: Talk, id: str, *, keep: bool) -> Iterator[None]:
    """The conversation is left, however the block ends."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise typer.Exit(BROKEN_OFF) from error
    finally:
        with suppress(RemoteError):
            talk.leave(ends_it=not keep)
        if keep and not talk.is_over and sys.stderr.isatty():
            typer.echo(f"It goes on with --conversation {id}, and ends by itself after some minutes.", err=True)


# --- In a pipe --------------------------------------------------------------------------------------------------------


def _in_pipe(talk: Talk, text: Text) -> None:
    """Say each line and print the answer. Raises RemoteError at the first turn that fails, and typer.Exit."""
    talk.come_in()
    if talk.problem:
        raise RemoteError(talk.problem)
    for line in sys.stdin:
        said = line.strip()
        if not said:
            continue
        if talk.is_over:
            raise RemoteError(f"The conversation has ended ({talk.reason}); {said!r} was not said.")
        text.typed(said)
        talk.say(said)
        if talk.problem:
            raise RemoteError(talk.problem)


# --- In a terminal ----------------------------------------------------------------------------------------------------


def _in_terminal(talk: Talk, text: Text) -> None:
    """Let a person talk until one of both has enough. Raises RemoteError."""
    talk.on_end = lambda: wake_reader() if text.is_prompting else None
    _heard(talk, talk.come_in)
    while not talk.is_done and (said := _typed(talk, text)) is not None:
        if said.strip():
            text.typed(said.strip())
            if not _heard(talk, partial(talk.say, said.strip())):
                return
            if talk.problem:
                text.note(talk.problem)
    talk.check()
    if talk.is_over:
        text.note(f"The conversation has ended: {talk.reason}" if talk.reason else "The conversation has ended.")


def _heard(talk: Talk, wait: Callable[[], None]) -> bool:
    """Wait for what the PAL says. Ctrl-C interrupts it; False after the second one."""
    try:
        wait()
    except KeyboardInterrupt:
        talk.interrupt()
        try:
            talk.hear()
        except KeyboardInterrupt:
            return False
    return True


def _typed(talk: Talk, text: Text) -> str | None:
    """What a person types; None when they leave, or the conversation has ended meanwhile."""
    typed_so_far()  # Whoever has a line editor has it loaded now, and `input` uses it.
    was_interrupted = False
    while True:
        text.is_prompting = True
        try:
            return None if talk.is_done else input(PROMPT)
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print()
            if was_interrupted or talk.is_done:
                return None
            was_interrupted = True
        finally:
            text.is_prompting = False
        text.note(HOW_TO_LEAVE)
