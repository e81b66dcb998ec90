"""What all commands for a running server share: where it is, the key, and how failures are told."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from palace.client import OnDraft, Remote, RemoteError, Written
from palace.yaml_text import write_yaml

DEFAULT_URL = "http://127.0.0.1:8790"
UNLIMITED = 10_000
"""Columns for what a program reads: nothing is wrapped or cut."""

Url = Annotated[str, typer.Option(envvar="TAVUS_PUBLIC_API_BASE_URL", help="The URL of the server.")]
Key = Annotated[
    str,
    typer.Option(
        envvar="TAVUS_API_KEY",
        show_default=False,
        help="The API key; other users of this machine see it if given here.",
    ),
]
PalId = Annotated[str, typer.Argument(metavar="ID", help="An id of `palace pal list`.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Comment = Annotated[str, typer.Option(show_default=False, help="Why; shown by `palace pal log`.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Force = Annotated[bool, typer.Option("--force", help="Discard a draft that PAL Maker has of the PAL.")]
Rebase = Annotated[bool, typer.Option("--rebase", help="Keep a draft of PAL Maker when it touches other members.")]


def fail(problem: str) -> typer.Exit:
    """Tell what is wrong on standard error; the exception to raise."""
    typer.echo(f"palace: {problem}", err=True)
    return typer.Exit(1)


@contextmanager
def connected(url: str, key: str) -> Iterator[Remote]:
    """The server at the URL; what it refuses is told, and ends the command with 1."""
    try:
        remote = Remote(url, key)
        try:
            yield remote
        finally:
            remote.close()
    except RemoteError as error:
        raise fail(str(error)) from error


def is_confirmed(question: str, *, default: bool = False) -> bool:
    """Whether a person says yes; no answer at all is no. The question goes to standard error."""
    try:
        return typer.confirm(question, default=default, err=True)
    except typer.Abort:
        typer.echo("", err=True)
        return False


def on_draft(force: bool, rebase: bool) -> OnDraft:
    """What happens to a draft of PAL Maker, as the two flags say. Raises typer.Exit for both of them."""
    if force and rebase:
        raise fail("--force discards a draft and --rebase keeps it: give one of them.")
    return "discard" if force else "rebase" if rebase else "refuse"


def console() -> Console:
    """Standard output: colours on a terminal only, and no line cut or wrapped for anybody else."""
    width = None if sys.stdout.isatty() else UNLIMITED
    return Console(width=width, highlight=False, markup=False, soft_wrap=True, emoji=False)


def print_json(value: Any) -> None:
    """The value as JSON with two spaces of indentation, as UTF-8 whatever the locale."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def printable(text: str) -> str:
    """The text with a sign in place of every character that would steer a terminal."""
    return "".join([sign if sign.isprintable() or sign == "\t" else "\N{REPLACEMENT CHARACTER}" for sign in text])


def name_of(document: dict[str, Any]) -> str:
    """A PAL in a sentence: its name, if it has one, and its id."""
    id = str(document["pal_id"])
    return f"{printable(document['pal_name'])} ({id})" if document.get("pal_name") else id


def tell_written(written: Written, done: str) -> None:
    """One line about a write that succeeded, and one for each member that was stored otherwise than it was sent."""
    if not written.changed:
        print("Nothing changed.")
        return
    number = f": revision {written.revision}" if written.revision is not None else ""
    print(f"{done} {name_of(written.document)}{number}.")
    if written.document.get("discarded_maker_changes"):
        print("The draft of PAL Maker was discarded.")
    for note in written.stored_differently:
        if "pointer" in note:
            stored = f"was stored as {write_yaml(note['stored']).strip()}" if "stored" in note else "was left out"
            print(f"Note: {note['pointer']} {stored} ({note.get('how')}).")
